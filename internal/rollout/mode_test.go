package rollout_test

import (
	"errors"
	"testing"

	"github.com/org/atta-deploy-action/internal/inputs"
	"github.com/org/atta-deploy-action/internal/rollout"
	"github.com/org/atta-deploy-action/localaws/sample"
)

func TestAnImageOfAServerIsNotRunAsAJobByDefault(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		ids, hosts := f.addHosts(1, "0.1.29-dev")
		f.buildImage("a server", sample.WithPort("8080/tcp"))
		plan := f.plan("0.1.30-dev", ids...)
		_, err := f.runPlan(plan)
		wantErrorParts(t, err, "the image exposes 8080/tcp, so it may be a long-lived service, and would be run as a job: set mode: service or mode: job, or add deploy/systemd/atta.service")
		if n := len(f.mutatingRequests()); n > 0 || len(changedHosts(hosts)) > 0 {
			t.Errorf("%d changes", n)
		}
		for _, mode := range []string{"job", "service"} {
			plan.Bundle.Mode, plan.DryRun = mode, true
			if _, err := f.runPlan(plan); err != nil {
				t.Error(err)
			}
		}

		push := f.plan("0.1.30-dev")
		push.Phases = inputs.Phases{Image: true}
		pushed, err := f.runPlan(push)
		if err != nil {
			t.Fatal(err)
		}
		bundle := f.plan("0.1.30-dev")
		bundle.Phases, bundle.Image.Digest = inputs.Phases{Bundle: true}, pushed.Image.Digest
		var refused *rollout.ModeError
		if _, err := f.runPlan(bundle); !errors.As(err, &refused) {
			t.Errorf("in a separate job: %v", err)
		}
	})
}
