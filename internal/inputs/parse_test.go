package inputs_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/org/atta-deploy-action/deploy"
	"github.com/org/atta-deploy-action/internal/inputs"
)

func TestAMinimalWorkflowGetsDefaultsForEverythingElse(t *testing.T) {
	got := mustRead(t, nil)
	if name := got.Task.Release.Service + " " + got.Task.Release.Version.String(); name != "atta 0.1.30-dev" {
		t.Errorf("the release is %s", name)
	}
	want := inputs.Inputs{
		Task: inputs.Task{Operation: "deploy", Release: got.Task.Release, Phases: inputs.Phases{Image: true, Bundle: true, Rollout: true}},
		Identity: inputs.Identity{
			Region: "us-east-1", SessionName: "atta-deploy-action", SessionDuration: time.Hour, Audience: "sts.amazonaws.com",
		},
		Image:   inputs.Image{Source: "image.tar", Repository: "atta", Tags: []string{"latest-dev"}, Compression: "gzip"},
		Bundle:  inputs.Bundle{Path: "deploy", Bucket: "atta-deploy-artifacts", Prefix: "bundles/dev/"},
		Targets: inputs.Targets{InstanceIDs: []string{"i-0123456789abcdef0"}, MinInstances: 1},
		Rollout: inputs.Rollout{Waves: []inputs.Wave{{Percent: 100}}, RollbackOnFailure: "all", Policy: deploy.Policy{
			RunOnDeploy: true, OnRunning: "wait", DrainTimeout: 10 * time.Minute, HealthTimeout: 5 * time.Minute, MinHealthyTime: 10 * time.Second, KeepReleases: 5, AllowEnvFile: true,
		}},
		Timeouts:  inputs.Timeouts{Lock: 10 * time.Minute, Delivery: 2 * time.Minute, Command: 30 * time.Minute, Run: time.Hour},
		Reporting: inputs.Reporting{StepSummary: true},
	}
	if diff := cmp.Diff(want, got, cmp.Comparer(sameVersion)); diff != "" {
		t.Error(diff)
	}
}

func TestEveryInputSetsItsField(t *testing.T) {
	sha := strings.Repeat("0123456789abcdef", 4)
	got := mustRead(t, map[string]string{
		"INPUT_PHASES":                 "rollout",
		"INPUT_VERSION":                "2.0.0-eu-prod",
		"INPUT_ENVIRONMENT":            "eu-prod",
		"INPUT_SERVICE":                "web",
		"INPUT_ROLE-TO-ASSUME":         "arn:aws:iam::123456789012:role/atta",
		"INPUT_ROLE-SESSION-NAME":      "session",
		"INPUT_ROLE-DURATION-SECONDS":  "900",
		"INPUT_ROLE-EXTERNAL-ID":       "external",
		"INPUT_AUDIENCE":               "audience",
		"INPUT_ALLOWED-ACCOUNT-IDS":    "123456789012\n210987654321",
		"INPUT_IMAGE":                  "",
		"INPUT_ECR-REGISTRY":           "localhost:5000",
		"INPUT_IMAGE-TAGS":             "stable, eu",
		"INPUT_IMAGE-DIGEST":           "sha256:" + sha,
		"INPUT_COMPRESSION":            "zstd",
		"INPUT_CREATE-REPOSITORY":      "true",
		"INPUT_BUNDLE-PATH":            "/github/workspace/ops",
		"INPUT_BUNDLE-PREFIX":          "atta/bundles",
		"INPUT_KMS-KEY-ID":             "alias/atta",
		"INPUT_BUNDLE-SHA256":          sha,
		"INPUT_BUCKET-OWNER":           "999999999999",
		"INPUT_SERVER-SIDE-ENCRYPTION": "aws:kms:dsse",
		"INPUT_INSTANCE-IDS":           "i-01234567,i-01234567\nmi-0123456789abcdef0",
		"INPUT_ALLOW-DOWNGRADE":        "true",
		"INPUT_ALLOW-QUARANTINED":      "true",
		"INPUT_MODE":                   "job",
		"INPUT_RUN-ON-DEPLOY":          "false",
		"INPUT_ON-RUNNING":             "kill",
		"INPUT_DRAIN-TIMEOUT":          "24h",
		"INPUT_HEALTH-COMMAND":         `test "$(docker inspect --format '{{.State.Health.Status}}' web)" = healthy`,
		"INPUT_HEALTH-URL":             "http://127.0.0.1:8080/health?deep=1",
		"INPUT_HEALTH-TIMEOUT":         "59s",
		"INPUT_MIN-HEALTHY-TIME":       "58s",
		"INPUT_KEEP-RELEASES":          "100",
		"INPUT_SETTINGS-FROM":          "/web/eu-prod/",
		"INPUT_ALLOW-ENV-FILE":         "false",
		"INPUT_LOCK-TIMEOUT":           "5s",
		"INPUT_DELIVERY-TIMEOUT":       "30s",
		"INPUT_COMMAND-TIMEOUT":        "1m",
		"INPUT_TIMEOUT":                "95s",
		"INPUT_STEP-SUMMARY":           "false",
		"INPUT_DRY-RUN":                "true",
		"INPUT_MIN-INSTANCES":          "2",
		"INPUT_WAVES":                  "1, 5\n25%,100%",
		"INPUT_ROLLBACK-ON-FAILURE":    "wave",
		"INPUT_FAIL-ON-DRIFT":          "true",
	})
	if got.Task.Release.ImageTag() != "2.0.0-eu-prod" {
		t.Errorf("the version is %s", got.Task.Release.ImageTag())
	}
	want := inputs.Inputs{
		Task: inputs.Task{Operation: "deploy", DryRun: true, Release: got.Task.Release, Phases: inputs.Phases{Rollout: true}},
		Identity: inputs.Identity{
			Region: "us-east-1", Role: "arn:aws:iam::123456789012:role/atta", SessionName: "session",
			SessionDuration: 15 * time.Minute, ExternalID: "external", Audience: "audience",
			AllowedAccountIDs: []string{"123456789012", "210987654321"},
		},
		Image: inputs.Image{
			Registry: "localhost:5000", Repository: "atta", Create: true, Tags: []string{"stable", "eu"}, Digest: "sha256:" + sha, Compression: "zstd",
		},
		Bundle: inputs.Bundle{
			Path: "/github/workspace/ops", Bucket: "atta-deploy-artifacts", Prefix: "atta/bundles/", Mode: "job", KMSKey: "alias/atta", SHA256: sha,
			Owner: "999999999999", Encryption: "aws:kms:dsse",
		},
		Targets: inputs.Targets{InstanceIDs: []string{"i-01234567", "mi-0123456789abcdef0"}, MinInstances: 2},
		Rollout: inputs.Rollout{Waves: []inputs.Wave{{Hosts: 1}, {Hosts: 5}, {Percent: 25}, {Percent: 100}}, RollbackOnFailure: "wave", Policy: deploy.Policy{
			AllowDowngrade: true, AllowQuarantined: true, OnRunning: "kill", DrainTimeout: 24 * time.Hour,
			HealthCommand: `test "$(docker inspect --format '{{.State.Health.Status}}' web)" = healthy`, HealthURL: "http://127.0.0.1:8080/health?deep=1",
			HealthTimeout: 59 * time.Second, MinHealthyTime: 58 * time.Second, KeepReleases: 100, SettingsFrom: "/web/eu-prod/",
		}},
		Timeouts:  inputs.Timeouts{Lock: 5 * time.Second, Delivery: 30 * time.Second, Command: time.Minute, Run: 95 * time.Second},
		Reporting: inputs.Reporting{FailOnDrift: true},
	}
	if diff := cmp.Diff(want, got, cmp.Comparer(sameVersion)); diff != "" {
		t.Error(diff)
	}
}

func TestAnEmptyInputCountsAsUnset(t *testing.T) {
	empty := map[string]string{"AWS_REGION": "eu-west-1"}
	for _, input := range definition(t).Inputs {
		name := "INPUT_" + strings.ToUpper(input.Name)
		if minimal()[name] == "" || input.Name == "aws-region" {
			empty[name] = " \n"
		}
	}
	got, want := mustRead(t, empty), mustRead(t, nil)
	want.Identity.Region = "eu-west-1"
	if diff := cmp.Diff(want, got, cmp.Comparer(sameVersion)); diff != "" {
		t.Error(diff)
	}
}

func TestRegionDefaultsToTheEnvironment(t *testing.T) {
	for _, test := range []struct{ input, region, fallback, want string }{
		{"us-east-1", "us-east-2", "us-west-1", "us-east-1"},
		{"", "us-east-2", "us-west-1", "us-east-2"},
		{"", "", "us-west-1", "us-west-1"},
	} {
		got := mustRead(t, map[string]string{
			"INPUT_AWS-REGION": test.input, "AWS_REGION": test.region, "AWS_DEFAULT_REGION": test.fallback,
		}).Identity.Region
		if got != test.want {
			t.Errorf("%+v: %s", test, got)
		}
	}
}
