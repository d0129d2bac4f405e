package e2e

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/org/atta-deploy-action/localaws"
	"github.com/org/atta-deploy-action/localaws/sample"
)

const (
	accountID  = "123456789012"
	instanceID = "i-0123456789abcdef0"
	bucket     = "atta-deploy-artifacts"
	role       = "arn:aws:iam::" + accountID + ":role/atta-deploy-dev"
)

// stage is an account with one instance, and the workspace of a job.
type stage struct {
	t   *testing.T
	aws *localaws.Server
	instance
	workspace  string
	changeRole func(*localaws.Role) // before it is created; nil: as in the module

	mu      sync.Mutex
	scripts []string                                          // what the instance was sent
	answer  func(localaws.Invocation) *localaws.DeliveryFault // in the instance's place; nil: it answers itself
}

func newStage(t *testing.T, withScripts bool, options localaws.Options) *stage {
	t.Helper()
	s := &stage{t: t, workspace: t.TempDir()}
	var err error
	if s.aws, err = localaws.Start(options); err != nil {
		t.Fatal(err)
	}
	s.aws.CreateRepository("atta", "IMMUTABLE_WITH_EXCLUSION")
	if err := usualModule.CreateBucket(s.aws); err != nil {
		t.Fatal(err)
	}
	if withScripts {
		s.addScriptInstance()
	} else {
		s.addSimulatedInstance()
	}
	return s
}

// play is a stage that closes with its test, which runs in parallel. Its instance is
// simulated.
func play(t *testing.T) *stage {
	t.Helper()
	return begin(t, false, localaws.Options{})
}

// playWithScripts is a stage whose instance runs the scripts and the job.
func playWithScripts(t *testing.T) *stage {
	t.Helper()
	return begin(t, true, localaws.Options{})
}

func begin(t *testing.T, withScripts bool, options localaws.Options) *stage {
	t.Helper()
	t.Parallel()
	s := newStage(t, withScripts, options)
	t.Cleanup(s.close)
	return s
}

func (s *stage) close() {
	if err := s.aws.Close(); err != nil {
		s.t.Error(err)
	}
	if s.host == nil {
		return
	}
	if err := s.host.Close(); err != nil {
		s.t.Error(err)
	}
}

func (s *stage) deliver(i localaws.Invocation) *localaws.DeliveryFault {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.scripts = append(s.scripts, i.Script)
	if s.answer == nil {
		return nil
	}
	return s.answer(i)
}

// setAnswer has something else answer in the instance's place; nil: it answers itself.
func (s *stage) setAnswer(answer func(localaws.Invocation) *localaws.DeliveryFault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer = answer
}

// deploys are the commands that ask for a deploy, not for what runs. The SDK sends
// a command again when it has not heard the reply: one deploy, word for word.
func (s *stage) deploys() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.DeleteFunc(slices.Compact(slices.Clone(s.scripts)), func(script string) bool { return !asksForDeploy(script) })
}

func asksForDeploy(script string) bool {
	return strings.HasPrefix(script, "#!/bin/bash\nset -- deploy ")
}

func (s *stage) sample(version string, opts ...sample.Option) v1.Image {
	s.t.Helper()
	image, err := sample.NewImage(program, append(opts, sample.WithVersion(version))...)
	if err != nil {
		s.t.Fatal(err)
	}
	return image
}

// build leaves image.tar in the workspace, as a step before the action does, and
// returns the image.
func (s *stage) build(version string, opts ...sample.Option) v1.Image {
	s.t.Helper()
	image := s.sample(version, opts...)
	if err := sample.SaveOCIArchive(filepath.Join(s.workspace, "image.tar"), image); err != nil {
		s.t.Fatal(err)
	}
	return image
}

// deploy builds a version and deploys it with the usual inputs.
func (s *stage) deploy(version string, opts ...sample.Option) outcome {
	s.t.Helper()
	s.build(version, opts...)
	return s.run("version=" + version)
}

// deployed is a deploy that must go well.
func (s *stage) deployed(version string, opts ...sample.Option) outcome {
	s.t.Helper()
	out := s.deploy(version, opts...)
	out.wants("success")
	return out
}

// file writes a file of the workspace.
func (s *stage) file(name, text string) {
	s.t.Helper()
	write(s.t, filepath.Join(s.workspace, name), text)
}

// calls are the requests from the nth on whose operation has one of the prefixes, apart
// from those of the lock and the history.
func (s *stage) calls(from int, prefixes ...string) (found []localaws.Call) {
	for _, call := range s.aws.Calls()[from:] {
		if !strings.Contains(call.Resource, "/deployments/") && slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(call.Operation, p) }) {
			found = append(found, call)
		}
	}
	return found
}

// changing are the operations that change something in the account.
var changing = []string{"registry:PUT", "registry:POST", "registry:PATCH", "s3:PutObject", "s3:DeleteObject"}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
