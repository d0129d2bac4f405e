package inputs_test

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/org/atta-deploy-action/deploy"
	"github.com/org/atta-deploy-action/internal/inputs"
	"github.com/org/atta-deploy-action/internal/release"
)

var parsed = sync.OnceValues(func() (inputs.Definition, error) {
	text, err := os.ReadFile("../../action.yml")
	if err != nil {
		return inputs.Definition{}, err
	}
	return inputs.ParseDefinition(text)
})

func definition(t testing.TB) inputs.Definition {
	t.Helper()
	d, err := parsed()
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// simple is the environment of a workflow that gives only what it must.
func simple() map[string]string {
	return map[string]string{
		"GITHUB_REPOSITORY":    "org/atta",
		"GITHUB_REF_TYPE":      "tag",
		"GITHUB_REF_NAME":      "0.1.30-dev",
		"GITHUB_WORKSPACE":     "/github/workspace",
		"INPUT_ENVIRONMENT":    "dev",
		"INPUT_IMAGE":          "image.tar",
		"INPUT_AWS-REGION":     "us-east-1",
		"INPUT_ECR-REPOSITORY": "atta",
		"INPUT_DEPLOY-BUCKET":  "atta-deploy-artifacts",
		"INPUT_INSTANCE-IDS":   "i-0123456789abcdef0",
	}
}

func read(t testing.TB, env map[string]string, args ...string) (inputs.Inputs, error) {
	t.Helper()
	var environ []string
	for name, value := range env {
		environ = append(environ, name+"="+value)
	}
	return definition(t).Read(environ, args)
}

// mustRead reads the simple environment with some variables and flags besides.
func mustRead(t *testing.T, more map[string]string, args ...string) inputs.Inputs {
	t.Helper()
	env := simple()
	maps.Copy(env, more)
	inputs, err := read(t, env, args...)
	if err != nil {
		t.Fatal(err)
	}
	return inputs
}

// problems reads the simple environment with some variables and flags besides, which must not be accepted.
func problems(t *testing.T, more map[string]string, args ...string) string {
	t.Helper()
	env := simple()
	maps.Copy(env, more)
	inputs, err := read(t, env, args...)
	if err == nil {
		t.Fatalf("%v %v was accepted", more, args)
	}
	if !reflect.ValueOf(inputs).IsZero() {
		t.Errorf("inputs with problems were returned: %+v", inputs)
	}
	return err.Error()
}

func TestTheSimpleCaseHasADefaultForEverythingElse(t *testing.T) {
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
			RunOnDeploy: true, OnRunning: "wait", DrainTimeout: 10 * time.Minute, HealthTimeout: 5 * time.Minute, MinHealthyTime: 10 * time.Second, KeepReleases: 5,
		}},
		Timeouts:  inputs.Timeouts{Lock: 10 * time.Minute, Delivery: 2 * time.Minute, Command: 30 * time.Minute, Run: time.Hour},
		Reporting: inputs.Reporting{StepSummary: true},
	}
	if diff := cmp.Diff(want, got, cmp.Comparer(sameVersion)); diff != "" {
		t.Error(diff)
	}
}

func TestEveryInputArrivesWhereItBelongs(t *testing.T) {
	sha := strings.Repeat("0123456789abcdef", 4)
	got := mustRead(t, map[string]string{
		"INPUT_PHASES":                "rollout",
		"INPUT_VERSION":               "2.0.0-eu-prod",
		"INPUT_ENVIRONMENT":           "eu-prod",
		"INPUT_SERVICE":               "web",
		"INPUT_ROLE-TO-ASSUME":        "arn:aws:iam::123456789012:role/atta",
		"INPUT_ROLE-SESSION-NAME":     "session",
		"INPUT_ROLE-DURATION-SECONDS": "900",
		"INPUT_ROLE-EXTERNAL-ID":      "external",
		"INPUT_AUDIENCE":              "audience",
		"INPUT_ALLOWED-ACCOUNT-IDS":   "123456789012\n210987654321",
		"INPUT_IMAGE":                 "",
		"INPUT_ECR-REGISTRY":          "localhost:5000",
		"INPUT_IMAGE-TAGS":            "stable, eu",
		"INPUT_IMAGE-DIGEST":          "sha256:" + sha,
		"INPUT_COMPRESSION":           "zstd",
		"INPUT_CREATE-REPOSITORY":     "true",
		"INPUT_BUNDLE-PATH":           "/github/workspace/ops",
		"INPUT_BUNDLE-PREFIX":         "atta/bundles",
		"INPUT_KMS-KEY-ID":            "alias/atta",
		"INPUT_BUNDLE-SHA256":         sha,
		"INPUT_INSTANCE-IDS":          "i-01234567,i-01234567\nmi-0123456789abcdef0",
		"INPUT_ALLOW-DOWNGRADE":       "true",
		"INPUT_ALLOW-QUARANTINED":     "true",
		"INPUT_MODE":                  "job",
		"INPUT_RUN-ON-DEPLOY":         "false",
		"INPUT_ON-RUNNING":            "kill",
		"INPUT_DRAIN-TIMEOUT":         "24h",
		"INPUT_HEALTH-COMMAND":        `test "$(docker inspect --format '{{.State.Health.Status}}' web)" = healthy`,
		"INPUT_HEALTH-URL":            "http://127.0.0.1:8080/health?deep=1",
		"INPUT_HEALTH-TIMEOUT":        "59s",
		"INPUT_MIN-HEALTHY-TIME":      "58s",
		"INPUT_KEEP-RELEASES":         "100",
		"INPUT_LOCK-TIMEOUT":          "5s",
		"INPUT_DELIVERY-TIMEOUT":      "30s",
		"INPUT_COMMAND-TIMEOUT":       "1m",
		"INPUT_TIMEOUT":               "95s",
		"INPUT_STEP-SUMMARY":          "false",
		"INPUT_DRY-RUN":               "true",
		"INPUT_MIN-INSTANCES":         "2",
		"INPUT_WAVES":                 "1, 5\n25%,100%",
		"INPUT_ROLLBACK-ON-FAILURE":   "wave",
		"INPUT_FAIL-ON-DRIFT":         "true",
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
		},
		Targets: inputs.Targets{InstanceIDs: []string{"i-01234567", "mi-0123456789abcdef0"}, MinInstances: 2},
		Rollout: inputs.Rollout{Waves: []inputs.Wave{{Hosts: 1}, {Hosts: 5}, {Percent: 25}, {Percent: 100}}, RollbackOnFailure: "wave", Policy: deploy.Policy{
			AllowDowngrade: true, AllowQuarantined: true, OnRunning: "kill", DrainTimeout: 24 * time.Hour,
			HealthCommand: `test "$(docker inspect --format '{{.State.Health.Status}}' web)" = healthy`, HealthURL: "http://127.0.0.1:8080/health?deep=1",
			HealthTimeout: 59 * time.Second, MinHealthyTime: 58 * time.Second, KeepReleases: 100,
		}},
		Timeouts:  inputs.Timeouts{Lock: 5 * time.Second, Delivery: 30 * time.Second, Command: time.Minute, Run: 95 * time.Second},
		Reporting: inputs.Reporting{FailOnDrift: true},
	}
	if diff := cmp.Diff(want, got, cmp.Comparer(sameVersion)); diff != "" {
		t.Error(diff)
	}
}

func TestAnEmptyInputIsAnUnsetInput(t *testing.T) {
	empty := map[string]string{"AWS_REGION": "eu-west-1"}
	for _, input := range definition(t).Inputs {
		name := "INPUT_" + strings.ToUpper(input.Name)
		if simple()[name] == "" || input.Name == "aws-region" {
			empty[name] = " \n"
		}
	}
	got, want := mustRead(t, empty), mustRead(t, nil)
	want.Identity.Region = "eu-west-1"
	if diff := cmp.Diff(want, got, cmp.Comparer(sameVersion)); diff != "" {
		t.Error(diff)
	}
}

func TestRegionComesFromTheInputThenFromTheEnvironment(t *testing.T) {
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

func TestPhasesAreDoneInTheirOrderWhateverTheListSays(t *testing.T) {
	sha := strings.Repeat("a", 64)
	for phases, want := range map[string]inputs.Phases{
		"rollout,image,bundle": {Image: true, Bundle: true, Rollout: true},
		"image":                {Image: true},
		"bundle\nimage":        {Image: true, Bundle: true},
	} {
		if got := mustRead(t, map[string]string{"INPUT_PHASES": phases}).Task.Phases; got != want {
			t.Errorf("%q: %+v", phases, got)
		}
	}
	got := mustRead(t, map[string]string{"INPUT_PHASES": "rollout,bundle", "INPUT_IMAGE-DIGEST": "sha256:" + sha}).Task.Phases
	if want := (inputs.Phases{Bundle: true, Rollout: true}); got != want {
		t.Errorf("rollout,bundle: %+v", got)
	}
}

func TestAPhaseAloneNeedsOnlyItsOwnInputs(t *testing.T) {
	sha := strings.Repeat("a", 64)
	for phase, needs := range map[string]map[string]string{
		"image":  {"image": "image.tar", "ecr-repository": "atta"},
		"bundle": {"deploy-bucket": "atta-deploy-artifacts"},
		"rollout": {
			"ecr-repository": "atta", "image-digest": "sha256:" + sha,
			"deploy-bucket": "atta-deploy-artifacts", "bundle-sha256": sha, "instance-ids": "i-01234567",
		},
	} {
		env := map[string]string{
			"GITHUB_REPOSITORY": "org/atta", "AWS_REGION": "us-east-1", "INPUT_ENVIRONMENT": "dev", "INPUT_VERSION": "0.1.0-dev",
			"INPUT_PHASES": phase,
		}
		var args []string
		for name, value := range needs {
			args = append(args, "--"+name+"="+value)
		}
		if _, err := read(t, env, args...); err != nil {
			t.Errorf("%s: %v", phase, err)
		}
		_, err := read(t, env)
		for name := range needs {
			if err == nil || !strings.Contains(err.Error(), name+" is missing: want ") {
				t.Errorf("%s without anything does not say that %s is missing: %v", phase, name, err)
			}
		}
		if got := strings.Count(fmt.Sprint(err), "\n") + 1; got != len(needs) {
			t.Errorf("%s without anything has %d problems, want %d: %v", phase, got, len(needs), err)
		}
	}
}

func TestEveryProblemIsReportedAtOnce(t *testing.T) {
	got := problems(t, map[string]string{
		"GITHUB_REF_TYPE":             "branch",
		"INPUT_SERVICE":               "Atta",
		"INPUT_PHASES":                "image,bundle,rollout,roll-out",
		"INPUT_AWS-REGION":            "Virginia",
		"INPUT_ROLE-TO-ASSUME":        "atta-deploy",
		"INPUT_ROLE-SESSION-NAME":     "a b",
		"INPUT_ROLE-DURATION-SECONDS": "1h",
		"INPUT_ALLOWED-ACCOUNT-IDS":   "123456789012,1234",
		"INPUT_IMAGE":                 "",
		"INPUT_ECR-REGISTRY":          "https://x",
		"INPUT_ECR-REPOSITORY":        "Atta",
		"INPUT_IMAGE-TAGS":            "0.1.31-dev,-x",
		"INPUT_IMAGE-DIGEST":          "latest",
		"INPUT_BUNDLE-PATH":           "../deploy",
		"INPUT_DEPLOY-BUCKET":         "s3://atta",
		"INPUT_BUNDLE-PREFIX":         "/bundles",
		"INPUT_KMS-KEY-ID":            "{{x}}",
		"INPUT_BUNDLE-SHA256":         "x",
		"INPUT_INSTANCE-IDS":          "i-01234567\nweb-1\nweb-2",
		"INPUT_ALLOW-DOWNGRADE":       "yes",
		"INPUT_ALLOW-QUARANTINED":     "1",
		"INPUT_MODE":                  "daemon",
		"INPUT_RUN-ON-DEPLOY":         "never",
		"INPUT_ON-RUNNING":            "ask",
		"INPUT_DRAIN-TIMEOUT":         "0s",
		"INPUT_HEALTH-COMMAND":        "curl\nlocalhost",
		"INPUT_HEALTH-URL":            "https://localhost/",
		"INPUT_HEALTH-TIMEOUT":        "5",
		"INPUT_MIN-HEALTHY-TIME":      "1.5s",
		"INPUT_KEEP-RELEASES":         "0",
		"INPUT_LOCK-TIMEOUT":          "-1s",
		"INPUT_DELIVERY-TIMEOUT":      "1s",
		"INPUT_COMMAND-TIMEOUT":       "49h",
		"INPUT_TIMEOUT":               "soon",
		"INPUT_AWS_REGION":            "us-east-1",
	}, "--step-sumary", "dev")
	want := strings.TrimSpace(`
INPUT_AWS_REGION is no input; did you mean INPUT_AWS-REGION?
flag "--step-sumary" is no input; did you mean --step-summary?
argument "dev": want --name=value
service "Atta": want at most 48 lower-case letters, digits and single dashes, starting with a letter, as in atta
version is missing: want MAJOR.MINOR.PATCH-dev
phases "roll-out": want image or bundle or rollout
allow-downgrade "yes": want true or false
allow-quarantined "1": want true or false
run-on-deploy "never": want true or false
on-running "ask": want wait or kill
drain-timeout "0s": want a duration in whole seconds from 1s to 24h, as in 90s, 15m or 1h30m
health-command "curl\nlocalhost": want a command on one line, at most 1000 bytes without control characters
health-url "https://localhost/": want an http address without spaces or quotes, as in http://127.0.0.1:8080/health
health-timeout "5": want a duration in whole seconds from 1s to 24h, as in 90s, 15m or 1h30m
min-healthy-time "1.5s": want a duration in whole seconds from 1s to 24h, as in 90s, 15m or 1h30m
keep-releases "0": want a whole number from 1 to 100
aws-region "Virginia": want a region, as in us-east-1
role-to-assume "atta-deploy": want a role's ARN, as in arn:aws:iam::123456789012:role/deploy
role-session-name "a b": want 2 to 64 letters, digits or any of _+=,.@-
role-duration-seconds "1h": want a whole number from 900 to 43200
allowed-account-ids "1234": want account ids of 12 digits
image is missing: want a path or a registry reference, since the image phase pushes it
image-digest must not be set: the image phase finds it out
image-tags "-x": want image tags of at most 128 letters, digits or any of _.-
image-tags "0.1.31-dev": want tags that may move, which a version's does not
ecr-registry "https://x": want a registry's host, as in 123456789012.dkr.ecr.us-east-1.amazonaws.com
ecr-repository "Atta": want an ECR repository's name of 2 to 256 characters, as in team/atta
image-digest "latest": want sha256: and 64 hex digits, the output image-digest of the job that pushed it
bundle-sha256 must not be set: the bundle phase finds it out
bundle-prefix "/bundles": want folders of letters, digits or any of _.=-, as in bundles/dev/
bundle-path "../deploy": want a path inside the workspace
deploy-bucket "s3://atta": want an S3 bucket's name of 3 to 63 characters, as in atta-deploy-artifacts
mode "daemon": want job or service
kms-key-id "{{x}}": want a KMS key's id or ARN, or alias/<name>
bundle-sha256 "x": want 64 hex digits, the output bundle-sha256 of the job that uploaded it
instance-ids "web-1": want instance ids, as in i-0123456789abcdef0
instance-ids "web-2": want instance ids, as in i-0123456789abcdef0
lock-timeout "-1s": want a duration in whole seconds from 0s to 24h, as in 90s, 15m or 1h30m
delivery-timeout "1s": want a duration in whole seconds from 30s to 720h, as in 90s, 15m or 1h30m
command-timeout "49h": want a duration in whole seconds from 1m to 48h, as in 90s, 15m or 1h30m
timeout "soon": want a duration in whole seconds from 1m to 120h, as in 90s, 15m or 1h30m
`)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestAnOperationNeedsOnlyItsOwnInputs(t *testing.T) {
	sparse := map[string]string{"INPUT_IMAGE": "", "INPUT_ECR-REPOSITORY": "", "GITHUB_REF_TYPE": "branch", "GITHUB_REF_NAME": "main"}
	for operation, want := range map[string]inputs.Task{
		"rollback": {Operation: "rollback", Phases: inputs.Phases{Rollout: true}},
		"status":   {Operation: "status", Phases: inputs.Phases{Rollout: true}},
	} {
		got := mustRead(t, sparse, "--operation="+operation)
		if name := got.Task.Release.Service + got.Task.Release.Version.String() + got.Task.Release.Environment; name != "attadev" {
			t.Errorf("%s is of %s", operation, name)
		}
		if got.Image.Tags != nil {
			t.Errorf("%s moves %v in no repository", operation, got.Image.Tags)
		}
		want.Release = got.Task.Release
		if diff := cmp.Diff(want, got.Task, cmp.Comparer(sameVersion)); diff != "" {
			t.Error(diff)
		}
	}
	back := mustRead(t, nil, "--operation=rollback", "--version=0.1.29-dev")
	if back.Task.Release.Version.String() != "0.1.29-dev" || !slices.Equal(back.Image.Tags, []string{"latest-dev"}) {
		t.Errorf("%+v", back)
	}
	// The tag that a workflow runs on is no wish to go back to it.
	if got := mustRead(t, nil, "--operation=rollback"); got.Task.Release.Version.String() != "" {
		t.Errorf("%+v", got.Task)
	}
	if got := mustRead(t, nil, "--operation=plan"); got.Task.Operation != "deploy" || !got.Task.DryRun || !got.Task.Phases.Image {
		t.Errorf("%+v", got.Task)
	}
}

func TestTagsAreKeysWithTheirValues(t *testing.T) {
	got := mustRead(t, map[string]string{"INPUT_INSTANCE-IDS": "", "INPUT_TARGET-TAGS": "Environment=dev\nteam:role = web server , Empty="}).Targets
	want := inputs.Targets{Tags: []inputs.Tag{{Key: "Environment", Value: "dev"}, {Key: "team:role", Value: "web server"}, {Key: "Empty"}}, MinInstances: 1}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestInputsThatContradictEachOtherAreRefused(t *testing.T) {
	many := ""
	for i := range 11 {
		many += fmt.Sprintf("Tag%d=x\n", i)
	}
	for want, given := range map[string]map[string]string{
		`version "0.1.30-dev": belongs to environment dev, and environment is prod`:                                 {"environment": "prod"},
		`role-external-id must not be set: role-to-assume is not set`:                                               {"role-external-id": "x1"},
		`image-digest must not be set: the image phase finds it out`:                                                {"image-digest": "sha256:" + strings.Repeat("a", 64)},
		`bundle-sha256 must not be set: the bundle phase finds it out`:                                              {"bundle-sha256": strings.Repeat("a", 64)},
		`command-timeout "15m": want more than drain-timeout and health-timeout together, 15m, which is part of it`: {"command-timeout": "15m"},
		`command-timeout "5m": want more than health-timeout, 5m, which is part of it`:                              {"command-timeout": "5m", "on-running": "kill"},
		`run-on-deploy "false": want true, since mode is service and only a job can be left to its timer`:           {"mode": "service", "run-on-deploy": "false"},
		`health-timeout "10s": want more than min-healthy-time, 10s, which is part of it`:                           {"health-timeout": "10s"},
		`timeout "41m": want at least lock-timeout, delivery-timeout and command-timeout together, 42m`:             {"timeout": "41m"},
		`target-tags holds 11 tags: want at most 10`:                                                                {"target-tags": many, "instance-ids": ""},
		`instance-ids must not be set: target-tags says already which instances`:                                    {"target-tags": "Environment=dev"},
		`waves "50%": want 100% as the last wave, so that no instance is left out`:                                  {"waves": "1,50%"},
		`waves "10%": want each wave larger than those before it, since a wave counts their instances, too`:         {"waves": "1,20%,10%,100%"},
		`waves "2": want each wave larger than those before it, since a wave counts their instances, too`:           {"waves": "3,2,100%"},
	} {
		var args []string
		env := map[string]string{}
		for name, value := range given {
			if value == "" {
				env["INPUT_"+strings.ToUpper(name)] = ""
				continue
			}
			args = append(args, "--"+name+"="+value)
		}
		if diff := cmp.Diff(want, problems(t, env, args...)); diff != "" {
			t.Error(diff)
		}
	}
}

// plain is every text in Inputs but Image.Source, Image.Recipe, Bundle.Path, Rollout.HealthCommand and Rollout.HealthURL.
var plain = regexp.MustCompile(`^[A-Za-z0-9_+=,.@:/-]*$`)

// injected gives every input the value in turn, and fails when it is neither refused by name nor harmless data.
func injected(t *testing.T, value string) {
	t.Helper()
	for _, input := range definition(t).Inputs {
		env := simple()
		if strings.HasPrefix(input.Name, "image-") {
			env["INPUT_IMAGE-FILES"] = "app:/app"
		}
		env["INPUT_"+strings.ToUpper(input.Name)] = value
		got, err := read(t, env)
		if err != nil {
			if !strings.Contains(err.Error(), input.Name) {
				t.Errorf("%s %q: the error does not name it: %v", input.Name, value, err)
			}
			continue
		}
		if input.Name == "image" && strings.TrimSpace(value) != "" && got.Image.Source != strings.TrimSpace(value) {
			t.Errorf("image %q arrived as %q", value, got.Image.Source)
		}
		if input.Name == "health-command" && got.Rollout.Policy.HealthCommand != strings.TrimSpace(value) {
			t.Errorf("health-command %q arrived as %q", value, got.Rollout.Policy.HealthCommand)
		}
		if strings.ContainsAny(got.Rollout.Policy.HealthURL, " \"'`$\\{}<>|") {
			t.Errorf("health-url %q arrived", got.Rollout.Policy.HealthURL)
		}
		if strings.ContainsAny(got.Image.Source+got.Bundle.Path+got.Rollout.Policy.HealthCommand+got.Rollout.Policy.HealthURL, "\n\r\x00\x1b") {
			t.Errorf("%s %q left a control character in %+v", input.Name, value, got)
		}
		for _, text := range texts(reflect.ValueOf(got.Image.Recipe)) {
			if strings.ContainsAny(text, "\n\r\x00\x1b\u2028") || !utf8.ValidString(text) {
				t.Errorf("%s %q left %q in the recipe", input.Name, value, text)
			}
		}
		got.Image.Recipe = inputs.Recipe{}
		got.Image.Source, got.Bundle.Path, got.Rollout.Policy.HealthCommand, got.Rollout.Policy.HealthURL = "", "", "", ""
		for _, text := range texts(reflect.ValueOf(got)) {
			if !plain.MatchString(text) {
				t.Errorf("%s %q put %q into %+v", input.Name, value, text, got)
			}
		}
	}
}

func texts(v reflect.Value) (all []string) {
	switch v.Kind() {
	case reflect.String:
		return []string{v.String()}
	case reflect.Map:
		for key, value := range v.Seq2() {
			all = append(append(all, texts(key)...), texts(value)...)
		}
	case reflect.Slice:
		for i := range v.Len() {
			all = append(all, texts(v.Index(i))...)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			all = append(all, texts(v.Field(i))...)
		}
	}
	return all
}

var injections = []string{
	"'", `"`, "`id`", "$(id)", "${IFS}", "$$", ";id", "a;b", "a b", "a\nb", "a\r\nb", "a\x00b", "a\x1b[0m", "{{ssm:/x}}",
	"a|b", "a&b", "a>b", "*", "~", "a\\b", "--help", "../../etc", "::error::x", "i-01234567'", "true\n;id", "\u2028", "\xff",
	`' " $( ) ; ` + "\n" + ` {{ssm:/x}} $$`,
}

func TestInjectedTextIsRefusedOrStaysData(t *testing.T) {
	for _, text := range injections {
		injected(t, text)
	}
}

func FuzzInjectedTextIsRefusedOrStaysData(f *testing.F) {
	for _, text := range injections {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) { injected(t, text) })
}

func TestAnInputThatIsOnlyControlCharactersIsRefusedByName(t *testing.T) {
	for _, input := range definition(t).Inputs {
		got := problems(t, map[string]string{"INPUT_" + strings.ToUpper(input.Name): "\x01"})
		if !strings.Contains(got, input.Name+` "\x01": want `) {
			t.Errorf("%s: %s", input.Name, got)
		}
	}
}

func TestHelpNamesEveryInputAndItsDefault(t *testing.T) {
	for _, flag := range []string{"--help", "-h"} {
		if _, err := read(t, nil, "--nonsense", flag); !errors.Is(err, inputs.ErrHelp) {
			t.Errorf("%s: %v", flag, err)
		}
	}
	d := definition(t)
	help := d.Help()
	for _, input := range d.Inputs {
		entry := regexp.MustCompile(`(?m)^  --` + input.Name + `[=\[].*\n      (.*)$`).FindStringSubmatch(help)
		if entry == nil || entry[1] != input.Description || !strings.Contains(entry[0], input.Default) {
			t.Errorf("%s is described as %q", input.Name, entry)
		}
	}
}

func sameVersion(a, b release.Version) bool { return a == b }
