package e2e

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// wantRefused checks that a step was refused for its inputs, before anything was
// sent or written, and returns the problems.
func (s *stage) wantRefused(out outcome) []string {
	s.t.Helper()
	if out.code != 1 || len(out.outputs) != 1 || out.outputs["status"] != "failed" || out.summary != "" {
		s.t.Errorf("exit status %d, outputs %q, summary %q", out.code, out.outputs, out.summary)
	}
	if calls := s.aws.Calls(); len(calls) > 0 {
		s.t.Errorf("%d requests were sent: %v", len(calls), calls)
	}
	found := commandsIn(out.log)
	if len(found) != 1 || found[0].name != "error" {
		s.t.Fatalf("want one error and nothing else:\n%s", out.log)
	}
	return strings.Split(found[0].data, "\n")
}

func TestEveryInvalidInputIsReportedBeforeAnyRequest(t *testing.T) {
	for name, test := range map[string]struct{ settings, want []string }{
		"empty": {
			[]string{"environment=", "version=", "image=", "aws-region=", "AWS_REGION=", "AWS_DEFAULT_REGION=", "ecr-repository=", "deploy-bucket=", "instance-ids=", "GITHUB_REPOSITORY="},
			[]string{"service is missing", "environment is missing", "version is missing", "aws-region is missing", "image is missing", "ecr-repository is missing", "deploy-bucket is missing", "instance-ids is missing", "if a variable or a secret sets what is missing"},
		},
		"malformed": {
			[]string{
				"environment=Dev", "version=v1", "service=my service", "phases=image,deploy", "allow-downgrade=yes", "aws-region=Europe",
				"role-to-assume=admin", "role-session-name=a b", "role-duration-seconds=1h", "audience=a b", "allowed-account-ids=1,22",
				"ecr-registry=https://x", "ecr-repository=Atta", "image-tags=a b", "bundle-path=../deploy", "deploy-bucket=My_Bucket",
				"bundle-prefix=/x", "kms-key-id=a b", "instance-ids=web-1", "health-timeout=5", "delivery-timeout=1s", "command-timeout=49h",
				"timeout=forever", "step-summary=1", "mode=daemon", "run-on-deploy=no", "on-running=ask", "drain-timeout=0", "min-healthy-time=0",
				"health-command=a\nb", "health-url=https://x", "keep-releases=0", "allow-quarantined=no", "operation=undo", "dry-run=maybe", "min-instances=0", "waves=half,100%", "rollback-on-failure=some",
				"fail-on-drift=no",
			},
			[]string{
				`operation "undo"`, `dry-run "maybe"`, `min-instances "0"`, `waves "half"`, `rollback-on-failure "some"`, `fail-on-drift "no"`,
				`service "my service"`, `environment "Dev"`, `version "v1"`, `phases "deploy"`, `allow-downgrade "yes"`, `health-timeout "5"`,
				`aws-region "Europe"`, `role-to-assume "admin"`, `role-session-name "a b"`, `role-duration-seconds "1h"`, `audience "a b"`,
				`allowed-account-ids "1"`, `allowed-account-ids "22"`, `image-tags "a b"`, `ecr-registry "https://x"`, `ecr-repository "Atta"`,
				`kms-key-id "a b"`, `bundle-path "../deploy"`, `deploy-bucket "My_Bucket"`, `bundle-prefix "/x"`, `instance-ids "web-1"`,
				`delivery-timeout "1s"`, `command-timeout "49h"`, `timeout "forever"`, `step-summary "1"`,
				`mode "daemon"`, `run-on-deploy "no"`, `on-running "ask"`, `drain-timeout "0"`, `min-healthy-time "0"`,
				`health-command "a\nb"`, `health-url "https://x"`, `keep-releases "0"`, `allow-quarantined "no"`,
			},
		},
		"contradicting": {
			[]string{
				"environment=prod", "role-external-id=xx", "image-digest=sha256:" + strings.Repeat("0", 64), "bundle-sha256=" + strings.Repeat("0", 64),
				"image-tags=0.1.0-dev", "health-timeout=1h", "min-healthy-time=2h", "timeout=5m", "target-tags=Environment=dev", "waves=50%",
			},
			[]string{
				`version "0.1.0-dev": belongs to environment dev`, "role-external-id must not be set", "image-digest must not be set", "bundle-sha256 must not be set",
				`image-tags "0.1.0-dev"`, `health-timeout "1h"`, `command-timeout "30m"`, `timeout "5m"`,
				"instance-ids must not be set", `waves "50%"`,
			},
		},
		"unknown": {
			[]string{"instance-id=i-0123456789abcdef0", "colour=blue", "deploy_bucket=x"},
			[]string{"INPUT_INSTANCE-ID is not an input; did you mean INPUT_INSTANCE-IDS?", "INPUT_COLOUR is not an input", "INPUT_DEPLOY_BUCKET is not an input; did you mean INPUT_DEPLOY-BUCKET?"},
		},
		"a rollout alone": {
			[]string{"phases=rollout", "image="},
			[]string{"image-digest is missing", "bundle-sha256 is missing", "if a variable or a secret sets what is missing"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := play(t)
			got := s.wantRefused(s.run(test.settings...))
			for i := range got {
				for _, want := range test.want {
					if strings.HasPrefix(got[i], want) {
						got[i] = want
					}
				}
			}
			slices.Sort(got)
			slices.Sort(test.want)
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("the problems differ:\n%s", diff)
			}
		})
	}
}

func TestUnreadableImageIsReportedBeforeAnyRequest(t *testing.T) {
	for text, want := range map[string]string{"": "neither a file or folder nor a full registry reference", "no image": "not an image"} {
		t.Run(want, func(t *testing.T) {
			s := play(t)
			if text != "" {
				s.file("image.tar", text)
			}
			s.file("deploy/.env", "TOKEN=secret")
			out := s.run()
			out.wants("failed")
			out.says(`read image "image.tar": `, want, `".env" contains settings and secrets`)
			if calls := s.aws.Calls(); len(calls) > 0 {
				t.Errorf("%d requests were sent: %v", len(calls), calls)
			}
		})
	}
}

// hostile is what a shell, a template or a file format would take for its own.
var hostile = []string{`'`, `"`, `$(touch /tmp/x)`, "`id`", `;`, "a\n$b", `{{ssm:/x}}`, `$$`, `${HOME}`, `\`, `a' 'b`, `::error:: x`}

func TestNoInputInjectsACommand(t *testing.T) {
	for _, text := range hostile {
		t.Run(text, func(t *testing.T) {
			s := play(t)
			inputs := promised(t).Inputs
			for some := range slices.Chunk(inputs, len(inputs)/2+1) { // all problems at once would be more than an annotation holds
				var settings []string
				for _, input := range some {
					settings = append(settings, input.Name+"="+text)
				}
				problems := s.wantRefused(s.run(settings...))
				for _, input := range some {
					free := slices.Contains([]string{"image", "bundle-path", "health-command"}, input.Name) // any text on one line
					path := input.Name == "image-files" && strings.Contains(text, ":/")
					named := slices.ContainsFunc(problems, func(line string) bool { return strings.HasPrefix(line, input.Name+" ") })
					if wanted := !free && !path || strings.Contains(text, "\n"); named != wanted {
						t.Errorf("refused is %t for %s %q", named, input.Name, text)
					}
				}
			}
		})
	}
	t.Run("of the event", func(t *testing.T) {
		s := play(t)
		problems := s.wantRefused(s.run("version=", "GITHUB_REPOSITORY=org/$(id)", "GITHUB_REF_TYPE=tag", "GITHUB_REF_NAME=1.0.0-dev;id"))
		if len(problems) != 2 || !strings.Contains(problems[0], `service "$(id)"`) || !strings.Contains(problems[1], `version "1.0.0-dev;id"`) {
			t.Errorf("the problems are %q", problems)
		}
	})
}
