package report_test

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/aws/smithy-go"
	"github.com/google/go-cmp/cmp"

	"github.com/org/atta-deploy-action/deploy"
	"github.com/org/atta-deploy-action/internal/bundle"
	"github.com/org/atta-deploy-action/internal/fleet"
	"github.com/org/atta-deploy-action/internal/image"
	"github.com/org/atta-deploy-action/internal/lease"
	"github.com/org/atta-deploy-action/internal/report"
	"github.com/org/atta-deploy-action/internal/rollout"
	"github.com/org/atta-deploy-action/internal/storage"
)

func TestTroubleshootingPageMatchesTheHints(t *testing.T) {
	const file = "../../docs/troubleshooting.md"
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	want := string(text)
	for mark, table := range map[string]string{
		"messages": report.PageTable("message or status", slices.Concat(report.ErrorRows, report.StateRows)),
		"reasons":  report.PageTable("reason", report.ReasonRows),
	} {
		before, rest, found := strings.Cut(want, "<!-- "+mark+" -->\n")
		_, after, closed := strings.Cut(rest, "<!-- /"+mark+" -->")
		if !found || !closed {
			t.Fatalf("%s has no table of %s", file, mark)
		}
		want = before + "<!-- " + mark + " -->\n" + table + "<!-- /" + mark + " -->" + after
	}
	if *update {
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(want, string(text)); diff != "" {
		t.Errorf("run make golden:\n%s", diff)
	}
}

// refusedRole returns the error of AWS for a job's OIDC token.
func refusedRole(refusal rollout.Refusal, code, message string) error {
	return &rollout.RoleError{Refusal: refusal, Err: call("STS", "AssumeRoleWithWebIdentity", code, message)}
}

// examples are an error for each row of the page that has one, by the begin of the row's sign.
var examples = map[string]error{
	"is stopped, or not managed": &fleet.NotReadyError{Problem: fleet.NotListed, Reason: "is stopped, or not managed by SSM in this account and region: SSM does not list it"},
	"is not online":              &fleet.NotReadyError{Problem: fleet.NotOnline, Reason: "is not online: the SSM agent's status is ConnectionLost"},
	"has SSM agent":              &fleet.NotReadyError{Problem: fleet.OldAgent, Reason: "has SSM agent 2.0.0"},
	"no running instance":        fleet.ErrNoInstance,
	"min-instances is":           &rollout.TooFewError{Want: 2},
	"x509: certificate":          x509.UnknownAuthorityError{},
	"ec2imds: GetMetadata":       &smithy.OperationError{ServiceID: "ec2imds", OperationName: "GetMetadata", Err: fmt.Errorf("request canceled, %w", context.DeadlineExceeded)},
	"get credentials":            &rollout.RoleError{Refusal: rollout.NoRole, Err: errors.New("get credentials: no EC2 IMDS role found")},
	"no EC2 IMDS role found":     &smithy.OperationError{ServiceID: "STS", OperationName: "GetCallerIdentity", Err: errors.New("get credentials: no EC2 IMDS role found")},
	"DurationSeconds exceeds":    call("STS", "AssumeRole", "ValidationError", "The requested DurationSeconds exceeds the MaxSessionDuration set for this role."),
	"Incorrect token audience":   refusedRole(rollout.RefusedAudience, "InvalidIdentityToken", "Incorrect token audience"),
	"No OpenIDConnect provider":  refusedRole(rollout.NoProvider, "InvalidIdentityToken", "No OpenIDConnect provider found in your account for https://x"),
	"Couldn't retrieve":          refusedRole(rollout.RefusedToken, "InvalidIdentityToken", "Couldn't retrieve verification key from your identity provider"),
	"Not authorized to perform sts:AssumeRoleWithWebIdentity`, for": &rollout.RoleError{
		Claims: rollout.Claims{Subject: "repo:o/r:ref:refs/heads/main"}, Refusal: rollout.RefusedSubject,
		Err: call("STS", "AssumeRoleWithWebIdentity", "AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity"),
	},
	"Not authorized to perform sts:AssumeRoleWithWebIdentity` for": refusedRole(rollout.RefusedSubject, "AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity"),
	"not authorized to perform: ":                                  call("STS", "AssumeRole", "AccessDenied", "User: x is not authorized to perform: sts:AssumeRole on resource: y"),
	"the bucket … does not":                                        &storage.UnusableError{Bucket: "b", Region: "us-east-1"},
	"the bucket … is in":                                           &storage.UnusableError{Bucket: "b", Region: "us-east-1", Actual: "eu-west-1"},
	"it is archived":                                               fmt.Errorf("%w: %w", storage.ErrArchived, call("S3", "GetObject", "InvalidObjectState", "")),
	"with an explicit deny": errors.Join(call("S3", "PutObject", "AccessDenied", "User: x is not authorized to perform: s3:PutObject on resource: y with an explicit deny in a service control policy"),
		call("SSM", "SendCommand", "AccessDeniedException", "User: x is not authorized to perform: ssm:SendCommand on resource: y because no permissions boundary allows the ssm:SendCommand action")),
	"an `AccessDenied` error of S3":      call("S3", "PutObject", "AccessDenied", "Access Denied"),
	"another `AccessDenied`":             call("SSM", "SendCommand", "AccessDeniedException", "no"),
	"InvalidClientTokenId":               call("STS", "AssumeRole", "InvalidClientTokenId", ""),
	"ExpiredToken":                       errors.Join(call("S3", "PutObject", "ExpiredToken", ""), call("SSM", "SendCommand", "UnrecognizedClientException", ""), call("S3", "PutObject", "SignatureDoesNotMatch", "")),
	"the registry closes":                image.ErrHungUp,
	"the SSM document":                   &rollout.DocumentError{Name: "atta-dev", Problem: "has another content in version 3, does not exist, is for operation: status"},
	"the repository does not":            image.ErrNoRepository,
	"the registry denies":                image.ErrDenied,
	"a quota of ECR":                     image.ErrQuota,
	"tag …:latest-… already":             &image.TagConflictError{Ref: "r/atta:latest-dev"},
	"tag … already":                      &image.TagConflictError{Ref: "r/atta:0.1.30-dev"},
	"the tag … names":                    &rollout.MovedTagError{Version: "0.1.30-dev", Pushed: strings.Repeat("a", 40), Now: strings.Repeat("b", 40)},
	"holds another bundle":               &bundle.ConflictError{},
	"the bundle is not in":               errors.Join(bundle.ErrNotFound, call("S3", "GetObject", "NoSuchKey", "")),
	"not in the registry":                image.ErrNotFound,
	"this image is quarantined in":       &rollout.QuarantineError{},
	"neither a file":                     fmt.Errorf("neither a file or folder nor a full registry reference: %w", fs.ErrNotExist),
	"not logged in":                      image.ErrNoLogin,
	"as in the config":                   fmt.Errorf("%w: as in the config, damaged, truncated, lists 0 layers, its config 2", image.ErrContent),
	"the lock is held":                   &lease.HeldError{},
	"the deploy lock":                    lease.ErrLost,
	"not an object":                      lease.ErrInvalidObject,
	"nobody knows":                       rollout.ErrUnknownService,
	"has nothing to roll":                rollout.ErrNoPrevious,
	"… out of sync`, and all":            &rollout.DriftError{Other: "0.1.31-dev", Newer: true, Alone: true},
	"… out of sync`, and a newer":        &rollout.DriftError{Other: "0.1.31-dev", Newer: true},
	"… out of sync`, and an older":       &rollout.DriftError{Other: "0.1.29-dev"},
	"… out of sync` with":                &rollout.DriftError{Hosts: []*rollout.Host{host("i-1", rollout.Drifted, "", "", "x")}},
	"SSM did not deliver":                hostError(denied(host("i-1", rollout.NotDeployed, "", "", "SSM did not deliver the command: AccessDenied"))),
	"the command ended as DeliveryTimed": hostError(timedOut(host("i-1", rollout.Unknown, "", "", "the command ended as DeliveryTimedOut"))),
	"ExecutionTimedOut":                  hostError(hasRunOutOfTime(host("i-1", rollout.NotDeployed, "", "", "the command (ExecutionTimedOut in SSM) reached it"))),
	"a deploy was cut off":               hostError(cutOff(host("i-1", rollout.Unknown, "", "0.1.29-dev", "a deploy was cut off"))),
	"status `rolled-back`":               hostError(host("i-1", rollout.RolledBack, "", "", "x")),
	"status `rollback-failed`":           hostError(host("i-1", rollout.RollbackFailed, "", "", "x")),
	"last-run` in a status":              &rollout.DriftError{Hosts: []*rollout.Host{failedRun(host("i-1", rollout.Drifted, "", "0.1.29-dev", "differs in last-run"))}},
	"status `busy`":                      hostError(host("i-1", rollout.Busy, "", "", "x")),
	"status `unknown`":                   hostError(host("i-1", rollout.Unknown, "", "", "x")),
}

func hostError(h *rollout.Host) error {
	return &rollout.UnhealthyError{Hosts: []*rollout.Host{h}, Of: 1}
}

func failedRun(h *rollout.Host) *rollout.Host {
	h.Report = &deploy.Report{Version: "0.1.29-dev", Evidence: deploy.EvidenceFailed, Drift: []string{"last-run"}}
	return h
}

func timedOut(h *rollout.Host) *rollout.Host {
	h.Status = fleet.StatusDeliveryTimedOut
	return h
}

func hasRunOutOfTime(h *rollout.Host) *rollout.Host {
	h.Status = fleet.StatusExecutionTimedOut
	return h
}

func cutOff(h *rollout.Host) *rollout.Host {
	h.Report.Drift = []string{"cut-off"}
	return h
}

var quotedText = regexp.MustCompile("`([^`]*)`")

// literals returns the parts of the messages in a sign.
func literals(sign string) (parts []string) {
	for _, match := range quotedText.FindAllStringSubmatch(sign, -1) {
		for part := range strings.SplitSeq(match[1], "…") {
			if part = strings.Trim(part, " ;"); part != "" {
				parts = append(parts, part)
			}
		}
	}
	return parts
}

func TestEachRowOfThePageIsTheHintForItsMessage(t *testing.T) {
	used := map[string]bool{}
	for _, row := range slices.Concat(report.ErrorRows, report.StateRows) {
		if row.OnPageOnly {
			continue
		}
		sign := strings.TrimPrefix(row.Sign, "`")
		for begin, err := range examples {
			if !strings.HasPrefix(sign, begin) {
				continue
			}
			used[begin] = true
			for _, part := range literals(row.Sign) {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("%s: the message is %q", row.Sign, err)
				}
			}
			if !gives(row, err) {
				t.Errorf("%s: the hints are %q", row.Sign, report.Hints(finished(), err))
			}
		}
		if !slices.ContainsFunc(slices.Collect(keysOf(used)), func(begin string) bool { return strings.HasPrefix(sign, begin) }) {
			t.Errorf("no example has the message %s", row.Sign)
		}
	}
	if len(used) != len(examples) {
		t.Errorf("%d of %d examples are those of a row", len(used), len(examples))
	}
}

func keysOf(set map[string]bool) func(func(string) bool) {
	return func(yield func(string) bool) {
		for key := range set {
			if !yield(key) {
				return
			}
		}
	}
}

// gives reports whether one of the hints for an error begins as the remedy of the row does.
func gives(row report.Row, err error) bool {
	begin, _, _ := strings.Cut(strings.ReplaceAll(row.Remedy, "`", ""), "{")
	begin, _, _ = strings.Cut(begin, "[")
	return slices.ContainsFunc(report.Hints(finished(), err), func(hint string) bool { return strings.HasPrefix(hint, begin) })
}

// What only the page says is in messages that the tests of the images produce.
func TestEachRowWithoutAHintIsAMessageAboutAnImage(t *testing.T) {
	var tests strings.Builder
	files, err := filepath.Glob("../image/*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		tests.Write(text)
	}
	rows := 0
	for _, row := range report.ErrorRows {
		if !row.OnPageOnly {
			continue
		}
		rows++
		for _, part := range literals(row.Sign) {
			for _, words := range regexp.MustCompile(`, but with| \d+ `).Split(part, -1) {
				if words = strings.Trim(words, " :"); !strings.Contains(tests.String(), words) && words != "image.tar in it" {
					t.Errorf("no image gives the message %q", words)
				}
			}
		}
	}
	if rows == 0 {
		t.Error("the page lacks the row")
	}
}

func TestEveryReasonHasARowThatIsItsHint(t *testing.T) {
	reasons := deployReasons(t)
	if len(reasons) < 30 || len(reasons) != len(report.ReasonRows) {
		t.Errorf("%d rows for %d reasons", len(report.ReasonRows), len(reasons))
	}
	for _, row := range report.ReasonRows {
		reason := deploy.Reason(quotedText.FindStringSubmatch(row.Sign)[1])
		state := rollout.NotDeployed
		if reason == deploy.ReasonCutOff {
			state = rollout.RolledBack // refused because of an earlier one, it has another remedy
		}
		err := hostError(reasoned("i-1", state, reason))
		if !slices.Contains(reasons, reason) || !gives(row, err) {
			t.Errorf("%s: the hints are %q", row.Sign, report.Hints(finished(), err))
		}
	}
}

// deployReasons returns the reasons that deploy/reason.go declares.
func deployReasons(t *testing.T) (reasons []deploy.Reason) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "../../deploy/reason.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(file, func(n ast.Node) bool {
		if value, ok := n.(*ast.BasicLit); ok {
			if text, _ := strconv.Unquote(value.Value); text != "" {
				reasons = append(reasons, deploy.Reason(text))
			}
		}
		return true
	})
	return reasons
}
