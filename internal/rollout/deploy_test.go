package rollout_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"al.essio.dev/pkg/shellescape"
	"github.com/google/go-cmp/cmp"

	"github.com/org/atta-deploy-action/deploy"
	"github.com/org/atta-deploy-action/internal/image"
	"github.com/org/atta-deploy-action/internal/inputs"
	"github.com/org/atta-deploy-action/internal/release"
	"github.com/org/atta-deploy-action/internal/rollout"
	"github.com/org/atta-deploy-action/localaws"
)

func TestADeployGoesThroughItsPhasesInOrder(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		f.host("i-1", "0.1.29-dev")
		f.host("i-2", "0.1.29-dev")
		result, err := f.deploy(f.plan("0.1.30-dev", "i-2", "i-1"))
		if err != nil {
			t.Fatal(err)
		}
		wantLines(t, "groups", f.console.groups, "Read", "Preflight", "Push image", "Upload bundle", "Roll out", "Move tags")
		wantLines(t, "changes", f.changes(),
			"ssm:SendCommand i-2,i-1",
			"registry:PUT manifest atta:0.1.30-dev",
			"s3:PutObject artifacts/bundles/dev/deploy-bundle-0.1.30-dev.tar.gz",
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
			"bundle-uri": "s3://artifacts/bundles/dev/deploy-bundle-0.1.30-dev.tar.gz", "bundle-sha256": result.Bundle.SHA256, "command-ids": result.CommandIDs[0],
		} {
			if got := f.console.values[name]; got != want || want == "" {
				t.Errorf("output %s is %q, want %q", name, got, want)
			}
		}
		if f.alias() != result.Image.Digest {
			t.Errorf("latest-dev is %s", f.alias())
		}
	})
}

func TestAnErrorEndsTheRunBeforeTheNextPhase(t *testing.T) {
	refused := &localaws.Error{Status: 403, Code: "AccessDenied", Message: "no"}
	tests := map[string]struct {
		fault  localaws.Fault
		last   string // the group
		output string // is known already
		not    string // is not
	}{
		"push":   {localaws.Fault{Operation: "registry:PUT manifest", Error: refused}, "Push image", "previous-version", "image-digest"},
		"upload": {localaws.Fault{Operation: "s3:PutObject", Resource: "/bundles/", Error: refused}, "Upload bundle", "image-digest", "bundle-sha256"},
		"tags":   {localaws.Fault{Operation: "registry:PUT manifest", Resource: "latest-dev", Error: refused}, "Move tags", "command-ids", ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			onFixture(t, func(t *testing.T, f *fixture) {
				machine := f.host("i-1", "0.1.29-dev")
				f.AddFault(test.fault)
				result, err := f.deploy(f.plan("0.1.30-dev", "i-1"))
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
				if f.alias() != "" {
					t.Error("latest-dev was moved")
				}
			})
		})
	}
}

func TestTagsMoveOnlyWhenEveryInstanceIsHealthy(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		f.host("i-1", "0.1.29-dev")
		bad := f.host("i-2", "0.1.29-dev")
		bad.NextBehavior = unwell
		result, err := f.deploy(f.plan("0.1.30-dev", "i-1", "i-2"))
		wantParts(t, err, "1 of 2 instances are not known to run the release", "instance i-2 (name-of-i-2): rolled-back: unhealthy; 0.1.29-dev is installed")
		if result.Status != rollout.OutcomeRolledBack || states(result) != "i-1 rolled-back, i-2 rolled-back" || f.alias() != "" {
			t.Errorf("%s: %s, latest-dev is %q", result.Status, states(result), f.alias())
		}
		if f.console.values["command-ids"] == "" {
			t.Error("the command's id is lost")
		}
		if len(f.console.foreign) != 1 || !strings.HasPrefix(f.console.foreign[0], "a line of its log\n") || slices.ContainsFunc(f.console.log, func(line string) bool {
			return strings.Contains(line, "a line of its log")
		}) {
			t.Errorf("foreign text is %q", f.console.foreign)
		}

		bad.NextBehavior = well
		again := f.plan("0.1.30-dev", "i-1", "i-2")
		again.Rollout.Policy.AllowQuarantined, again.DeploymentID = true, "d-2"
		if result, err = f.deploy(again); err != nil || result.Image.Uploaded || f.alias() != result.Image.Digest {
			t.Errorf("latest-dev is %q after %v", f.alias(), err)
		}
	})
}

func TestTheCommandsIDIsKnownWhileTheInstancesAreAtWork(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		machine := f.host("i-1", "0.1.29-dev")
		begun := make(chan struct{})
		machine.NextBehavior = endless(begun)
		ctx, cancel := context.WithCancelCause(t.Context())
		signal := errors.New("interrupt signal received")
		go func() {
			<-begun
			cancel(signal)
		}()
		result, err := rollout.Run(ctx, f.plan("0.1.30-dev", "i-1"), f, f.console)
		wantParts(t, err, "interrupt signal received", "instance i-1 (name-of-i-1): unknown")
		if result.Status != rollout.OutcomeCancelled || states(result) != "i-1 unknown" || len(result.CommandIDs) != 1 {
			t.Fatalf("%s: %s, commands %v", result.Status, states(result), result.CommandIDs)
		}
		if changes := f.changes(); changes[len(changes)-1] != "ssm:CancelCommand "+result.CommandIDs[0] {
			t.Errorf("changes are %q", changes)
		}
		if f.console.values["command-ids"] != result.CommandIDs[0] || f.alias() != "" {
			t.Errorf("outputs are %v, latest-dev is %q", f.console.values, f.alias())
		}
	})
}

func TestEveryReasonAgainstADeployIsReportedAtOnce(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		f.host("i-1", "0.1.29-dev")
		f.AddInstance(localaws.Instance{ID: "i-3", PingStatus: "ConnectionLost"})
		plan := f.plan("0.1.30-dev", "i-1", "i-2", "i-3")
		plan.Phases.Image, plan.Phases.Bundle = false, false
		plan.Image.Digest, plan.Bundle.SHA256 = "sha256:"+strings.Repeat("0", 64), strings.Repeat("0", 64)
		result, err := f.deploy(plan)
		wantParts(t, err,
			"atta:0.1.30-dev: not in the registry", "read s3://artifacts/bundles/dev/deploy-bundle-0.1.30-dev.tar.gz: ",
			"instance i-2 is not managed by SSM", "instance i-3 is not online",
		)
		if !errors.Is(err, image.ErrNotFound) || result.Status != rollout.OutcomeFailed {
			t.Errorf("%s: %v", result.Status, err)
		}
		wantLines(t, "changes", f.changes())
		wantLines(t, "groups", f.console.groups, "Read", "Preflight")
	})
}

func TestWhatIsWrongInTheWorkspaceIsReportedBeforeAWSIsAsked(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		f.image = "no-such-image.tar"
		plan := f.plan("0.1.30-dev", "i-1")
		plan.Bundle.Path = "no-such-folder"
		_, err := f.deploy(plan)
		wantParts(t, err, "no-such-image.tar", "no-such-folder")
		if len(f.Calls()) != 0 {
			t.Errorf("asked %v", f.Calls())
		}
	})
}

func TestAnInstanceThatCannotSayWhatItRunsIsNotTouched(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		healthy := f.host("i-1", "0.1.29-dev")
		f.AddInstance(localaws.Instance{ID: "i-2"}) // prints nothing
		f.AddInstance(localaws.Instance{ID: "i-3", InjectFault: func(localaws.Invocation) *localaws.DeliveryFault {
			return &localaws.DeliveryFault{Status: "AccessDenied", Code: -1}
		}})
		f.host("i-4", "1.0.0-dev")
		f.host("i-5", "by hand")
		f.host("i-6", "0.1.1-prod")
		result, err := f.deploy(f.plan("0.1.30-dev", "i-1", "i-2", "i-3", "i-4", "i-5", "i-6"))
		wantParts(t, err,
			"instance i-2 cannot report what it runs: the command ended as Success with exit code 0 and no result line",
			"instance i-3 cannot report what it runs: SSM did not deliver the command: AccessDenied",
			"0.1.30-dev is older than 1.0.0-dev, which runs on i-4 (name-of-i-4); set allow-downgrade: true",
			"instance i-5 cannot report what it runs: the command ended as Success with exit code 0 and malformed result line",
			"instance i-6 (name-of-i-6) runs 0.1.1-prod, which belongs to environment prod; is it the right instance?",
		)
		if healthy.State().Changes != 0 || result.Status != rollout.OutcomeFailed || f.console.values["instance-count"] != "6" {
			t.Errorf("%d deploys, %s, outputs %v", healthy.State().Changes, result.Status, f.console.values)
		}
		wantLines(t, "changes", f.changes(), "ssm:SendCommand i-1,i-2,i-3,i-4,i-5,i-6")
	})
}

func TestADowngradeNeedsItsInput(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		machine := f.host("i-1", "0.2.0-dev")
		plan := f.plan("0.1.30-dev", "i-1")
		var downgrade *release.DowngradeError
		if _, err := f.deploy(plan); !errors.As(err, &downgrade) || downgrade.Instance != "i-1 (name-of-i-1)" || machine.State().Changes != 0 {
			t.Errorf("after %d deploys the error is %v", machine.State().Changes, err)
		}
		plan.Rollout.Policy.AllowDowngrade = true
		if result, err := f.deploy(plan); err != nil || result.Previous() != "0.2.0-dev" || machine.State().Version != "0.1.30-dev" {
			t.Errorf("%s runs after %v", machine.State().Version, err)
		}
	})
}

func TestEachPhaseRunsAlone(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		machine := f.host("i-1", "")
		plan := f.plan("0.1.30-dev", "i-1")
		only := func(phase *bool) rollout.Plan {
			plan.Phases = inputs.Phases{}
			*phase = true
			return plan
		}
		pushed, err := f.deploy(only(&plan.Phases.Image))
		if err != nil || pushed.Status != rollout.OutcomeSuccess || machine.State().Changes != 0 {
			t.Fatalf("image: %s, %v", pushed.Status, err)
		}
		wantLines(t, "groups", f.console.groups, "Read", "Preflight", "Push image")
		stored, err := f.deploy(only(&plan.Phases.Bundle))
		if err != nil || stored.Status != rollout.OutcomeSuccess || machine.State().Changes != 0 {
			t.Fatalf("bundle: %s, %v", stored.Status, err)
		}
		plan.Image.Digest, plan.Bundle.SHA256 = "sha256:"+strings.Repeat("0", 64), stored.Bundle.SHA256
		_, err = f.deploy(only(&plan.Phases.Rollout))
		var conflict *image.TagConflictError
		if !errors.As(err, &conflict) || conflict.Have != pushed.Image.Digest || machine.State().Changes != 0 {
			t.Errorf("a digest that the version does not name: %v", err)
		}
		before := len(f.changes())
		*f.console = console{}
		plan.Image.Digest = pushed.Image.Digest
		result, err := f.deploy(only(&plan.Phases.Rollout))
		if err != nil || result.Status != rollout.OutcomeSuccess || machine.State().Digest != pushed.Image.Digest {
			t.Fatalf("rollout: %s, %v", result.Status, err)
		}
		wantLines(t, "groups", f.console.groups, "Read", "Preflight", "Roll out", "Move tags")
		wantLines(t, "outputs", f.console.outputs,
			"Read: version", "Read: deployment-id", "Preflight: image-uri", "Preflight: image-digest", "Preflight: bundle-uri", "Preflight: bundle-sha256",
			"Preflight: instance-count", "Preflight: previous-version", "Roll out: command-ids",
		)
		wantLines(t, "changes", f.changes()[before:], "ssm:SendCommand i-1", "ssm:SendCommand i-1", "registry:PUT manifest atta:latest-dev")
		if f.alias() != pushed.Image.Digest {
			t.Errorf("latest-dev is %s", f.alias())
		}
	})
}

// SSM takes {{ name }} in a command for a parameter, and cannot run it.
func TestTheBootstrapScriptHoldsNothingThatSSMReplaces(t *testing.T) {
	if strings.Contains(deploy.Bootstrap, "{{") {
		t.Error("it holds {{")
	}
}

func TestTheCommandOfADeployHoldsWhatThePlanSays(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		machine := f.host("i-1", "")
		plan := f.plan("0.1.30-dev", "i-1")
		result, err := f.deploy(plan)
		if err != nil {
			t.Fatal(err)
		}
		size, err := f.repository.Size(t.Context(), result.Image.Digest)
		if err != nil || size == 0 {
			t.Fatalf("the image has %d bytes: %v", size, err)
		}
		known := fmt.Sprintf(" --not-after=%d --version=0.1.30-dev --image=%s --image-bytes=%d --region=us-east-1 --bundle=%s --sha256=%s ",
			plan.Deadline.Unix(), shellescape.Quote(result.Image.URI), size, result.Bundle.URI, result.Bundle.SHA256)
		want := "deploy --service=atta --deployment=d-0-1-30-dev --generation=1" + known +
			"--allow-downgrade=false --allow-quarantined=false --on-running=wait --drain-timeout=10 --run-on-deploy=true " +
			"--health-timeout=60 --min-healthy-time=1 --keep-releases=5"
		if diff := cmp.Diff(want, machine.State().Command); diff != "" {
			t.Error(diff)
		}
		machine.SetInstalled("0.1.29-dev", digestOf("0.1.29-dev"))
		plan.DeploymentID = "d-2"
		plan.Rollout.Policy = deploy.Policy{
			AllowDowngrade: true, AllowQuarantined: true, OnRunning: "kill", DrainTimeout: time.Hour, HealthTimeout: 90 * time.Second,
			MinHealthyTime: time.Minute, KeepReleases: 100, HealthCommand: "curl -f 'http://x'", HealthURL: "http://127.0.0.1:80/?a=b",
		}
		if _, err := f.deploy(plan); err != nil {
			t.Fatal(err)
		}
		want = "deploy --service=atta --deployment=d-2 --generation=2" + known + "--allow-downgrade=true --allow-quarantined=true --on-running=kill --drain-timeout=3600 --run-on-deploy=false " +
			"--health-timeout=90 --min-healthy-time=60 --keep-releases=100 " +
			`'--health-command=curl -f '"'"'http://x'"'"'' '--health-url=http://127.0.0.1:80/?a=b'`
		if diff := cmp.Diff(want, machine.State().Command); diff != "" {
			t.Error(diff)
		}
	})
}
