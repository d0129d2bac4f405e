package sample

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"runtime"
	"strconv"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// epoch is the time of everything in the image, so that the same program and
// options always give the same digest.
var epoch = time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)

// An Option changes the configuration of an image.
type Option func(*v1.ConfigFile)

// WithVersion sets what the program prints as its version.
func WithVersion(v string) Option {
	return func(c *v1.ConfigFile) {
		c.Config.Env = append(c.Config.Env, "VERSION="+v)
		c.Config.Labels["org.opencontainers.image.version"] = v
	}
}

// WithEnv sets an environment variable of the program.
func WithEnv(key, value string) Option {
	return func(c *v1.ConfigFile) { c.Config.Env = append(c.Config.Env, key+"="+value) }
}

// WithExitCode sets the exit status that the program ends with.
func WithExitCode(n int) Option { return WithEnv("EXIT_CODE", strconv.Itoa(n)) }

// WithCmd sets the program's arguments.
func WithCmd(args ...string) Option { return func(c *v1.ConfigFile) { c.Config.Cmd = args } }

// WithUser sets who the program runs as: an id, or sample, who is 1000 in the group 1001.
func WithUser(user string) Option { return func(c *v1.ConfigFile) { c.Config.User = user } }

// WithHealthCheck gives the image a HEALTHCHECK every second: the program with these arguments.
func WithHealthCheck(args ...string) Option {
	return func(c *v1.ConfigFile) {
		c.Config.Healthcheck = &v1.HealthConfig{Test: append([]string{"CMD", "/app/app"}, args...), Interval: time.Second, Retries: 2}
	}
}

// WithPort exposes a port, such as 8080/tcp.
func WithPort(port string) Option {
	return func(c *v1.ConfigFile) { c.Config.ExposedPorts = map[string]struct{}{port: {}} }
}

// WithArchitecture names the platform that the image claims, linux/arch.
func WithArchitecture(arch string) Option { return func(c *v1.ConfigFile) { c.Architecture = arch } }

// NewImage packs program as /app/app into a one-layer OCI image with the working
// directory /app and the volume /app/output.
func NewImage(program string, opts ...Option) (v1.Image, error) {
	body, err := os.ReadFile(program)
	if err != nil {
		return nil, fmt.Errorf("read program: %w", err)
	}
	files, err := layerTar(body)
	if err != nil {
		return nil, fmt.Errorf("pack layer: %w", err)
	}
	// Stored, not squeezed: images are made, pushed and unpacked far more often than kept.
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(files)), nil },
		tarball.WithMediaType(types.OCILayer), tarball.WithCompressedCaching, tarball.WithCompressionLevel(gzip.NoCompression))
	if err != nil {
		return nil, fmt.Errorf("make layer: %w", err)
	}
	base := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	img, err := mutate.Append(base, mutate.Addendum{Layer: layer, History: v1.History{Created: v1.Time{Time: epoch}, CreatedBy: "sample"}})
	if err != nil {
		return nil, fmt.Errorf("append layer: %w", err)
	}
	config, err := img.ConfigFile()
	if err != nil {
		return nil, fmt.Errorf("read config: %w", err)
	}
	config = config.DeepCopy()
	config.Created, config.OS, config.Architecture = v1.Time{Time: epoch}, "linux", runtime.GOARCH
	config.Config = v1.Config{
		Entrypoint: []string{"/app/app"},
		WorkingDir: "/app",
		Volumes:    map[string]struct{}{"/app/output": {}},
		Labels:     map[string]string{},
	}
	for _, opt := range opts {
		opt(config)
	}
	return mutate.ConfigFile(img, config)
}

// NewIndex puts one image per platform behind a single digest.
func NewIndex(images ...v1.Image) (v1.ImageIndex, error) {
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, img := range images {
		config, err := img.ConfigFile()
		if err != nil {
			return nil, fmt.Errorf("read config: %w", err)
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: img, Descriptor: v1.Descriptor{Platform: config.Platform()}})
	}
	return index, nil
}

func layerTar(program []byte) ([]byte, error) {
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for _, f := range []struct {
		name string
		mode int64
		body []byte
	}{
		{"app/", 0o755, nil},
		{"app/output/", 0o755, nil},
		{"app/app", 0o755, program},
		{"etc/", 0o755, nil},
		{"etc/passwd", 0o644, []byte("root:x:0:0::/:\nsample:x:1000:1001::/:\n")},
		{"etc/group", 0o644, []byte("root:x:0:\nsample:x:1001:\n")},
	} {
		h := &tar.Header{Name: f.name, Typeflag: tar.TypeReg, Mode: f.mode, Size: int64(len(f.body)), ModTime: epoch}
		if f.body == nil {
			h.Typeflag = tar.TypeDir
		}
		if err := w.WriteHeader(h); err != nil {
			return nil, err
		}
		if _, err := w.Write(f.body); err != nil {
			return nil, err
		}
	}
	return buf.Bytes(), w.Close()
}
