package rollout_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"

	"github.com/org/atta-deploy-action/internal/inputs"
	"github.com/org/atta-deploy-action/internal/lease"
	"github.com/org/atta-deploy-action/internal/release"
	"github.com/org/atta-deploy-action/internal/rollout"
	"github.com/org/atta-deploy-action/localaws"
	"github.com/org/atta-deploy-action/localaws/simhost"
)

// deployed deploys versions, one after the other, to the instances.
func (f *fixture) deployed(ids []string, versions ...string) {
	f.t.Helper()
	for _, version := range versions {
		f.buildImage("program of " + version)
		if _, err := f.deploy(f.plan(version, ids...)); err != nil {
			f.t.Fatal(err)
		}
	}
	*f.console = console{}
}

// back is a rollback to a version; an empty one: to the one before.
func (f *fixture) back(version string, ids ...string) rollout.Plan {
	plan := f.plan("0.0.0-dev", ids...)
	plan.Operation, plan.Phases, plan.Release.Version = rollout.Rollback, inputs.Phases{Rollout: true}, release.Version{}
	plan.DeploymentID = "back-to-" + strings.ReplaceAll(version, ".", "-")
	if version != "" {
		plan.Release.Version, _ = release.ParseVersion(version)
	}
	return plan
}

// run are the versions that the hosts run, in a line.
func run(hosts []*simhost.Host) string {
	var list []string
	for _, host := range hosts {
		list = append(list, strings.TrimSuffix(host.State().Version, "-dev"))
	}
	return strings.Join(list, " ")
}

func TestARollbackGoesToTheVersionBeforeInWavesAndNeedsNeitherImageNorBundle(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		ids, hosts := f.hosts(4, "")
		f.deployed(ids, "0.1.28-dev", "0.1.29-dev", "0.1.30-dev")
		from := len(f.Calls())
		plan := f.back("", ids...)
		plan.Rollout.Waves = []inputs.Wave{{Hosts: 1}, {Percent: 100}}
		result, err := f.deploy(plan)
		if err != nil || result.Status != rollout.OutcomeSuccess || run(hosts) != "0.1.29 0.1.29 0.1.29 0.1.29" {
			t.Fatalf("%s, the hosts run %s: %v", result.Status, run(hosts), err)
		}
		wantLines(t, "groups", f.console.groups, "Preflight", "Roll out, wave 1 of 2: 1 instance", "Roll out, wave 2 of 2: 3 instances", "Move tags")
		for _, call := range f.Calls()[from:] {
			if strings.Contains(call.Resource, "bundles/") || strings.HasPrefix(call.Operation, "registry:") && strings.Contains(call.Resource, "0.1.29") {
				t.Errorf("%s %s", call.Operation, call.Resource)
			}
		}
		current, err := f.locks.ReadCurrent(t.Context())
		if err != nil || current.Version != "0.1.29-dev" || current.Before != "0.1.30-dev" || current.Digest != hosts[0].State().Digest || f.alias() != current.Digest {
			t.Errorf("%+v, latest-dev is %s: %v", current, f.alias(), err)
		}
		if got := f.console.values["version"]; got != "0.1.29-dev" || f.console.values["previous-version"] != "0.1.30-dev" {
			t.Errorf("outputs are %v", f.console.values)
		}
		// Once more goes further back.
		plan = f.back("", ids...)
		plan.DeploymentID = "further"
		if _, err := f.deploy(plan); err != nil || run(hosts) != "0.1.28 0.1.28 0.1.28 0.1.28" {
			t.Errorf("the hosts run %s: %v", run(hosts), err)
		}
	})
}

// One that was cut short must not go further back on the hosts that were done.
func TestARollbackThatIsStartedAgainEndsWhereItWasToEnd(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		ids, hosts := f.hosts(3, "0.1.28-dev")
		f.deployed(ids, "0.1.29-dev", "0.1.30-dev")
		hosts[1].NextBehavior = func(string) simhost.Behavior { return simhost.Behavior{Refusal: "a job runs"} }
		plan := f.back("", ids...)
		plan.Rollout.Waves = []inputs.Wave{{Hosts: 1}, {Hosts: 2}, {Percent: 100}}
		_, err := f.deploy(plan)
		wantParts(t, err, "instance i-02 (name-of-i-02): not-deployed: a job runs", "1 instance not touched")
		if run(hosts) != "0.1.29 0.1.30 0.1.30" {
			t.Fatal(run(hosts))
		}
		hosts[1].NextBehavior = well
		plan.DeploymentID = "again"
		if _, err := f.deploy(plan); err != nil || run(hosts) != "0.1.29 0.1.29 0.1.29" {
			t.Errorf("the hosts run %s: %v", run(hosts), err)
		}
	})
}

func TestARollbackBringsTheReleaseToHostsThatDoNotHaveIt(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		ids, hosts := f.hosts(2, "")
		f.deployed(ids, "0.1.28-dev", "0.1.29-dev", "0.1.30-dev")
		hosts[1].ForgetReleases()
		result, err := f.deploy(f.back("0.1.28-dev", ids...))
		if err != nil || run(hosts) != "0.1.28 0.1.28" || hosts[0].State().Digest != hosts[1].State().Digest {
			t.Fatalf("the hosts run %s: %v", run(hosts), err)
		}
		if a, b := hosts[0].State().Command, hosts[1].State().Command; !strings.HasPrefix(a, "rollback ") || !strings.HasPrefix(b, "deploy ") || !strings.Contains(b, "--allow-downgrade=true") {
			t.Errorf("commands were %s and %s", a, b)
		}
		if result.Image.Digest != hosts[0].State().Digest {
			t.Errorf("the image is %s", result.Image.Digest)
		}
	})
}

func TestARollbackToWhatIsNowhereIsRefusedBeforeAnythingIsTouched(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		ids, hosts := f.hosts(2, "0.1.28-dev")
		f.deployed(ids, "0.1.29-dev")
		_, err := f.deploy(f.back("0.1.1-dev", ids...))
		wantParts(t, err, "0.1.1-dev is not among the releases of 2 instances (i-01 (name-of-i-01), i-02 (name-of-i-02)), and it cannot be deployed there", "bundle is not in the bucket", "not in the registry")
		f.noRepository = true
		_, err = f.deploy(f.back("0.1.1-dev", ids...))
		wantParts(t, err, "without ecr-repository it cannot be deployed there")
		f.noRepository = false
		hosts[1].ForgetReleases() // there is nothing before on this one
		_, err = f.deploy(f.back("", ids...))
		wantParts(t, err, "the instances do not agree which version was healthy before 0.1.29-dev: 0.1.28-dev (i-01 (name-of-i-01)); none (i-02 (name-of-i-02)); set version")
		empty, _ := f.hosts(1, "")
		_, err = f.deploy(f.back("", empty...))
		wantParts(t, err, "the instances run no release that they could roll back from")
		for _, host := range hosts {
			if host.State().Changes != 1 {
				t.Errorf("changed %d times", host.State().Changes)
			}
		}
	})
}

func TestARollbackNeedsNoRepositoryWhereTheHostsHaveTheRelease(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		ids, hosts := f.hosts(2, "0.1.28-dev")
		f.deployed(ids, "0.1.29-dev")
		f.noRepository = true
		plan := f.back("0.1.28-dev", ids...)
		plan.Image.Tags = nil
		if _, err := f.deploy(plan); err != nil || run(hosts) != "0.1.28 0.1.28" {
			t.Errorf("the hosts run %s: %v", run(hosts), err)
		}
		wantLines(t, "groups", f.console.groups, "Preflight", "Roll out")
	})
}

func TestAFailedRollbackStopsAndLeavesWhatIsBack(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		ids, hosts := f.hosts(3, "0.1.28-dev")
		f.deployed(ids, "0.1.29-dev")
		hosts[1].NextBehavior = unwell
		plan := f.back("", ids...)
		plan.Rollout.Waves = []inputs.Wave{{Hosts: 1}, {Hosts: 2}, {Percent: 100}}
		result, err := f.deploy(plan)
		wantParts(t, err, "instance i-02 (name-of-i-02): rolled-back: unhealthy; 0.1.29-dev is installed", "1 instance not touched")
		if run(hosts) != "0.1.28 0.1.29 0.1.29" || result.Status == rollout.OutcomeSuccess {
			t.Errorf("%s, the hosts run %s", result.Status, run(hosts))
		}
		if current, err := f.locks.ReadCurrent(t.Context()); err != nil || current.Version != "0.1.29-dev" || len(current.Quarantined) != 0 {
			t.Errorf("%+v, %v", current, err)
		}
	})
}

// inspect is a status of the instances.
func (f *fixture) inspect(ids ...string) rollout.Plan {
	plan := f.back("", ids...)
	plan.Operation, plan.DeploymentID = rollout.Status, "asked"
	return plan
}

func TestAStatusShowsDriftAndTouchesNothing(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		ids, hosts := f.hosts(4, "0.1.28-dev")
		f.deployed(ids, "0.1.29-dev")
		hosts[1].SetDrift("unit-file", "container")
		hosts[2].SetInstalled("0.1.28-dev", digestOf("0.1.28-dev"))
		hosts[3].SetInstalled("0.1.29-dev", digestOf("something else"))
		f.AddInstance(localaws.Instance{ID: "i-05", PingStatus: "ConnectionLost"})
		f.AddInstance(localaws.Instance{ID: "i-06"}) // says nothing
		f.held()
		from, generation := len(f.Calls()), hosts[0].State().Generation
		plan := f.inspect(append(ids, "i-05", "i-06")...)
		result, err := f.deploy(plan)
		if err != nil || result.Status != rollout.OutcomeSuccess {
			t.Fatalf("%s: %v", result.Status, err)
		}
		if got := states(result); got != "i-01 in-sync, i-02 drifted, i-03 drifted, i-04 drifted, i-06 unknown, i-05 unknown" {
			t.Error(got)
		}
		for i, part := range []string{
			"runs 0.1.29-dev, healthy since 20", "; differs in unit-file, container", "; differs in version; should run 0.1.29-dev", "; differs in digest",
			"no result line", "is not online",
		} {
			if got := result.Hosts[i].Message; !strings.Contains(got, part) {
				t.Errorf("%d: %q is not in %q", i, part, got)
			}
		}
		for _, call := range f.Calls()[from:] {
			if call.Operation == "s3:PutObject" || strings.HasPrefix(call.Operation, "registry:PUT") {
				t.Errorf("it wrote %s", call.Resource)
			}
		}
		if got := hosts[0].State(); got.Generation != generation {
			t.Errorf("the question closed the door: generation %d", got.Generation)
		}
		if log := strings.Join(f.console.log, "\n"); !strings.Contains(log, "A deploy is under way: the lock is held by deployment the-other") {
			t.Error(log)
		}
		plan.FailOnDrift = true
		result, err = f.deploy(plan)
		var drift *rollout.DriftError
		if !errors.As(err, &drift) || len(drift.Hosts) != 5 || result.Status == rollout.OutcomeSuccess {
			t.Errorf("%s: %v", result.Status, err)
		}
		wantParts(t, err, "5 of 6 instances out of sync", "instance i-02 (name-of-i-02): drifted: ")
	})
}

func TestAPlanSaysWhatWouldBeDoneAndDoesNothing(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		ids, hosts := f.hosts(5, "0.1.29-dev")
		plan := f.inWaves("0.1.30-dev", ids...)
		plan.DryRun = true
		result, err := f.deploy(plan)
		if err != nil || result.Status != rollout.OutcomePlanned || len(changed(hosts)) != 0 {
			t.Fatalf("%s, changed are %v: %v", result.Status, changed(hosts), err)
		}
		wantLines(t, "groups", f.console.groups, "Read", "Preflight", "Plan")
		log := strings.Join(f.console.log, "\n")
		for _, part := range []string{
			"the image would be pushed as 0.1.30-dev", "the bundle would be written, sha256 ", "wave 1 of 3: 1 instance\n  i-01 (name-of-i-01) would go from 0.1.29-dev to 0.1.30-dev",
			"wave 2 of 3: 1 instance", "wave 3 of 3: 3 instances",
		} {
			if !strings.Contains(log, part) {
				t.Errorf("no %q in\n%s", part, log)
			}
		}
		wantLines(t, "changes", f.changes(), "ssm:SendCommand i-01,i-02,i-03,i-04,i-05")
		if _, ok := f.Object(bucket, leasePrefix+"lock.json"); ok {
			t.Error("it took the lock")
		}
		f.deployed(ids[:2], "0.1.30-dev")
		f.buildImage("a program")
		f.buildImage("program of 0.1.30-dev")
		plan.DeploymentID = "d-2"
		f.held()
		if _, err := f.deploy(plan); err != nil {
			t.Fatal(err)
		}
		log = strings.Join(f.console.log, "\n")
		for _, part := range []string{"A deploy is under way", "is already stored, with the same bytes", "i-01 (name-of-i-01) already runs 0.1.30-dev: it would not be touched", "wave 1 of 2: 1 instance\n  i-03"} {
			if !strings.Contains(log, part) {
				t.Errorf("no %q in\n%s", part, log)
			}
		}
		plan = f.plan("0.1.28-dev", ids...)
		plan.DryRun = true
		if result, err := f.deploy(plan); err == nil || result.Status != rollout.OutcomeFailed {
			t.Errorf("an older version is planned: %s", result.Status)
		}
		back := f.back("", ids[:2]...)
		back.DryRun = true
		*f.console = console{}
		if result, err := f.deploy(back); err != nil || result.Status != rollout.OutcomePlanned || run(hosts[:2]) != "0.1.30 0.1.30" {
			t.Errorf("%s: %v", result.Status, err)
		}
		wantLines(t, "groups", f.console.groups, "Preflight", "Plan")
	})
}

func TestEveryReasonAgainstARolloutIsListedWithWhoHoldsTheLock(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		f.held()
		f.repository = f.newRepository("no-such-repository")
		plan := f.plan("0.1.30-dev", "i-1", "i-2")
		plan.Targets.MinInstances = 5
		_, err := f.deploy(plan)
		wantParts(t, err, "no-such-repository", "instance i-1 is not managed by SSM", "instance i-2 is not managed by SSM", "min-instances is 5", "the lock is held by deployment the-other")
		var held *lease.HeldError
		if !errors.As(err, &held) {
			t.Error("the lock's holder is no error of its own")
		}
		wantLines(t, "changes", f.changes())
	})
}

// tidyUp runs the step after a run that has left what is saved.
func (f *fixture) tidyUp() (rollout.Result, error) {
	plan := f.plan("0.1.30-dev")
	plan.Operation, plan.DeploymentID = rollout.CleanUp, "another"
	plan.Leftover = f.console.leftover()
	return f.deploy(plan)
}

func TestTheStepAfterACancelledRunFindsOutWhatBecameOfIt(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		ids, hosts := f.hosts(3, "0.1.29-dev")
		begun := make(chan struct{}, 3)
		hosts[1].NextBehavior = endless(begun)
		hosts[2].NextBehavior = endless(begun)
		ctx, cancel := context.WithCancelCause(t.Context())
		go func() {
			<-begun
			<-begun
			time.Sleep(time.Second) // the first has answered by then
			cancel(errors.New("interrupt signal received"))
		}()
		began := time.Now()
		result, err := rollout.Run(ctx, f.plan("0.1.30-dev", ids...), f, f.console)
		if err == nil || result.Status != rollout.OutcomeCancelled || states(result) != "i-01 deployed, i-02 unknown, i-03 unknown" || f.console.saved["finished"] != "" {
			t.Fatalf("%s: %s, %v", result.Status, states(result), f.console.saved)
		}
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("the run took %s", took)
		}
		result, err = f.tidyUp()
		if err != nil || result.Status != rollout.OutcomeCancelled || states(result) != "i-01 deployed, i-02 rolled-back, i-03 rolled-back" || result.Idle {
			t.Errorf("%s: %s, %v", result.Status, states(result), err)
		}
		if run(hosts) != "0.1.30 0.1.29 0.1.29" {
			t.Error(run(hosts))
		}
		var record rollout.Record
		if found, err := f.locks.ReadRecord(t.Context(), "d-0-1-30-dev", &record); !found || err != nil || record.Status != rollout.OutcomeCancelled || record.Hosts[1].State != rollout.RolledBack {
			t.Errorf("%+v, %v", record, err)
		}
	})
}

// A runner that is killed leaves the lock, a record that says that it was at work, and a
// command under way.
func TestTheStepAfterARunThatWasKilledCancelsAsksAndFreesTheLock(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		ids, hosts := f.hosts(3, "0.1.29-dev")
		begun := make(chan struct{}, 1)
		hosts[0].NextBehavior = endless(begun)
		lock, err := f.locks.Acquire(t.Context(), lease.Holder{Deployment: "killed"}, 0, nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = lock.Release(context.Background()) })
		record := rollout.Record{Service: "atta", Version: "0.1.30-dev", Status: rollout.OutcomeRunning, Generation: lock.Generation()}
		for i, id := range ids {
			record.Hosts = append(record.Hosts, rollout.HostRecord{Instance: id, State: rollout.NotStarted, Wave: min(i+1, 2), Before: "0.1.29-dev"})
		}
		if err := f.locks.WriteRecord(t.Context(), "killed", record); err != nil {
			t.Fatal(err)
		}
		line := fmt.Sprintf("set -- deploy --service=atta --deployment=killed --generation=%d --not-after=%d --version=0.1.30-dev --image=x@%s",
			lock.Generation(), time.Now().Add(time.Hour).Unix(), digestOf("x"))
		sent, err := ssm.NewFromConfig(f.Config()).SendCommand(t.Context(), &ssm.SendCommandInput{
			DocumentName: aws.String("AWS-RunShellScript"), InstanceIds: ids[:1], Parameters: map[string][]string{"commands": {"#!/bin/bash", line}},
		})
		if err != nil {
			t.Fatal(err)
		}
		<-begun
		f.console.saved = map[string]string{"deployment": "killed", "lock": lock.Token, "commands": *sent.Command.CommandId}
		result, err := f.tidyUp()
		if err != nil || result.Status != rollout.OutcomeCancelled || states(result) != "i-01 rolled-back, i-02 not-deployed, i-03 not-deployed" {
			t.Errorf("%s: %s, %v", result.Status, states(result), err)
		}
		if held, err := f.locks.CurrentHolder(t.Context()); held != nil || err != nil {
			t.Errorf("the lock: %v, %v", held, err)
		}
		if fmt.Sprint(changed(hosts)) != "[1]" || run(hosts) != "0.1.29 0.1.29 0.1.29" || hosts[2].State().Generation != lock.Generation()+1 {
			t.Errorf("changed are %v, the hosts run %s, generation %d", changed(hosts), run(hosts), hosts[2].State().Generation)
		}
	})
}

func TestTheStepAfterARunThatHasFinishedAsksNobody(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		ids, _ := f.hosts(1, "0.1.29-dev")
		if _, err := f.deploy(f.plan("0.1.30-dev", ids...)); err != nil {
			t.Fatal(err)
		}
		from := len(f.Calls())
		if result, err := f.tidyUp(); err != nil || !result.Idle || len(f.Calls()) != from {
			t.Errorf("%v after %d requests", err, len(f.Calls())-from)
		}
		f.console.saved = nil // of a run that was refused
		if result, err := f.tidyUp(); err != nil || !result.Idle || len(f.Calls()) != from {
			t.Errorf("%v after %d requests", err, len(f.Calls())-from)
		}
	})
}
