package report_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/org/atta-deploy-action/deploy"
	"github.com/org/atta-deploy-action/internal/report"
	"github.com/org/atta-deploy-action/internal/rollout"
)

// What to do about one cause is not for the instances that failed for another.
func TestRemediesNameTheInstancesOfTheirCause(t *testing.T) {
	full, exited := host("i-1", rollout.NotDeployed, "", "", "no room"), host("i-2", rollout.RolledBack, "", "", "exited")
	full.Report = &deploy.Report{Outcome: deploy.OutcomeRefused, Reason: deploy.ReasonNoSpace}
	exited.Report = &deploy.Report{Outcome: deploy.OutcomeRolledBack, Reason: deploy.ReasonUnhealthy, Exit: 3}
	for want, hosts := range map[string][]*rollout.Host{"Free space on": {full}, "i-1: Free space on": {full, exited}} {
		result, err := unhealthy(finished(hosts...), rollout.OutcomeRolledBack)
		if hints := report.Hints(result, err); !slices.ContainsFunc(hints, func(hint string) bool { return strings.HasPrefix(hint, want) }) {
			t.Errorf("no hint begins with %q: %q", want, hints)
		}
	}
}

// What several instances run is hardly the cause of a failure on one; nor is it the release's fault if the previous
// version fails in the same way.
func TestRemedyLooksFirstAtWhatTellsTheReleaseFromItsSurroundings(t *testing.T) {
	failed, undone := reasoned("i-1", rollout.RolledBack, deploy.ReasonUnhealthy), reasoned("i-2", rollout.RolledBack, deploy.ReasonNone)
	undone.Report.Outcome = deploy.OutcomeDeployed
	up := reasoned("i-1", rollout.RolledBack, deploy.ReasonUnhealthy)
	up.Report.Version, up.Report.Unit = "0.1.29-dev", "active"
	alone := *up
	for want, hosts := range map[string][]*rollout.Host{
		"See the program's last log lines.":                 {failed, host("i-2", rollout.NotStarted, "", "", "")},
		"If it does, something that both versions need":     {&alone},
		"First check whether 0.1.29-dev, which is up again": {up, host("i-2", rollout.NotStarted, "", "", "")},
		"The release came up on 2 instances: check first":   {failed, undone, host("i-3", rollout.Deployed, "", "0.1.30-dev", "")},
	} {
		result, _ := unhealthy(finished(hosts...), rollout.OutcomeRolledBack)
		if hints := strings.Join(report.Hints(result, &rollout.UnhealthyError{Hosts: hosts[:1], Of: len(hosts)}), "\n"); !strings.Contains(hints, want) {
			t.Errorf("no %q in %q", want, hints)
		}
	}
}

// Depending on its version, systemd logs units by name or by description.
func TestCauseIsTheLastLineOfTheProgramThatEnded(t *testing.T) {
	const note, exit = "2026-01-02T03:04:30Z 0.1.30-dev: health\n", "\natta.service: Main process exited, code=exited, status=3/NOTIMPLEMENTED\n"
	for name, test := range map[string]struct{ log, want string }{
		"named by its unit":        {"no database" + exit + "atta.service: Failed with result 'exit-code'.\nFailed to start atta.service - atta: the deployed release.", "no database"},
		"named by its description": {"Starting atta: the deployed release, run as a container...\nno database" + exit + "atta.service: Failed with result 'exit-code'.\nFailed to start atta: the deployed release, run as a container.", "no database"},
		"of an old systemd":        {"no database\natta.service: main process exited, code=exited, status=3/NOTIMPLEMENTED\nFailed to start atta: the deployed release.\nUnit atta.service entered failed state.\natta.service failed.", "no database"},
		"with the name of a unit":  {"dial tcp: lookup atta.service.consul: no such host" + exit, "dial tcp: lookup atta.service.consul: no such host"},
		"silent":                   {"Starting atta: the deployed release, run as a container..." + exit, ""},
		"still running":            {"listening on port 8080\n", ""},
	} {
		failed := reasoned("i-1", rollout.RolledBack, deploy.ReasonUnhealthy)
		failed.Log = note + test.log
		result, err := unhealthy(finished(failed), rollout.OutcomeRolledBack)
		want := "**Cause:** `i-1`: its words\n"
		if test.want != "" {
			want = "**Cause:** `i-1`: <samp>" + test.want + "</samp> (its words)\n"
		}
		if summary := report.Summary(result, err); !strings.Contains(summary, want) {
			_, cause, _ := strings.Cut(summary, "**Cause")
			line, _, _ := strings.Cut(cause, "\n")
			t.Errorf("%s: %s", name, line)
		}
	}
}

// The exit status may be the same where the cause is not.
func TestCauseIsThatOfEachInstance(t *testing.T) {
	var hosts []*rollout.Host
	for id, line := range map[string]string{"i-1": "no database", "i-2": "no space left on device"} {
		failed := reasoned(id, rollout.RolledBack, deploy.ReasonUnhealthy)
		failed.Log = "2026-01-02T03:04:30Z 0.1.30-dev: health\n" + line + "\natta.service: Main process exited, code=exited, status=3/n/a"
		hosts = append(hosts, failed)
	}
	result, err := unhealthy(finished(hosts...), rollout.OutcomeRolledBack)
	summary := report.Summary(result, err)
	for _, want := range []string{"- `i-1`: <samp>no database</samp> (its words)\n", "- `i-2`: <samp>no space left on device</samp> (its words)\n"} {
		if !strings.Contains(summary, want) {
			t.Errorf("no %q in\n%s", want, summary)
		}
	}
}

// Whoever is told not to roll back leaves the release on the other instances.
func TestNoRollbackByHandOnlyWhereAllIsBack(t *testing.T) {
	for name, test := range map[string]struct {
		operation rollout.Operation
		others    []*rollout.Host
		want      bool
		says      string
	}{
		"alone":                      {rollout.Deploy, nil, true, ""},
		"others were not touched":    {rollout.Deploy, []*rollout.Host{host("i-2", rollout.NotStarted, "", "", "")}, true, ""},
		"others keep the release":    {rollout.Deploy, []*rollout.Host{host("i-2", rollout.Deployed, "0.1.29-dev", "0.1.30-dev", "")}, false, "On i-1, 0.1.29-dev is back, but not on every instance"},
		"others are unknown":         {rollout.Deploy, []*rollout.Host{host("i-2", rollout.Unknown, "", "", "")}, false, "but not on every instance"},
		"a rollback has been undone": {rollout.Rollback, nil, false, "The rollback did not succeed on i-1: 0.1.29-dev, which was to be replaced, is back."},
		"of a rollback, partly":      {rollout.Rollback, []*rollout.Host{host("i-2", rollout.Deployed, "0.1.31-dev", "0.1.30-dev", "")}, false, "The rollback did not succeed on i-1"},
	} {
		t.Run(name, func(t *testing.T) {
			result, err := unhealthy(finished(append([]*rollout.Host{reasoned("i-1", rollout.RolledBack, deploy.ReasonUnhealthy)}, test.others...)...), rollout.OutcomeFailed)
			result.Plan.Operation = test.operation
			hints := strings.Join(report.Hints(result, err), "\n")
			if got := strings.Contains(hints, "Do not roll back by hand"); got != test.want || !strings.Contains(hints, test.says) {
				t.Errorf("the hints are\n%s", hints)
			}
			// The fleet and the instance quarantine no image that a rollback returns to, and the version after that one exists.
			if test.operation == rollout.Rollback && (strings.Contains(hints, "quarantined") || strings.Contains(hints, "0.1.31-dev")) {
				t.Errorf("the hints of a rollback are those of a deploy:\n%s", hints)
			}
		})
	}
}

// A database that is down also fails the previous version, which is up.
func TestRemedyForWhatFailsInBothVersionsIsNotARelease(t *testing.T) {
	failed := reasoned("i-1", rollout.RollbackFailed, deploy.ReasonUnhealthy)
	failed.Report.Version, failed.Report.Unit, failed.Report.Outcome = "0.1.29-dev", "active", deploy.OutcomeRollbackFailed
	result, err := unhealthy(finished(failed), rollout.OutcomeRollbackFailed)
	summary := report.Summary(result, err)
	for _, want := range []string{"`0.1.29-dev` (**not healthy**)", "0.1.29-dev is back on i-1, but is not healthy either", "and 0.1.30-dev can be deployed again", "show a bug instead, release the fix as 0.1.31-dev"} {
		if !strings.Contains(summary, want) {
			t.Errorf("no %q in\n%s", want, summary)
		}
	}
	failed.Report.Unit = "failed"
	if summary := report.Summary(result, err); !strings.Contains(summary, "**perhaps nothing**") || !strings.Contains(summary, "may run nothing") {
		t.Errorf("the summary is\n%s", summary)
	}
}

func TestNoReleaseIsSaidToBeBackWhereThereWasNone(t *testing.T) {
	failed := reasoned("i-1", rollout.RolledBack, deploy.ReasonUnhealthy)
	failed.Before, failed.Report.Version = "", ""
	result, err := unhealthy(finished(failed), rollout.OutcomeRolledBack)
	if hints := strings.Join(report.Hints(result, err), "\n"); !strings.Contains(hints, "As before, no release is installed on i-1.") || strings.Contains(hints, "back") {
		t.Errorf("the hints are\n%s", hints)
	}
}

// What ran healthy before this run is not quarantined.
func TestNoRemedyCallsTheRunningImageQuarantined(t *testing.T) {
	failed := reasoned("i-1", rollout.RolledBack, deploy.ReasonUnhealthy)
	result, err := unhealthy(finished(failed), rollout.OutcomeRolledBack)
	for verified, want := range map[bool]string{true: " if the image is refused.", false: ", as this image is now refused: release"} {
		result.Current.Verified, result.Current.Digest = verified, result.Image.Digest
		if hints := strings.Join(report.Hints(result, err), "\n"); !strings.Contains(hints, want) {
			t.Errorf("no %q in\n%s", want, hints)
		}
	}
}

// Each instance gets the remedy for what it runs.
func TestRemediesDifferWhereInstancesDo(t *testing.T) {
	failed := func(id string, outcome deploy.Outcome, version, unit string) *rollout.Host {
		h := reasoned(id, rollout.RollbackFailed, deploy.ReasonUnhealthy)
		h.Report.Outcome, h.Report.Version, h.Report.Unit = outcome, version, unit
		return h
	}
	up, down := failed("i-1", deploy.OutcomeRollbackFailed, "0.1.29-dev", "active"), failed("i-2", deploy.OutcomeRollbackFailed, "0.1.29-dev", "failed")
	kept := failed("i-3", deploy.OutcomeRefused, "0.1.30-dev", "active") // it has nothing to roll back to
	result, err := unhealthy(finished(up, down, kept), rollout.OutcomeRollbackFailed)
	summary := report.Summary(result, err)
	for _, want := range []string{"0.1.29-dev is back on i-1, but", "may run nothing", "`0.1.29-dev` (**not healthy**)", "**perhaps nothing**", "`0.1.30-dev` on"} {
		if !strings.Contains(summary, want) {
			t.Errorf("no %q in\n%s", want, summary)
		}
	}
	again := reasoned("i-1", rollout.RolledBack, deploy.ReasonUnhealthy)
	again.Report.Version, again.Report.Unit = "0.1.30-dev", "active"
	result, err = unhealthy(finished(again), rollout.OutcomeRolledBack)
	if hints := strings.Join(report.Hints(result, err), "\n"); !strings.Contains(hints, "0.1.30-dev is up again, with its earlier settings") {
		t.Errorf("the hints are\n%s", hints)
	}
}
