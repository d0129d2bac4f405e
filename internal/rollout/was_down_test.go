package rollout_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/org/atta-deploy-action/internal/rollout"
)

// What was down before the run is down after its rollback; the run knew that, and so does the post step.
func TestThePostStepKnowsWhatWasDownBefore(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		ids, hosts := f.addHosts(1, "0.1.29-dev")
		hosts[0].SetDrift("inactive")
		started := make(chan struct{}, 2)
		hosts[0].NextBehavior = neverEnding(started)
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			<-started
			time.Sleep(time.Second)
			cancel()
		}()
		_, _ = rollout.Run(ctx, f.plan("0.1.30-dev", ids...), f, f.console)
		result, err := f.runPostStep()
		if got := result.Hosts[0]; got.State != rollout.RolledBack || !strings.Contains(got.Message, "has 0.1.29-dev, which was down before") {
			t.Errorf("%s: %s, %v", got.State, got.Message, err)
		}
	})
}
