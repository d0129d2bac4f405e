package rollout_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/org/atta-deploy-action/internal/inputs"
	"github.com/org/atta-deploy-action/internal/lease"
	"github.com/org/atta-deploy-action/internal/release"
	"github.com/org/atta-deploy-action/internal/rollout"
	"github.com/org/atta-deploy-action/localaws"
	"github.com/org/atta-deploy-action/localaws/simhost"
)

// changeTime is how long each instance of a measured fleet takes to change.
const changeTime = 30 * time.Second

// measurement is what a deploy to a fleet costs.
type measurement struct {
	hosts int
	calls map[string]int
	added time.Duration // over the slowest instance
}

func (m measurement) totalCalls() (n int) {
	for _, calls := range m.calls {
		n += calls
	}
	return n
}

// measureDeploy deploys to so many instances, in one wave.
func measureDeploy(t *testing.T, hosts int) measurement {
	m := measurement{hosts: hosts, calls: map[string]int{}}
	synctest.Test(t, func(t *testing.T) {
		s := &simulation{t: t, hosts: map[string]*simhost.Host{}}
		var err error
		if s.server, err = localaws.Start(localaws.Options{InMemory: true}); err != nil {
			t.Fatal(err)
		}
		defer func() { _ = s.server.Close(); time.Sleep(time.Minute) }()
		s.server.CreateBucket(bucket)
		for i := range hosts {
			host := simhost.New("0.1.0-dev", digestOf("0.1.0-dev"))
			host.NextBehavior = func(string) simhost.Behavior { return simhost.Behavior{Duration: changeTime} }
			id := fmt.Sprintf("i-%08x", i)
			s.ids = append(s.ids, id)
			s.server.AddInstance(localaws.Instance{ID: id, Machine: host})
		}
		rel, err := release.New("atta", "dev", "0.1.1-dev")
		if err != nil {
			t.Fatal(err)
		}
		plan := rollout.Plan{
			Operation: rollout.Deploy, Release: rel, DeploymentID: "d-1", Region: "us-east-1", Phases: inputs.Phases{Rollout: true},
			Image:   inputs.Image{Digest: digestOf("0.1.1-dev")},
			Bundle:  inputs.Bundle{SHA256: strings.Repeat("0", 64)},
			Targets: inputs.Targets{InstanceIDs: s.ids, MinInstances: 1},
			Rollout: inputs.Rollout{Waves: []inputs.Wave{{Percent: 100}}, RollbackOnFailure: "all", Policy: defaultPolicy},
			Time:    inputs.Timeouts{Command: 10 * time.Minute},
			Holder:  lease.Holder{Deployment: "d-1"}, Deadline: time.Now().Add(2 * time.Hour),
		}
		r := s.newRunner(1)
		began := time.Now()
		result, err := rollout.Run(context.Background(), plan, r, r)
		if err != nil || result.Status != rollout.OutcomeSuccess {
			t.Fatalf("%s: %v", result.Status, err)
		}
		m.added = time.Since(began) - changeTime
		for _, call := range s.server.Calls() {
			m.calls[call.Operation]++
		}
	})
	return m
}

// checkRequests fails when a deploy to so many instances makes more requests than two
// commands for every fifty need, each with one listing at its end and a lookup, and than
// polling the slowest one needs.
func checkRequests(t *testing.T, hosts int) {
	t.Helper()
	m := measureDeploy(t, hosts)
	if most := 60 + 7*(hosts+49)/50; m.totalCalls() > most {
		t.Errorf("%d instances: %d requests, want at most %d: %v", hosts, m.totalCalls(), most, m.calls)
	}
}

func TestRequestsGrowWithEveryFiftyInstances(t *testing.T) {
	for _, hosts := range []int{1, 100} {
		checkRequests(t, hosts)
	}
}
