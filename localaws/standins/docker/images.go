package docker

import (
	"fmt"
	"os"
	"path"
	"slices"
	"strings"
)

// row is one line of docker images.
type row struct{ ID, Repository, Tag, Digest, CreatedAt, Size string }

func (e *engine) listImages(args []string) error {
	options, rest, err := parseOptions(args, "quiet,q all,a no-trunc digests format= filter,f=", true)
	if err != nil {
		return err
	}
	images, err := e.listStoredImages()
	if err != nil {
		return err
	}
	filters := options["filter"]
	if len(rest) > 0 {
		filters = append(filters, "reference="+rest[0])
	}
	var rows []any
	for _, img := range images {
		keep, err := img.matchesFilters(filters)
		if err != nil {
			return err
		}
		if keep {
			rows = append(rows, img.tableRows(filters, options.Has("no-trunc"))...)
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
	return renderTemplate(os.Stdout, format, rows...)
}

func (i image) matchesFilters(filters []string) (bool, error) {
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

// tableRows are the lines of one image: one per tag that the filters let through, or
// one without a tag.
func (i image) tableRows(filters []string, whole bool) []any {
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
