package rollout_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/org/atta-deploy-action/internal/image"
	"github.com/org/atta-deploy-action/internal/lease"
	"github.com/org/atta-deploy-action/internal/release"
	"github.com/org/atta-deploy-action/internal/rollout"
	"github.com/org/atta-deploy-action/localaws"
)

func TestPreflightReportsEveryProblemAtOnce(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		f.addHost("i-1", "0.1.29-dev")
		f.AddInstance(localaws.Instance{ID: "i-3", PingStatus: "ConnectionLost"})
		plan := f.plan("0.1.30-dev", "i-1", "i-2", "i-3")
		plan.Phases.Image, plan.Phases.Bundle = false, false
		plan.Image.Digest, plan.Bundle.SHA256 = "sha256:"+strings.Repeat("0", 64), strings.Repeat("0", 64)
		result, err := f.runPlan(plan)
		wantErrorParts(t, err,
			"atta:0.1.30-dev: not in the registry", "read s3://artifacts/bundles/dev/atta/deploy-bundle-0.1.30-dev.tar.gz: ",
			"instance i-2 is stopped, or not managed by SSM", "instance i-3 is not online",
		)
		if !errors.Is(err, image.ErrNotFound) || result.Status != rollout.OutcomeFailed {
			t.Errorf("%s: %v", result.Status, err)
		}
		wantLines(t, "changes", f.mutatingRequests())
		wantLines(t, "groups", f.console.groups, "Read", "Preflight")
	})
}

func TestPreflightNamesTheHolderOfTheLock(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		f.holdLock()
		f.repository = f.newRepository("no-such-repository")
		plan := f.plan("0.1.30-dev", "i-1", "i-2")
		plan.Targets.MinInstances = 5
		_, err := f.runPlan(plan)
		wantErrorParts(t, err, "no-such-repository", "instance i-1 is stopped, or not managed by SSM", "instance i-2 is stopped, or not managed by SSM", "min-instances is 5", "the lock is held by deployment the-other")
		var held *lease.HeldError
		if !errors.As(err, &held) {
			t.Error("the holder of the lock is not reported as a HeldError")
		}
		wantLines(t, "changes", f.mutatingRequests())
	})
}

func TestDeployReportsLocalProblemsBeforeAnyRequest(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		f.image = "no-such-image.tar"
		plan := f.plan("0.1.30-dev", "i-1")
		plan.Bundle.Path = "no-such-folder"
		_, err := f.runPlan(plan)
		wantErrorParts(t, err, "no-such-image.tar", "no-such-folder")
		if len(f.Calls()) != 0 {
			t.Errorf("requests are %v", f.Calls())
		}
	})
}

func TestPreflightRefusesAnInstanceThatCannotReportItsVersion(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		host := f.addHost("i-1", "0.1.29-dev")
		f.AddInstance(localaws.Instance{ID: "i-2"}) // prints nothing
		f.AddInstance(localaws.Instance{ID: "i-3", InjectFault: func(localaws.Invocation) *localaws.DeliveryFault {
			return &localaws.DeliveryFault{Status: "AccessDenied", Code: -1}
		}})
		f.AddInstance(localaws.Instance{ID: "i-7", InjectFault: func(localaws.Invocation) *localaws.DeliveryFault {
			return &localaws.DeliveryFault{Status: "Failed", Code: 1, Stderr: "bash: cannot create temp file: No space left on device\n\nfailed to run commands: exit status 1"}
		}})
		f.AddInstance(localaws.Instance{ID: "i-8", InjectFault: func(localaws.Invocation) *localaws.DeliveryFault {
			return &localaws.DeliveryFault{Status: "DeliveryTimedOut", Code: -1}
		}})
		// Without a plugin, as on a full disk, only the list has the agent's error: https://github.com/aws/amazon-ssm-agent/issues/90
		f.AddInstance(localaws.Instance{ID: "i-9", InjectFault: func(localaws.Invocation) *localaws.DeliveryFault {
			return &localaws.DeliveryFault{Status: "Failed", Code: 1, AgentError: "Plugin with name aws:runShellScript not found. Step name: aws:runShellScript"}
		}})
		f.addHost("i-4", "1.0.0-dev")
		f.addHost("i-5", "by hand")
		f.addHost("i-6", "0.1.1-prod")
		result, err := f.runPlan(f.plan("0.1.30-dev", "i-1", "i-2", "i-3", "i-4", "i-5", "i-6", "i-7", "i-8", "i-9"))
		wantErrorParts(t, err,
			"instance i-2 cannot report what it runs: the command ended as Success with exit code 0 and no result line",
			"instance i-3 cannot report what it runs: SSM did not deliver the command: AccessDenied",
			"instance i-7 cannot report what it runs: the command ended as Failed with exit code 1 and no result line; its last line is: bash: cannot create temp file: No space left on device",
			"instance i-8 cannot report what it runs: the command ended as DeliveryTimedOut: is the SSM agent running?",
			"instance i-9 cannot report what it runs: the command ended as Failed with exit code 1 and no result line; its last line is: Plugin with name aws:runShellScript not found. Step name: aws:runShellScript (the error of the SSM agent itself: is the disk full or read-only?)",
			"0.1.30-dev is older than 1.0.0-dev, which runs on i-4 (name-of-i-4); set allow-downgrade: true",
			"instance i-5 cannot report what it runs: the command ended as Success with exit code 0 and malformed result line",
			"instance i-6 (name-of-i-6) runs 0.1.1-prod, which belongs to environment prod; is it the right instance?",
		)
		if host.State().Changes != 0 || result.Status != rollout.OutcomeFailed || f.console.values["instance-count"] != "9" {
			t.Errorf("%d deploys, %s, outputs %v", host.State().Changes, result.Status, f.console.values)
		}
		wantLines(t, "changes", f.mutatingRequests(), "ssm:SendCommand i-1,i-2,i-3,i-4,i-5,i-6,i-7,i-8,i-9")
	})
}

func TestDowngradeRequiresAllowDowngrade(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		machine := f.addHost("i-1", "0.2.0-dev")
		plan := f.plan("0.1.30-dev", "i-1")
		var downgrade *release.DowngradeError
		if _, err := f.runPlan(plan); !errors.As(err, &downgrade) || downgrade.Instance != "i-1 (name-of-i-1)" || machine.State().Changes != 0 {
			t.Errorf("after %d deploys the error is %v", machine.State().Changes, err)
		}
		plan.Rollout.Policy.AllowDowngrade = true
		if result, err := f.runPlan(plan); err != nil || result.Previous() != "0.2.0-dev" || machine.State().Version != "0.1.30-dev" {
			t.Errorf("%s runs after %v", machine.State().Version, err)
		}
		if f.console.countLines("warning: A newer version is replaced: 0.2.0-dev runs, and allow-downgrade is set: "+rollout.DocsURL) != 1 {
			t.Errorf("the log is %q", f.console.log)
		}
	})
}

func TestVersionOlderThanCurrentIsRefusedOnEveryInstance(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		f.addHost("i-1", "0.1.29-dev")
		if _, err := f.runPlan(f.plan("0.1.31-dev", "i-1")); err != nil {
			t.Fatal(err)
		}
		fresh := f.addHost("i-2", "")
		_, err := f.runPlan(f.plan("0.1.30-dev", "i-2"))
		var downgrade *release.DowngradeError
		if !errors.As(err, &downgrade) || downgrade.Instance != "the instances of dev" || fresh.State().Changes != 0 {
			t.Error(err)
		}
		plan := f.plan("0.1.30-dev", "i-2")
		plan.Rollout.Policy.AllowDowngrade = true
		if _, err := f.runPlan(plan); err != nil {
			t.Error(err)
		}
	})
}

// A list shows an error of the agent itself as if a script had printed it to stderr.
func TestErrorOfTheAgentIsShownInEachForm(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		for id, said := range map[string]string{
			"i-1": "open /var/lib/amazon/ssm: read-only file system\n",
			"i-2": "\n----------ERROR-------\nfailed to run commands: open /var/lib/amazon/ssm: read-only file system",
			"i-3": "----------ERROR-------\nfailed to run commands: open /var/lib/amazon/ssm: read-only file system\n",
		} {
			f.AddInstance(localaws.Instance{ID: id, InjectFault: func(localaws.Invocation) *localaws.DeliveryFault {
				return &localaws.DeliveryFault{Status: "Failed", Code: 1, AgentError: said}
			}})
		}
		_, err := f.runPlan(f.plan("0.1.30-dev", "i-1", "i-2", "i-3"))
		for _, id := range []string{"i-1", "i-2", "i-3"} {
			wantErrorParts(t, err, "instance "+id+" cannot report what it runs: the command ended as Failed with exit code 1 and no result line; its last line is: open /var/lib/amazon/ssm: read-only file system (the error of the SSM agent itself")
		}
	})
}
