package rollout

import (
	"strings"
	"testing"

	"github.com/org/atta-deploy-action/deploy"
)

// A job goes on, or is run again, after its wave.
func TestALaterLookAtAJobSaysWhatBecameOfIt(t *testing.T) {
	sees := func(evidence deploy.Evidence, verified bool, unit string) func(*deploy.Report) {
		return func(r *deploy.Report) { r.Evidence, r.Verified, r.Unit = evidence, verified, unit }
	}
	for name, test := range map[string]struct {
		wave, later func(*deploy.Report)
		state       State
		message     string
	}{
		"still at work, after a run that succeeded": {sees("at-work", true, "activating"), sees("at-work", true, "activating"), Running, "its message"},
		"still at work":                         {sees("at-work", false, "activating"), sees("at-work", false, "activating"), Running, "its message"},
		"it has succeeded":                      {sees("at-work", false, "activating"), sees("succeeded", true, "inactive"), Deployed, "runs 0.1.30-dev, unit inactive"},
		"it was stopped":                        {sees("at-work", false, "activating"), sees("not-run", false, "inactive"), Installed, "of which no run has succeeded yet"},
		"a timer has begun the next run":        {sees("succeeded", true, "inactive"), sees("at-work", true, "activating"), Deployed, "its message"},
		"its container is removed":              {sees("succeeded", true, "inactive"), sees("not-run", true, "inactive"), Deployed, "its message"},
		"it is removed, and the next run fails": {sees("succeeded", true, "inactive"), sees("not-run", true, "failed"), Drifted, "differs in unit-state"},
		"not run, and the unit failed long ago": {sees("not-run", true, "failed"), sees("not-run", true, "failed"), Deployed, "its message"},
	} {
		t.Run(name, func(t *testing.T) {
			host := Host{Before: "0.1.29-dev"}
			host.applyAnswer(wanted, successAnswer(func(a *answer) { test.wave(a.report) }))
			host.State = Unknown
			later := *successAnswer(func(a *answer) { test.later(a.report) }).report
			later.Outcome, later.Message = deploy.OutcomeStatus, "atta is installed"
			host.applyRecheck(&later)
			if host.State != test.state || !strings.Contains(host.Message, test.message) {
				t.Errorf("%s: %s", host.State, host.Message)
			}
		})
	}
}
