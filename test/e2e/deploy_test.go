package e2e

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/org/atta-deploy-action/internal/inputs"
	"github.com/org/atta-deploy-action/internal/rollout"
)

func TestDeployWithOIDCRole(t *testing.T) {
	s := playWithScripts(t)
	digest, _ := s.build("0.1.0-dev").Digest()
	p := s.step("role-to-assume="+role, "GITHUB_RUN_ID=77").withoutKeys()
	p.Env = append(p.Env, s.aws.OIDCEnv()...)
	out := p.run()
	out.wants("success")

	s.wantRuns("0.1.0-dev")
	if got := s.tag("latest-dev"); got != digest.String() || s.tag("0.1.0-dev") != got {
		t.Errorf("the version is %s, latest-dev is %s, want %s", s.tag("0.1.0-dev"), got, digest)
	}
	if out.outputs["image-digest"] != digest.String() || out.outputs["image-pushed"] != "true" || out.outputs["previous-version"] != "" {
		t.Errorf("outputs are %q", out.outputs)
	}
	if !strings.Contains(out.summary, "atta 0.1.0-dev runs on 1 instance of dev") || !strings.Contains(out.summary, digest.String()) {
		t.Errorf("the summary is\n%s", out.summary)
	}
	if errors := errorsIn(out.log); errors != nil {
		t.Errorf("errors: %q", errors)
	}
	assumed := "arn:aws:sts::" + accountID + ":assumed-role/atta-deploy-dev/org-atta-77"
	for _, call := range s.calls(0, "s3:PutObject", "ssm:", "ecr:", "sts:GetCallerIdentity", "registry:PUT") {
		fromOthers := call.Operation == "ecr:GetAuthorizationToken" && call.Role != "atta-deploy-dev" // the instance, and this test
		if call.Principal != assumed && !fromOthers {
			t.Errorf("%s was called by %q, want %s", call.Operation, call.Principal, assumed)
		}
	}
}

func TestDeployWithAccessKeys(t *testing.T) {
	s := play(t)
	s.deployed("0.1.0-dev")
	if calls := s.calls(0, "oidc:", "sts:AssumeRole"); calls != nil {
		t.Errorf("with keys at hand, %v", calls)
	}
	out := s.deployed("0.1.1-dev")
	s.wantRuns("0.1.1-dev")
	if out.outputs["previous-version"] != "0.1.0-dev" {
		t.Errorf("previous-version is %q", out.outputs["previous-version"])
	}
}

func TestVersionDefaultsToThePushedTag(t *testing.T) {
	s := play(t)
	s.build("0.1.7-dev")
	out := s.run("phases=bundle", "version=", "GITHUB_REF_TYPE=tag", "GITHUB_REF_NAME=0.1.7-dev")
	out.wants("success")
	if out.outputs["version"] != "0.1.7-dev" {
		t.Errorf("the version is %q", out.outputs["version"])
	}
}

func TestLatestTagMovesAfterEveryInstanceIsHealthy(t *testing.T) {
	s := play(t)
	s.deployed("0.1.0-dev")
	calls := s.calls(0, "ssm:", "registry:PUT manifest")
	if last := calls[len(calls)-1]; last.Resource != "atta:latest-dev" {
		t.Errorf("the last call is %s %s", last.Operation, last.Resource)
	}
}

func TestSuccessSetsEveryOutputOfActionYML(t *testing.T) {
	s := play(t)
	out := s.deployed("0.1.0-dev")
	var want []string
	for _, output := range promised(t).Outputs {
		want = append(want, output.Name)
	}
	slices.Sort(want)
	if diff := cmp.Diff(want, slices.Sorted(maps.Keys(out.outputs))); diff != "" {
		t.Errorf("action.yml and the outputs disagree:\n%s", diff)
	}
}

func TestThreeJobsPassDigestAndChecksum(t *testing.T) {
	s := playWithScripts(t)
	s.build("0.1.0-dev")
	image := s.run("phases=image", "deploy-bucket=", "instance-ids=")
	image.wants("success")
	if calls := s.calls(0, "s3:", "ssm:"); calls != nil {
		t.Errorf("the image phase called %v", calls)
	}

	s.workspace = t.TempDir() // another job, another machine
	s.file("deploy/notes.txt", "the repository's own")
	from := len(s.aws.Calls())
	bundle := s.run("phases=bundle", "image=", "instance-ids=", "ecr-repository=")
	bundle.wants("success")
	if calls := s.calls(from, "ecr:", "registry:", "ssm:"); calls != nil {
		t.Errorf("the bundle phase called %v", calls)
	}

	s.workspace = t.TempDir()
	from = len(s.aws.Calls())
	rollout := s.run("phases=rollout", "image=", "image-digest="+image.outputs["image-digest"], "bundle-sha256="+bundle.outputs["bundle-sha256"])
	rollout.wants("success")
	s.wantRuns("0.1.0-dev")
	changes := s.calls(from, changing...)
	if len(changes) != 1 || changes[0].Resource != "atta:latest-dev" {
		t.Errorf("the rollout changed %v, want latest-dev alone", changes)
	}
	for _, name := range []string{"image-digest", "image-uri"} {
		if rollout.outputs[name] != image.outputs[name] {
			t.Errorf("%s is %q, and was %q", name, rollout.outputs[name], image.outputs[name])
		}
	}
	if rollout.outputs["bundle-uri"] != bundle.outputs["bundle-uri"] {
		t.Errorf("bundle-uri is %q, and was %q", rollout.outputs["bundle-uri"], bundle.outputs["bundle-uri"])
	}
}

func TestEveryStatusIsDescribedInActionYML(t *testing.T) {
	outputs := promised(t).Outputs
	status := outputs[slices.IndexFunc(outputs, func(o inputs.Output) bool { return o.Name == "status" })]
	words := strings.FieldsFunc(status.Description, func(r rune) bool { return r == ' ' || r == ',' || r == '.' })
	for _, s := range []rollout.Outcome{rollout.OutcomeSuccess, rollout.OutcomeFailed, rollout.OutcomeRolledBack, rollout.OutcomeRollbackFailed, rollout.OutcomeUnknown, rollout.OutcomeCancelled} {
		if !slices.Contains(words, string(s)) {
			t.Errorf("%s is not in %q", s, status.Description)
		}
	}
}

func TestExternalIDIsNotSentWithOIDC(t *testing.T) {
	s := play(t)
	s.build("0.1.0-dev")
	p := s.step("role-to-assume="+role, "role-external-id=x1")
	p.Env = append(p.Env, s.aws.OIDCEnv()...)
	out := p.run()
	if out.code != 1 || !strings.Contains(out.log, "role-external-id must not be set: a role that is assumed with an OIDC token") || len(s.aws.Calls()) != 0 {
		t.Errorf("%d, %d requests\n%s", out.code, len(s.aws.Calls()), out.log)
	}
}

func TestDeployWithoutMovingTags(t *testing.T) {
	s := play(t)
	s.aws.CreateRepository("fixed", "IMMUTABLE")
	s.build("0.1.0-dev")
	s.run("ecr-repository=fixed").wants("success")
	s.build("0.1.1-dev")
	out := s.run("version=0.1.1-dev", "ecr-repository=fixed")
	out.wants("failed")
	out.says("every instance runs 0.1.1-dev, but its image tags were not moved", "image-tags: none")
	s.build("0.1.2-dev")
	s.run("version=0.1.2-dev", "ecr-repository=fixed", "image-tags=none").wants("success")
	for _, call := range s.calls(0, "registry:PUT") {
		if call.Resource == "fixed:none" {
			t.Error("none was taken for a tag")
		}
	}
}

func TestUnwritableSummaryIsAWarning(t *testing.T) {
	s := play(t)
	s.build("0.1.0-dev")
	out := s.run("GITHUB_STEP_SUMMARY=/nowhere/summary.md")
	if out.code != 0 || out.outputs["status"] != "success" || !strings.Contains(out.log, "::warning title=No summary::") {
		t.Errorf("%d %q\n%s", out.code, out.outputs, out.log)
	}
}
