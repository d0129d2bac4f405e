package e2e

import (
	"os"
	"strings"
	"testing"

	"github.com/org/atta-deploy-action/localaws"
)

func TestRollbackToThePreviousVersion(t *testing.T) {
	s := play(t)
	first := s.deployed("0.1.0-dev")
	s.deployed("0.1.1-dev")
	from := len(s.aws.Calls())
	out := s.run("operation=rollback", "version=", "image=", "ecr-repository=", "GITHUB_REF_TYPE=branch")
	out.wants("success")
	if s.runs() != "0.1.0-dev" || out.outputs["version"] != "0.1.0-dev" || out.outputs["previous-version"] != "0.1.1-dev" {
		t.Errorf("the instance runs %s, outputs are %q", s.runs(), out.outputs)
	}
	if calls := s.calls(from, "registry:", "ecr:"); calls != nil {
		t.Errorf("a rollback to what the instance has called %v", calls)
	}
	s.run("operation=rollback", "version=0.1.1-dev", "image=").wants("success")
	if s.runs() != "0.1.1-dev" || s.tag("latest-dev") == first.outputs["image-digest"] {
		t.Errorf("the instance runs %s, latest-dev is %s", s.runs(), s.tag("latest-dev"))
	}
	out = s.run("operation=rollback", "version=0.0.9-dev", "image=")
	out.wants("failed")
	out.says("0.0.9-dev is not among the releases of 1 instance", "cannot be deployed there")

	const offline = "i-0000000000000000b"
	s.aws.AddInstance(localaws.Instance{ID: offline, PingStatus: "ConnectionLost"})
	out = s.run("operation=rollback", "version=", "image=", "instance-ids="+instanceID+","+offline)
	out.wants("failed")
	if s.runs() != "0.1.0-dev" || out.outputs["failed-instances"] != offline {
		t.Errorf("the instance runs %s, outputs are %q", s.runs(), out.outputs)
	}
}

func TestStatusReportsWhatRunsAndWhetherItIsInSync(t *testing.T) {
	s := playWithScripts(t)
	s.deployed("0.1.0-dev")
	out := s.run("operation=status", "version=", "image=")
	out.wants("success")
	if !strings.Contains(out.summary, "✅ atta in dev: 1 instance in sync") || !strings.Contains(out.log, "in-sync: runs 0.1.0-dev, verified since ") {
		t.Errorf("%s\n%s", out.log, out.summary)
	}
	unit := s.host.Path("etc/systemd/system/atta.service")
	text, err := os.ReadFile(unit)
	if err != nil {
		t.Fatal(err)
	}
	write(t, unit, string(text)+"# by hand\n")
	out = s.run("operation=status", "version=", "image=")
	if out.code != 0 || !strings.Contains(out.summary, "⚠️ atta in dev: 1 of 1 instance out of sync") || !strings.Contains(out.outputs["results"], `"drift":["unit-file"]`) {
		t.Errorf("%d\n%s\n%q", out.code, out.summary, out.outputs)
	}
	out = s.run("operation=status", "version=", "image=", "fail-on-drift=true")
	out.wants("failed")
	out.says("differs in unit-file", "Deploy 0.1.0-dev again")
	s.run().wants("success")
	s.run("operation=status", "fail-on-drift=true").wants("success")
}

func TestDryRunChangesNothing(t *testing.T) {
	s := play(t)
	s.build("0.1.0-dev")
	out := s.run("operation=plan")
	if out.code != 0 || out.outputs["status"] != "planned" || !strings.HasPrefix(out.summary, "## 📋 atta 0.1.0-dev to dev: planned, nothing was changed") {
		t.Errorf("%d %q\n%s\n%s", out.code, out.outputs, out.log, out.summary)
	}
	if changes := s.calls(0, changing...); len(changes) != 0 || s.runs() != "" || len(s.deploys()) != 0 {
		t.Errorf("changes are %v", changes)
	}
	if !strings.Contains(out.log, "would go from nothing to 0.1.0-dev") {
		t.Error(out.log)
	}
}

// So that a workflow that is run again need not build what is there.
func TestDryRunReportsWhetherTheImageExists(t *testing.T) {
	s := play(t)
	plan := func() outcome {
		return s.run("operation=plan", "phases=image", "image=", "instance-ids=")
	}
	out := plan()
	if digest, ok := out.outputs["image-digest"]; ok || out.outputs["status"] != "planned" {
		t.Errorf("%q %q\n%s", digest, out.outputs, out.log)
	}
	pushed := s.deployed("0.1.0-dev").outputs["image-digest"]
	out = plan()
	if out.outputs["image-digest"] != pushed || pushed == "" || out.outputs["image-pushed"] != "false" {
		t.Errorf("%q\n%s", out.outputs, out.log)
	}
	refused := s.run("phases=image", "image=")
	if refused.code == 0 || !strings.Contains(refused.log, "a path or a registry reference") {
		t.Errorf("%d %s", refused.code, refused.log)
	}
}

// The steps of deploy.yml when its run is started again: an ordinary Dockerfile gives another image.
func TestRepeatedRunDeploysTheImageThatIsPushed(t *testing.T) {
	s := play(t)
	pushed := s.deployed("0.1.0-dev").outputs["image-digest"]
	found := s.run("operation=plan", "phases=image", "image=", "instance-ids=").outputs["image-digest"]
	if found != pushed {
		t.Fatalf("found %q, want %s", found, pushed)
	}
	s.build("built again")
	if out := s.run(); out.code == 0 {
		t.Errorf("another image became 0.1.0-dev:\n%s", out.log)
	}
	s.run("phases=bundle,rollout", "image-digest="+found).wants("success")
}

func TestPostStepCleansUpAfterAKilledRun(t *testing.T) {
	s := play(t)
	p := s.busy("on-running=kill")
	eventually(t, "the command is known", func() bool { return readOutputs(t, p.state)["commands"] != "" })
	if err := p.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	p.done()
	out := p.after().run()
	if out.code != 0 || !strings.Contains(out.summary, "## ❌ atta 0.1.0-dev was cancelled in dev") || !strings.Contains(out.log, "(one): rolled-back: its answer was lost; asked again, it reports that it rolled back, and runs nothing") {
		t.Errorf("%d\n%s\n%s", out.code, out.log, out.summary)
	}
	if cancels := s.calls(0, "ssm:CancelCommand"); len(cancels) != 1 || s.runs() != "" {
		t.Errorf("cancels are %v, the instance runs %q", cancels, s.runs())
	}
	// The lock is free, and the version can be deployed.
	s.build("0.1.1-dev")
	s.run("version=0.1.1-dev", "lock-timeout=0s").wants("success")
}

func TestPostStepDoesNothingAfterACompleteRun(t *testing.T) {
	s := play(t)
	s.build("0.1.0-dev")
	for _, settings := range [][]string{nil, {"image=missing.tar"}, {"allowed-account-ids=999999999999"}, {"timeout=never"}} {
		p := s.step(settings...)
		p.run()
		from := len(s.aws.Calls())
		out := p.after().run()
		if calls := s.calls(from); out.code != 0 || calls != nil || out.summary != "" || !strings.Contains(out.log, "nothing to clean up") {
			t.Errorf("%v: %d, %v\n%s", settings, out.code, calls, out.log)
		}
	}
}

func TestPostStepResolvesUnknownInstances(t *testing.T) {
	s := play(t)
	s.deployed("0.1.0-dev")
	s.build("0.1.1-dev", s.slow("0.1.1-dev"))
	p := s.step("version=0.1.1-dev", "on-running=kill")
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the job runs", func() bool { return s.isStarted("0.1.1-dev") })
	if err := p.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	p.done().wants("cancelled")
	out := p.after().run()
	if !strings.Contains(out.log, "it reports that it rolled back, and runs 0.1.0-dev") || s.runs() != "0.1.0-dev" {
		t.Errorf("the instance runs %s\n%s", s.runs(), out.log)
	}
}
