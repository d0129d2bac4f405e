package fleet_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"

	"github.com/org/atta-deploy-action/internal/fleet"
	"github.com/org/atta-deploy-action/localaws"
)

const delivery = 30 * time.Second

var script = fleet.Command{
	Lines: []string{"#!/bin/bash", "true"}, Comment: "a test", Timeout: time.Minute,
	IsAnswer: func(stdout string) bool {
		for line := range strings.Lines(stdout) {
			if strings.HasPrefix(line, "ATTA_RESULT ") && strings.HasSuffix(line, "}\n") {
				return true
			}
		}
		return false
	},
}

// runInBubble is t.Run on a simulated clock.
func runInBubble(t *testing.T, name string, test func(*testing.T)) {
	t.Helper()
	t.Run(name, func(t *testing.T) { synctest.Test(t, test) })
}

// startServer starts a server in memory that is closed when the test ends.
func startServer(t *testing.T, o localaws.Options) *localaws.Server {
	t.Helper()
	o.InMemory = true
	s, err := localaws.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// newFleet returns the server's fleet, without the SDK's retries.
func newFleet(s *localaws.Server) *fleet.Fleet {
	config := s.Config()
	config.Retryer = func() aws.Retryer { return aws.NopRetryer{} }
	return fleet.New(ssm.NewFromConfig(config), delivery)
}

// fixedMachine is a machine on which every script has the same output and exit code.
type fixedMachine struct {
	stdout, stderr string
	code           int
}

func (p fixedMachine) Run(context.Context, string, []string) localaws.Exit {
	return localaws.Exit{Code: p.code, Stdout: []byte(p.stdout), Stderr: []byte(p.stderr)}
}

const reportLine = `ATTA_RESULT {"v":1,"deployment":"d-1","service":"atta","outcome":"deployed","code":0,"phase":"verify","version":"0.1.30-dev","verified":true}` + "\n"

var healthyMachine = fixedMachine{stdout: reportLine}

// faultyInstance returns an instance for which SSM or its agent injects v instead of running the script.
func faultyInstance(id string, v localaws.DeliveryFault) localaws.Instance {
	return localaws.Instance{ID: id, InjectFault: func(localaws.Invocation) *localaws.DeliveryFault { return &v }}
}

// addInstances registers the instances and returns them as Find would.
func addInstances(s *localaws.Server, list ...localaws.Instance) []fleet.Instance {
	var found []fleet.Instance
	for _, instance := range list {
		s.AddInstance(instance)
		found = append(found, fleet.Instance{ID: instance.ID})
	}
	return found
}

// callsOf returns the requests of one operation so far.
func callsOf(s *localaws.Server, operation string) (list []localaws.Call) {
	for _, call := range s.Calls() {
		if call.Operation == operation {
			list = append(list, call)
		}
	}
	return list
}

// formatOutcomes returns the results, one per line.
func formatOutcomes(run fleet.Run) string {
	names := map[fleet.Outcome]string{fleet.Unknown: "unknown", fleet.NotDelivered: "not run", fleet.Completed: "ran"}
	var lines []string
	for _, result := range run.Results {
		lines = append(lines, fmt.Sprintf("%s %s %s", result.Instance.ID, names[result.Outcome], result.Status))
	}
	return strings.Join(lines, "\n")
}

func wantOutcomes(t *testing.T, run fleet.Run, want ...string) {
	t.Helper()
	if got := formatOutcomes(run); got != strings.Join(want, "\n") {
		t.Errorf("results are\n%s\nwant\n%s", got, strings.Join(want, "\n"))
	}
}

// onlyCommandID returns the id of a run's only command, or "" if none was sent.
func onlyCommandID(run fleet.Run) string {
	if len(run.CommandIDs) == 0 {
		return ""
	}
	return run.CommandIDs[0]
}
