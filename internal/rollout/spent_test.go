package rollout_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/org/atta-deploy-action/internal/bundle"
	"github.com/org/atta-deploy-action/internal/image"
	"github.com/org/atta-deploy-action/internal/inputs"
	"github.com/org/atta-deploy-action/internal/rollout"
	"github.com/org/atta-deploy-action/internal/storage"
	"github.com/org/atta-deploy-action/localaws"
)

func TestNothingIsPushedForAVersionThatHasAnotherBundle(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		f.addHost("i-1", "0.1.29-dev")
		plan := f.plan("0.1.30-dev", "i-1")
		if _, err := f.store.Put(t.Context(), plan.Release, bundle.Bundle{Content: []byte("another")}); err != nil {
			t.Fatal(err)
		}
		before := f.mutatingRequests()
		for range 2 { // a plan, and the deploy
			plan.DryRun = !plan.DryRun
			result, err := f.runPlan(plan)
			var conflict *bundle.ConflictError
			if !errors.As(err, &conflict) || result.Status != rollout.OutcomeFailed {
				t.Errorf("%s: %v", result.Status, err)
			}
		}
		wantLines(t, "changes", f.mutatingRequests(), before...)
	})
}

func TestNothingIsPushedWithoutAUsableBucket(t *testing.T) {
	phases := map[string]inputs.Phases{"image": {Image: true}, "image and bundle": {Image: true, Bundle: true}, "all": {Image: true, Bundle: true, Rollout: true}}
	buckets := map[string]string{"no-such-bucket": "the bucket no-such-bucket does not exist", "elsewhere": "the bucket elsewhere is in region eu-west-1, not in us-east-1"}
	for name, run := range phases {
		onFixture(t, func(t *testing.T, f *fixture) {
			f.addHost("i-1", "0.1.29-dev")
			f.CreateBucket("elsewhere", localaws.InRegion("eu-west-1"))
			for name2, message := range buckets {
				f.useBucket(storage.Location{Bucket: name2, Owner: "123456789012", Region: "us-east-1"})
				plan := f.plan("0.1.30-dev", "i-1")
				plan.Phases = run
				_, err := f.runPlan(plan)
				if !errors.As(err, new(*storage.UnusableError)) || strings.Count(err.Error(), message) != 1 {
					t.Errorf("%s: %v", name, err)
				}
			}
			wantLines(t, "changes", f.mutatingRequests())
		})
	}
}

// An image that must not be deployed does not spend a version.
func TestQuarantinedImageIsNotTagged(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		f.addHost("i-1", "0.1.29-dev").NextBehavior = unhealthy
		if _, err := f.runPlan(f.plan("0.1.30-dev", "i-1")); err == nil {
			t.Fatal("the deploy of an unhealthy image succeeded")
		}
		before := f.mutatingRequests()
		for _, run := range []inputs.Phases{{Image: true}, {Image: true, Bundle: true, Rollout: true}} {
			for _, version := range []string{"0.1.30-dev", "0.1.31-dev"} {
				*f.console = console{}
				plan := f.plan(version, "i-1")
				plan.Phases = run
				_, err := f.runPlan(plan)
				var quarantined *rollout.QuarantineError
				if !errors.As(err, &quarantined) || quarantined.Version != "0.1.30-dev" {
					t.Errorf("%s: %v", version, err)
				}
				if last := f.console.groups[len(f.console.groups)-1]; version == "0.1.30-dev" && last != "Preflight" {
					t.Errorf("%s: the image of the version is refused in %s", version, last)
				}
			}
		}
		sent := slices.DeleteFunc(f.mutatingRequests()[len(before):], func(request string) bool { return strings.HasPrefix(request, "ssm:") })
		wantLines(t, "changes", sent)
		if digest, err := f.repository.Resolve(t.Context(), "0.1.31-dev"); !errors.Is(err, image.ErrNotFound) {
			t.Errorf("0.1.31-dev is %s, %v", digest, err)
		}
		plan := f.plan("0.1.31-dev", "i-1")
		plan.Phases, plan.Rollout.Policy.AllowQuarantined = inputs.Phases{Image: true}, true
		if _, err := f.runPlan(plan); err != nil {
			t.Error(err)
		}
		plan = f.plan("0.1.31-dev", "i-1")
		plan.DryRun = true
		if result, err := f.runPlan(plan); !errors.As(err, new(*rollout.QuarantineError)) || result.Status != rollout.OutcomeFailed {
			t.Errorf("a quarantined image that is pushed is planned: %s, %v", result.Status, err)
		}
	})
}

// A bucket of another account, whose policy requires encryption and whose objects cannot be removed.
func TestDeployUsesAStrictBucket(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		const owner, name = "999999999999", "central"
		f.CreateBucket(name, localaws.OwnedBy(owner), localaws.RequireEncryption("aws:kms"), localaws.WithObjectLock())
		f.useBucket(storage.Location{Bucket: name, Owner: owner, Region: "us-east-1", Encryption: "aws:kms"})
		f.addHost("i-1", "0.1.29-dev")
		plan := f.plan("0.1.30-dev", "i-1")
		if _, err := f.runPlan(plan); err != nil {
			t.Fatal(err)
		}
		for _, key := range []string{"bundles/dev/atta/deploy-bundle-0.1.30-dev.tar.gz", leasePrefix + "lock.json", leasePrefix + "current.json", leasePrefix + "images/0.1.30-dev.json", leasePrefix + "history/" + plan.DeploymentID + ".json"} {
			if _, ok := f.Object(name, key); !ok {
				t.Errorf("there is no %s", key)
			}
		}
	})
}
