package rollout

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/org/atta-deploy-action/deploy"
	"github.com/org/atta-deploy-action/internal/fleet"
)

// A question reads a few files, so it is answered soon. What is unknown of an instance is
// asked for again and again, for a while.
const (
	askTimeout  = time.Minute
	askAgain    = 5 * time.Second
	settleLimit = 2 * time.Minute
)

// question is a command that changes nothing that runs. It closes the door to commands of
// an earlier generation; about may name a deployment.
func (r *run) question(about string) fleet.Script {
	generation := r.fence
	if r.lock != nil {
		generation = r.lock.Generation()
	}
	parameters := []string{"status", "--service=" + r.plan.Release.Service, "--deployment=" + r.plan.DeploymentID}
	if about != "" {
		parameters = append(parameters, "--about="+about)
	}
	if generation > 0 {
		parameters = append(parameters, fmt.Sprintf("--generation=%d", generation))
	}
	return fleet.Script{
		Text: deploy.Bootstrap, Parameters: parameters, Comment: "status of " + r.plan.Release.Service + " for " + r.plan.DeploymentID, Timeout: askTimeout,
	}
}

// ask learns from hosts what they run now. A host that cannot say is an error.
func (r *run) ask(ctx context.Context, hosts []*Host) error {
	answer, err := r.services.Fleet.Run(ctx, r.question(""), named(hosts), nil)
	if err != nil && r.plan.Operation != Status {
		return err
	}
	problems := []error{err}
	var seen int64
	for i, reply := range answer.Results {
		host := hosts[i]
		if doubt := r.doubt(reply); doubt != "" {
			host.Message, host.Log = doubt, reply.Log
			problems = append(problems, fmt.Errorf("instance %s cannot say what it runs: %s", host.ID, doubt))
			continue
		}
		host.Before, host.Report = reply.Report.Version, reply.Report
		seen = max(seen, reply.Report.Generation)
		if len(hosts) <= maxListed {
			r.console.Info("%s runs %s", host.Instance, or(host.Before, "nothing yet"))
		}
	}
	if r.lock != nil {
		problems = append(problems, r.lock.RaiseGeneration(ctx, seen))
	}
	return some(problems)
}

// maxProblems bounds a list of what is wrong with instances, each of which may have the same.
const maxProblems = 20

// some joins problems, but not all when there are many.
func some(problems []error) error {
	problems = slices.DeleteFunc(problems, func(err error) bool { return err == nil })
	if more := len(problems) - maxProblems; more > 0 {
		problems = append(problems[:maxProblems:maxProblems], fmt.Errorf("and %d more", more))
	}
	return errors.Join(problems...)
}

// maxListed is how many instances are listed one by one in the log.
const maxListed = 100

// doubt says in words why a reply to a question is no answer; empty: it is one.
func (r *run) doubt(reply fleet.Result) string {
	switch report := reply.Report; {
	case report == nil:
		return reply.Reason
	case reply.Outcome != fleet.Completed || report.Code != 0 || report.Deployment != r.plan.DeploymentID || report.Service != r.plan.Release.Service:
		return or(report.Message, report.Outcome)
	}
	return ""
}

// settleUnknown asks the hosts of which nobody knows what became of the command, until each has
// said, or for as long as it makes sense. Before that the door is closed to the command where
// it is still on its way, so that "it never came" stays true.
func (r *run) settleUnknown(ctx context.Context, w want, hosts []*Host) error {
	open := unknown(hosts)
	if len(open) == 0 || ended(ctx) {
		return nil
	}
	r.console.Info("asking %s what became of it", Instances(len(open)))
	if r.lock != nil {
		if err := r.lock.RaiseGeneration(ctx, r.lock.Generation()); err != nil {
			return err
		}
	}
	for deadline := time.Now().Add(settleLimit); ; {
		if err := r.askAbout(ctx, w, open); err != nil {
			return err
		}
		open = slices.DeleteFunc(unknown(open), func(h *Host) bool { return h.final })
		if len(open) == 0 || time.Now().After(deadline) {
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(askAgain):
		}
	}
}

// askAbout asks each of the hosts once, as far as they can be reached.
func (r *run) askAbout(ctx context.Context, w want, hosts []*Host) error {
	ids := make([]string, len(hosts))
	for i, host := range hosts {
		ids[i] = host.ID
	}
	ready, unready, err := r.services.Fleet.Find(ctx, fleet.Targets{InstanceIDs: ids})
	if err != nil {
		return err
	}
	byID := map[string]*Host{}
	for _, host := range hosts {
		byID[host.ID] = host
	}
	for _, problem := range unready {
		byID[problem.Instance.ID].Message = "its answer is missing, and it " + problem.Reason
	}
	if len(ready) == 0 {
		return nil
	}
	answer, err := r.services.Fleet.Run(ctx, r.question(w.deployment), ready, nil)
	if err != nil && ctx.Err() == nil {
		return nil // one has gone since: the others are asked again
	}
	for _, reply := range answer.Results {
		host := byID[reply.Instance.ID]
		if doubt := r.doubt(reply); doubt != "" {
			host.Message = "its answer is missing, and asked again it says nothing: " + doubt
			continue
		}
		host.settleLater(w, reply.Report)
	}
	return err
}

// settleLater settles a host by what it answers to the question what became of the
// deployment.
func (h *Host) settleLater(w want, report *fleet.Report) {
	h.Report = report
	outcome, _, _ := strings.Cut(report.About, ":")
	switch outcome {
	case "deployed", "unchanged":
		if problem := w.missing(report); problem != "" {
			h.Message = "asked again: " + problem
			return
		}
		h.State, h.Changed, h.Message = Deployed, outcome == "deployed", "its answer was lost; asked again, it runs "+report.Version
	case "refused":
		h.State, h.Message = NotDeployed, "its answer was lost; asked again, it says that it refused, and runs "+or(report.Version, "nothing")
	case "rolled-back":
		h.State, h.Message = RolledBack, "its answer was lost; asked again, it says that it went back, and runs "+or(report.Version, "nothing")
	case "rollback-failed":
		h.State, h.Message = RollbackFailed, "its answer was lost; asked again, it says that it could not go back"
	case "none":
		if h.claimed { // two answers that cannot both be true
			h.final, h.Message = true, h.Message+"; asked again, it knows nothing of the deployment, and runs "+or(report.Version, "nothing")
			return
		}
		h.State, h.Message = NotDeployed, "the command never came to it, and would not be carried out any more; it runs "+or(report.Version, "nothing")
	case "under-way":
		h.Message = "its deploy is still under way"
	default:
		h.Message = fmt.Sprintf("asked again, it says %q", report.About)
	}
}

func unknown(hosts []*Host) (list []*Host) {
	for _, host := range hosts {
		if host.State == Unknown {
			list = append(list, host)
		}
	}
	return list
}

func named(hosts []*Host) []fleet.Instance {
	list := make([]fleet.Instance, len(hosts))
	for i, host := range hosts {
		list[i] = host.Instance
	}
	return list
}
