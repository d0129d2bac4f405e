package rollout

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/org/atta-deploy-action/deploy"
	"github.com/org/atta-deploy-action/internal/fleet"
)

// statusTimeout bounds the question what a host runs: it reads two files.
const statusTimeout = time.Minute

// rollOut deploys to every host at once and settles what became of each.
func (r *run) rollOut(ctx context.Context) error {
	on := make([]fleet.Instance, len(r.result.Hosts))
	for i, host := range r.result.Hosts {
		on[i] = host.Instance
	}
	size, err := r.services.Repository.Size(ctx, r.result.Image.Digest)
	if err != nil {
		return err
	}
	var problem error
	answer, err := r.services.Fleet.Run(ctx, r.deployScript(size), on, func(command string, states fleet.States) {
		if len(r.result.CommandIDs) == 0 {
			r.result.CommandIDs = []string{command}
			r.console.Info("command %s", command)
			problem = r.output("command-ids", command)
		}
		r.console.Info("%s", describe(states))
	})
	for i, reply := range answer.Results {
		host := &r.result.Hosts[i]
		host.settle(r.plan, r.result.Image.Digest, reply)
		r.console.Info("%s: %s: %s", host.Instance, host.State, host.Message)
		if host.State != Deployed {
			r.console.Foreign(host.Log)
		}
	}
	return errors.Join(err, failures(r.result.Hosts), problem)
}

// deployScript is the one command of a deploy of an image of that many bytes. Only
// parameters differ between two deploys, and each but the health check's own two is
// of a fixed form.
func (r *run) deployScript(size int64) fleet.Script {
	parameters := []string{"deploy"}
	add := func(name string, value any) { parameters = append(parameters, fmt.Sprintf("--%s=%v", name, value)) }
	seconds := func(d time.Duration) int { return int(d / time.Second) }
	add("service", r.plan.Release.Service)
	add("version", r.plan.Release.Version)
	add("image", r.result.Image.URI)
	add("image-bytes", size)
	add("region", r.plan.Region)
	add("bundle", r.result.Bundle.URI)
	add("sha256", r.result.Bundle.SHA256)
	add("deployment", r.plan.DeploymentID)
	add("generation", r.lock.Generation())
	add("not-after", r.plan.Deadline.Unix())
	add("allow-downgrade", r.plan.AllowDowngrade)
	add("allow-quarantined", r.plan.AllowQuarantined)
	add("on-running", r.plan.OnRunning)
	add("drain-timeout", seconds(r.plan.DrainTimeout))
	add("run-on-deploy", r.plan.RunOnDeploy)
	add("health-timeout", seconds(r.plan.HealthTimeout))
	add("min-healthy-time", seconds(r.plan.MinHealthyTime))
	add("keep-releases", r.plan.KeepReleases)
	if r.plan.HealthCommand != "" {
		add("health-command", r.plan.HealthCommand)
	}
	if r.plan.HealthURL != "" {
		add("health-url", r.plan.HealthURL)
	}
	return fleet.Script{
		Text:       deploy.Bootstrap,
		Parameters: parameters,
		Comment:    fmt.Sprintf("deploy %s %s", r.plan.Release.Service, r.plan.Release.Version),
		Timeout:    r.plan.CommandTimeout,
	}
}

// describe counts the states in a line: 3 Success, 1 InProgress.
func describe(states fleet.States) string {
	parts := make([]string, 0, len(states))
	for _, state := range slices.Sorted(maps.Keys(states)) {
		parts = append(parts, fmt.Sprintf("%d %s", states[state], state))
	}
	return strings.Join(parts, ", ")
}

// UnhealthyError lists the hosts that are not proved to run the release.
type UnhealthyError struct {
	Hosts []Host
	Of    int // hosts in all
}

// maxNamed is how many hosts an error names.
const maxNamed = 5

func (e *UnhealthyError) Error() string {
	var lines []string
	if e.Of > 1 {
		lines = append(lines, fmt.Sprintf("%d of %d instances are not known to run the release", len(e.Hosts), e.Of))
	}
	for _, host := range e.Hosts[:min(len(e.Hosts), maxNamed)] {
		lines = append(lines, fmt.Sprintf("instance %s: %s: %s", host.Instance, host.State, host.Message))
	}
	if more := len(e.Hosts) - maxNamed; more > 0 {
		lines = append(lines, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(lines, "\n")
}

func failures(hosts []Host) error {
	var bad []Host
	for _, host := range hosts {
		if host.State != Deployed {
			bad = append(bad, host)
		}
	}
	if len(bad) == 0 {
		return nil
	}
	return &UnhealthyError{Hosts: bad, Of: len(hosts)}
}
