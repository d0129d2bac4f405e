package report_test

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/org/atta-deploy-action/deploy"
	"github.com/org/atta-deploy-action/internal/bundle"
	"github.com/org/atta-deploy-action/internal/report"
	"github.com/org/atta-deploy-action/internal/rollout"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func TestSummary(t *testing.T) {
	tests := map[string]func() (rollout.Result, error){
		"success": func() (rollout.Result, error) {
			return finished(
				host("i-1", rollout.Deployed, "0.1.29-dev", "0.1.30-dev", "0.1.30-dev runs"),
				host("i-2", rollout.Deployed, "0.1.28-dev", "0.1.30-dev", "0.1.30-dev runs already and was seen healthy"),
			), nil
		},
		"waves": func() (rollout.Result, error) {
			canary := host("i-3", rollout.RolledBack, "0.1.29-dev", "0.1.29-dev", "atta.service failed: result exit-code, exit status 3; 0.1.29-dev is back")
			canary.Wave, canary.Report.Reason, canary.Report.Exit = 1, deploy.ReasonUnhealthy, 3
			next := host("i-1", rollout.NotStarted, "0.1.29-dev", "", "")
			next.Wave = 2
			return unhealthy(finished(next, canary), rollout.OutcomeRolledBack)
		},
		"drifted": func() (rollout.Result, error) {
			result := statusVerdict()
			result.Status = rollout.OutcomeFailed
			return result, &rollout.DriftError{Hosts: result.Hosts[1:], Of: 2}
		},
		"rolled-back": func() (rollout.Result, error) {
			return unhealthy(finished(
				host("i-1", rollout.RolledBack, "0.1.29-dev", "0.1.29-dev", "atta.service failed: result exit-code, exit status 3; 0.1.29-dev is back"),
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
				host("i-2", rollout.RolledBack, "0.1.29-dev", "0.1.29-dev", "atta.service failed: result exit-code, exit status 3; 0.1.29-dev is back"),
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
		"hostile":   hostile,
	}
	maps.Copy(tests, scenes)
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
	result, err := hostile()
	result.Hosts[0].ID, result.Hosts[0].Log = "i-1", "2026-01-02T03:04:30Z 0.1.30-dev: health\n"+untrustedText
	summary := report.Summary(withSteps(result, true, []string{"Preflight", "Roll out"}, 1, 2), err)
	for _, live := range []string{"<script", "`c`", "[f](", "*d*", " _e_ ", "@user", "</pre", "\n::error", "| h |", "$"} {
		if strings.Contains(summary, live) {
			t.Errorf("the summary contains %q:\n%s", live, summary)
		}
	}
	_, table, _ := strings.Cut(summary, "\n| Instance")
	table, _, _ = strings.Cut(table, "\n\n")
	for line := range strings.Lines("|" + table) {
		if strings.Count(line, "|") != 3 {
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
	result, _ := threeHundredHosts()
	for range 32 {
		result.Hosts = append(result.Hosts, result.Hosts[:300]...)
	}
	for i := range result.Hosts {
		result.Hosts[i].Name = strings.Repeat("|", 63)
		result.Hosts[i].State, result.Hosts[i].Message, result.Hosts[i].Log = rollout.Unknown, strings.Repeat("|", 600), strings.Repeat(strings.Repeat("|", 1000)+"\n", 30)
	}
	result, err := unhealthy(result, rollout.OutcomeUnknown)
	if size := len(report.Summary(result, err)); size >= 1<<20 {
		t.Errorf("the summary of %d hosts has %d bytes", len(result.Hosts), size)
	}
	if size := len(report.Failure(result, err).Message); size > 4096 {
		t.Errorf("the error has %d bytes", size)
	}
}

func TestSummaryOfALongErrorIsShortAndLiteral(t *testing.T) {
	result, _ := refusedBeforeRollout()
	summary := report.Summary(result, errors.New("<b>`x`"+strings.Repeat("|", 1<<20)))
	if len(summary) > 1<<15 || strings.Contains(summary, "<b>`") {
		t.Errorf("the summary has %d bytes: %.300s", len(summary), summary)
	}
}

func TestSummaryHasAtMostAHundredRowsForInstancesThatNeedAttention(t *testing.T) {
	var hosts []*rollout.Host
	for n := range 400 {
		hosts = append(hosts, host(fmt.Sprintf("mi-%d", n), []rollout.State{rollout.Unknown, rollout.NotDeployed, rollout.Drifted}[n%3], "", "", "x"))
	}
	summary := report.Summary(unhealthy(finished(hosts...), rollout.OutcomeUnknown))
	if rows := strings.Count(summary, "\n| mi-"); rows != 100 || !strings.Contains(summary, "\nand 34 instances more.\n") || !strings.Contains(summary, "\nand 133 instances more.\n") {
		t.Errorf("%d rows in\n%s", rows, summary)
	}
}

// An instance that got the tags during the deploy, or was left out of a rollback, is in no wave.
func TestSummaryCountsNoWaveZero(t *testing.T) {
	for _, state := range []rollout.State{rollout.Deployed, rollout.NotStarted} {
		hosts := append(instances(0, 30, 1, state, "0.1.29-dev", "0.1.30-dev", ""), instances(30, 60, 2, state, "0.1.29-dev", "0.1.30-dev", "")...)
		if summary := report.Summary(finished(hosts...), nil); !strings.Contains(summary, ": 60 instances (waves 1 to 2)**") {
			t.Errorf("the summary is\n%s", summary)
		}
		hosts = append(hosts, instances(60, 61, 0, state, "0.1.29-dev", "0.1.30-dev", "")...)
		if summary := report.Summary(finished(hosts...), nil); strings.Contains(summary, "waves 0") {
			t.Errorf("the summary is\n%s", summary)
		}
	}
}
