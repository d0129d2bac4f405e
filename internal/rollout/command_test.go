package rollout_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"al.essio.dev/pkg/shellescape"
	"github.com/google/go-cmp/cmp"

	"github.com/org/atta-deploy-action/deploy"
	"github.com/org/atta-deploy-action/internal/rollout"
)

// SSM replaces {{ name }} in a command by a parameter, and refuses the command when there is
// none.
func TestBootstrapScriptContainsNoSSMParameter(t *testing.T) {
	if strings.Contains(deploy.Bootstrap, "{{") {
		t.Error("it contains {{")
	}
}

func TestDeployCommandCarriesThePlan(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		machine := f.addHost("i-1", "")
		plan := f.plan("0.1.30-dev", "i-1")
		result, err := f.runPlan(plan)
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
			"--allow-downgrade=false --allow-quarantined=false --rollback=false --on-running=wait --drain-timeout=10 --run-on-deploy=true " +
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
		if _, err := f.runPlan(plan); err != nil {
			t.Fatal(err)
		}
		want = "deploy --service=atta --deployment=d-2 --generation=2" + known + "--allow-downgrade=true --allow-quarantined=true --rollback=false --on-running=kill --drain-timeout=3600 --run-on-deploy=false " +
			"--health-timeout=90 --min-healthy-time=60 --keep-releases=100 " +
			`'--health-command=curl -f '"'"'http://x'"'"'' '--health-url=http://127.0.0.1:80/?a=b'`
		if diff := cmp.Diff(want, machine.State().Command); diff != "" {
			t.Error(diff)
		}
	})
}

func TestCommandIDIsPublishedWhileTheCommandRuns(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		machine := f.addHost("i-1", "0.1.29-dev")
		started := make(chan struct{})
		machine.NextBehavior = neverEnding(started)
		ctx, cancel := context.WithCancelCause(t.Context())
		signal := errors.New("interrupt signal received")
		go func() {
			<-started
			cancel(signal)
		}()
		result, err := rollout.Run(ctx, f.plan("0.1.30-dev", "i-1"), f, f.console)
		wantErrorParts(t, err, "interrupt signal received", "instance i-1 (name-of-i-1): unknown")
		if result.Status != rollout.OutcomeCancelled || states(result) != "i-1 unknown" || len(result.CommandIDs) != 1 {
			t.Fatalf("%s: %s, commands %v", result.Status, states(result), result.CommandIDs)
		}
		if changes := f.mutatingRequests(); changes[len(changes)-1] != "ssm:CancelCommand "+result.CommandIDs[0] {
			t.Errorf("changes are %q", changes)
		}
		if f.console.values["command-ids"] != result.CommandIDs[0] || f.latestDigest() != "" {
			t.Errorf("outputs are %v, latest-dev is %q", f.console.values, f.latestDigest())
		}
	})
}

// A wrong clock of the runner must neither expire commands early nor keep them valid.
func TestCommandDeadlineFollowsTheClockOfAWS(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		host := f.addHost("i-1", "0.1.29-dev")
		f.skew = 2 * time.Hour
		plan := f.plan("0.1.30-dev", "i-1")
		plan.Deadline = time.Now().Add(-time.Hour) // by the clock of the runner, which is two hours behind
		if _, err := f.runPlan(plan); err != nil {
			t.Error(err)
		}
		if want := fmt.Sprintf("--not-after=%d ", plan.Deadline.Add(2*time.Hour).Unix()); !strings.Contains(host.State().Command, want) {
			t.Errorf("%s is not in %s", want, host.State().Command)
		}
		if log := strings.Join(f.console.log, "\n"); !strings.Contains(log, "This machine's clock is wrong: AWS's clock is 2h0m0s ahead") {
			t.Error(log)
		}
	})
}

// The generation of a lock in a new bucket starts at 1; hosts may have seen a higher one.
func TestCommandGenerationExceedsWhatHostsHaveSeen(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		machine := f.addHost("i-1", "0.1.29-dev")
		machine.SetGeneration(57)
		if _, err := f.runPlan(f.plan("0.1.30-dev", "i-1")); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(machine.State().Command, " --generation=58 ") {
			t.Error(machine.State().Command)
		}
	})
}
