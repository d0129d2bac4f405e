package main

import (
	"cmp"
	"context"
	"os/exec"
	"time"
)

// job is one push by a tool.
type job struct {
	kind  string // docker-save, gzip or oci
	image string // a path
	name  string // by which the Docker engine has it
	host  string
	tag   string
}

func (j job) ref() string { return j.host + "/app:" + j.tag }

// docker is the tool that pushes what its engine holds.
const docker = "docker push"

// tool is one of those that are compared.
type tool struct {
	name    string
	command func(job) []string // nil: it cannot do that
}

// readied is what was done for a push that does not count.
type readied struct {
	loaded time.Duration
	stop   func() error
}

// ready returns the command that pushes j.
func (t tool) ready(ctx context.Context, dir string, j job) (*exec.Cmd, readied, error) {
	args := t.command(j)
	if t.name != docker {
		return exec.CommandContext(ctx, args[0], args[1:]...), readied{stop: func() error { return nil }}, nil
	}
	e, err := startEngine(ctx, dir, j)
	if err != nil {
		return nil, readied{}, err
	}
	return e.command(ctx, args[0], args[1:]...), readied{e.loaded, e.stop}, nil
}

func tools(self string) []tool {
	ours := func(compression string) func(job) []string {
		return func(j job) []string { return []string{self, "push", j.image, j.host, "app", j.tag, "1", compression} }
	}
	return []tool{
		{"this action", ours("gzip")},
		{"this action, zstd", func(j job) []string {
			if j.kind == "oci" {
				return nil // nothing is compressed
			}
			return ours("zstd")(j)
		}},
		{"crane", func(j job) []string {
			if j.kind == "gzip" {
				return nil // it reads no compressed tar
			}
			return []string{"crane", "push", "--insecure", j.image, j.ref()}
		}},
		{"skopeo", func(j job) []string {
			if j.kind == "gzip" {
				return nil // Debian's 1.9 does not get through it
			}
			from := map[string]string{"oci": "oci:"}[j.kind]
			return []string{"skopeo", "copy", "--quiet", "--insecure-policy", "--dest-tls-verify=false", cmp.Or(from, "docker-archive:") + j.image, "docker://" + j.ref()}
		}},
		{"regctl", func(j job) []string {
			host := "--host=reg=" + j.host + ",tls=disabled"
			if j.kind == "oci" {
				return []string{"regctl", "image", "copy", host, "ocidir://" + j.image, j.ref()}
			}
			return []string{"regctl", "image", "import", host, j.ref(), j.image}
		}},
		{"oras", func(j job) []string {
			if j.kind != "oci" {
				return nil // it reads nothing else
			}
			return []string{"oras", "copy", "--no-tty", "--from-oci-layout", "--to-plain-http", j.image + ":" + layoutTag, j.ref()}
		}},
		{docker, func(j job) []string {
			if j.kind != "docker-save" {
				return nil // it is pushed from the engine, whatever it came from
			}
			return []string{"sh", "-c", `docker tag "$1" "$2" && docker push --quiet "$2"`, "push", j.name, j.ref()}
		}},
	}
}
