package image

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"github.com/google/go-containerregistry/pkg/authn"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/org/atta-deploy-action/internal/inputs"
)

// Scratch is the base that holds nothing, as in a Dockerfile.
const Scratch = "scratch"

// recipe is how an image is made of files, without a Dockerfile or a daemon. The same base and files give the same image on
// every machine: its times are 1970, and its files are root's. No platforms mean all of the base's, of Scratch linux/amd64.
// An entrypoint drops the base's command, as ENTRYPOINT does:
// https://docs.docker.com/reference/dockerfile/#understand-how-cmd-and-entrypoint-interact
type recipe inputs.Recipe

// addedFile is put into a layer of its own. In its path $TARGETOS, $TARGETARCH and $TARGETVARIANT stand for the platform's, as in
// a Dockerfile; a destination that ends with a slash is the folder that it is put into. Without a mode, files that somebody
// may execute get 0755 and others 0644.
type addedFile inputs.File

// Make reads the base and the names of the files; the files themselves are read when the image is pushed, and once
// before for their digests. Every path that cannot be taken is reported at once. Close the source after use.
//
// A path that does not exist is an error that is fs.ErrNotExist.
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
	made := &Source{kind: "files on " + base.kind, close: func() error { return errors.Join(workspace.Close(), base.Close()) }}
	if made.root, err = r.makeImage(ctx, workspace, base.root); err != nil {
		return nil, errors.Join(fmt.Errorf("make image on %q: %w", r.Base, err), made.Close())
	}
	return made, nil
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

// makeImage puts the files on each of the base's images that are wanted.
func (r recipe) makeImage(ctx context.Context, workspace *os.Root, base *manifest) (*manifest, error) {
	wanted, err := chooseManifests(base, r.choosePlatforms())
	if err != nil {
		return nil, err
	}
	var made []*manifest
	var problems []error
	for _, m := range wanted {
		image, err := r.addLayers(ctx, workspace, m)
		problems = append(problems, err)
		made = append(made, image)
	}
	if err := errors.Join(distinctErrors(problems)...); err != nil {
		return nil, err
	}
	if len(made) == 1 {
		return made[0], nil
	}
	return &manifest{Descriptor: v1.Descriptor{MediaType: types.OCIImageIndex}, children: made}, nil
}

// distinctErrors drops those that say the same: of several platforms, each misses a file.
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

// addLayers makes the image of one platform.
func (r recipe) addLayers(ctx context.Context, workspace *os.Root, base *manifest) (*manifest, error) {
	raw, err := base.blobs[0].readContent(ctx)
	if err != nil {
		return nil, err
	}
	var config v1.ConfigFile
	if err := json.Unmarshal(raw, &config); err != nil {
		return nil, fmt.Errorf("%s: %w", base.blobs[0].name, err)
	}
	if have, want := len(base.blobs)-1, len(config.RootFS.DiffIDs); have != want {
		return nil, fmt.Errorf("it lists %d layers that may be distributed, its config %d", have, want)
	}
	root := rootfs{}
	for i, layer := range base.blobs[1:] {
		if err := root.applyLayer(ctx, layer, i); err != nil {
			return nil, err
		}
	}
	made := &manifest{Descriptor: v1.Descriptor{MediaType: types.OCIManifestSchema1, Platform: base.Platform}}
	made.blobs = append([]*blob{nil}, base.blobs[1:]...)
	var problems []error
	var additions []addition
	for _, file := range r.Files {
		file.Path = targetPlatforms(base.Platform).Replace(file.Path)
		content, err := addedFile(file).listEntries(workspace, root, len(made.blobs))
		var layer *blob
		if err == nil {
			layer, err = content.layerBlob(ctx)
		}
		if err != nil {
			problems = append(problems, err)
			continue
		}
		layer.name = fmt.Sprintf("layer %d of %d (%s)", len(made.blobs), len(base.blobs)-1+len(r.Files), file.Path)
		made.blobs = append(made.blobs, layer)
		additions = append(additions, content)
		config.RootFS.DiffIDs = append(config.RootFS.DiffIDs, layer.diffID)
	}
	r.editConfig(&config, len(base.blobs) > 1)
	problems = append(problems, checkStartable(&config, root, additions))
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	if raw, err = mergeConfig(raw, &config); err != nil {
		return nil, fmt.Errorf("write config: %w", err)
	}
	made.blobs[0] = bytesBlob(raw, types.OCIConfigJSON)
	return made, nil
}
