package inputs_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestEveryProblemIsReportedAtOnce(t *testing.T) {
	got := problems(t, map[string]string{
		"GITHUB_REF_TYPE":              "branch",
		"INPUT_SERVICE":                "Atta",
		"INPUT_PHASES":                 "image,bundle,rollout,roll-out",
		"INPUT_AWS-REGION":             "Virginia",
		"INPUT_ROLE-TO-ASSUME":         "atta-deploy",
		"INPUT_ROLE-SESSION-NAME":      "a b",
		"INPUT_ROLE-DURATION-SECONDS":  "1h",
		"INPUT_ALLOWED-ACCOUNT-IDS":    "123456789012,1234",
		"INPUT_IMAGE":                  "",
		"INPUT_ECR-REGISTRY":           "https://x",
		"INPUT_ECR-REPOSITORY":         "Atta",
		"INPUT_IMAGE-TAGS":             "0.1.31-dev,-x",
		"INPUT_IMAGE-DIGEST":           "latest",
		"INPUT_BUNDLE-PATH":            "../deploy",
		"INPUT_DEPLOY-BUCKET":          "s3://atta",
		"INPUT_BUNDLE-PREFIX":          "/bundles",
		"INPUT_BUCKET-OWNER":           "atta",
		"INPUT_SERVER-SIDE-ENCRYPTION": "sse",
		"INPUT_KMS-KEY-ID":             "{{x}}",
		"INPUT_BUNDLE-SHA256":          "x",
		"INPUT_INSTANCE-IDS":           "i-01234567\nweb-1\nweb-2",
		"INPUT_ALLOW-DOWNGRADE":        "yes",
		"INPUT_ALLOW-QUARANTINED":      "1",
		"INPUT_MODE":                   "daemon",
		"INPUT_RUN-ON-DEPLOY":          "never",
		"INPUT_ON-RUNNING":             "ask",
		"INPUT_DRAIN-TIMEOUT":          "0s",
		"INPUT_HEALTH-COMMAND":         "curl\nlocalhost",
		"INPUT_HEALTH-URL":             "https://localhost/",
		"INPUT_HEALTH-TIMEOUT":         "5",
		"INPUT_MIN-HEALTHY-TIME":       "1.5s",
		"INPUT_KEEP-RELEASES":          "0",
		"INPUT_SETTINGS-FROM":          "atta/dev/*",
		"INPUT_ALLOW-ENV-FILE":         "override",
		"INPUT_LOCK-TIMEOUT":           "-1s",
		"INPUT_DELIVERY-TIMEOUT":       "1s",
		"INPUT_COMMAND-TIMEOUT":        "49h",
		"INPUT_TIMEOUT":                "soon",
		"INPUT_AWS_REGION":             "us-east-1",
	}, "--step-sumary", "dev")
	want := strings.TrimSpace(`
INPUT_AWS_REGION is not an input; did you mean INPUT_AWS-REGION?
flag "--step-sumary" is not an input; did you mean --step-summary?
argument "dev": want --name=value
service "Atta": want at most 48 lower-case letters, digits and single dashes, starting with a letter, as in atta
version is missing: want MAJOR.MINOR.PATCH-dev
the run was started for the branch "0.1.30-dev", and not for the tag of a version, as with gh workflow run --ref 0.1.30-dev
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
settings-from "atta/dev/*": want a path in Parameter Store, as in /atta/dev/
allow-env-file "override": want true or false
aws-region "Virginia": want a region, as in us-east-1
role-to-assume "atta-deploy": want a role's ARN, as in arn:aws:iam::123456789012:role/deploy
role-session-name "a b": want 2 to 64 letters, digits or any of _+=,.@-
role-duration-seconds "1h": want a whole number from 900 to 43200
allowed-account-ids "1234": want account ids of 12 digits
image is missing: want a path or a registry reference, since the image phase pushes it
image-digest must not be set: the image phase determines it
image-tags "-x": want image tags of at most 128 letters, digits or any of _.-
image-tags "0.1.31-dev": want tags that may move; the tag of a version is immutable
ecr-registry "https://x": want a registry's host, as in 123456789012.dkr.ecr.us-east-1.amazonaws.com
ecr-repository "Atta": want an ECR repository's name of 2 to 256 characters, as in team/atta
image-digest "latest": want sha256: and 64 hex digits, the output image-digest of the job that pushed it
bundle-sha256 must not be set: the bundle phase determines it
server-side-encryption "sse": want AES256 or aws:kms or aws:kms:dsse
bundle-prefix "/bundles": want folders of letters, digits or any of _.=-, as in bundles/dev/
bundle-path "../deploy": want a path inside the workspace; copy files into it from elsewhere, such as runner.temp
deploy-bucket "s3://atta": want an S3 bucket's name of 3 to 63 characters, as in atta-deploy-artifacts
mode "daemon": want job or service
kms-key-id "{{x}}": want a KMS key's id or ARN, or alias/<name>
bundle-sha256 "x": want 64 hex digits, the output bundle-sha256 of the job that uploaded it
bucket-owner "atta": want the id of the bucket's account, 12 digits
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

func TestContradictoryInputsAreRefused(t *testing.T) {
	for want, given := range map[string]map[string]string{
		`version "0.1.30-dev": belongs to environment dev, but environment is prod`:                            {"environment": "prod"},
		`role-external-id must not be set: role-to-assume is not set`:                                          {"role-external-id": "x1"},
		`image-digest must not be set: the image phase determines it`:                                          {"image-digest": "sha256:" + strings.Repeat("a", 64)},
		`bundle-sha256 must not be set: the bundle phase determines it`:                                        {"bundle-sha256": strings.Repeat("a", 64)},
		`command-timeout "15m": want more than drain-timeout plus health-timeout, 15m`:                         {"command-timeout": "15m"},
		`command-timeout "5m": want more than health-timeout, 5m`:                                              {"command-timeout": "5m", "on-running": "kill"},
		`run-on-deploy "false": want true, since mode is service and only a job can wait for its timer`:        {"mode": "service", "run-on-deploy": "false"},
		`allow-env-file "false": want true, since settings-from is not set and the file then has all settings`: {"allow-env-file": "false"},
		`health-timeout "10s": want more than min-healthy-time, 10s`:                                           {"health-timeout": "10s"},
		`timeout "41m": want at least lock-timeout plus delivery-timeout plus command-timeout, 42m`:            {"timeout": "41m"},
		`kms-key-id must not be set: server-side-encryption is AES256, which has no such key`:                  {"server-side-encryption": "AES256", "kms-key-id": "alias/atta"},
		`instance-ids must not be set: target-tags already selects the instances`:                              {"target-tags": "Environment=dev"},
		`waves "50%": want 100% as the last wave, so that every instance is included`:                          {"waves": "1,50%"},
		`waves "10%": want a larger wave than the previous ones, since it includes their instances`:            {"waves": "1,20%,10%,100%"},
		`waves "2": want a larger wave than the previous ones, since it includes their instances`:              {"waves": "3,2,100%"},
	} {
		var args []string
		for name, value := range given {
			args = append(args, "--"+name+"="+value)
		}
		if diff := cmp.Diff(want, problems(t, nil, args...)); diff != "" {
			t.Error(diff)
		}
	}
}

func TestAnInputOfOnlyControlCharactersIsRefusedByName(t *testing.T) {
	for _, input := range definition(t).Inputs {
		got := problems(t, map[string]string{"INPUT_" + strings.ToUpper(input.Name): "\x01"})
		if !strings.Contains(got, input.Name+` "\x01": want `) {
			t.Errorf("%s: %s", input.Name, got)
		}
	}
}
