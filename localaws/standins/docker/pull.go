//go:build !offline

package docker

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

// hasNetwork is false in a program built with the tag offline.
const hasNetwork = true

func (e *engine) pull(args []string) error {
	options, rest, err := parseOptions(args, "quiet,q platform= disable-content-trust", true)
	if err != nil {
		return err
	}
	if err := needArguments("pull", rest, 1, 1); err != nil {
		return err
	}
	ref, err := name.ParseReference(rest[0])
	if err != nil {
		return errors.New("invalid reference format")
	}
	platform := v1.Platform{OS: "linux", Architecture: runtime.GOARCH}
	if wanted := options.Last("platform"); wanted != "" {
		parsed, err := v1.ParsePlatform(wanted)
		if err != nil {
			return err
		}
		platform = *parsed
	}
	if e.takeFault("throttled") { // as ECR does when many instances pull at once: https://github.com/mitogen-hq/mitogen/pull/790
		return daemonError("toomanyrequests: Rate exceeded")
	}
	digest, fresh, err := e.fetch(ref, platform)
	if err != nil {
		return err
	}
	if !options.Has("quiet") {
		status := "Image is up to date for"
		if fresh {
			status = "Downloaded newer image for"
		}
		fmt.Printf("Digest: %s\nStatus: %s %s\n", digest, status, familiarName(ref))
	}
	fmt.Println(ref.Name())
	return nil
}

// fetch brings an image from its registry. Blobs are checked before anything is
// unpacked, and the image appears under its id by one rename.
func (e *engine) fetch(ref name.Reference, platform v1.Platform) (digest v1.Hash, fresh bool, err error) {
	desc, err := remote.Get(ref, remote.WithAuthFromKeychain(e), remote.WithPlatform(platform))
	if err != nil {
		return v1.Hash{}, false, pullError(ref, err)
	}
	img, err := desc.Image()
	if err != nil {
		if strings.Contains(err.Error(), "no child with platform") {
			return v1.Hash{}, false, fmt.Errorf("no matching manifest for %s in the manifest list entries", platform)
		}
		return v1.Hash{}, false, pullError(ref, err)
	}
	id, err := img.ConfigName()
	if err != nil {
		return v1.Hash{}, false, pullError(ref, err)
	}
	if e.kind() == kindContainerd {
		id = desc.Digest
	}
	if e.isDiskFull() {
		return v1.Hash{}, false, fmt.Errorf("failed to register layer: write /app: %w", syscall.ENOSPC)
	}
	if dir := e.imageDir(id.String()); !isComplete(dir) {
		fresh = true
		if err := os.RemoveAll(dir); err != nil {
			return v1.Hash{}, false, err
		}
		if err := e.store(img, id); err != nil {
			return v1.Hash{}, false, pullError(ref, err)
		}
	}
	lock, err := e.lockState()
	if err != nil {
		return v1.Hash{}, false, err
	}
	defer lock.Close()
	refs, err := e.readReferences()
	if err != nil {
		return v1.Hash{}, false, err
	}
	refs[familiarName(ref.Context().Digest(desc.Digest.String()))] = id.String()
	if tag, ok := ref.(name.Tag); ok {
		refs[familiarName(tag)] = id.String()
	}
	return desc.Digest, fresh, e.saveReferences(refs)
}

func (e *engine) store(img v1.Image, id v1.Hash) (err error) {
	if err := os.MkdirAll(filepath.Join(e.dir, "images"), 0o755); err != nil {
		return err
	}
	work, err := os.MkdirTemp(filepath.Join(e.dir, "images"), ".pull-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(work)) }()
	blobs, err := layout.Write(filepath.Join(work, "blobs"), empty.Index)
	if err != nil {
		return err
	}
	if err := blobs.AppendImage(img); err != nil {
		return err
	}
	digest, err := img.Digest()
	if err != nil {
		return err
	}
	local, err := blobs.Image(digest)
	if err != nil {
		return err
	}
	if err := checkLayers(local); err != nil {
		return err
	}
	config, err := local.RawConfigFile()
	if err != nil {
		return err
	}
	next := filepath.Join(work, "image")
	if err := unpackImage(local, filepath.Join(next, "rootfs")); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(next, "config.json"), config, 0o644); err != nil {
		return err
	}
	err = os.Rename(next, e.imageDir(id.String()))
	if errors.Is(err, os.ErrExist) { // another pull of the same image was faster
		return nil
	}
	return err
}

// checkLayers compares what the layers hold with the image's configuration: the
// registry's digests, checked on the way in, cover only the compressed blobs.
func checkLayers(img v1.Image) error {
	config, err := img.ConfigFile()
	if err != nil {
		return err
	}
	layers, err := img.Layers()
	if err != nil {
		return err
	}
	if len(layers) != len(config.RootFS.DiffIDs) {
		return errors.New("layers do not match the image configuration")
	}
	for i, layer := range layers {
		content, err := layer.Uncompressed()
		if err != nil {
			return err
		}
		diffID, _, err := v1.SHA256(content)
		if err := errors.Join(err, content.Close()); err != nil {
			return err
		}
		if diffID != config.RootFS.DiffIDs[i] {
			return fmt.Errorf("layer verification failed for %s: content is %s", config.RootFS.DiffIDs[i], diffID)
		}
	}
	return nil
}

// unpackImage writes an image's files. os.Root keeps every one of them below dir.
func unpackImage(img v1.Image, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	files := mutate.Extract(img)
	defer files.Close()
	archive := tar.NewReader(files)
	for {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := unpackFile(root, header, archive); err != nil {
			return fmt.Errorf("unpack %s: %w", header.Name, err)
		}
	}
}

func unpackFile(root *os.Root, header *tar.Header, body io.Reader) error {
	path := filepath.Clean(strings.TrimLeft(header.Name, "/"))
	if err := root.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	switch header.Typeflag {
	case tar.TypeDir:
		return root.MkdirAll(path, 0o755)
	case tar.TypeSymlink:
		return root.Symlink(header.Linkname, path)
	case tar.TypeLink:
		return root.Link(strings.TrimLeft(header.Linkname, "/"), path)
	case tar.TypeReg:
		file, err := root.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, header.FileInfo().Mode().Perm())
		if err != nil {
			return err
		}
		_, err = io.Copy(file, body)
		return errors.Join(err, file.Close())
	}
	return nil // devices need root, and no static program needs them
}

// pullError says what docker says: its words for the registry's answers are
// what scripts and people look for.
func pullError(ref name.Reference, err error) error {
	var answer *transport.Error
	if !errors.As(err, &answer) {
		return daemonError("%w", err)
	}
	switch answer.StatusCode {
	case http.StatusNotFound:
		return daemonError("manifest for %s not found: manifest unknown: %w", familiarName(ref), err)
	case http.StatusUnauthorized, http.StatusForbidden:
		return daemonError("unauthorized: no basic auth credentials: %w", err)
	}
	return daemonError("%w", err)
}
