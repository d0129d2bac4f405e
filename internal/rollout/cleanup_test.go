package rollout_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"

	"github.com/org/atta-deploy-action/internal/lease"
	"github.com/org/atta-deploy-action/internal/rollout"
	"github.com/org/atta-deploy-action/localaws/simhost"
)

// runPostStep runs the post step with the state that the main step has saved.
func (f *fixture) runPostStep() (rollout.Result, error) {
	plan := f.plan("0.1.30-dev")
	plan.Operation, plan.DeploymentID = rollout.CleanUp, "another"
	plan.Leftover = f.console.leftover()
	return f.runPlan(plan)
}

func TestPostStepResolvesACancelledRun(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		ids, hosts := f.addHosts(3, "0.1.29-dev")
		started := make(chan struct{}, 3)
		hosts[1].NextBehavior = neverEnding(started)
		hosts[2].NextBehavior = neverEnding(started)
		ctx, cancel := context.WithCancelCause(t.Context())
		go func() {
			<-started
			<-started
			time.Sleep(time.Second) // until the first host has answered
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
		result, err = f.runPostStep()
		if err != nil || result.Status != rollout.OutcomeCancelled || states(result) != "i-01 deployed, i-02 rolled-back, i-03 rolled-back" || result.Idle {
			t.Errorf("%s: %s, %v", result.Status, states(result), err)
		}
		if installedVersions(hosts) != "0.1.30 0.1.29 0.1.29" {
			t.Error(installedVersions(hosts))
		}
		var record rollout.Record
		if found, err := f.locks.ReadRecord(t.Context(), "d-0-1-30-dev", &record); !found || err != nil || record.Status != rollout.OutcomeCancelled || record.Hosts[1].State != rollout.RolledBack {
			t.Errorf("%+v, %v", record, err)
		}
	})
}

// The rollback of an instance is cut off as well, which takes that back.
func TestPostStepWaitsForAnInstanceThatIsAtWork(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		ids, hosts := f.addHosts(2, "0.1.29-dev")
		started := make(chan struct{}, 1)
		back := neverEnding(started)
		hosts[0].NextBehavior = func(version string) simhost.Behavior {
			if version == "0.1.29-dev" {
				return back(version)
			}
			return simhost.Behavior{}
		}
		hosts[1].NextBehavior = unhealthy
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			<-started
			cancel()
		}()
		result, _ := rollout.Run(ctx, f.planInWaves("0.1.30-dev", ids...), f, f.console)
		if states(result) != "i-01 unknown, i-02 rolled-back" {
			t.Fatal(states(result))
		}
		result, err := f.runPostStep()
		if err != nil || states(result) != "i-01 deployed, i-02 rolled-back" || installedVersions(hosts) != "0.1.30 0.1.29" {
			t.Errorf("%s: %s, the hosts run %s: %v", states(result), result.Hosts[0].Message, installedVersions(hosts), err)
		}
	})
}

// A runner that is killed leaves the lock, a record of a run in progress, and a command in
// progress.
func TestPostStepResolvesAKilledRun(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		ids, hosts := f.addHosts(3, "0.1.29-dev")
		started := make(chan struct{}, 1)
		hosts[0].NextBehavior = neverEnding(started)
		lock, err := f.locks.Acquire(t.Context(), lease.Holder{Deployment: "killed"}, 0, nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = lock.Release(context.Background()) })
		record := rollout.Record{Service: "atta", Version: "0.1.30-dev", Status: rollout.OutcomeRunning, Generation: lock.Generation(), Holder: lease.Holder{Deployment: "killed"}}
		for i, id := range ids {
			record.Hosts = append(record.Hosts, rollout.HostRecord{Instance: id, State: rollout.NotStarted, Wave: min(i+1, 2), Before: "0.1.29-dev"})
		}
		if err := f.locks.WriteRecord(t.Context(), "killed", record); err != nil {
			t.Fatal(err)
		}
		line := fmt.Sprintf("set -- deploy --service=atta --deployment=killed --generation=%d --not-after=%d --version=0.1.30-dev --image=x@%s",
			lock.Generation(), time.Now().Add(time.Hour).Unix(), digestOf("x"))
		sent, err := ssm.NewFromConfig(f.Config()).SendCommand(t.Context(), &ssm.SendCommandInput{
			DocumentName: aws.String("AWS-RunShellScript"), Comment: aws.String("deploy atta killed"), InstanceIds: ids[:1], Parameters: map[string][]string{"commands": {"#!/bin/bash", line}},
		})
		if err != nil {
			t.Fatal(err)
		}
		<-started
		f.console.saved = map[string]string{"deployment": "killed", "lock": lock.Token, "commands": *sent.Command.CommandId}
		result, err := f.runPostStep()
		if err != nil || result.Status != rollout.OutcomeCancelled || states(result) != "i-01 rolled-back, i-02 not-deployed, i-03 not-deployed" {
			t.Errorf("%s: %s, %v", result.Status, states(result), err)
		}
		if held, err := f.locks.CurrentHolder(t.Context()); held != nil || err != nil {
			t.Errorf("the lock: %v, %v", held, err)
		}
		if fmt.Sprint(changedHosts(hosts)) != "[1]" || installedVersions(hosts) != "0.1.29 0.1.29 0.1.29" || hosts[2].State().Generation != lock.Generation()+1 {
			t.Errorf("changed are %v, the hosts run %s, generation %d", changedHosts(hosts), installedVersions(hosts), hosts[2].State().Generation)
		}
	})
}

func TestPostStepSendsNothingWhenTheRunSentNothing(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		ids, hosts := f.addHosts(2, "0.1.29-dev")
		lock := f.holdLock()
		record := rollout.Record{Service: "atta", Version: "0.1.30-dev", Status: rollout.OutcomeRunning, Generation: lock.Generation(), Holder: lease.Holder{Deployment: "the-other"}}
		for _, id := range ids {
			record.Hosts = append(record.Hosts, rollout.HostRecord{Instance: id, State: rollout.NotStarted, Wave: 1, Before: "0.1.29-dev"})
		}
		if err := f.locks.WriteRecord(t.Context(), "the-other", record); err != nil {
			t.Fatal(err)
		}
		f.console.saved = map[string]string{"deployment": "the-other", "lock": lock.Token}
		result, err := f.runPostStep()
		if err != nil || result.Status != rollout.OutcomeCancelled || states(result) != "i-01 not-started, i-02 not-started" {
			t.Errorf("%s: %s, %v", result.Status, states(result), err)
		}
		wantLines(t, "requests", f.mutatingRequests())
		if hosts[0].State().Generation != 0 {
			t.Errorf("the host was fenced: generation %d", hosts[0].State().Generation)
		}
		if found, err := f.locks.ReadRecord(t.Context(), "the-other", &record); !found || err != nil || record.Status != rollout.OutcomeCancelled {
			t.Errorf("%+v, %v", record, err)
		}
		f.holdLock()
	})
}

func TestPostStepDoesNothingAfterACompletedRun(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		ids, _ := f.addHosts(1, "0.1.29-dev")
		if _, err := f.runPlan(f.plan("0.1.30-dev", ids...)); err != nil {
			t.Fatal(err)
		}
		from := len(f.Calls())
		if result, err := f.runPostStep(); err != nil || !result.Idle || len(f.Calls()) != from {
			t.Errorf("%v after %d requests", err, len(f.Calls())-from)
		}
		f.console.saved = nil // of a run that was refused before it acquired the lock
		if result, err := f.runPostStep(); err != nil || !result.Idle || len(f.Calls()) != from {
			t.Errorf("%v after %d requests", err, len(f.Calls())-from)
		}
	})
}

// A workflow can set STATE_ variables, and so name a deployment and commands of others.
func TestPostStepRefusesStateOfAnotherRun(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		ids, _ := f.addHosts(1, "0.1.29-dev")
		lock := f.holdLock()
		record := rollout.Record{Service: "atta", Version: "0.1.30-dev", Status: rollout.OutcomeRunning, Generation: lock.Generation(), Holder: lease.Holder{Deployment: "the-other", RunURL: "https://github.com/org/other/actions/runs/1"}}
		record.Hosts = []rollout.HostRecord{{Instance: ids[0], State: rollout.NotStarted, Wave: 1}}
		if err := f.locks.WriteRecord(t.Context(), "the-other", record); err != nil {
			t.Fatal(err)
		}
		f.console.saved = map[string]string{"deployment": "the-other", "lock": lock.Token, "commands": f.sendForeignCommand(ids)}
		_, err := f.runPostStep()
		wantErrorParts(t, err, "the saved state is of another workflow run, and nothing was cleaned up: deployment the-other belongs to \"https://github.com/org/other/actions/runs/1\"")
		if held, _ := f.locks.CurrentHolder(t.Context()); held == nil {
			t.Error("the lock was released")
		}
		wantLines(t, "requests", f.mutatingRequests(), "ssm:SendCommand i-01")
	})
}

func TestPostStepCancelsOnlyCommandsOfItsDeployment(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		ids, _ := f.addHosts(1, "0.1.29-dev")
		lock := f.holdLock()
		record := rollout.Record{Service: "atta", Version: "0.1.30-dev", Status: rollout.OutcomeRunning, Generation: lock.Generation(), Holder: lease.Holder{Deployment: "the-other"}}
		if err := f.locks.WriteRecord(t.Context(), "the-other", record); err != nil {
			t.Fatal(err)
		}
		foreign := f.sendForeignCommand(ids)
		f.console.saved = map[string]string{"deployment": "the-other", "lock": lock.Token, "commands": foreign}
		_, err := f.runPostStep()
		wantErrorParts(t, err, "command "+foreign+" is not one of the-other, and was not cancelled")
		wantLines(t, "requests", f.mutatingRequests(), "ssm:SendCommand i-01")
		if held, err := f.locks.CurrentHolder(t.Context()); held != nil || err != nil {
			t.Errorf("the lock: %v, %v", held, err)
		}
	})
}

// sendForeignCommand sends a command of somebody else and returns its id.
func (f *fixture) sendForeignCommand(ids []string) string {
	f.t.Helper()
	sent, err := ssm.NewFromConfig(f.Config()).SendCommand(f.t.Context(), &ssm.SendCommandInput{
		DocumentName: aws.String("AWS-RunShellScript"), Comment: aws.String("nightly backup"), InstanceIds: ids, Parameters: map[string][]string{"commands": {"true"}},
	})
	if err != nil {
		f.t.Fatal(err)
	}
	return *sent.Command.CommandId
}
