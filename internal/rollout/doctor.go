package rollout

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/org/atta-deploy-action/deploy"
	"github.com/org/atta-deploy-action/internal/fleet"
)

// diagnoseDeploy checks everything that a deploy needs and that can be checked without changing anything, one line each. Each
// problem is an error. That the role may write to the repository and the bucket cannot be checked so.
func (r *run) diagnoseDeploy(ctx context.Context, account Account) error {
	if err := r.connectAccount(ctx, account); err != nil {
		return err
	}
	var problems []error
	note := func(name, detail string, err error) {
		mark := "✓"
		if err != nil {
			mark, detail = "✗", err.Error()
			problems = append(problems, err)
		}
		r.console.Info("%s %-10s  %s", mark, name, detail)
	}
	detail, err := r.diagnoseRepository(ctx)
	note("repository", detail, err)
	current, err := r.services.Lease.ReadCurrent(ctx)
	note("bucket", "should run: "+cmp.Or(current.Version, "nothing yet"), err)
	r.noticeHolder(ctx)
	unusable := r.checkDocument(ctx)
	note("document", r.describeDocument(), unusable)

	ready, unready, err := r.services.Fleet.Find(ctx, r.plan.Targets)
	if n := len(ready) + len(unready); err == nil && n < r.plan.Targets.MinInstances {
		err = &TooFewError{Found: ready, Want: r.plan.Targets.MinInstances}
	}
	note("instances", fmt.Sprintf("%d found, %d ready", len(ready)+len(unready), len(ready)), err)
	for _, problem := range unready {
		note("instance", "", problem)
		r.result.Hosts = append(r.result.Hosts, &Host{Instance: problem.Instance, State: NotDeployed, Message: problem.Reason})
	}
	if unusable == nil && len(ready) > 0 {
		problems = append(problems, r.diagnoseHosts(ctx, ready))
	}
	return errors.Join(limitProblems(problems), setOutputs(r.console, "instance-count", fmt.Sprint(len(ready)+len(unready))))
}

// diagnoseRepository reads the tag that is moved when a deploy has ended.
func (r *run) diagnoseRepository(ctx context.Context) (detail string, err error) {
	if r.services.Repository == nil {
		return "not checked, since ecr-repository is not set", nil
	}
	alias := r.plan.Release.Alias()
	digest, err := r.services.Repository.Check(ctx, alias)
	if digest == "" {
		return "has no tag " + alias + " yet", err
	}
	return alias + " is " + digest, err
}

func (r *run) describeDocument() string {
	if r.document.Name == "" {
		return fleet.RunShellScript + ": whoever may send it is root on the instances"
	}
	return fmt.Sprintf("%s, version %s", r.document.Name, r.document.Version)
}

// diagnoseHosts asks hosts whether they are ready for a deploy.
func (r *run) diagnoseHosts(ctx context.Context, ready []fleet.Instance) error {
	hosts := newHosts(ready)
	r.result.Hosts = append(r.result.Hosts, hosts...)
	c := r.commander()
	header := c.fencedHeader()
	header.NotAfter = time.Time{}
	answers, err := c.sendCommand(ctx, deploy.DoctorRequest{Header: header, Region: r.plan.Region, SettingsFrom: r.plan.Rollout.Policy.SettingsFrom}, ready, nil)
	problem := &UnhealthyError{}
	for i, answer := range answers {
		host := hosts[i]
		host.Report, host.Log, host.Status = answer.report, answer.log, answer.Status
		mark := "✓"
		if why := c.noAnswerReason(answer); why != "" {
			mark, host.State, host.Message = "✗", NotDeployed, why
			problem.Hosts = append(problem.Hosts, host)
		} else {
			host.Message = answer.report.Message
		}
		if len(ready) <= maxListed || host.State == NotDeployed {
			r.console.Info("%s %-10s  %s %s", mark, "instance", host.Instance, host.Message)
		}
	}
	if len(problem.Hosts) == 0 {
		return err
	}
	return errors.Join(err, problem)
}
