package report_test

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/org/atta-deploy-action/deploy"
	"github.com/org/atta-deploy-action/internal/bundle"
	"github.com/org/atta-deploy-action/internal/fleet"
	"github.com/org/atta-deploy-action/internal/image"
	"github.com/org/atta-deploy-action/internal/inputs"
	"github.com/org/atta-deploy-action/internal/release"
	"github.com/org/atta-deploy-action/internal/report"
	"github.com/org/atta-deploy-action/internal/rollout"
)

var update = flag.Bool("update", false, "rewrite the golden files")

var (
	oldDigest = "sha256:" + strings.Repeat("a", 64)
	newDigest = "sha256:" + strings.Repeat("b", 64)
)

// finished returns a successful run of all phases on the hosts.
func finished(hosts ...*rollout.Host) rollout.Result {
	rel, err := release.New("atta", "dev", "0.1.30-dev")
	if err != nil {
		panic(err)
	}
	return rollout.Result{
		Plan: rollout.Plan{
			Operation: rollout.Deploy, Release: rel, DeploymentID: "20260102T030405Z-abcdefgh", Region: "us-east-1", Phases: inputs.Phases{Image: true, Bundle: true, Rollout: true}, Image: inputs.Image{Source: "image.tar"},
		},
		Status:     rollout.OutcomeSuccess,
		Account:    "123456789012",
		Console:    "us-east-1.console.aws.amazon.com",
		Image:      image.Pushed{URI: "123456789012.dkr.ecr.us-east-1.amazonaws.com/atta@" + newDigest, Tag: "0.1.30-dev", Digest: newDigest, Uploaded: true},
		Bundle:     bundle.Stored{URI: "s3://artifacts/bundles/dev/atta/deploy-bundle-0.1.30-dev.tar.gz", SHA256: strings.Repeat("c", 64)},
		CommandIDs: []string{"01234567-89ab-cdef-0123-456789abcdef"},
		Hosts:      hosts,
		Elapsed:    83 * time.Second,
	}
}

// denied returns a host whose command SSM denied.
func denied(h *rollout.Host) *rollout.Host {
	h.Status = fleet.StatusAccessDenied
	return h
}

func host(id string, state rollout.State, before, runs, message string) *rollout.Host {
	h := &rollout.Host{Instance: fleet.Instance{ID: id, Name: "ip-10-0-0-" + id[2:]}, State: state, Before: before, Message: message}
	if runs != "" {
		h.Report = &deploy.Report{Version: runs, Digest: oldDigest, Unit: "inactive", Result: "success"}
		if state == rollout.Deployed {
			h.Report.Digest = newDigest
		}
	}
	return h
}

// unhealthy returns the run and the error for the hosts that are not deployed.
func unhealthy(result rollout.Result, status rollout.Outcome) (rollout.Result, error) {
	result.Status = status
	bad := &rollout.UnhealthyError{Of: len(result.Hosts)}
	for _, h := range result.Hosts {
		switch h.State {
		case rollout.Deployed:
		case rollout.NotStarted:
			bad.Untouched++
		default:
			bad.Hosts = append(bad.Hosts, h)
		}
	}
	return result, bad
}

// statusVerdict returns a status in which one of two hosts has drifted.
func statusVerdict() rollout.Result {
	result := finished(
		host("i-1", rollout.InSync, "0.1.30-dev", "0.1.30-dev", "runs 0.1.30-dev, healthy since 2026-01-02T03:04:05Z, unit active"),
		host("i-2", rollout.Drifted, "0.1.29-dev", "0.1.29-dev", "runs 0.1.29-dev, unit active; differs in unit-file, version; should run 0.1.30-dev"),
	)
	result.Plan.Operation, result.Plan.Release.Version, result.Current.Version = rollout.Status, release.Version{}, "0.1.30-dev"
	result.Image, result.Bundle, result.CommandIDs = image.Pushed{}, bundle.Stored{}, nil
	return result
}

func refusedBeforeRollout() (rollout.Result, error) {
	result := finished()
	result.Status, result.CommandIDs, result.Image, result.Bundle = rollout.OutcomeFailed, nil, image.Pushed{}, bundle.Stored{}
	result.Plan.Phases.Image, result.Plan.Phases.Bundle, result.Elapsed = false, false, 1400*time.Millisecond
	return result, errors.Join(
		fmt.Errorf("read s3://artifacts/bundles/dev/atta/deploy-bundle-0.1.30-dev.tar.gz: %w", call("S3", "HeadObject", "NotFound", "Not Found")),
		errors.Join(
			&fleet.NotReadyError{Instance: fleet.Instance{ID: "i-2"}, Reason: "is stopped, or not managed by SSM in this account and region"},
			&fleet.NotReadyError{Instance: fleet.Instance{ID: "i-3"}, Reason: "is not online: the SSM agent's status is ConnectionLost, last heartbeat at 2026-01-02T03:04:05Z"},
		),
		fmt.Errorf("look up: %w", call("SSM", "SendCommand", "AccessDeniedException", "User: arn:aws:sts::123456789012:assumed-role/deploy is not authorized")),
	)
}

func cancelled() (rollout.Result, error) {
	result, err := unhealthy(finished(
		host("i-1", rollout.Deployed, "0.1.29-dev", "0.1.30-dev", "0.1.30-dev runs"),
		host("i-2", rollout.Unknown, "0.1.29-dev", "", "last seen as InProgress, then: interrupt signal received"),
	), rollout.OutcomeCancelled)
	return result, errors.Join(fmt.Errorf("follow command %s: %w", result.CommandIDs[0], context.Canceled), err)
}

func many() (rollout.Result, error) {
	var hosts []*rollout.Host
	for n := range 500 {
		h := host(fmt.Sprintf("i-%03d", n), rollout.Deployed, "0.1.29-dev", "0.1.30-dev", "0.1.30-dev runs")
		if n%50 == 49 {
			h = host(h.ID, rollout.RolledBack, "0.1.29-dev", "0.1.29-dev", "atta.service failed: result exit-code, exit status 3; 0.1.29-dev is installed")
		}
		hosts = append(hosts, h)
	}
	return unhealthy(finished(hosts...), rollout.OutcomeFailed)
}

const untrustedText = "a|b `c` <script>alert(1)</script> @user *d* _e_ [f](http://g) \\ #1 </pre>\n::error::x\r\n| h |"

func hostile() (rollout.Result, error) {
	h := host("i-1", rollout.Unknown, "", "", untrustedText)
	h.Name, h.Log = untrustedText, untrustedText
	return unhealthy(finished(h), rollout.OutcomeUnknown)
}

func TestSummary(t *testing.T) {
	tests := map[string]func() (rollout.Result, error){
		"first": func() (rollout.Result, error) {
			return finished(host("i-1", rollout.Deployed, "", "0.1.30-dev", "0.1.30-dev runs")), nil
		},
		"success": func() (rollout.Result, error) {
			return finished(
				host("i-1", rollout.Deployed, "0.1.29-dev", "0.1.30-dev", "0.1.30-dev runs"),
				host("i-2", rollout.Deployed, "0.1.28-dev", "0.1.30-dev", "0.1.30-dev runs already and was seen healthy"),
			), nil
		},
		"waves": func() (rollout.Result, error) {
			canary := host("i-3", rollout.RolledBack, "0.1.29-dev", "0.1.29-dev", "atta.service failed: result exit-code, exit status 3; 0.1.29-dev is installed")
			canary.Wave = 1
			next := host("i-1", rollout.NotStarted, "0.1.29-dev", "", "")
			next.Wave = 2
			return unhealthy(finished(next, canary), rollout.OutcomeRolledBack)
		},
		"rollback": func() (rollout.Result, error) {
			result := finished(host("i-1", rollout.Deployed, "0.1.31-dev", "0.1.30-dev", "0.1.30-dev is installed"))
			result.Plan.Operation, result.Plan.Phases.Image, result.Plan.Phases.Bundle = rollout.Rollback, false, false
			result.Image, result.Bundle = image.Pushed{}, bundle.Stored{}
			return result, nil
		},
		"planned": func() (rollout.Result, error) {
			result := finished(host("i-1", rollout.NotStarted, "0.1.29-dev", "", "would go from 0.1.29-dev to 0.1.30-dev"))
			result.Plan.DryRun, result.Status, result.CommandIDs = true, rollout.OutcomePlanned, nil
			return result, nil
		},
		"status": func() (rollout.Result, error) { return statusVerdict(), nil },
		"drifted": func() (rollout.Result, error) {
			result := statusVerdict()
			result.Status = rollout.OutcomeFailed
			return result, &rollout.DriftError{Hosts: result.Hosts[1:], Of: 2}
		},
		"rolled-back": func() (rollout.Result, error) {
			return unhealthy(finished(
				host("i-1", rollout.RolledBack, "0.1.29-dev", "0.1.29-dev", "atta.service failed: result exit-code, exit status 3; 0.1.29-dev is installed"),
			), rollout.OutcomeRolledBack)
		},
		"unknown": func() (rollout.Result, error) {
			return unhealthy(finished(
				host("i-1", rollout.Deployed, "0.1.29-dev", "0.1.30-dev", "0.1.30-dev runs"),
				host("i-2", rollout.Unknown, "0.1.29-dev", "", "last seen as InProgress, then: no answer within the timeouts of the command"),
				denied(host("i-3", rollout.NotDeployed, "0.1.29-dev", "", "SSM did not deliver the command: AccessDenied")),
			), rollout.OutcomeUnknown)
		},
		"rollback-failed": func() (rollout.Result, error) {
			return unhealthy(finished(
				host("i-1", rollout.RollbackFailed, "0.1.29-dev", "0.1.30-dev", "atta.service failed: result exit-code, exit status 3; rollback: 'start_release' ended with 1"),
				host("i-2", rollout.RolledBack, "0.1.29-dev", "0.1.29-dev", "atta.service failed: result exit-code, exit status 3; 0.1.29-dev is installed"),
			), rollout.OutcomeRollbackFailed)
		},
		"tags": func() (rollout.Result, error) {
			result := finished(host("i-1", rollout.Deployed, "0.1.29-dev", "0.1.30-dev", "0.1.30-dev runs"))
			result.Status = rollout.OutcomeFailed
			return result, errors.New("every instance runs 0.1.30-dev, but its image tags were not moved: the registry refuses the credentials")
		},
		"image": func() (rollout.Result, error) {
			result := finished()
			result.Plan.Phases.Bundle, result.Plan.Phases.Rollout, result.Bundle, result.CommandIDs = false, false, bundle.Stored{}, nil
			return result, nil
		},
		"preflight": refusedBeforeRollout,
		"cancelled": cancelled,
		"500-hosts": many,
		"hostile":   hostile,
	}
	for name, end := range tests {
		t.Run(name, func(t *testing.T) {
			got := report.Summary(end())
			file := filepath.Join("testdata", name+".md")
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestSummaryEscapesTextFromAHost(t *testing.T) {
	summary := report.Summary(hostile())
	for _, live := range []string{"<script", "`c`", "[f](", "*d*", " _e_ "} {
		if table := summary[strings.LastIndex(summary, "\n\n"):]; strings.Contains(table, live) {
			t.Errorf("the table contains %s", live)
		}
	}
	if strings.Contains(summary, "<script") || strings.Count(summary, "</pre>") != 1 {
		t.Errorf("the summary contains HTML from the host:\n%s", summary)
	}
	_, table, _ := strings.Cut(summary, "\n| Instance")
	for line := range strings.Lines("|" + table) {
		if strings.Count(line, "|") != 7 || strings.Contains(line, "@") {
			t.Errorf("a line of the table is %q", line)
		}
	}
}

// GitHub takes a megabyte of outputs.
func TestResultsOfTenThousandHostsFitIntoAMegabyte(t *testing.T) {
	for hosts, want := range map[int]int{2000: 2000, 2001: 2000, 10_000: 2000} {
		var list []*rollout.Host
		for n := range hosts {
			list = append(list, host(fmt.Sprintf("i-%017x", n), rollout.Deployed, "0.1.29-dev", "0.1.30-dev", ""))
		}
		list[hosts-1] = host("i-failed", rollout.Unknown, "0.1.29-dev", "", "")
		result := finished(list...)
		i := slices.IndexFunc(report.Outputs(result), func(o report.Output) bool { return o.Name == "results" })
		text := report.Outputs(result)[i].Value
		var rows []struct{ Instance string }
		if err := json.Unmarshal([]byte(text), &rows); err != nil {
			t.Fatal(err)
		}
		failed := slices.IndexFunc(rows, func(row struct{ Instance string }) bool { return row.Instance == "i-failed" })
		if len(rows) != want || failed < 0 || len(text) >= 1<<20 {
			t.Errorf("%d hosts: %d results in %d bytes, the failed host is number %d", hosts, len(rows), len(text), failed)
		}
	}
}

func TestSummaryOfTenThousandHostsFitsIntoAMegabyte(t *testing.T) {
	result, _ := many()
	for range 19 {
		result.Hosts = append(result.Hosts, result.Hosts[:500]...)
	}
	for i := range result.Hosts {
		result.Hosts[i].State, result.Hosts[i].Message = rollout.Unknown, strings.Repeat("|", 600)
	}
	result, err := unhealthy(result, rollout.OutcomeUnknown)
	if size := len(report.Summary(result, err)); size >= 1<<20 {
		t.Errorf("the summary of %d hosts has %d bytes", len(result.Hosts), size)
	}
	if size := len(report.Failure(result, err).Message); size > 4096 {
		t.Errorf("the error has %d bytes", size)
	}
}
