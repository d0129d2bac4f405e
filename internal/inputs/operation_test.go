package inputs_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/org/atta-deploy-action/internal/inputs"
)

func TestPhasesRunInAFixedOrderWhateverOrderTheyAreListedIn(t *testing.T) {
	sha := strings.Repeat("a", 64)
	for phases, want := range map[string]inputs.Phases{
		"rollout,image,bundle": {Image: true, Bundle: true, Rollout: true},
		"image":                {Image: true},
		"bundle\nimage":        {Image: true, Bundle: true},
	} {
		if got := mustRead(t, map[string]string{"INPUT_PHASES": phases}).Task.Phases; got != want {
			t.Errorf("%q: %+v", phases, got)
		}
	}
	got := mustRead(t, map[string]string{"INPUT_PHASES": "rollout,bundle", "INPUT_IMAGE-DIGEST": "sha256:" + sha}).Task.Phases
	if want := (inputs.Phases{Bundle: true, Rollout: true}); got != want {
		t.Errorf("rollout,bundle: %+v", got)
	}
}

func TestASinglePhaseRequiresOnlyItsOwnInputs(t *testing.T) {
	sha := strings.Repeat("a", 64)
	for phase, needs := range map[string]map[string]string{
		"image":  {"image": "image.tar", "ecr-repository": "atta"},
		"bundle": {"deploy-bucket": "atta-deploy-artifacts"},
		"rollout": {
			"ecr-repository": "atta", "image-digest": "sha256:" + sha,
			"deploy-bucket": "atta-deploy-artifacts", "bundle-sha256": sha, "instance-ids": "i-01234567",
		},
	} {
		env := map[string]string{
			"GITHUB_REPOSITORY": "org/atta", "AWS_REGION": "us-east-1", "INPUT_ENVIRONMENT": "dev", "INPUT_VERSION": "0.1.0-dev",
			"INPUT_PHASES": phase,
		}
		var args []string
		for name, value := range needs {
			args = append(args, "--"+name+"="+value)
		}
		if _, err := read(t, env, args...); err != nil {
			t.Errorf("%s: %v", phase, err)
		}
		_, err := read(t, env)
		for name := range needs {
			if err == nil || !strings.Contains(err.Error(), name+" is missing: want ") {
				t.Errorf("%s without inputs does not report that %s is missing: %v", phase, name, err)
			}
		}
		if got := strings.Count(fmt.Sprint(err), "\n") + 1; got != len(needs) {
			t.Errorf("%s without inputs has %d problems, want %d: %v", phase, got, len(needs), err)
		}
	}
}

func TestEachOperationRequiresOnlyItsOwnInputs(t *testing.T) {
	sparse := map[string]string{"INPUT_IMAGE": "", "INPUT_ECR-REPOSITORY": "", "GITHUB_REF_TYPE": "branch", "GITHUB_REF_NAME": "main"}
	for operation, want := range map[string]inputs.Task{
		"rollback": {Operation: "rollback", Phases: inputs.Phases{Rollout: true}},
		"status":   {Operation: "status", Phases: inputs.Phases{Rollout: true}},
	} {
		got := mustRead(t, sparse, "--operation="+operation)
		if name := got.Task.Release.Service + got.Task.Release.Version.String() + got.Task.Release.Environment; name != "attadev" {
			t.Errorf("%s is of %s", operation, name)
		}
		if got.Image.Tags != nil {
			t.Errorf("%s moves %v without a repository", operation, got.Image.Tags)
		}
		want.Release = got.Task.Release
		if diff := cmp.Diff(want, got.Task, cmp.Comparer(sameVersion)); diff != "" {
			t.Error(diff)
		}
	}
	back := mustRead(t, nil, "--operation=rollback", "--version=0.1.29-dev")
	if back.Task.Release.Version.String() != "0.1.29-dev" || !slices.Equal(back.Image.Tags, []string{"latest-dev"}) {
		t.Errorf("%+v", back)
	}
	// The tag that triggered a workflow is not the version to roll back to.
	if got := mustRead(t, nil, "--operation=rollback"); got.Task.Release.Version.String() != "" {
		t.Errorf("%+v", got.Task)
	}
	if got := mustRead(t, nil, "--operation=plan"); got.Task.Operation != "deploy" || !got.Task.DryRun || !got.Task.Phases.Image {
		t.Errorf("%+v", got.Task)
	}
}
