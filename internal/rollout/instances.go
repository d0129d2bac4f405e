package rollout

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/org/atta-deploy-action/deploy"
	"github.com/org/atta-deploy-action/internal/fleet"
)

// answerGrace is what the fleet adds to the timeouts of a command before it takes an answer for lost.
const answerGrace = 30 * time.Second

// openInstances are those that a command has not ended on.
type openInstances struct {
	mu    sync.Mutex
	state string
}

func (o *openInstances) setOpen(open []fleet.Instance, states fleet.States) {
	var names []string
	for _, instance := range open[:min(len(open), maxNamed)] {
		names = append(names, instance.String())
	}
	if more := len(open) - len(names); more > 0 {
		names = append(names, fmt.Sprintf("%d more", more))
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.state = fmt.Sprintf("%s (%s)", strings.Join(names, ", "), formatStates(states))
}

func (o *openInstances) describeOpen() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.state
}

// waitForCommand runs a command, and names those that it waits for.
func (c *commander) waitForCommand(ctx context.Context, command fleet.Command, on []fleet.Instance, progress fleet.Progress) (fleet.Run, error) {
	var open openInstances
	open.setOpen(on, fleet.States{string(fleet.StatusNotSent): len(on)})
	defer c.console.beginWait(time.Now().Add(c.delivery+command.Timeout+answerGrace), open.describeOpen)()
	return c.fleet.Run(ctx, command, on, func(commands []string, states fleet.States, ended []fleet.Result) {
		on = slices.DeleteFunc(slices.Clone(on), func(i fleet.Instance) bool {
			return slices.ContainsFunc(ended, func(r fleet.Result) bool { return r.Instance.ID == i.ID })
		})
		open.setOpen(on, states)
		if progress != nil {
			progress(commands, states, ended)
		}
	})
}

// formatStates counts the states in a line: 3 Success, 1 InProgress.
func formatStates(states fleet.States) string {
	parts := make([]string, 0, len(states))
	for _, state := range slices.Sorted(maps.Keys(states)) {
		parts = append(parts, fmt.Sprintf("%d %s", states[state], state))
	}
	return strings.Join(parts, ", ")
}

// formatPhases names the phases of a host that took a second or longer: " (pull 8.1 s, health 5.0 s)".
func formatPhases(report *deploy.Report) string {
	var parts []string
	for _, phase := range deploy.Phases() {
		if report != nil && report.Millis[phase] >= 1000 {
			parts = append(parts, fmt.Sprintf("%s %.1f s", phase, float64(report.Millis[phase])/1000))
		}
	}
	if len(parts) == 0 {
		return ""
	}
	return " (" + strings.Join(parts, ", ") + ")"
}
