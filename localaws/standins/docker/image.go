package docker

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/org/atta-deploy-action/localaws/standins/instance"
)

// image is one image as docker inspect shows it.
type image struct {
	Id           string
	RepoTags     []string
	RepoDigests  []string
	Created      string
	Architecture string
	Os           string
	Size         int64
	Config       v1.Config
	RootFS       struct{ Layers []string }
	names        []string
}

func (e *engine) imageDir(id string) string {
	return filepath.Join(e.dir, "images", strings.TrimPrefix(id, "sha256:"))
}

// readReferences maps every tag and digest that an image goes by to its id.
func (e *engine) readReferences() (map[string]string, error) {
	refs := map[string]string{}
	return refs, instance.ReadJSON(filepath.Join(e.dir, "repositories.json"), &refs)
}

func (e *engine) saveReferences(refs map[string]string) error {
	return instance.WriteJSON(filepath.Join(e.dir, "repositories.json"), refs)
}

// listStoredImages lists what is stored, in the order of the ids.
func (e *engine) listStoredImages() ([]image, error) {
	dirs, err := filepath.Glob(filepath.Join(e.dir, "images", "[0-9a-f]*"))
	if err != nil {
		return nil, err
	}
	refs, err := e.readReferences()
	if err != nil {
		return nil, err
	}
	images := make([]image, 0, len(dirs))
	for _, dir := range dirs {
		img, err := loadImage(dir, refs)
		if err != nil {
			return nil, err
		}
		images = append(images, img)
	}
	return images, nil
}

// isComplete reports whether the content of an image is there. Containerd may list an image whose content it has lost,
// as after a power failure: https://github.com/moby/moby/issues/46077, https://github.com/containerd/containerd/issues/12302
func isComplete(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, "rootfs"))
	return err == nil
}

func loadImage(dir string, refs map[string]string) (image, error) {
	var config v1.ConfigFile
	body, err := os.ReadFile(filepath.Join(dir, "config.json"))
	if err != nil {
		return image{}, err
	}
	if err := json.Unmarshal(body, &config); err != nil {
		return image{}, fmt.Errorf("read image config: %w", err)
	}
	img := image{
		Id: "sha256:" + filepath.Base(dir), RepoTags: []string{}, RepoDigests: []string{}, Config: config.Config,
		Created: config.Created.Format(time.RFC3339Nano), Architecture: config.Architecture, Os: config.OS,
	}
	for _, layer := range config.RootFS.DiffIDs {
		img.RootFS.Layers = append(img.RootFS.Layers, layer.String())
	}
	for ref, id := range refs {
		if id != img.Id {
			continue
		}
		if strings.Contains(ref, "@") {
			img.RepoDigests = append(img.RepoDigests, ref)
		} else {
			img.RepoTags = append(img.RepoTags, ref)
		}
	}
	slices.Sort(img.RepoTags)
	slices.Sort(img.RepoDigests)
	img.names = slices.Concat(img.RepoTags, img.RepoDigests)
	if !isComplete(dir) {
		return img, nil
	}
	err = filepath.WalkDir(filepath.Join(dir, "rootfs"), func(_ string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		info, err := entry.Info()
		if err == nil {
			img.Size += info.Size()
		}
		return err
	})
	return img, err
}

// findImage resolves a tag, a digest reference, an id or the beginning of one.
func (e *engine) findImage(ref string) (image, error) {
	images, err := e.listStoredImages()
	if err != nil {
		return image{}, err
	}
	wanted := ref
	if parsed, err := name.ParseReference(ref); err == nil {
		wanted = familiarName(parsed)
	}
	for _, img := range images {
		if slices.Contains(img.names, wanted) || isID(img.Id, ref) {
			return img, nil
		}
	}
	return image{}, daemonError("No such image: %s", ref)
}

// isID reports whether ref is id or the beginning of it, with or without the
// algorithm.
func isID(id, ref string) bool {
	ref = strings.TrimPrefix(ref, "sha256:")
	return len(ref) >= 4 && strings.HasPrefix(strings.TrimPrefix(id, "sha256:"), ref)
}

// familiarName is a reference as docker shows it, without the default registry.
func familiarName(ref name.Reference) string {
	short := strings.TrimPrefix(ref.Name(), "index.docker.io/")
	return strings.TrimPrefix(short, "library/")
}

func (e *engine) tagImage(args []string) error {
	_, rest, err := parseOptions(args, "", true)
	if err != nil {
		return err
	}
	if err := needArguments("tag", rest, 2, 2); err != nil {
		return err
	}
	lock, err := e.lockState()
	if err != nil {
		return err
	}
	defer lock.Close()
	img, err := e.findImage(rest[0])
	if err != nil {
		return err
	}
	tag, err := name.NewTag(rest[1])
	if err != nil {
		return fmt.Errorf("Error parsing reference: %q is not a valid repository/tag: invalid reference format", rest[1])
	}
	refs, err := e.readReferences()
	if err != nil {
		return err
	}
	refs[familiarName(tag)] = img.Id
	return e.saveReferences(refs)
}

func (e *engine) inspectImages(args []string) error {
	options, rest, err := parseOptions(args, "format,f=", true)
	if err != nil {
		return err
	}
	if err := needArguments("image inspect", rest, 1, -1); err != nil {
		return err
	}
	return inspectAll(os.Stdout, options.Last("format"), rest, func(ref string) (any, error) { return e.findImage(ref) })
}
