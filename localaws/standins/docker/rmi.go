package docker

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
)

func (e *engine) removeImages(args []string) error {
	options, rest, err := parseOptions(args, "force,f no-prune", true)
	if err != nil {
		return err
	}
	if err := needArguments("rmi", rest, 1, -1); err != nil {
		return err
	}
	lock, err := e.lockState()
	if err != nil {
		return err
	}
	defer lock.Close()
	return forEach(rest, nil, func(ref string) error { return e.removeImage(ref, options.Has("force")) })
}

// removeImage takes one name from an image, and the image itself with its last
// one: digests of the same repository go with the last tag of it. By its id, an
// image goes with all its names, if these are of one repository.
// https://github.com/moby/moby/blob/v28.2.2/daemon/images/image_delete.go
func (e *engine) removeImage(ref string, force bool) error {
	img, err := e.findImage(ref)
	if err != nil {
		return err
	}
	user, drop, byID := e.containerUsing(img.Id), img.names, isID(img.Id, ref)
	running := user != nil && user.State.Running
	switch {
	case !byID && user != nil && !force && img.hasOneName():
		return daemonError("conflict: unable to remove repository reference %q (must force) - container %s is using its referenced image %s", ref, user.Id[:12], img.shortID())
	case !byID:
		parsed, err := name.ParseReference(ref)
		if err != nil {
			return err
		}
		drop = []string{familiarName(parsed)}
		if e.kind() != kindPodman { // which takes a digest for a name like others
			drop = img.goesWith(drop[0])
		}
	case running:
		return daemonError("conflict: unable to delete %s (cannot be forced) - image is being used by running container %s", img.shortID(), user.Id[:12])
	case !force && len(img.names) > 0 && !img.hasOneName():
		return daemonError("conflict: unable to delete %s (must be forced) - image is referenced in multiple repositories", img.shortID())
	case !force && user != nil:
		return daemonError("conflict: unable to delete %s (must be forced) - image is being used by stopped container %s", img.shortID(), user.Id[:12])
	}
	// A forced removal of the last name leaves what a running container needs.
	return e.dropReference(img, drop, len(drop) == len(img.names) && !running)
}

func (i image) shortID() string { return strings.TrimPrefix(i.Id, "sha256:")[:12] }

// hasOneName reports whether all names are of one repository, with one tag.
func (i image) hasOneName() bool {
	repositories := map[string]bool{}
	for _, ref := range i.names {
		repository, _, _ := splitReference(ref)
		repositories[repository] = true
	}
	return len(i.RepoTags) <= 1 && len(repositories) == 1
}

// goesWith are a name and the digests that nobody needs without it.
func (i image) goesWith(ref string) []string {
	gone := []string{ref}
	repository, tag, _ := splitReference(ref)
	if tag == "" || slices.ContainsFunc(i.RepoTags, func(t string) bool { return t != ref && strings.HasPrefix(t, repository+":") }) {
		return gone
	}
	for _, digest := range i.RepoDigests {
		if strings.HasPrefix(digest, repository+"@") {
			gone = append(gone, digest)
		}
	}
	return gone
}

func (e *engine) dropReference(img image, gone []string, whole bool) error {
	refs, err := e.readReferences()
	if err != nil {
		return err
	}
	for _, ref := range gone {
		delete(refs, ref)
		fmt.Println("Untagged:", ref)
	}
	if err := e.saveReferences(refs); err != nil || !whole {
		return err
	}
	fmt.Println("Deleted:", img.Id)
	return os.RemoveAll(e.imageDir(img.Id))
}
