package rollout_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/org/atta-deploy-action/internal/bundle"
	"github.com/org/atta-deploy-action/internal/inputs"
	"github.com/org/atta-deploy-action/localaws/simhost"
)

// replaceBundle puts another bundle where that of a version is, as somebody can who may write to
// the bucket.
func (f *fixture) replaceBundle(version string) {
	f.t.Helper()
	client := s3.NewFromConfig(f.Config(), func(o *s3.Options) { o.UsePathStyle = true })
	name, key := bucket, "bundles/dev/atta/deploy-bundle-"+version+".tar.gz"
	if _, err := client.HeadObject(f.t.Context(), &s3.HeadObjectInput{Bucket: &name, Key: &key}); err != nil {
		f.t.Fatal(err)
	}
	if _, err := client.PutObject(f.t.Context(), &s3.PutObjectInput{Bucket: &name, Key: &key, Body: strings.NewReader("another")}); err != nil {
		f.t.Fatal(err)
	}
}

func rollbackFixture(t *testing.T, test func(f *fixture, ids []string, hosts []*simhost.Host)) {
	onFixture(t, func(_ *testing.T, f *fixture) {
		ids, hosts := f.addHosts(3, "")
		f.deployVersions(ids, "0.1.28-dev", "0.1.29-dev", "0.1.30-dev")
		hosts[2].ForgetReleases()
		test(f, ids, hosts)
	})
}

// A rollback brings an old release to an instance only if it is the one that other instances
// hold, whatever lies under its key by now.
func TestRollbackDeploysOnlyWhatTheInstancesHold(t *testing.T) {
	rollbackFixture(t, func(f *fixture, ids []string, hosts []*simhost.Host) {
		f.replaceBundle("0.1.28-dev")
		_, err := f.runPlan(f.rollbackPlan("0.1.28-dev", ids...))
		wantErrorParts(f.t, err, "0.1.28-dev is not among the releases of 1 instance (i-03 (name-of-i-03)), and it cannot be deployed there", "sha256")
		if installedVersions(hosts) != "0.1.30 0.1.30 0.1.30" {
			f.t.Errorf("the hosts run %s", installedVersions(hosts))
		}
	})
}

// A release whose bundle an earlier version of the action has stored is deployed without storing it again.
func TestBundleUnderTheOldKeyIsDeployed(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		f.addHost("i-1", "0.1.29-dev")
		plan := f.plan("0.1.30-dev", "i-1")
		built, err := bundle.Build(plan.Bundle.Path, plan.Release, "")
		if err != nil {
			t.Fatal(err)
		}
		name, key := bucket, plan.Release.OldBundleKey("bundles/dev/")
		if _, err := s3.NewFromConfig(f.Config()).PutObject(t.Context(), &s3.PutObjectInput{Bucket: &name, Key: &key, Body: bytes.NewReader(built.Content)}); err != nil {
			t.Fatal(err)
		}
		for i, phases := range []inputs.Phases{{Image: true, Bundle: true, Rollout: true}, {Rollout: true}} {
			plan.Phases, plan.DeploymentID = phases, fmt.Sprint("d-", i)
			result, err := f.runPlan(plan)
			if err != nil || result.Bundle.URI != "s3://artifacts/bundles/dev/deploy-bundle-0.1.30-dev.tar.gz" {
				t.Fatalf("the bundle is %s: %v", result.Bundle.URI, err)
			}
			plan.Image.Digest, plan.Bundle.SHA256 = result.Image.Digest, built.SHA256
			f.addHost("i-2", "0.1.29-dev")
			plan.Targets.InstanceIDs = []string{"i-2"}
		}
		if _, ok := f.Object(bucket, plan.Release.BundleKey("bundles/dev/")); ok {
			t.Error("the bundle is stored again")
		}
		if f.console.countLines("warning: The bundle is where earlier versions kept it: ") != 1 {
			t.Errorf("the log is %q", f.console.log)
		}
	})
}

func TestRollbackHonoursTheChecksumsThatItIsGiven(t *testing.T) {
	rollbackFixture(t, func(f *fixture, ids []string, hosts []*simhost.Host) {
		plan := f.rollbackPlan("0.1.28-dev", ids...)
		plan.Image.Digest = digestOf("another")
		_, err := f.runPlan(plan)
		wantErrorParts(f.t, err, "the image of 0.1.28-dev is not the same everywhere: ", digestOf("another")+" (image-digest)")
		plan.Image.Digest, plan.Bundle.SHA256 = "", strings.Repeat("0", 64)
		_, err = f.runPlan(plan)
		wantErrorParts(f.t, err, "the bundle of 0.1.28-dev is not the same everywhere: "+strings.Repeat("0", 64)+" (bundle-sha256)")
		if installedVersions(hosts) != "0.1.30 0.1.30 0.1.30" {
			f.t.Errorf("the hosts run %s", installedVersions(hosts))
		}
	})
}
