package rollout_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/org/atta-deploy-action/deploy"
	"github.com/org/atta-deploy-action/internal/lease"
	"github.com/org/atta-deploy-action/internal/rollout"
)

func (s *simulation) fail(r *runner, result rollout.Result, format string, args ...any) {
	s.t.Errorf("seed %d, run %d (%s %s, %s): %s\nits log:\n%s", s.seed, r.number, result.Plan.Operation, result.Plan.Release.Version, result.Status,
		fmt.Sprintf(format, args...), strings.Join(r.log, "\n"))
}

// checkResult compares what a run reports with its hosts, at the moment of the report.
func (s *simulation) checkResult(r *runner, result rollout.Result, err error) {
	if (err == nil) != (result.Status == rollout.OutcomeSuccess) {
		s.fail(r, result, "its error is %v", err)
	}
	if result.Status == rollout.OutcomeSuccess && len(result.Hosts) != len(s.ids) {
		s.fail(r, result, "it is about %d hosts of %d", len(result.Hosts), len(s.ids))
	}
	for _, host := range result.Hosts {
		if result.Status == rollout.OutcomeSuccess && !slices.Contains([]rollout.State{rollout.Deployed, rollout.Running, rollout.Installed}, host.State) {
			s.fail(r, result, "%s is %s: %s", host.ID, host.State, host.Message)
		}
	}
	s.checkHosts(r, result)
}

func (s *simulation) checkHosts(r *runner, result rollout.Result) {
	target := result.Plan.Release.Version.String()
	for _, host := range result.Hosts {
		state := s.hosts[host.ID].State()
		changes := s.hosts[host.ID].Changes()
		if n := len(changes); n > 0 && result.Plan.Operation == rollout.CleanUp && !strings.HasPrefix(changes[n-1].Deployment, result.Plan.DeploymentID) {
			continue // another run has changed it since
		}
		switch host.State {
		case rollout.Deployed:
			if state.Version != target || state.Runs != digestOf(target) || state.Evidence != deploy.EvidenceRunning && !state.FailedSince.After(lastSeen(result, host)) {
				s.fail(r, result, "%s is deployed; %q is installed, and its container has the image %q, %q", host.ID, state.Version, state.Runs, state.Evidence)
			}
		case rollout.Running:
			if state.Version != target || state.Runs != digestOf(target) || state.Evidence != deploy.EvidenceAtWork {
				s.fail(r, result, "%s is running; %q is installed, and its container has the image %q, %q", host.ID, state.Version, state.Runs, state.Evidence)
			}
		case rollout.Installed:
			if state.Version != target || state.Digest != digestOf(target) || state.Runs != "" || state.Verified {
				s.fail(r, result, "%s is installed; %q is, and its container has the image %q", host.ID, state.Version, state.Runs)
			}
		case rollout.RolledBack:
			if state.Version == target && host.Before != target {
				s.fail(r, result, "%s is rolled back and runs %q", host.ID, state.Version)
			}
		case rollout.NotStarted:
			for _, change := range changes {
				if strings.HasPrefix(change.Deployment, result.Plan.DeploymentID) {
					s.fail(r, result, "%s is not started, and was changed by %s", host.ID, change.Deployment)
				}
			}
		case rollout.NotDeployed:
			for _, change := range changes {
				if change.Deployment == result.Plan.DeploymentID && change.Started.Before(time.Now()) && state.Version == target && host.Before != target {
					s.fail(r, result, "%s is not deployed, and runs %s", host.ID, state.Version)
				}
			}
		}
	}
}

// checkFinalState checks what must hold when nothing is in progress any more.
func (s *simulation) checkFinalState() {
	time.Sleep(30 * time.Minute)
	s.server.ClearFaults()
	for _, id := range s.ids {
		state := s.hosts[id].State()
		if state.Busy {
			s.t.Errorf("seed %d: %s is still busy", s.seed, id)
		}
		possible := append([]string{s.before[id]}, versions...)
		if !slices.Contains(possible, state.Version) {
			s.t.Errorf("seed %d: %s runs %q", s.seed, id, state.Version)
		}
	}
	s.checkChanges()
	s.checkLockIsFree()
}

// checkChanges fails when a host was changed twice by one command, or by a run that another
// one had replaced.
func (s *simulation) checkChanges() {
	type change struct {
		started    time.Time
		generation int64
		run, name  string
	}
	var changes []change
	for _, id := range s.ids {
		perDeployment := map[string]int{}
		for _, c := range s.hosts[id].Changes() {
			changes = append(changes, change{c.Started, c.Generation, strings.TrimSuffix(c.Deployment, "-back"), c.Deployment + " on " + id})
			if perDeployment[c.Deployment]++; perDeployment[c.Deployment] > 1 {
				s.t.Errorf("seed %d: %s was changed twice by %s", s.seed, id, c.Deployment)
			}
		}
	}
	slices.SortStableFunc(changes, func(a, b change) int { return a.started.Compare(b.started) })
	for i := 1; i < len(changes); i++ {
		if a, b := changes[i-1], changes[i]; b.generation < a.generation && b.run != a.run {
			s.t.Errorf("seed %d: %s started with generation %d after %s with generation %d", s.seed, b.name, b.generation, a.name, a.generation)
		}
	}
}

func (s *simulation) checkLockIsFree() {
	services, _ := s.newRunner(99).Connect(context.Background())
	lock, err := services.Lease.(*lease.Store).Acquire(context.Background(), lease.Holder{Deployment: "last"}, 3*time.Minute, nil)
	if err != nil {
		s.t.Errorf("seed %d: the lock does not become free: %v", s.seed, err)
		return
	}
	if err := lock.Release(context.Background()); err != nil {
		s.t.Error(err)
	}
}

// lastSeen is when the run began to ask a host of an earlier wave for the last time, or earlier; zero: it did
// not ask again. It asks after each later wave, and one that succeeds ends with that.
func lastSeen(result rollout.Result, host *rollout.Host) (seen time.Time) {
	later := time.Time{} // when the latest wave after that of the host began
	for _, step := range result.Steps {
		switch {
		case host.Ended.IsZero() || !step.Began.After(host.Ended):
		case strings.HasPrefix(step.Title, "Roll out"):
			later = step.Began
		case strings.HasPrefix(step.Title, "Check again") && !later.IsZero():
			seen = step.Began
		}
	}
	if result.Status == rollout.OutcomeSuccess {
		return later
	}
	return seen
}
