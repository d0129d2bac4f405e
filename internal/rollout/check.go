package rollout

import (
	"context"
	"time"

	"github.com/org/atta-deploy-action/deploy"
)

// checkTimeout limits a check. One that a killed run leaves behind ends on its own, with nothing changed.
const checkTimeout = 5 * time.Minute

// checkHosts has all pending hosts carry out the preflight of the deploy, so that one which cannot
// follow is known before any other has changed. A single host does that first in its deploy, and is
// spared the round trip. What does not answer here is asked again by its wave.
func (r *run) checkHosts(ctx context.Context, pending []*Host) error {
	if r.plan.Operation != Deploy || len(pending) < 2 {
		return nil
	}
	return r.runGroup(ctx, "Check: "+Instances(len(pending)), func(ctx context.Context) error {
		commander := r.commander()
		commander.header.DeploymentID += "-check"
		request, err := r.releaseRequest(ctx, commander)
		if err != nil {
			return err
		}
		request.CheckOnly, request.LiveLog = true, false
		answers, err := commander.sendCommand(ctx, request, instancesOf(pending), nil)
		if err != nil {
			return err
		}
		problem := &UnhealthyError{Of: len(r.result.Hosts)}
		want := expectation{deployment: commander.header.DeploymentID, service: r.plan.Release.Service}
		for i, answer := range answers {
			if host := pending[i]; answer.report != nil && answer.report.Outcome == deploy.OutcomeRefused {
				host.applyAnswer(want, answer)
				r.console.Info("%s: %s: %s", host.Instance, host.State, host.Message)
				r.console.Untrusted(host.Log)
				problem.Hosts = append(problem.Hosts, host)
			}
		}
		if len(problem.Hosts) == 0 {
			return nil
		}
		problem.Untouched = len(pending) - len(problem.Hosts)
		return problem
	})
}
