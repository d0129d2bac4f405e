package inputs

import (
	"slices"
	"time"

	"github.com/org/atta-deploy-action/deploy"
)

// parseTimeouts checks that the nested timeouts fit: min-healthy-time within health-timeout, draining and health within the
// command, and lock, delivery and command within the run. The bounds of delivery-timeout and command-timeout are those of
// SendCommand's TimeoutSeconds and AWS-RunShellScript's executionTimeout:
// https://docs.aws.amazon.com/systems-manager/latest/userguide/monitor-commands.html
func (p *parser) parseTimeouts(task Task, rollout deploy.Policy) Timeouts {
	limits := Timeouts{
		Lock:     p.parseDuration("lock-timeout", 0, 24*time.Hour),
		Delivery: p.parseDuration("delivery-timeout", 30*time.Second, 720*time.Hour),
		Command:  p.parseDuration("command-timeout", time.Minute, 48*time.Hour),
		Run:      p.parseDuration("timeout", time.Minute, 120*time.Hour),
	}
	incomplete := slices.Contains([]time.Duration{limits.Delivery, limits.Command, limits.Run, rollout.DrainTimeout, rollout.HealthTimeout, rollout.MinHealthyTime}, 0)
	if !task.Phases.Rollout || task.Operation == "status" || task.Operation == "doctor" || incomplete {
		return limits
	}
	if rollout.HealthTimeout <= rollout.MinHealthyTime {
		p.rejectValue("health-timeout", p.rawValue("health-timeout"),
			"more than min-healthy-time, "+formatDuration(rollout.MinHealthyTime))
	}
	parts, work := "health-timeout", rollout.HealthTimeout
	if rollout.OnRunning == "wait" {
		parts, work = "drain-timeout plus health-timeout", work+rollout.DrainTimeout
	}
	if limits.Command <= work {
		p.rejectValue("command-timeout", p.rawValue("command-timeout"), "more than "+parts+", "+formatDuration(work))
	}
	if parts := limits.Lock + limits.Delivery + limits.Command; limits.Run < parts {
		p.rejectValue("timeout", p.rawValue("timeout"), "at least lock-timeout plus delivery-timeout plus command-timeout, "+formatDuration(parts))
	}
	return limits
}
