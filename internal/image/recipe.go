package image

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/google/go-containerregistry/pkg/authn"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/org/atta-deploy-action/internal/inputs"
)

// Scratch is the empty base, as in a Dockerfile.
const Scratch = "scratch"

// recipe builds an image from files, without a Dockerfile or a daemon. The same base and files give the same image on every
// machine: all times are 1970, and all files are owned by root. Without platforms, it is built for all platforms of the
// base, or for linux/amd64 on Scratch. An entrypoint clears the base's command, as ENTRYPOINT does:
// https://docs.docker.com/reference/dockerfile/#understand-how-cmd-and-entrypoint-interact
type recipe inputs.Recipe

// addedFile is a file or folder that is added as a separate layer. In its path, $TARGETOS, $TARGETARCH and $TARGETVARIANT
// are replaced as in a Dockerfile; a destination that ends with a slash is the folder to add it to. Without a mode,
// executable files get 0755 and others 0644.
type addedFile inputs.File

// Make opens the base and reads the files once to compute the diffIDs of their layers; Push reads them again. All invalid
// paths are reported at once. Close the source after use.
//
// The error for a path that does not exist wraps fs.ErrNotExist.
func Make(ctx context.Context, in inputs.Recipe, keychain authn.Keychain) (*Source, error) {
	r := recipe(in)
	base, err := r.openBase(ctx, keychain)
	if err != nil {
		return nil, err
	}
	workspace, err := os.OpenRoot(cmp.Or(r.Workspace, "."))
	if err != nil {
		return nil, errors.Join(err, base.Close())
	}
	src := &Source{kind: "files on " + base.kind, close: func() error { return errors.Join(workspace.Close(), base.Close()) }}
	if src.root, err = r.buildImage(ctx, workspace, base.root); err != nil {
		return nil, errors.Join(fmt.Errorf("build image on %q: %w", r.Base, err), src.Close())
	}
	return src, nil
}

func (r recipe) openBase(ctx context.Context, keychain authn.Keychain) (*Source, error) {
	if r.Base != Scratch {
		return Open(ctx, r.Base, keychain)
	}
	root := &manifest{Descriptor: v1.Descriptor{MediaType: types.OCIImageIndex}}
	for _, text := range r.choosePlatforms() {
		platform, err := v1.ParsePlatform(text)
		if err != nil {
			return nil, fmt.Errorf("platform %q: %w", text, err)
		}
		config, err := configBlob(&v1.ConfigFile{OS: platform.OS, Architecture: platform.Architecture, Variant: platform.Variant, RootFS: v1.RootFS{Type: "layers"}})
		if err != nil {
			return nil, err
		}
		root.children = append(root.children, &manifest{
			Descriptor: v1.Descriptor{MediaType: types.OCIManifestSchema1, Platform: platform}, blobs: []*blob{config},
		})
	}
	return &Source{kind: Scratch, root: root}, nil
}

// buildImage adds the files to the base's image for each wanted platform.
func (r recipe) buildImage(ctx context.Context, workspace *os.Root, base *manifest) (*manifest, error) {
	wanted, err := chooseManifests(base, r.choosePlatforms())
	if err != nil {
		return nil, err
	}
	var images []*manifest
	var problems []error
	for _, m := range wanted {
		image, err := r.addLayers(ctx, workspace, m)
		problems = append(problems, err)
		images = append(images, image)
	}
	if err := errors.Join(distinctErrors(problems)...); err != nil {
		return nil, err
	}
	if len(images) == 1 {
		return images[0], nil
	}
	return &manifest{Descriptor: v1.Descriptor{MediaType: types.OCIImageIndex}, children: images}, nil
}

// distinctErrors drops repeated errors: for several platforms, a missing file is reported for each.
func distinctErrors(all []error) (distinct []error) {
	seen := map[string]bool{}
	for _, err := range all {
		if err != nil && !seen[err.Error()] {
			seen[err.Error()] = true
			distinct = append(distinct, err)
		}
	}
	return distinct
}

// addLayers builds the image for one platform.
func (r recipe) addLayers(ctx context.Context, workspace *os.Root, base *manifest) (*manifest, error) {
	config, raw, err := base.blobs[0].readConfig(ctx)
	if err != nil {
		return nil, err
	}
	if have, want := len(base.blobs)-1, len(config.RootFS.DiffIDs); have != want {
		return nil, fmt.Errorf("the manifest lists %d distributable layers, the config %d", have, want)
	}
	root := rootfs{}
	for i, layer := range base.blobs[1:] {
		if err := root.applyLayer(ctx, layer, i); err != nil {
			return nil, err
		}
	}
	image := &manifest{Descriptor: v1.Descriptor{MediaType: types.OCIManifestSchema1, Platform: base.Platform}}
	image.blobs = append([]*blob{nil}, base.blobs[1:]...)
	var problems []error
	var addedLayers []addedLayer
	for _, file := range r.Files {
		file.Path = targetPlatforms(base.Platform).Replace(file.Path)
		content, err := addedFile(file).listEntries(workspace, root, len(image.blobs))
		var layer *blob
		if err == nil {
			layer, err = content.layerBlob(ctx)
		}
		if err != nil {
			problems = append(problems, err)
			continue
		}
		layer.name = fmt.Sprintf("layer %d of %d (%s)", len(image.blobs), len(base.blobs)-1+len(r.Files), file.Path)
		image.blobs = append(image.blobs, layer)
		addedLayers = append(addedLayers, content)
		config.RootFS.DiffIDs = append(config.RootFS.DiffIDs, layer.diffID)
	}
	r.editConfig(config, len(base.blobs) > 1)
	problems = append(problems, checkStartable(config, root, addedLayers))
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	if raw, err = mergeConfig(raw, config); err != nil {
		return nil, fmt.Errorf("write config: %w", err)
	}
	image.blobs[0] = bytesBlob(raw, types.OCIConfigJSON)
	return image, nil
}
