package rollout_test

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"github.com/org/atta-deploy-action/internal/inputs"
	"github.com/org/atta-deploy-action/localaws"
	"github.com/org/atta-deploy-action/localaws/simhost"
)

// silentEngine is a host whose Docker engine does not answer any more when it is asked about a rollback.
type silentEngine struct{ *simhost.Host }

func (h silentEngine) Run(ctx context.Context, script string, env []string) localaws.Exit {
	exit := h.Host.Run(ctx, script, env)
	if strings.Contains(script, "\nset -- status ") && strings.Contains(script, "--about=") {
		exit.Stdout = bytes.ReplaceAll(exit.Stdout, []byte(`"evidence":"running"`), []byte(`"evidence":""`))
		exit.Stdout = bytes.ReplaceAll(exit.Stdout, []byte(`"drift":null`), []byte(`"drift":["engine"]`))
		exit.Stdout = bytes.ReplaceAll(exit.Stdout, []byte(`"drift":[]`), []byte(`"drift":["engine"]`))
	}
	return exit
}

// The answer of the first instance of a rollback in waves is lost, and then its Docker engine does not answer, which says nothing
// about the release. The others run the bad release.
func TestAnEngineThatDoesNotAnswerDoesNotKeepTheOthersOnTheBadRelease(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		ids, hosts := f.addHosts(3, "0.1.28-dev")
		f.deployVersions(ids, "0.1.29-dev")
		f.AddInstance(localaws.Instance{ID: ids[0], Name: "name-of-i-01", Machine: silentEngine{hosts[0]}, InjectFault: loseAnswers(1)})
		plan := f.rollbackPlan("", ids...)
		plan.Rollout.Waves = []inputs.Wave{{Hosts: 1}, {Percent: 100}}
		result, err := f.runPlan(plan)
		if err == nil || installedVersions(hosts[1:]) != "0.1.28 0.1.28" {
			t.Errorf("%s: the others run %s: %v", states(result), installedVersions(hosts[1:]), err)
		}
	})
}
