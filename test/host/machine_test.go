package host_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"al.essio.dev/pkg/shellescape"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/org/atta-deploy-action/deploy"
	"github.com/org/atta-deploy-action/internal/bundle"
	"github.com/org/atta-deploy-action/internal/release"
	"github.com/org/atta-deploy-action/localaws/host"
	"github.com/org/atta-deploy-action/localaws/sample"
)

// deployments counts, so that each has an id of its own.
var deployments atomic.Int64

// machine is an instance, with a repository and a bucket of the same name.
type machine struct {
	*host.Host
	t    *testing.T
	name string
}

func boot(t *testing.T) machine {
	t.Helper()
	key, err := cloud.Config().Credentials.Retrieve(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	h, err := host.New(host.Options{
		Dir: dir, Standins: tools, AWSCLI: "standin", Endpoint: cloud.URL(), AccessKeyID: key.AccessKeyID, SecretAccessKey: key.SecretAccessKey,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	})
	sum := sha256.Sum256([]byte(dir))
	m := machine{h, t, "m" + hex.EncodeToString(sum[:6])}
	cloud.CreateRepository(m.name, "MUTABLE")
	cloud.CreateBucket(m.name)
	return m
}

// attempt is everything that makes a deploy, before it is sent.
type attempt struct {
	image      []sample.Option
	own        map[string]string          // files of the repository's own folder
	bundle     func(bundle.Bundle) []byte // what lies in the bucket instead
	parameters map[string]string          // of bootstrap.sh, by name
	env        []string                   // beside what the agent gives
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

// answer is what comes back from a command.
type answer struct {
	deploy.Report
	exit           int
	stdout, stderr string
}

// deploy sends the command that deploys a version of atta and reads its answer.
func (m machine) deploy(version string, changes ...change) answer {
	m.t.Helper()
	return m.parse(m.attempt(version, changes...))
}

// attempt sends that command, which may be killed before it answers.
func (m machine) attempt(version string, changes ...change) answer {
	m.t.Helper()
	a := &attempt{own: map[string]string{}, parameters: map[string]string{}, image: []sample.Option{sample.WithVersion(version)}}
	for _, change := range changes {
		change(a)
	}
	b := m.build(version, a.own)
	content := b.Content
	if a.bundle != nil {
		content = a.bundle(b)
	}
	key := "bundles/deploy-bundle-" + version + ".tar.gz"
	m.put(key, content)
	parameters := map[string]string{
		"service": "atta", "version": version, "region": "us-east-1", "deployment": fmt.Sprintf("to-%s-%d", strings.ReplaceAll(version, ".", "-"), deployments.Add(1)),
		"bundle": "s3://" + m.name + "/" + key, "sha256": b.SHA256, "image": "",
		"not-after": fmt.Sprint(time.Now().Add(time.Hour).Unix()), "health-timeout": "20", "allow-downgrade": "false",
		"image-bytes": "0", "allow-quarantined": "false", "on-running": "wait", "drain-timeout": "20", "run-on-deploy": "true",
		"min-healthy-time": "1", "keep-releases": "5",
	}
	maps.Copy(parameters, a.parameters)
	if parameters["image"] == "" {
		parameters["image"] = m.push(a.image...)
	}
	args := []string{"deploy"}
	for _, name := range slices.Sorted(maps.Keys(parameters)) {
		args = append(args, "--"+name+"="+parameters[name])
	}
	return m.sh(script(args), a.env...)
}

// status sends the command that only asks.
func (m machine) status() answer {
	m.t.Helper()
	return m.send([]string{"status", "--service=atta", "--deployment=ask"})
}

// send runs bootstrap.sh as a command does and reads the first line of its answer.
func (m machine) send(args []string, env ...string) answer {
	m.t.Helper()
	return m.read(script(args), env...)
}

func script(args []string) string {
	return strings.Join([]string{"#!/bin/bash", "set -- " + shellescape.QuoteCommand(args), deploy.Bootstrap}, "\n")
}

// read runs a script whose first line of output is a result.
func (m machine) read(script string, env ...string) answer {
	m.t.Helper()
	return m.parse(m.sh(script, env...))
}

func (m machine) parse(a answer) answer {
	m.t.Helper()
	first, _, _ := strings.Cut(a.stdout, "\n")
	text, ok := strings.CutPrefix(first, "ATTA_RESULT ")
	if !ok || json.Unmarshal([]byte(text), &a.Report) != nil || len(first) >= 2000 {
		m.t.Fatalf("no result line first\n--- stdout\n%.3000s\n--- stderr\n%.3000s", a.stdout, a.stderr)
	}
	if int(a.Code) != a.exit {
		m.t.Errorf("the line says %d, the exit status is %d", a.Code, a.exit)
	}
	return a
}

func (m machine) sh(script string, env ...string) answer {
	m.t.Helper()
	ctx, cancel := context.WithTimeout(m.t.Context(), time.Minute)
	defer cancel()
	exit := m.Run(ctx, script, env)
	return answer{exit: exit.Code, stdout: string(exit.Stdout), stderr: string(exit.Stderr)}
}

// expect fails the test unless the answer is this one, with a message that holds part.
func (m machine) expect(a answer, outcome deploy.Outcome, code deploy.ExitCode, part string) {
	m.t.Helper()
	if a.Outcome != outcome || a.exit != int(code) || !strings.Contains(a.Message, part) {
		m.t.Fatalf("got %s %d %q\nwant %s %d …%s…\n--- stderr\n%s", a.Outcome, a.exit, a.Message, outcome, code, part, a.stderr)
	}
}

// deployed deploys a version that must be healthy.
func (m machine) deployed(version string, changes ...change) answer {
	m.t.Helper()
	a := m.deploy(version, changes...)
	m.expect(a, "deployed", 0, version)
	return a
}

// build makes the bundle of a version with these files of the repository's own.
func (m machine) build(version string, own map[string]string) bundle.Bundle {
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
	rel, err := release.New("atta", environment, version)
	if err != nil {
		m.t.Fatal(err)
	}
	b, err := bundle.Build(folder, rel, "")
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
	img, err := sample.NewImage(program, opts...)
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

// write puts a file on the instance.
func (m machine) write(path, text string, mode fs.FileMode) {
	m.t.Helper()
	if err := os.MkdirAll(filepath.Dir(m.Path(path)), 0o755); err != nil {
		m.t.Fatal(err)
	}
	if err := os.WriteFile(m.Path(path), []byte(text), mode); err != nil {
		m.t.Fatal(err)
	}
}

func (m machine) exists(path string) bool {
	_, err := os.Lstat(m.Path(path))
	return err == nil
}

// tree is what lies below some paths of the instance: links with their targets,
// files with mode and hash.
func (m machine) tree(paths ...string) map[string]string {
	m.t.Helper()
	found := map[string]string{}
	for _, top := range paths {
		err := filepath.WalkDir(m.Path(top), func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return err
			}
			info, err := entry.Info()
			if err != nil {
				return err
			}
			value, err := os.Readlink(path)
			if info.Mode().IsRegular() {
				var content []byte
				content, err = os.ReadFile(path)
				value = fmt.Sprintf("%v %x", info.Mode(), sha256.Sum256(content))
			}
			found[strings.TrimPrefix(path, m.Root())] = value
			return err
		})
		if err != nil && !os.IsNotExist(err) {
			m.t.Fatal(err)
		}
	}
	return found
}

// live is all that decides what runs: units, links, settings, the installed
// release and the names of the images. Releases and images that came since are
// not part of it.
func (m machine) live() map[string]string {
	m.t.Helper()
	paths := []string{"etc/systemd/system", "opt/atta/current", "opt/atta/previous", "opt/atta/.env"}
	if current, err := os.Readlink(m.Path("opt/atta/current")); err == nil {
		paths = append(paths, "opt/atta/"+current)
	}
	return m.tree(paths...)
}

// unit is what systemd remembers of the service: it changes with every start, stop and reset.
func (m machine) unit() map[string]string { return m.tree("run/systemd/units/atta.service/state.json") }

// untouched runs do and fails the test if anything that decides what runs, or
// what systemd remembers, is not as before.
func (m machine) untouched(do func()) {
	m.t.Helper()
	live, unit := m.live(), m.unit()
	do()
	m.same(live, m.live())
	m.same(unit, m.unit())
}

func (m machine) same(before, after map[string]string) {
	m.t.Helper()
	if diff := cmp.Diff(before, after); diff != "" {
		m.t.Errorf("the host has changed (-before +after):\n%s", diff)
	}
}

// show is a property of the unit, from systemd.
func (m machine) show(property string) string {
	m.t.Helper()
	return strings.TrimSpace(m.sh("systemctl show --value --property=" + property + " atta.service").stdout)
}
