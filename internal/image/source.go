// Package image opens or builds a container image and pushes it to a registry. It does not know where the image is deployed.
package image

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// Source is an image to be pushed. Its manifests are read and verified when it is opened, its layers when they are pushed.
type Source struct {
	kind  string
	root  *manifest
	close func() error // nil when there is nothing to close
}

// Open opens ref as an image: an existing file or folder, whose format is detected by content, or otherwise a full registry
// reference, host/name:tag or host/name@sha256:…, which is read with keychain. Close the source after use.
//
// The error wraps fs.ErrNotExist if ref is neither an existing file nor such a reference.
func Open(ctx context.Context, ref string, keychain authn.Keychain) (*Source, error) {
	src, err := openSource(ctx, ref, keychain)
	if err == nil {
		if err = src.root.checkRunnable(); err != nil {
			err = contentError{errors.Join(err, src.Close())}
		}
	}
	if err != nil {
		return nil, fmt.Errorf("read image %q: %w", ref, err)
	}
	return src, nil
}

func openSource(ctx context.Context, ref string, keychain authn.Keychain) (*Source, error) {
	if ref == "" {
		return nil, errors.New("name a file, a folder or a registry reference")
	}
	info, err := os.Stat(ref) //nolint:gosec // the input names the file
	switch {
	case errors.Is(err, fs.ErrNotExist):
		// Strict, so that a missing file image.tar is not parsed as docker.io/library/image.tar:latest.
		reference, parseErr := name.ParseReference(ref, name.StrictValidation)
		if parseErr != nil {
			return nil, fmt.Errorf("neither a file or folder nor a full registry reference%s: %w", describeLink(ref), fs.ErrNotExist)
		}
		root, err := readReference(ctx, reference, keychain)
		if err != nil {
			return nil, err
		}
		return &Source{kind: "registry reference", root: root}, nil
	case err != nil:
		return nil, err
	}
	src, err := openFiles(ctx, ref, info)
	if err != nil && ctx.Err() == nil && !errors.As(err, new(*fs.PathError)) {
		err = contentError{err}
	}
	return src, err
}

func openFiles(ctx context.Context, ref string, info fs.FileInfo) (*Source, error) {
	switch {
	case info.IsDir():
		return readFiles(ctx, folder(ref), [2]string{"docker-save folder", "OCI layout"})
	case !info.Mode().IsRegular():
		return nil, errors.New("not an image: neither a file nor a folder")
	}
	tarball, err := openArchive(ctx, ref)
	if err != nil {
		return nil, err
	}
	kinds := [2]string{"docker-save tar", "OCI archive"}
	for i := range kinds {
		if tarball.packed != "" {
			kinds[i] += fmt.Sprintf(" (%s)", tarball.packed)
		}
	}
	src, err := readFiles(ctx, tarball, kinds)
	if err != nil {
		return nil, errors.Join(err, tarball.Close())
	}
	src.close = tarball.Close
	return src, nil
}

// readFiles detects a docker save or an OCI layout, whose names are kinds. Many files are both: Docker 25 and later saves an
// OCI layout, of which only manifest.json can be relied on. Its layers may not be compressed, of a multi-platform image it
// has only the platforms that Docker has, and 25.0 wrote layouts without images, without layers and with wrong sizes:
// https://docs.docker.com/engine/release-notes/25.0/ https://github.com/moby/moby/issues/47065
// https://github.com/moby/moby/pull/47210
func readFiles(ctx context.Context, files files, kinds [2]string) (*Source, error) {
	saved, notDocker := listSaved(files)
	_, notOCI := files.findFile("index.json")
	switch {
	case notOCI == nil:
		root, err := readLayout(ctx, files)
		if notDocker != nil || err == nil && root.hasAll(saved) && !root.hasPlainLayer() || errors.As(err, new(severalError)) {
			return &Source{kind: kinds[1], root: root}, err
		}
	case errors.Is(notDocker, errMissing):
		return nil, notImage(files)
	case notDocker != nil:
		return nil, notDocker
	}
	root, err := readDockerSave(files, saved)
	return &Source{kind: kinds[0], root: root}, err
}

// Close releases the source's files.
func (s *Source) Close() error {
	if s.close == nil {
		return nil
	}
	return s.close()
}

// Kind describes the source: "docker-save tar", "OCI archive", "OCI layout" or "registry reference", followed by " (gzip)"
// or " (zstd)" for a compressed file.
func (s *Source) Kind() string { return s.kind }

// Digest returns the digest (sha256:…) that the image has or will have in the registry. It is empty for a docker save until
// Push has compressed its layers.
func (s *Source) Digest() string {
	if s.root.Digest == (v1.Hash{}) {
		return ""
	}
	return s.root.Digest.String()
}

// Platforms lists the platforms of the image, such as "linux/amd64". Attestations, which have the platform
// unknown/unknown in an index, are pushed but not listed.
func (s *Source) Platforms() []string {
	var platforms []string
	for m := range s.root.images() {
		if p := m.Platform; p != nil && p.OS != unknownOS {
			platforms = append(platforms, p.String())
		}
	}
	return platforms
}
