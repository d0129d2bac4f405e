package docker

import (
	"fmt"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
)

// row is one line of docker images.
type row struct{ ID, Repository, Tag, Digest, CreatedAt, Size string }

func (e *engine) listImages(args []string) error {
	options, rest, err := parse(args, "quiet,q all,a no-trunc digests format= filter,f=", true)
	if err != nil {
		return err
	}
	images, err := e.images()
	if err != nil {
		return err
	}
	filters := options["filter"]
	if len(rest) > 0 {
		filters = append(filters, "reference="+rest[0])
	}
	var rows []any
	for _, img := range images {
		keep, err := img.matches(filters)
		if err != nil {
			return err
		}
		if keep {
			rows = append(rows, img.rows(filters, options.Has("no-trunc"))...)
		}
	}
	format := options.Last("format")
	switch {
	case format != "":
	case options.Has("quiet"):
		format = "{{.ID}}"
		rows = slices.CompactFunc(rows, func(a, b any) bool { return a.(row).ID == b.(row).ID })
	default:
		fmt.Println("REPOSITORY\tTAG\tIMAGE ID\tCREATED\tSIZE")
		format = "{{.Repository}}\t{{.Tag}}\t{{.ID}}\t{{.CreatedAt}}\t{{.Size}}"
	}
	return render(os.Stdout, format, rows...)
}

func (i image) matches(filters []string) (bool, error) {
	for _, filter := range filters {
		key, value, _ := strings.Cut(filter, "=")
		ok := false
		switch key {
		case "dangling":
			ok = (len(i.RepoTags) == 0) == (value == "true")
		case "label":
			label, want, exact := strings.Cut(value, "=")
			have, set := i.Config.Labels[label]
			ok = set && (!exact || have == want)
		case "reference":
			ok = slices.ContainsFunc(i.names, func(ref string) bool { return matchReference(value, ref) })
		default:
			return false, daemonError("invalid filter '%s'", key)
		}
		if !ok {
			return false, nil
		}
	}
	return true, nil
}

func matchReference(pattern, ref string) bool {
	repository, _, _ := splitReference(ref)
	whole, _ := path.Match(pattern, ref)
	alone, _ := path.Match(pattern, repository)
	return whole || alone
}

// rows are the lines of one image: one per tag that the filters let through, or
// one without a tag.
func (i image) rows(filters []string, whole bool) []any {
	line := row{ID: i.Id, Repository: "<none>", Tag: "<none>", Digest: "<none>", CreatedAt: i.Created, Size: fmt.Sprintf("%dB", i.Size)}
	if !whole {
		line.ID = strings.TrimPrefix(i.Id, "sha256:")[:12]
	}
	if len(i.RepoDigests) > 0 {
		line.Repository, _, line.Digest = splitReference(i.RepoDigests[0])
	}
	var rows []any
	for _, tag := range i.RepoTags {
		if slices.ContainsFunc(filters, func(f string) bool {
			pattern, ok := strings.CutPrefix(f, "reference=")
			return ok && !matchReference(pattern, tag)
		}) {
			continue
		}
		line.Repository, line.Tag, _ = splitReference(tag)
		rows = append(rows, line)
	}
	if len(i.RepoTags) == 0 {
		rows = append(rows, line)
	}
	return rows
}

func splitReference(ref string) (repository, tag, digest string) {
	if repository, digest, ok := strings.Cut(ref, "@"); ok {
		return repository, "", digest
	}
	colon := strings.LastIndex(ref, ":")
	return ref[:colon], ref[colon+1:], ""
}

func (e *engine) removeImages(args []string) error {
	options, rest, err := parse(args, "force,f no-prune", true)
	if err != nil {
		return err
	}
	if err := needArguments("rmi", rest, 1, -1); err != nil {
		return err
	}
	lock, err := e.lock()
	if err != nil {
		return err
	}
	defer lock.Close()
	return each(rest, nil, func(ref string) error { return e.removeImage(ref, options.Has("force")) })
}

// removeImage takes one name from an image, and the image itself with its last
// tag: digests of the same repository go with the tag.
func (e *engine) removeImage(ref string, force bool) error {
	img, err := e.find(ref)
	if err != nil {
		return err
	}
	drop := img.names
	if byID := isID(img.Id, ref); byID && len(img.RepoTags) > 1 && !force {
		return daemonError("conflict: unable to delete %s (must be forced) - image is referenced in multiple repositories", ref)
	} else if parsed, err := name.ParseReference(ref); !byID && err == nil {
		drop = []string{familiar(parsed)}
		repository, tag, _ := splitReference(drop[0])
		last := tag != "" && !slices.ContainsFunc(img.RepoTags, func(t string) bool {
			return t != drop[0] && strings.HasPrefix(t, repository+":")
		})
		for _, digest := range img.RepoDigests {
			if last && digest != drop[0] && strings.HasPrefix(digest, repository+"@") {
				drop = append(drop, digest)
			}
		}
	}
	remaining := len(img.names) - len(drop)
	if user := e.userOf(img.Id); user != nil && remaining == 0 && (!force || user.State.Running) {
		return daemonError("conflict: unable to remove repository reference %q (must force) - container %s is using its referenced image %s",
			ref, user.Id[:12], strings.TrimPrefix(img.Id, "sha256:")[:12])
	}
	return e.drop(img, drop)
}

func (e *engine) drop(img image, gone []string) error {
	refs, err := e.references()
	if err != nil {
		return err
	}
	for _, ref := range gone {
		delete(refs, ref)
		fmt.Println("Untagged:", ref)
	}
	if err := e.saveReferences(refs); err != nil {
		return err
	}
	if len(gone) < len(img.names) {
		return nil
	}
	fmt.Println("Deleted:", img.Id)
	return os.RemoveAll(e.imageDir(img.Id))
}

// pruneImages deletes images without a tag, a digest does not save them; with
// --all every image that no container uses, running or not.
// https://docs.docker.com/reference/cli/docker/image/prune/
func (e *engine) pruneImages(args []string) error {
	options, _, err := parse(args, "all,a force,f", true)
	if err != nil {
		return err
	}
	if !options.Has("force") {
		return fmt.Errorf("docker image prune needs --force where nobody can be asked")
	}
	lock, err := e.lock()
	if err != nil {
		return err
	}
	defer lock.Close()
	images, err := e.images()
	if err != nil {
		return err
	}
	var freed int64
	for _, img := range images {
		if e.userOf(img.Id) != nil || (len(img.RepoTags) > 0 && !options.Has("all")) {
			continue
		}
		if err := e.drop(img, img.names); err != nil {
			return err
		}
		freed += img.Size
	}
	fmt.Printf("\nTotal reclaimed space: %dB\n", freed)
	return nil
}
