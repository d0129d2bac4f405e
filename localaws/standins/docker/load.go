//go:build !offline

package docker

import (
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// load takes in what docker save wrote: a file, or standard input.
func (e *engine) load(args []string) (err error) {
	options, rest, err := parseOptions(args, "input,i= quiet,q", true)
	if err != nil {
		return err
	}
	if err := needArguments("load", rest, 0, 0); err != nil {
		return err
	}
	path := e.call.Path(options.Last("input"))
	if path == "" { // the archive is read more than once
		if path, err = spool(os.Stdin); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, os.Remove(path)) }()
	}
	open := func() (io.ReadCloser, error) { return os.Open(path) }
	manifest, err := tarball.LoadManifest(open)
	if err != nil {
		return err
	}
	if e.isDiskFull() {
		return fmt.Errorf("Error processing tar file(exit status 1): write /app: %w", syscall.ENOSPC)
	}
	for _, entry := range manifest {
		if err := e.loadImage(open, entry.RepoTags); err != nil {
			return err
		}
	}
	return nil
}

func spool(from io.Reader) (path string, err error) {
	file, err := os.CreateTemp("", "docker-load-")
	if err != nil {
		return "", err
	}
	_, err = io.Copy(file, from)
	return file.Name(), errors.Join(err, file.Close())
}

func (e *engine) loadImage(open tarball.Opener, names []string) error {
	tags := make([]name.Tag, 0, len(names))
	for _, text := range names {
		tag, err := name.NewTag(text)
		if err != nil {
			return err
		}
		tags = append(tags, tag)
	}
	var which *name.Tag
	if len(tags) > 0 {
		which = &tags[0]
	}
	img, err := tarball.Image(open, which)
	if err != nil {
		return err
	}
	id, err := img.ConfigName()
	if err != nil {
		return err
	}
	if _, err := os.Stat(e.imageDir(id.String())); err != nil {
		if err := e.store(img, id); err != nil {
			return err
		}
	}
	lock, err := e.lockState()
	if err != nil {
		return err
	}
	defer lock.Close()
	refs, err := e.readReferences()
	if err != nil {
		return err
	}
	for _, tag := range tags {
		refs[familiarName(tag)] = id.String()
		fmt.Println("Loaded image:", familiarName(tag))
	}
	if len(tags) == 0 {
		fmt.Println("Loaded image ID:", id)
	}
	return e.saveReferences(refs)
}
