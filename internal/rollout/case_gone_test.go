package rollout_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/org/atta-deploy-action/internal/image"
	"github.com/org/atta-deploy-action/internal/inputs"
	"github.com/org/atta-deploy-action/internal/report"
	"github.com/org/atta-deploy-action/internal/storage"
	"github.com/org/atta-deploy-action/localaws"
	"github.com/org/atta-deploy-action/localaws/simhost"
)

// A lifecycle policy may expire the image of a version that instances run or hold:
// https://github.com/chanzuckerberg/single-cell-data-portal/issues/5885
func TestCaseAnImageThatAPolicyHasExpired(t *testing.T) {
	rollbackFixture(t, func(f *fixture, ids []string, hosts []*simhost.Host) {
		f.ExpireImage("atta", "0.1.28-dev")
		_, err := f.runPlan(f.rollbackPlan("0.1.28-dev", ids...))
		wantErrorParts(f.t, err, "0.1.28-dev is not among the releases of 1 instance (i-03 (name-of-i-03)), and it cannot be deployed there", "not in the registry")
		if !errors.Is(err, image.ErrNotFound) || installedVersions(hosts) != "0.1.30 0.1.30 0.1.30" {
			f.t.Errorf("the hosts run %s: %v", installedVersions(hosts), err)
		}
		plan := f.rollbackPlan("0.1.28-dev", ids[:2]...) // they have the image
		plan.DeploymentID = "again"
		if _, err := f.runPlan(plan); err != nil || installedVersions(hosts) != "0.1.28 0.1.28 0.1.30" {
			f.t.Errorf("the hosts run %s: %v", installedVersions(hosts), err)
		}
		f.buildImage("program of 0.1.30-dev")
		f.ExpireImage("atta", "0.1.30-dev")
		plan = f.plan("0.1.30-dev", ids...)
		plan.DeploymentID = "built-again"
		if _, err := f.runPlan(plan); err != nil || installedVersions(hosts) != "0.1.30 0.1.30 0.1.30" {
			f.t.Errorf("the hosts run %s: %v", installedVersions(hosts), err)
		}
	})
}

// A lifecycle rule may move what is in the bucket to an archive, where it can be seen and not be read:
// https://github.com/ministryofjustice/modernisation-platform/issues/7186, https://github.com/TracecatHQ/tracecat/pull/3415
func TestCaseABundleInAnArchive(t *testing.T) {
	rollbackFixture(t, func(f *fixture, ids []string, hosts []*simhost.Host) {
		f.ArchiveObject(bucket, "bundles/dev/atta/deploy-bundle-0.1.28-dev.tar.gz", "GLACIER")
		f.ArchiveObject(bucket, "bundles/dev/atta/deploy-bundle-0.1.30-dev.tar.gz", "DEEP_ARCHIVE")
		before := len(f.mutatingRequests())
		f.buildImage("program of 0.1.30-dev")
		rollback, deploy, status := f.rollbackPlan("0.1.28-dev", ids...), f.plan("0.1.30-dev", ids...), f.plan("0.1.30-dev", ids...)
		deploy.DeploymentID = "again"
		status.Phases, status.DeploymentID = inputs.Phases{Bundle: true}, "bundle-only"
		for _, plan := range []struct {
			name, class string
			run         func() error
		}{
			{"rollback", "GLACIER", func() error { _, err := f.runPlan(rollback); return err }},
			{"deploy", "DEEP_ARCHIVE", func() error { _, err := f.runPlan(deploy); return err }},
			{"bundle alone", "DEEP_ARCHIVE", func() error { _, err := f.runPlan(status); return err }},
		} {
			err := plan.run()
			wantErrorParts(f.t, err, "it is archived, in the storage class "+plan.class)
			if !errors.Is(err, storage.ErrArchived) {
				f.t.Errorf("%s: %v", plan.name, err)
			}
		}
		if now := f.mutatingRequests()[before:]; installedVersions(hosts) != "0.1.30 0.1.30 0.1.30" || len(now) > 3 { // each rollback or deploy asks for the status
			f.t.Errorf("the hosts run %s, and the requests were %q", installedVersions(hosts), now)
		}
		f.ArchiveObject(bucket, leasePrefix+"current.json", "GLACIER")
		_, err := f.runPlan(f.plan("0.1.31-dev", ids...))
		wantErrorParts(f.t, err, "read s3://artifacts/deployments/dev/atta/current.json: ", "InvalidObjectState")
		if !errors.Is(err, storage.ErrArchived) {
			f.t.Error(err)
		}
	})
}

// An auto scaling group terminates an instance while the deploy is at work on it: https://github.com/acquia/moonshot/issues/7
// What became of the release there is not known, so the others go back, and the remedy is for an instance that is gone, too.
func TestCaseAnInstanceThatIsTerminatedDuringItsDeploy(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		ids, hosts := f.addHosts(3, "0.1.29-dev")
		dev := map[string]string{"Environment": "dev"}
		for i, id := range ids {
			f.AddInstance(localaws.Instance{ID: id, Machine: hosts[i], Tags: dev})
		}
		f.AddInstance(localaws.Instance{ID: ids[1], Machine: hosts[1], Tags: dev, InjectFault: func(i localaws.Invocation) *localaws.DeliveryFault {
			if !strings.Contains(i.Script, "\nset -- deploy ") {
				return nil
			}
			f.AddInstance(localaws.Instance{ID: ids[1], Stopped: true})
			return &localaws.DeliveryFault{Status: "InProgress", Code: -1}
		}})
		f.buildImage("program of 0.1.30-dev")
		plan := f.plan("0.1.30-dev")
		plan.Targets = inputs.Targets{Tags: []inputs.Tag{{Key: "Environment", Value: "dev"}}}
		result, err := f.runPlan(plan)
		wantErrorParts(t, err, "i-02", "is stopped, or not managed by SSM")
		if got := states(result); got != "i-01 rolled-back, i-02 unknown, i-03 rolled-back" {
			t.Error(got)
		}
		if hints := strings.Join(report.Hints(result, err), "\n"); !strings.Contains(hints, "If the instance is gone, take it out") {
			t.Errorf("the hint is %q", hints)
		}
	})
}
