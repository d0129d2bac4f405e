package rollout_test

import (
	"bytes"
	"context"
	"testing"

	"github.com/org/atta-deploy-action/localaws"
	"github.com/org/atta-deploy-action/localaws/simhost"
)

// manyReleases is a host that holds more releases than the twenty that it lists (keep-releases may be 100): the oldest verified one is
// not among them, and is described when it is asked about.
type manyReleases struct{ *simhost.Host }

func (h manyReleases) Run(ctx context.Context, script string, env []string) localaws.Exit {
	exit := h.Host.Run(ctx, script, env)
	exit.Stdout = bytes.ReplaceAll(exit.Stdout, []byte(`,"0.1.27-dev"]`), []byte(`]`))
	return exit
}

func TestARollbackGoesToAReleaseThatIsHeldAndVerifiedAndNotListed(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		ids, hosts := f.addHosts(2, "")
		for i, id := range ids {
			f.AddInstance(localaws.Instance{ID: id, Name: "name-of-" + id, Machine: manyReleases{hosts[i]}})
		}
		f.deployVersions(ids, "0.1.27-dev", "0.1.28-dev", "0.1.29-dev")
		result, err := f.runPlan(f.rollbackPlan("0.1.27-dev", ids...))
		if err != nil || installedVersions(hosts) != "0.1.27 0.1.27" {
			t.Errorf("%s: the hosts run %s: %v", states(result), installedVersions(hosts), err)
		}
	})
}
