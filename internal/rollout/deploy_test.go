package rollout_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/org/atta-deploy-action/internal/image"
	"github.com/org/atta-deploy-action/internal/inputs"
	"github.com/org/atta-deploy-action/internal/rollout"
	"github.com/org/atta-deploy-action/localaws"
)

func TestDeployRunsItsPhasesInOrder(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		f.addHost("i-1", "0.1.29-dev")
		f.addHost("i-2", "0.1.29-dev")
		result, err := f.runPlan(f.plan("0.1.30-dev", "i-2", "i-1"))
		if err != nil {
			t.Fatal(err)
		}
		wantLines(t, "groups", f.console.groups, "Read", "Preflight", "Push image", "Upload bundle", "Check: 2 instances", "Roll out", "Move tags")
		wantLines(t, "changes", f.mutatingRequests(),
			"ssm:SendCommand i-2,i-1",
			"registry:PUT manifest atta:0.1.30-dev",
			"s3:PutObject artifacts/bundles/dev/atta/deploy-bundle-0.1.30-dev.tar.gz",
			"ssm:SendCommand i-2,i-1", // the check
			"ssm:SendCommand i-2,i-1",
			"registry:PUT manifest atta:latest-dev",
		)
		wantLines(t, "outputs", f.console.outputs,
			"Read: version", "Read: deployment-id",
			"Preflight: instance-count", "Preflight: previous-version",
			"Push image: image-uri", "Push image: image-digest", "Push image: image-pushed",
			"Upload bundle: bundle-uri", "Upload bundle: bundle-sha256",
			"Roll out: command-ids",
		)
		if result.Status != rollout.OutcomeSuccess || states(result) != "i-2 deployed, i-1 deployed" || result.Previous() != "0.1.29-dev" || result.Elapsed <= 0 {
			t.Errorf("%s: %s, before %s, in %s", result.Status, states(result), result.Previous(), result.Elapsed)
		}
		for name, want := range map[string]string{
			"version": "0.1.30-dev", "previous-version": "0.1.29-dev", "instance-count": "2", "image-pushed": "true", "deployment-id": "d-0-1-30-dev",
			"image-uri": f.RegistryHost() + "/atta@" + result.Image.Digest, "image-digest": result.Image.Digest,
			"bundle-uri": "s3://artifacts/bundles/dev/atta/deploy-bundle-0.1.30-dev.tar.gz", "bundle-sha256": result.Bundle.SHA256, "command-ids": result.CommandIDs[0],
		} {
			if got := f.console.values[name]; got != want || want == "" {
				t.Errorf("output %s is %q, want %q", name, got, want)
			}
		}
		if f.latestDigest() != result.Image.Digest {
			t.Errorf("latest-dev is %s", f.latestDigest())
		}
	})
}

func TestDeployStopsAtTheFirstPhaseThatFails(t *testing.T) {
	refused := &localaws.Error{Status: 403, Code: "AccessDenied", Message: "no"}
	tests := map[string]struct {
		fault  localaws.Fault
		last   string // group of the log
		output string // an output that is known by then
		not    string // and one that is not
	}{
		"push":   {localaws.Fault{Operation: "registry:PUT manifest", Error: refused}, "Push image", "previous-version", "image-digest"},
		"upload": {localaws.Fault{Operation: "s3:PutObject", Resource: "/bundles/", Error: refused}, "Upload bundle", "image-digest", "bundle-sha256"},
		"tags":   {localaws.Fault{Operation: "registry:PUT manifest", Resource: "latest-dev", Error: refused}, "Move tags", "command-ids", ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			onFixture(t, func(t *testing.T, f *fixture) {
				machine := f.addHost("i-1", "0.1.29-dev")
				f.AddFault(test.fault)
				result, err := f.runPlan(f.plan("0.1.30-dev", "i-1"))
				if err == nil || result.Status != rollout.OutcomeFailed {
					t.Fatalf("%s, %v", result.Status, err)
				}
				if last := f.console.groups[len(f.console.groups)-1]; last != test.last {
					t.Errorf("the run ended in %s", last)
				}
				if f.console.values[test.output] == "" || f.console.values[test.not] != "" {
					t.Errorf("outputs are %v", f.console.values)
				}
				if tags := test.last == "Move tags"; (machine.State().Changes == 1) != tags || strings.Contains(err.Error(), "every instance runs 0.1.30-dev") != tags {
					t.Errorf("%d deploys, %v", machine.State().Changes, err)
				}
				if f.latestDigest() != "" {
					t.Error("latest-dev was moved")
				}
			})
		})
	}
}

func TestDeployMovesTagsOnlyWhenEveryInstanceIsHealthy(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		f.addHost("i-1", "0.1.29-dev")
		bad := f.addHost("i-2", "0.1.29-dev")
		bad.NextBehavior = unhealthy
		result, err := f.runPlan(f.plan("0.1.30-dev", "i-1", "i-2"))
		wantErrorParts(t, err, "1 of 2 instances are not known to run the release", "instance i-2 (name-of-i-2): rolled-back: unhealthy; 0.1.29-dev is back")
		if result.Status != rollout.OutcomeRolledBack || states(result) != "i-1 rolled-back, i-2 rolled-back" || f.latestDigest() != "" {
			t.Errorf("%s: %s, latest-dev is %q", result.Status, states(result), f.latestDigest())
		}
		if f.console.values["command-ids"] == "" {
			t.Error("the command's id is not an output")
		}
		if len(f.console.untrusted) != 1 || !strings.HasPrefix(f.console.untrusted[0], "a line of its log\n") || slices.ContainsFunc(f.console.log, func(line string) bool {
			return strings.Contains(line, "a line of its log")
		}) {
			t.Errorf("untrusted text is %q", f.console.untrusted)
		}

		bad.NextBehavior = healthy
		again := f.plan("0.1.30-dev", "i-1", "i-2")
		again.Rollout.Policy.AllowQuarantined, again.DeploymentID = true, "d-2"
		if result, err = f.runPlan(again); err != nil || result.Image.Uploaded || f.latestDigest() != result.Image.Digest {
			t.Errorf("latest-dev is %q after %v", f.latestDigest(), err)
		}
		if f.console.countLines("warning: A quarantined image is deployed: as 0.1.30-dev it was found unhealthy at ") != 1 {
			t.Errorf("the log is %q", f.console.log)
		}
	})
}

func TestDeployRunsASinglePhase(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		machine := f.addHost("i-1", "")
		plan := f.plan("0.1.30-dev", "i-1")
		only := func(phase *bool) rollout.Plan {
			plan.Phases = inputs.Phases{}
			*phase = true
			return plan
		}
		pushed, err := f.runPlan(only(&plan.Phases.Image))
		if err != nil || pushed.Status != rollout.OutcomeSuccess || machine.State().Changes != 0 {
			t.Fatalf("image: %s, %v", pushed.Status, err)
		}
		wantLines(t, "groups", f.console.groups, "Read", "Preflight", "Push image")
		stored, err := f.runPlan(only(&plan.Phases.Bundle))
		if err != nil || stored.Status != rollout.OutcomeSuccess || machine.State().Changes != 0 {
			t.Fatalf("bundle: %s, %v", stored.Status, err)
		}
		plan.Image.Digest, plan.Bundle.SHA256 = "sha256:"+strings.Repeat("0", 64), stored.Bundle.SHA256
		_, err = f.runPlan(only(&plan.Phases.Rollout))
		var conflict *image.TagConflictError
		if !errors.As(err, &conflict) || conflict.Have != pushed.Image.Digest || machine.State().Changes != 0 {
			t.Errorf("a digest that the version does not name: %v", err)
		}
		before := len(f.mutatingRequests())
		*f.console = console{}
		plan.Image.Digest = pushed.Image.Digest
		result, err := f.runPlan(only(&plan.Phases.Rollout))
		if err != nil || result.Status != rollout.OutcomeSuccess || machine.State().Digest != pushed.Image.Digest {
			t.Fatalf("rollout: %s, %v", result.Status, err)
		}
		wantLines(t, "groups", f.console.groups, "Read", "Preflight", "Roll out", "Move tags")
		wantLines(t, "outputs", f.console.outputs,
			"Read: version", "Read: deployment-id", "Preflight: image-uri", "Preflight: image-digest", "Preflight: bundle-uri", "Preflight: bundle-sha256",
			"Preflight: instance-count", "Preflight: previous-version", "Roll out: command-ids",
		)
		wantLines(t, "changes", f.mutatingRequests()[before:], "ssm:SendCommand i-1", "ssm:SendCommand i-1", "registry:PUT manifest atta:latest-dev")
		if f.latestDigest() != pushed.Image.Digest {
			t.Errorf("latest-dev is %s", f.latestDigest())
		}
	})
}
