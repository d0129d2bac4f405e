package rollout

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/org/atta-deploy-action/deploy"
	"github.com/org/atta-deploy-action/internal/fleet"
	"github.com/org/atta-deploy-action/internal/inputs"
)

// A host whose state is unknown is asked again for a while.
const (
	resolveInterval  = 5 * time.Second
	resolveTimeLimit = 2 * time.Minute
)

// resolveUnknown asks the hosts of unknown state until each has answered, or until the time
// limit. Before that it fences them, so that a command that is still on its way is refused
// and "it never came" stays true.
func (c *commander) resolveUnknown(ctx context.Context, want expectation, hosts []*Host) error {
	open := hostsIn(hosts, Unknown)
	if len(open) == 0 || isDone(ctx) {
		return nil
	}
	c.console.Info("asking %s for the result, until %s", Instances(len(open)), formatTime(time.Now().Add(resolveTimeLimit)))
	if c.lease != nil {
		if err := c.lease.RaiseGeneration(ctx, c.lease.Generation()); err != nil {
			return err
		}
	}
	return c.askAgain(ctx, want.deployment, open, resolveTimeLimit, func(host *Host, report *deploy.Report, silence string) {
		if report == nil {
			host.Message = "its answer is missing, and it " + silence
			return
		}
		host.applyStatus(want, report)
	})
}

// apply sets the state of a host by its answer to a status command, or by why there is none.
type apply func(host *Host, report *deploy.Report, silence string)

// askAgain asks hosts for their status, and about a deployment unless that is empty, until the state of each
// is known, or until the time limit. One that says that its deploy is under way has until the end of its command.
func (c *commander) askAgain(ctx context.Context, about string, hosts []*Host, limit time.Duration, apply apply) error {
	until := time.Now().Add(limit)
	lastAnswer := until.Add(c.delivery + statusTimeout + answerGrace) // of a command that is sent just before
	defer c.console.beginWait(lastAnswer, func() string { return "instances that do not answer" })()
	for {
		if err := c.askOnce(ctx, about, hosts, apply); err != nil {
			return err
		}
		isOver := !time.Now().Before(until)
		hosts = slices.DeleteFunc(hostsIn(hosts, Unknown), func(h *Host) bool {
			return h.resolved || isOver && !h.isUnderWay(c.timeout)
		})
		if len(hosts) == 0 {
			return nil
		}
		if !sleepContext(ctx, resolveInterval) {
			return context.Cause(ctx)
		}
	}
}

// isUnderWay reports whether a host has answered that its deploy is at work, and its command, which may take so long, can be.
func (h *Host) isUnderWay(timeout time.Duration) bool {
	return h.Report != nil && h.Report.About == deploy.AboutUnderWay && time.Since(h.Sent) < timeout
}

// askOnce asks each of the hosts that can be reached.
func (c *commander) askOnce(ctx context.Context, about string, hosts []*Host, apply apply) error {
	byID := map[string]*Host{}
	for _, host := range hosts {
		byID[host.ID] = host
	}
	ready, unready, err := c.fleet.Find(ctx, inputs.Targets{InstanceIDs: instanceIDs(hosts)})
	if err != nil {
		return err
	}
	for _, problem := range unready {
		apply(byID[problem.Instance.ID], nil, problem.Reason)
	}
	if len(ready) == 0 {
		return nil
	}
	answers, err := c.sendCommand(ctx, c.statusRequest(about), ready, nil)
	if err != nil && ctx.Err() == nil {
		return nil // one has disappeared since: the others are asked again
	}
	for _, answer := range answers {
		host := byID[answer.Instance.ID]
		if why := c.noAnswerReason(answer); why != "" {
			apply(host, nil, "did not answer again: "+why)
			continue
		}
		apply(host, answer.report, "")
		host.Log, host.seen = cmp.Or(answer.log, host.Log), answer.Ended
	}
	return err
}

// dropUnreachable returns the hosts that SSM can reach now, and makes the others not deployed: one of them would keep
// a command from all.
// https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_SendCommand.html (InvalidInstanceId)
func (c *commander) dropUnreachable(ctx context.Context, hosts []*Host) []*Host {
	ready, unready, err := c.fleet.Find(ctx, inputs.Targets{InstanceIDs: instanceIDs(hosts)})
	if err != nil {
		c.console.Info("not known who can be reached: %v", err)
		return hosts
	}
	for _, problem := range unready {
		host := hosts[slices.IndexFunc(hosts, func(h *Host) bool { return h.ID == problem.Instance.ID })]
		host.State, host.stale, host.Message = NotDeployed, true, problem.Reason
	}
	return slices.DeleteFunc(slices.Clone(hosts), func(h *Host) bool {
		return !slices.ContainsFunc(ready, func(i fleet.Instance) bool { return i.ID == h.ID })
	})
}

func instanceIDs(hosts []*Host) []string {
	ids := make([]string, len(hosts))
	for i, host := range hosts {
		ids[i] = host.ID
	}
	return ids
}
