package sample

import (
	"archive/tar"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// SaveDockerArchive writes img to path as docker save does, named ref.
func SaveDockerArchive(path string, img v1.Image, ref string) error {
	tag, err := name.NewTag(ref)
	if err != nil {
		return fmt.Errorf("parse tag: %w", err)
	}
	if err := tarball.WriteToFile(path, tag, img); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

// SaveLayout writes a v1.Image or v1.ImageIndex to dir as an OCI image layout.
func SaveLayout(dir string, content mutate.Appendable) error {
	path, err := layout.Write(dir, empty.Index)
	if err != nil {
		return fmt.Errorf("write layout: %w", err)
	}
	switch c := content.(type) {
	case v1.ImageIndex:
		err = path.AppendIndex(c)
	case v1.Image:
		err = path.AppendImage(c)
	default:
		err = fmt.Errorf("%T is neither image nor index", content)
	}
	if err != nil {
		return fmt.Errorf("write layout: %w", err)
	}
	return nil
}

// SaveOCIArchive writes a v1.Image or v1.ImageIndex to path as a tar of an OCI
// image layout, as docker buildx build --output type=oci does.
func SaveOCIArchive(path string, content mutate.Appendable) (err error) {
	dir, err := os.MkdirTemp("", "layout-")
	if err != nil {
		return fmt.Errorf("make folder: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if err := SaveLayout(dir, content); err != nil {
		return err
	}
	file, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("create archive: %w", err)
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	archive := tar.NewWriter(file)
	if err := addFiles(archive, os.DirFS(dir)); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return archive.Close()
}

func addFiles(archive *tar.Writer, files fs.FS) error {
	return fs.WalkDir(files, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		body, err := fs.ReadFile(files, path)
		if err != nil {
			return err
		}
		if err := archive.WriteHeader(&tar.Header{Name: path, Mode: 0o644, Size: int64(len(body)), ModTime: epoch}); err != nil {
			return err
		}
		_, err = archive.Write(body)
		return err
	})
}
