package main

import (
	"cmp"
	"context"
	"os/exec"
	"time"
)

// job is one push by a tool.
type job struct {
	kind  string // docker-save, gzip (of a docker-save), oci (a tar) or layout (a folder)
	image string // a path
	name  string // of the image in the Docker engine
	host  string
	tag   string
}

func (j job) ref() string { return j.host + "/app:" + j.tag }

// docker is the tool that pushes from its engine.
const docker = "docker push"

// tool is one of the compared tools.
type tool struct {
	name    string
	command func(job) []string // nil: the tool cannot do the job
}

// prepared is what was done before a push, and is not measured.
type prepared struct {
	loaded time.Duration
	stop   func() error
}

// prepare returns the command that pushes j.
func (t tool) prepare(ctx context.Context, dir string, j job) (*exec.Cmd, prepared, error) {
	args := t.command(j)
	if t.name != docker {
		return exec.CommandContext(ctx, args[0], args[1:]...), prepared{stop: func() error { return nil }}, nil
	}
	e, err := startEngine(ctx, dir, j)
	if err != nil {
		return nil, prepared{}, err
	}
	return e.command(ctx, args[0], args[1:]...), prepared{e.loaded, e.stop}, nil
}

func tools(self string) []tool {
	ours := func(compression string) func(job) []string {
		return func(j job) []string { return []string{self, "push", j.image, j.host, "app", j.tag, "1", compression} }
	}
	return []tool{
		{"this action", ours("gzip")},
		{"this action, zstd", func(j job) []string {
			if j.kind == "oci" || j.kind == "layout" {
				return nil // nothing is compressed
			}
			return ours("zstd")(j)
		}},
		{"crane", func(j job) []string {
			if j.kind == "gzip" || j.kind == "oci" {
				return nil // it reads neither a compressed tar nor a layout in a tar
			}
			return []string{"crane", "push", "--insecure", j.image, j.ref()}
		}},
		{"skopeo", func(j job) []string {
			if j.kind == "gzip" {
				return nil // Debian's 1.9 fails on it
			}
			from := map[string]string{"oci": "oci-archive:", "layout": "oci:"}[j.kind]
			return []string{"skopeo", "copy", "--quiet", "--insecure-policy", "--dest-tls-verify=false", cmp.Or(from, "docker-archive:") + j.image, "docker://" + j.ref()}
		}},
		{"regctl", func(j job) []string {
			host := "--host=reg=" + j.host + ",tls=disabled"
			if j.kind == "layout" {
				return []string{"regctl", "image", "copy", host, "ocidir://" + j.image, j.ref()}
			}
			return []string{"regctl", "image", "import", host, j.ref(), j.image}
		}},
		{"oras", func(j job) []string {
			if j.kind != "oci" && j.kind != "layout" {
				return nil // it reads nothing else
			}
			return []string{"oras", "copy", "--no-tty", "--from-oci-layout", "--to-plain-http", j.image + ":" + layoutTag, j.ref()}
		}},
		{docker, func(j job) []string {
			if j.kind != "docker-save" {
				return nil // the engine pushes the same, however the image was loaded
			}
			return []string{"sh", "-c", `docker tag "$1" "$2" && docker push --quiet "$2"`, "push", j.name, j.ref()}
		}},
	}
}
