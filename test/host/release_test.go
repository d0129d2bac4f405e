package host_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/org/atta-deploy-action/deploy"
	"github.com/org/atta-deploy-action/internal/bundle"
	"github.com/org/atta-deploy-action/internal/release"
	"github.com/org/atta-deploy-action/localaws/sample"
)

// attempt is everything that makes a deploy, before it is sent.
type attempt struct {
	program    string // in the image
	image      []sample.Option
	own        map[string]string          // files of the repository's own folder
	mode       string                     // job or service; empty for the default
	bundle     func(bundle.Bundle) []byte // what lies in the bucket instead
	parameters map[string]string          // of bootstrap.sh, by name
	env        []string                   // in addition to what the agent gives
	args       []string                   // of bootstrap.sh
}

type change func(*attempt)

func image(opts ...sample.Option) change {
	return func(a *attempt) { a.image = append(a.image, opts...) }
}

func own(file, text string) change { return func(a *attempt) { a.own[file] = text } }

// daemon makes the release a long-lived service: the sample that stays up until it is
// told to end, under the unit for services.
func daemon(opts ...sample.Option) change {
	unit, err := deploy.Files.ReadFile("systemd/daemon.service")
	return func(a *attempt) {
		if err != nil {
			panic(err)
		}
		a.own["systemd/atta.service"] = string(unit)
		a.image = append(append(a.image, sample.WithCmd("-serve"), sample.WithEnv("PORT", "0")), opts...)
	}
}

func parameter(name, value string) change { return func(a *attempt) { a.parameters[name] = value } }

func env(pair string) change { return environment([]string{pair}) }

func environment(pairs []string) change { return func(a *attempt) { a.env = append(a.env, pairs...) } }

// serving makes the release a long-lived service that answers on a port of the host.
func serving(port string, opts ...sample.Option) change {
	return func(a *attempt) {
		a.mode = "service"
		a.own["docker.env"] = "DOCKER_ARGS=--network=host\n"
		a.parameters["health-url"] = "http://127.0.0.1:" + port + "/health"
		a.image = append(append(a.image, sample.WithCmd("-serve"), sample.WithEnv("PORT", port)), opts...)
	}
}

// build makes the bundle of a version with these files of the repository's own.
func (m machine) build(version string, own map[string]string, mode string) bundle.Bundle {
	m.t.Helper()
	folder := m.t.TempDir()
	for file, text := range own {
		path := filepath.Join(folder, file)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			m.t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
			m.t.Fatal(err)
		}
	}
	_, environment, _ := strings.Cut(version, "-")
	rel, err := release.New(m.service, environment, version)
	if err != nil {
		m.t.Fatal(err)
	}
	b, err := bundle.Build(folder, rel, mode)
	if err != nil {
		m.t.Fatal(err)
	}
	return b
}

func (m machine) put(key string, content []byte) {
	m.t.Helper()
	client := s3.NewFromConfig(cloud.Config(), func(o *s3.Options) { o.UsePathStyle = true })
	if _, err := client.PutObject(m.t.Context(), &s3.PutObjectInput{Bucket: &m.name, Key: &key, Body: bytes.NewReader(content)}); err != nil {
		m.t.Fatal(err)
	}
}

// push puts a sample image into the repository and returns it by digest.
func (m machine) push(opts ...sample.Option) string {
	m.t.Helper()
	return m.pushProgram(program, opts...)
}

func (m machine) pushProgram(program string, opts ...sample.Option) string {
	m.t.Helper()
	img, err := newImage(program, opts...)
	if err != nil {
		m.t.Fatal(err)
	}
	digest, err := img.Digest()
	if err != nil {
		m.t.Fatal(err)
	}
	ref, err := name.NewDigest(cloud.RegistryHost() + "/" + m.name + "@" + digest.String())
	if err != nil {
		m.t.Fatal(err)
	}
	if err := remote.Write(ref, img, remote.WithAuth(registry)); err != nil {
		m.t.Fatal(err)
	}
	return ref.String()
}

// packed are the sample images without options, by program: packing the layer takes longer
// than anything else that a test does.
var packed sync.Map

func newImage(program string, opts ...sample.Option) (v1.Image, error) {
	once, _ := packed.LoadOrStore(program, sync.OnceValues(func() (v1.Image, error) { return sample.NewImage(program) }))
	img, err := once.(func() (v1.Image, error))()
	if err != nil {
		return nil, err
	}
	config, err := img.ConfigFile()
	if err != nil {
		return nil, err
	}
	config = config.DeepCopy()
	for _, opt := range opts {
		opt(config)
	}
	return mutate.ConfigFile(img, config)
}

// unitOf is the text of a built-in unit.
func unitOf(t *testing.T, name string) string {
	t.Helper()
	text, err := deploy.Files.ReadFile("systemd/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
