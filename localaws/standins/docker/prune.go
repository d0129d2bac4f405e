package docker

import (
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/org/atta-deploy-action/localaws/standins/instance"
)

// pruneUnused reads the options of a prune command, which asks unless forced.
func pruneUnused(command string, args []string, spec string) (instance.Options, error) {
	options, rest, err := parseOptions(args, "force,f "+spec, true)
	if err != nil {
		return nil, err
	}
	if err := needArguments(command, rest, 0, 0); err != nil {
		return nil, err
	}
	if !options.Has("force") {
		return nil, fmt.Errorf("docker %s needs --force where nobody can be asked", command)
	}
	return options, nil
}

func (e *engine) pruneContainersCommand(args []string) error {
	if _, err := pruneUnused("container prune", args, ""); err != nil {
		return err
	}
	return e.pruneContainers()
}

func (e *engine) pruneImagesCommand(args []string) error {
	options, err := pruneUnused("image prune", args, "all,a")
	if err != nil {
		return err
	}
	freed, err := e.pruneImages(options.Has("all"))
	fmt.Printf("\nTotal reclaimed space: %dB\n", freed)
	return err
}

func (e *engine) pruneSystem(args []string) error {
	options, err := pruneUnused("system prune", args, "all,a volumes")
	if err != nil {
		return err
	}
	if err := e.pruneContainers(); err != nil {
		return err
	}
	freed, err := e.pruneImages(options.Has("all"))
	fmt.Printf("\nTotal reclaimed space: %dB\n", freed)
	return err
}

// pruneContainers deletes what does not run, also what never did.
func (e *engine) pruneContainers() error {
	lock, err := e.lockState()
	if err != nil {
		return err
	}
	defer lock.Close()
	all, err := e.listContainers()
	if err != nil {
		return err
	}
	for _, c := range all {
		if c.State.Running {
			continue
		}
		if err := os.RemoveAll(e.containerDir(c.Id)); err != nil {
			return err
		}
		fmt.Println(c.Id)
	}
	return nil
}

// pruneImages deletes images without a tag, a digest does not save them; when
// all, every image that no container uses, running or not. As with docker, it
// takes one name after the other, in their order, until the image is known in one
// repository by one tag: an image in use may lose names.
// https://github.com/moby/moby/blob/v28.2.2/daemon/images/image_prune.go
func (e *engine) pruneImages(all bool) (freed int64, err error) {
	lock, err := e.lockState()
	if err != nil {
		return 0, err
	}
	defer lock.Close()
	images, err := e.listStoredImages()
	if err != nil {
		return 0, err
	}
	for _, img := range images {
		if len(img.RepoTags) > 0 && !all {
			continue
		}
		names := slices.Sorted(slices.Values(img.names))
		if len(names) == 0 {
			names = []string{img.Id}
		}
		for _, ref := range names {
			_ = e.removeImage(ref, false) // a conflict is not an error here
		}
		if _, err := os.Stat(e.imageDir(img.Id)); errors.Is(err, os.ErrNotExist) {
			freed += img.Size
		}
	}
	return freed, nil
}
