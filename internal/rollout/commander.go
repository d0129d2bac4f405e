package rollout

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/org/atta-deploy-action/deploy"
	"github.com/org/atta-deploy-action/internal/fleet"
	"github.com/org/atta-deploy-action/internal/lease"
)

// statusTimeout limits a status command, which reads a few files.
const statusTimeout = time.Minute

// maxListed is how many instances are listed one by one in the log.
const maxListed = 100

// commander has hosts run commands, and resolves the result of each.
type commander struct {
	fleet          instances
	document       fleet.Document // zero: AWS-RunShellScript
	console        *narrator
	log            *liveLog // nil: the log of the hosts is not shown while they work
	header         deploy.Header
	lease          *lease.Lease  // nil: the commands change nothing
	version        string        // that a status command describes if the host holds it; empty: its previous one
	fence          int64         // without a lease, the generation that commands carry; 0: none
	delivery       time.Duration // of a command to a host
	timeout        time.Duration // of a command that changes something, on a host
	total          int           // hosts of the run
	saveCommandIDs func(ids []string) error
}

// releaseRequest makes a host run a release.
func (c *commander) releaseRequest(plan Plan, result Result, imageBytes int64) deploy.ReleaseRequest {
	policy := plan.Rollout.Policy
	if plan.Operation == Rollback {
		policy.AllowDowngrade, policy.AllowQuarantined = true, true
	}
	return deploy.ReleaseRequest{
		Header: c.changeHeader(), Rollback: plan.Operation == Rollback, Version: plan.Release.Version.String(), Image: result.Image.URI, ImageBytes: imageBytes, Region: plan.Region,
		BundleURI: result.Bundle.URI, BundleSHA256: result.Bundle.SHA256, Policy: policy,
	}
}

// rollbackRequest makes a host run a version that it holds; without one, its previous
// verified release.
func (c *commander) rollbackRequest(version string) deploy.Request {
	return deploy.RollbackRequest{Header: c.changeHeader(), Version: version}
}

// statusRequest changes nothing that runs. It fences the host against commands of an
// earlier generation; about may name a deployment.
func (c *commander) statusRequest(about string) deploy.Request {
	header := c.fencedHeader()
	header.NotAfter = time.Time{}
	return deploy.StatusRequest{Header: header, About: about, Version: c.version}
}

func (c *commander) fencedHeader() deploy.Header {
	header := c.header
	header.Generation = c.fence
	if c.lease != nil {
		header.Generation = c.lease.Generation()
	}
	return header
}

// changeHeader is the header of a request that changes something.
func (c *commander) changeHeader() deploy.Header {
	header := c.fencedHeader()
	header.LiveLog = c.log != nil
	return header
}

// sendCommand has instances run a request. The answers are complete in every case.
func (c *commander) sendCommand(ctx context.Context, request deploy.Request, on []fleet.Instance, progress fleet.Progress) ([]answer, error) {
	command, err := c.newCommand(request)
	if err != nil {
		return nil, err
	}
	command.Comment = fmt.Sprintf("%s %s %s", request.Command(), c.header.Service, c.header.DeploymentID)
	command.Timeout, command.StopOnFailure = c.timeout, true
	command.IsAnswer = func(stdout string) bool { _, err := deploy.ParseReport(stdout); return err == nil }
	switch request := request.(type) {
	case deploy.StatusRequest:
		command.Timeout, command.StopOnFailure, command.WantsLog = statusTimeout, false, request.About != ""
	case deploy.DoctorRequest:
		command.Timeout, command.StopOnFailure, command.WantsLog = statusTimeout, false, true // as after a failure
	case deploy.RollbackRequest:
		command.StopOnFailure = false // one that cannot roll back says nothing about the others
	case deploy.ReleaseRequest:
		if request.CheckOnly {
			command.Timeout, command.StopOnFailure = min(c.timeout, checkTimeout), false
		}
	}
	if _, isRollback := request.(deploy.RollbackRequest); c.log != nil && (isRollback || command.StopOnFailure) { // it changes something
		command.LogGroup = c.log.reader.Group()
	}
	run, err := c.waitForCommand(ctx, command, on, progress)
	if _, isDoctor := request.(deploy.DoctorRequest); isDoctor {
		err = errors.Join(err, run.Denied)
	} else if run.Denied != nil {
		c.console.Warning("Only the beginning of the log is shown", "%v; see %s", run.Denied, permissionsPage)
	}
	answers := make([]answer, len(run.Results))
	for i, result := range run.Results {
		answers[i] = readAnswer(result)
	}
	return answers, err
}

// runCommand has hosts run a request that changes them, and resolves the state of each.
func (c *commander) runCommand(ctx context.Context, request deploy.Request, want expectation, hosts []*Host) error {
	var problems []error
	shown := map[*Host]string{}
	saved := 0
	follower := c.log.followCommands(ctx)
	answers, err := c.sendCommand(ctx, request, instancesOf(hosts), func(commands []string, states fleet.States, ended []fleet.Result) {
		for _, id := range commands[saved:] {
			c.console.Info("command %s", id)
			problems = append(problems, c.saveCommandIDs([]string{id}))
		}
		saved = len(commands)
		follower.setCommands(commands)
		c.console.Info("%s", formatStates(states))
		for _, result := range ended {
			host := hosts[slices.IndexFunc(hosts, func(h *Host) bool { return h.ID == result.Instance.ID })]
			if host.applyAnswer(want, readAnswer(result)); host.State != Unknown {
				c.showHost(host, len(hosts), shown)
			}
		}
	})
	follower.keepWholeLogs(ctx, answers)
	for i, answer := range answers {
		hosts[i].applyAnswer(want, answer)
	}
	problems = append(problems, err, c.resolveUnknown(ctx, want, hosts))
	for _, host := range hosts {
		c.showHost(host, len(hosts), shown)
		if !host.hasRelease() && !c.log.hasLog(host) {
			c.console.Untrusted(host.Log)
		}
	}
	return errors.Join(problems...)
}

// showHost logs the state of a host, one of so many, unless that is shown already. Of a large number, only those that need
// attention are shown.
func (c *commander) showHost(host *Host, of int, shown map[*Host]string) {
	line := fmt.Sprintf("%s: %s: %s%s", host.Instance, host.State, host.Message, formatPhases(host.Report))
	if shown[host] == line || host.hasRelease() && of > maxListed {
		return
	}
	shown[host] = line
	c.console.Info("%s", line)
}

// queryHosts asks hosts what they run now. Each host that does not answer has no report, and
// is one of the problems. Unless errors are tolerated, a command that could not be sent
// ends it.
func (c *commander) queryHosts(ctx context.Context, hosts []*Host, tolerant bool) (unanswered []error, err error) {
	answers, err := c.sendCommand(ctx, c.statusRequest(""), instancesOf(hosts), nil)
	if err != nil && !tolerant {
		return nil, err
	}
	var highest int64
	for i, answer := range answers {
		host := hosts[i]
		host.Status = answer.Status
		if why := c.noAnswerReason(answer); why != "" {
			host.Message, host.Log = why, answer.log
			unanswered = append(unanswered, fmt.Errorf("instance %s cannot report what it runs: %s", host.ID, why))
			continue
		}
		host.Before, host.Report = answer.report.Version, answer.report
		if answer.report.Verified {
			host.verified = answer.report.Digest
		}
		host.wasBusy = answer.report.Busy || slices.Contains(answer.report.Drift, "cut-off")
		host.wasDown = slices.Contains(answer.report.Drift, "inactive") || slices.Contains(answer.report.Drift, "container") ||
			answer.report.Evidence == deploy.EvidenceFailed && slices.Contains(answer.report.Drift, "last-run")
		highest = max(highest, answer.report.Generation)
		if len(hosts) <= maxListed {
			c.console.Info("%s runs %s", host.Instance, cmp.Or(host.Before, "nothing yet"))
		}
	}
	if c.lease != nil {
		err = errors.Join(err, c.lease.RaiseGeneration(ctx, highest))
	}
	return unanswered, err
}

// noAnswerReason is why an answer to a status command is none; empty: it is one.
func (c *commander) noAnswerReason(a answer) string {
	switch report := a.report; {
	case report == nil:
		return a.Reason
	case a.Outcome != fleet.Completed || report.Code != deploy.ExitOK || report.Deployment != c.header.DeploymentID || report.Service != c.header.Service:
		return cmp.Or(report.Message, string(report.Outcome))
	}
	return ""
}

func joinIDs(ids []string) string { return strings.Join(ids, ",") }
