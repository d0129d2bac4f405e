package rollout_test

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"github.com/org/atta-deploy-action/internal/rollout"
	"github.com/org/atta-deploy-action/localaws"
	"github.com/org/atta-deploy-action/localaws/simhost"
)

// failingJob is a host on which each run of the job 0.1.29-dev, which a timer starts, fails.
type failingJob struct{ *simhost.Host }

func (h failingJob) Run(ctx context.Context, script string, env []string) localaws.Exit {
	exit := h.Host.Run(ctx, script, env)
	if strings.Contains(script, "\nset -- status ") && bytes.Contains(exit.Stdout, []byte(`"version":"0.1.29-dev"`)) {
		exit.Stdout = bytes.ReplaceAll(exit.Stdout, []byte(`"evidence":"running"`), []byte(`"evidence":"failed"`))
		for _, drift := range []string{`"drift":null`, `"drift":[]`} {
			exit.Stdout = bytes.ReplaceAll(exit.Stdout, []byte(drift), []byte(`"drift":["last-run"]`))
		}
	}
	return exit
}

// The last run of a job had failed before the deploy, as does the next one after it. The deploy is rolled back, and its answer is lost.
func TestAJobThatHadFailedBeforeIsRolledBackAlsoWhenTheAnswerIsLost(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		ids, hosts := f.addHosts(1, "0.1.29-dev")
		hosts[0].NextBehavior = unhealthy
		f.AddInstance(localaws.Instance{ID: ids[0], Name: "name-of-i-01", Machine: failingJob{hosts[0]}, InjectFault: loseAnswers(1)})
		result, err := f.runPlan(f.plan("0.1.30-dev", ids...))
		if got := result.Hosts[0]; got.State != rollout.RolledBack {
			t.Errorf("%s: %s, %v", got.State, got.Message, err)
		}
	})
}
