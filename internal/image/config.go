package image

import (
	"archive/tar"
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"path"
	"reflect"
	"slices"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// editConfig applies the recipe to the base's config; based reports whether the base has layers.
func (r recipe) editConfig(config *v1.ConfigFile, based bool) {
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
	if c.Labels == nil {
		c.Labels = map[string]string{}
	}
	maps.Copy(c.Labels, r.Labels)
}

// mergeConfig writes the fields that a recipe may change into the base's config, and keeps all others.
func mergeConfig(raw []byte, config *v1.ConfigFile) ([]byte, error) {
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

// decodeNumbers decodes JSON without losing precision of numbers.
func decodeNumbers(raw []byte, into any) error {
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	return decoder.Decode(into)
}

func configBlob(config *v1.ConfigFile) (*blob, error) {
	raw, err := json.Marshal(config)
	if err != nil {
		return nil, fmt.Errorf("write config: %w", err)
	}
	return bytesBlob(raw, types.OCIConfigJSON), nil
}

// checkStartable returns an error if an added file is the program to run and is not executable, as after
// actions/upload-artifact, which does not keep modes: https://github.com/actions/upload-artifact#permission-loss
func checkStartable(config *v1.ConfigFile, root rootfs, all []addedLayer) error {
	command := slices.Concat(config.Config.Entrypoint, config.Config.Cmd)
	if len(command) == 0 || !path.IsAbs(command[0]) {
		return nil
	}
	program, err := root.resolveLinks(command[0])
	if err != nil {
		return err
	}
	for _, e := range slices.Backward(slices.Concat(all...)) {
		if e.kind != tar.TypeReg || e.name != program {
			continue
		}
		if e.mode&0o111 == 0 {
			return fmt.Errorf("%s is the image's program, %s, but is not executable: run chmod +x, or append :0755 to its line", e.path, command[0])
		}
		return nil
	}
	return nil
}
