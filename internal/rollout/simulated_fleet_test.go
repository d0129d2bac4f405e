package rollout_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/org/atta-deploy-action/deploy"
	"github.com/org/atta-deploy-action/localaws"
	"github.com/org/atta-deploy-action/localaws/simhost"
)

// versions are those that simulated runs deploy; the last one is unhealthy on every host.
var versions = []string{"0.1.1-dev", "0.1.2-dev", "0.1.9-dev"}

const unhealthyVersion = "0.1.9-dev"

// newSimulation draws a fleet and its faults.
func newSimulation(t *testing.T, seed uint64) *simulation {
	s := &simulation{t: t, seed: seed, rand: rand.New(rand.NewPCG(seed, 1)), hosts: map[string]*simhost.Host{}, before: map[string]string{}}
	var err error
	if s.server, err = localaws.Start(localaws.Options{InMemory: true}); err != nil {
		t.Fatal(err)
	}
	s.server.CreateBucket(bucket)
	if err := s.server.CreateDocument(documentName, deploy.Document("atta", deploy.DocumentForDeploy)); err != nil {
		t.Fatal(err)
	}
	n := 1 + s.rand.IntN(8)
	switch s.rand.IntN(10) {
	case 0:
		n = 1 + s.rand.IntN(200)
	case 1, 2:
		n = 1 + s.rand.IntN(60)
	}
	faultRate := []float64{0, 0.02, 0.1, 0.4}[s.rand.IntN(4)] // of a host
	for i := range n {
		id := fmt.Sprintf("i-%03d", i)
		version := "0.1.0-dev"
		if s.chance(0.05) {
			version = ""
		}
		host := simhost.New(version, digestOf(version))
		host.StatusDelay = s.duration(2)
		if s.chance(0.05) {
			host.RemoveContainer()
		}
		s.ids, s.hosts[id], s.before[id] = append(s.ids, id), host, version
		behaviors := s.hostBehaviors(faultRate)
		host.NextBehavior = func(version string) simhost.Behavior { return behaviors[version] }
		s.server.AddInstance(localaws.Instance{ID: id, Machine: host, InjectFault: s.deliveryFaults(faultRate)})
	}
	for _, operation := range []string{"ssm:SendCommand", "ssm:ListCommands", "ssm:ListCommandInvocations", "ssm:GetCommandInvocation", "s3:PutObject", "s3:GetObject", "ssm:CancelCommand"} {
		for range s.rand.IntN(4) {
			s.server.AddFault(s.requestFault(operation))
		}
	}
	return s
}

func (s *simulation) chance(p float64) bool { return s.rand.Float64() < p }

// duration draws one of up to so many seconds.
func (s *simulation) duration(maxSeconds int) time.Duration {
	return time.Duration(s.rand.IntN(maxSeconds*1000+1)) * time.Millisecond
}

// hostBehaviors draws how each version behaves on a host.
func (s *simulation) hostBehaviors(faultRate float64) map[string]simhost.Behavior {
	behaviors := map[string]simhost.Behavior{"0.1.0-dev": {Duration: s.duration(20)}}
	for _, version := range versions {
		behavior := simhost.Behavior{Duration: s.duration(90), Unhealthy: version == unhealthyVersion}
		if s.chance(faultRate) {
			switch s.rand.IntN(7) {
			case 4:
				behavior.NotRun = true
			case 5:
				behavior.AtWork = true
			case 6:
				behavior.Drain = s.duration(100)
			case 0:
				behavior.Unhealthy = true
			case 1:
				behavior.Refusal = "not enough room"
			case 2:
				behavior.Duration = 20 * time.Minute // longer than its command may take
			case 3:
				behavior.RollbackFails = s.chance(0.3)
			}
		}
		if s.chance(0.04) {
			behavior.FailsAfter = time.Second + s.duration(40)
		}
		behaviors[version] = behavior
	}
	return behaviors
}

// deliveryFaults draws what goes wrong with the first commands to a host.
func (s *simulation) deliveryFaults(faultRate float64) func(localaws.Invocation) *localaws.DeliveryFault {
	faults := map[int]*localaws.DeliveryFault{}
	for number := range 12 {
		if !s.chance(faultRate / 3) {
			continue
		}
		faults[number+1] = []*localaws.DeliveryFault{
			{Status: "AccessDenied", Code: -1},
			{Status: "Undeliverable", Code: -1},
			{Status: "DeliveryTimedOut", Code: -1},
			{Status: "DeliveryTimedOut", Code: -1, Runs: 1},
			{Status: "DeliveryTimedOut", Code: -1, StatusFirst: true, Delay: s.duration(600)},
			{Status: "InProgress"},
			{Status: "Foo", Code: -1, Runs: 1},
			{Runs: 2},
			{Delay: s.duration(25)},
		}[s.rand.IntN(9)]
	}
	return func(i localaws.Invocation) *localaws.DeliveryFault { return faults[i.Number] }
}

// requestFault draws what goes wrong with requests for an operation.
func (s *simulation) requestFault(operation string) localaws.Fault {
	fault := localaws.Fault{Operation: operation, Times: 1 + s.rand.IntN(3)}
	switch s.rand.IntN(5) {
	case 0:
		fault.Error = &localaws.Error{Code: "ThrottlingException", Message: "Rate exceeded"}
	case 1:
		fault.Error = &localaws.Error{Status: 500, Code: "InternalServerError", Message: "oops"}
	case 2:
		fault.DropReply = true
	case 3:
		fault.Reset = true
	case 4:
		fault.Delay = s.duration(5)
	}
	return fault
}
