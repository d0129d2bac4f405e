package image

import (
	"archive/tar"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Scratch is the base that holds nothing, as in a Dockerfile.
const Scratch = "scratch"

// Recipe says how an image is made of files, without a Dockerfile or a daemon. The same base and files give the same
// image on every machine: its times are 1970, and its files are root's.
type Recipe struct {
	Base      string   // Scratch, or whatever Open takes
	Files     []File   // a layer each
	Platforms []string // "linux/arm64"; of the base none means all, of Scratch linux/amd64

	// What is empty is the base's own. An entrypoint drops the base's command, as ENTRYPOINT does:
	// https://docs.docker.com/reference/dockerfile/#understand-how-cmd-and-entrypoint-interact
	Entrypoint, Command []string
	Env                 []string // NAME=value
	User, Workdir       string
	Labels              map[string]string
}

// File is a file or a folder of this machine, and where it is in the image.
type File struct {
	Path string      // $TARGETOS, $TARGETARCH and $TARGETVARIANT stand for the platform's, as in a Dockerfile
	To   string      // absolute; one that ends with a slash is the folder that a file is put into
	Mode fs.FileMode // of the files; 0: 0755 for those that somebody may execute, 0644 for others
}

// Make reads the base and the names of the files; the files themselves are read when the image is pushed, and once
// before for their digests. Every path that cannot be taken is reported at once. Close the source after use.
//
// A path that does not exist is an error that is fs.ErrNotExist.
func Make(ctx context.Context, r Recipe, keychain authn.Keychain) (*Source, error) {
	base, err := r.base(ctx, keychain)
	if err != nil {
		return nil, err
	}
	root, err := r.make(ctx, base.root)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("make image on %q: %w", r.Base, err), base.Close())
	}
	return &Source{kind: "files on " + base.kind, root: root, close: base.close}, nil
}

func (r Recipe) base(ctx context.Context, keychain authn.Keychain) (*Source, error) {
	if r.Base != Scratch {
		return Open(ctx, r.Base, keychain)
	}
	root := &manifest{Descriptor: v1.Descriptor{MediaType: types.OCIImageIndex}}
	for _, text := range r.platforms() {
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

func (r Recipe) platforms() []string {
	if r.Base == Scratch && len(r.Platforms) == 0 {
		return []string{"linux/amd64"}
	}
	return r.Platforms
}

// make puts the files on each of the base's images that are wanted.
func (r Recipe) make(ctx context.Context, base *manifest) (*manifest, error) {
	wanted, err := choose(base, r.platforms())
	if err != nil {
		return nil, err
	}
	var made []*manifest
	var problems []error
	for _, m := range wanted {
		image, err := r.onto(ctx, m)
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

// choose returns the images of the base for those platforms, or all when none is named. One that names no variant
// means the only variant that there is.
func choose(base *manifest, platforms []string) (chosen []*manifest, err error) {
	var all []*manifest
	var have []string
	for m := range base.images() {
		if m.Platform != nil && m.Platform.OS != "unknown" { // an attestation, which is of the base only
			all, have = append(all, m), append(have, m.Platform.String())
		}
	}
	if len(all) == 0 {
		return nil, errors.New("it holds no image that says what platform it is for")
	}
	if len(platforms) == 0 {
		return all, nil
	}
	var problems []error
	wanted := map[*manifest]bool{}
	for _, platform := range platforms {
		fit := slices.DeleteFunc(slices.Clone(all), func(m *manifest) bool { return m.Platform.String() != platform })
		if len(fit) == 0 {
			fit = slices.DeleteFunc(slices.Clone(all), func(m *manifest) bool { return !m.runsOn(platform) })
		}
		switch len(fit) {
		case 0:
			problems = append(problems, fmt.Errorf("it is not made for %s, but for %s", platform, strings.Join(have, ", ")))
		case 1:
			wanted[fit[0]] = true
		default:
			problems = append(problems, fmt.Errorf("%s is more than one of those that it is made for, %s: name the variant", platform, strings.Join(have, ", ")))
		}
	}
	return slices.DeleteFunc(all, func(m *manifest) bool { return !wanted[m] }), errors.Join(problems...)
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

func (m *manifest) runsOn(platform string) bool {
	want, err := v1.ParsePlatform(platform)
	return err == nil && m.Platform.Satisfies(*want)
}

// onto makes the image of one platform.
func (r Recipe) onto(ctx context.Context, base *manifest) (*manifest, error) {
	raw, err := base.blobs[0].content(ctx)
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
		if err := root.apply(ctx, layer, i); err != nil {
			return nil, err
		}
	}
	made := &manifest{Descriptor: v1.Descriptor{MediaType: types.OCIManifestSchema1, Platform: base.Platform}}
	made.blobs = append([]*blob{nil}, base.blobs[1:]...)
	var problems []error
	var additions []addition
	for _, file := range r.Files {
		file.Path = targets(base.Platform).Replace(file.Path)
		content, err := file.add(root, len(made.blobs))
		var layer *blob
		if err == nil {
			layer, err = content.blob(ctx)
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
	r.configure(&config, len(base.blobs) > 1)
	problems = append(problems, startable(&config, root, additions))
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	if raw, err = edited(raw, &config); err != nil {
		return nil, fmt.Errorf("write config: %w", err)
	}
	made.blobs[0] = bytesBlob(raw, types.OCIConfigJSON)
	return made, nil
}

// edited writes into the base's config what a recipe may change, and keeps what it holds besides.
func edited(raw []byte, config *v1.ConfigFile) ([]byte, error) {
	var file, inner map[string]any
	if err := decodeNumbers(raw, &file); err != nil {
		return nil, err
	}
	inner, _ = file["config"].(map[string]any)
	if inner == nil {
		inner = map[string]any{}
	}
	for name, value := range map[string]any{"created": config.Created, "rootfs": config.RootFS, "config": inner} {
		file[name] = value
	}
	if delete(file, "container"); len(config.History) > 0 {
		file["history"] = config.History
	}
	c := config.Config
	for name, value := range map[string]any{
		"Entrypoint": c.Entrypoint, "Cmd": c.Cmd, "Env": c.Env, "User": c.User, "WorkingDir": c.WorkingDir, "Labels": c.Labels,
	} {
		if inner[name] = value; reflect.ValueOf(value).Len() == 0 {
			delete(inner, name)
		}
	}
	return json.Marshal(file)
}

// decodeNumbers keeps numbers as they are written.
func decodeNumbers(raw []byte, into any) error {
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	return decoder.Decode(into)
}

// targets names the platform as BuildKit does:
// https://docs.docker.com/reference/dockerfile/#automatic-platform-args-in-the-global-scope
func targets(p *v1.Platform) *strings.Replacer {
	return strings.NewReplacer("$TARGETOS", p.OS, "$TARGETARCH", p.Architecture, "$TARGETVARIANT", p.Variant)
}

func (r Recipe) configure(config *v1.ConfigFile, based bool) {
	epoch := v1.Time{Time: time.Unix(0, 0).UTC()}
	config.Created = epoch
	if !based || len(config.History) > 0 {
		for _, file := range r.Files {
			config.History = append(config.History, v1.History{Created: epoch, CreatedBy: "COPY " + file.Path + " " + file.To})
		}
	}
	c := &config.Config
	if r.Entrypoint != nil {
		c.Entrypoint, c.Cmd = r.Entrypoint, nil
	}
	if r.Command != nil {
		c.Cmd = r.Command
	}
	c.Env = slices.Clone(c.Env)
	for _, env := range r.Env {
		name, _, _ := strings.Cut(env, "=")
		i := slices.IndexFunc(c.Env, func(have string) bool { return strings.HasPrefix(have, name+"=") })
		if i < 0 {
			c.Env = append(c.Env, env)
		} else {
			c.Env[i] = env
		}
	}
	c.User, c.WorkingDir = cmp.Or(r.User, c.User), cmp.Or(r.Workdir, c.WorkingDir)
	if len(r.Labels) > 0 {
		labels := maps.Clone(r.Labels)
		for name, value := range c.Labels {
			if _, ok := labels[name]; !ok {
				labels[name] = value
			}
		}
		c.Labels = labels
	}
}

// startable finds the program that was put into the image and cannot be executed, as after actions/upload-artifact,
// which keeps no modes: https://github.com/actions/upload-artifact#permission-loss
func startable(config *v1.ConfigFile, root rootfs, all []addition) error {
	command := slices.Concat(config.Config.Entrypoint, config.Config.Cmd)
	if len(command) == 0 || !path.IsAbs(command[0]) {
		return nil
	}
	program, err := root.resolve(command[0])
	if err != nil {
		return err
	}
	for _, e := range slices.Backward(slices.Concat(all...)) {
		if e.kind != tar.TypeReg || e.name != program {
			continue
		}
		if e.mode&0o111 == 0 {
			return fmt.Errorf("%s is to be run as %s and may not be executed: chmod +x, or write :0755 behind it", e.source, command[0])
		}
		return nil
	}
	return nil
}

func configBlob(config *v1.ConfigFile) (*blob, error) {
	raw, err := json.Marshal(config)
	if err != nil {
		return nil, fmt.Errorf("write config: %w", err)
	}
	return bytesBlob(raw, types.OCIConfigJSON), nil
}
