package rollout

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/org/atta-deploy-action/deploy"
	"github.com/org/atta-deploy-action/internal/fleet"
	"github.com/org/atta-deploy-action/internal/lease"
)

const digest = "sha256:1111"

var wanted = expectation{deployment: "d-1", service: "atta", version: "0.1.30-dev", digest: digest}

// successAnswer is the answer of a host that has proved its release, modified by change.
func successAnswer(change func(*answer)) answer {
	a := answer{Result: fleet.Result{Outcome: fleet.Completed, Status: "Success"}, report: &deploy.Report{
		Deployment: "d-1", Service: "atta", Outcome: "deployed", Phase: "verify", Version: "0.1.30-dev", Digest: digest, Verified: true, Evidence: deploy.EvidenceRunning,
		Message: "its message",
	}}
	change(&a)
	return a
}

func TestHostIsDeployedOnlyWhenItsReportProvesIt(t *testing.T) {
	endedAs := func(outcome deploy.Outcome, code deploy.ExitCode) func(*answer) {
		return func(r *answer) {
			r.report.Outcome, r.report.Code, r.report.Version = outcome, code, "0.1.29-dev"
			r.Status = "Failed"
		}
	}
	tests := map[string]struct {
		change  func(*answer)
		state   State
		message string
		runs    string
	}{
		"deployed":        {func(*answer) {}, Deployed, "its message", "0.1.30-dev"},
		"unchanged":       {func(r *answer) { r.report.Outcome = "unchanged" }, Deployed, "its message", "0.1.30-dev"},
		"refused":         {endedAs("refused", 10), NotDeployed, "its message", "0.1.29-dev"},
		"rolled back":     {endedAs("rolled-back", 40), RolledBack, "its message", "0.1.29-dev"},
		"rollback failed": {endedAs("rollback-failed", 41), RollbackFailed, "its message", "0.1.29-dev"},
		"refused without a version": {func(r *answer) {
			r.report = &deploy.Report{Deployment: "d-1", Service: "atta", Outcome: "refused", Code: 20, Message: "its message"}
		}, NotDeployed, "its message", "0.1.28-dev"},
		"never delivered": {func(r *answer) {
			*r = answer{Result: fleet.Result{Outcome: fleet.NotDelivered, Status: "AccessDenied", Reason: "SSM denies it"}}
		}, NotDeployed, "SSM denies it", "0.1.28-dev"},
		"no answer": {func(r *answer) {
			*r = answer{Result: fleet.Result{Outcome: fleet.Unknown, Status: "InProgress", Reason: "no answer in time"}}
		}, Unknown, "no answer in time", ""},
		"unknown outcome":      {func(r *answer) { r.report.Outcome = "great" }, Unknown, `the host answers "great": its message`, "0.1.30-dev"},
		"status":               {func(r *answer) { r.report.Outcome = "status" }, Unknown, `the host answers "status": its message`, "0.1.30-dev"},
		"wrong digest":         {func(r *answer) { r.report.Digest = "sha256:2222" }, Unknown, `runs image "sha256:2222", not ` + digest, "0.1.30-dev"},
		"no digest":            {func(r *answer) { r.report.Digest = "" }, Unknown, `runs image ""`, "0.1.30-dev"},
		"wrong version":        {func(r *answer) { r.report.Version = "0.1.29-dev" }, Unknown, `runs version "0.1.29-dev", not 0.1.30-dev`, "0.1.29-dev"},
		"not verified":         {func(r *answer) { r.report.Verified = false }, Unknown, "has not verified the release", "0.1.30-dev"},
		"no evidence":          {func(r *answer) { r.report.Evidence = deploy.EvidenceUnsaid }, Unknown, `its container shows ""`, "0.1.30-dev"},
		"no container":         {func(r *answer) { r.report.Evidence = deploy.EvidenceNone }, Unknown, `its container shows "none"`, "0.1.30-dev"},
		"another image":        {func(r *answer) { r.report.Evidence = deploy.EvidenceOtherImage }, Unknown, `its container shows "other-image"`, "0.1.30-dev"},
		"failed":               {func(r *answer) { r.report.Evidence = deploy.EvidenceFailed }, Unknown, `its container shows "failed"`, "0.1.30-dev"},
		"a job that succeeded": {func(r *answer) { r.report.Evidence = deploy.EvidenceSucceeded }, Deployed, "its message", "0.1.30-dev"},
		"a job at work": {func(r *answer) {
			r.report.Evidence, r.report.Verified = deploy.EvidenceAtWork, false
		}, Running, "its message", "0.1.30-dev"},
		"a job that was not run": {func(r *answer) {
			r.report.Evidence, r.report.Verified = deploy.EvidenceNotRun, false
		}, Installed, "its message", "0.1.30-dev"},
		"a job that was seen to succeed before": {func(r *answer) { r.report.Evidence = deploy.EvidenceNotRun }, Deployed, "its message", "0.1.30-dev"},
		"with an exit code":                     {func(r *answer) { r.report.Code = 1 }, Unknown, "with exit code 1", "0.1.30-dev"},
		"its command failed":                    {func(r *answer) { r.Status = "Failed" }, Unknown, "its command ended as Failed", "0.1.30-dev"},
		"another deployment":                    {func(r *answer) { r.report.Deployment = "d-0" }, Unknown, "about deployment d-0 of atta", "0.1.30-dev"},
		"another service":                       {func(r *answer) { r.report.Service = "beta" }, Unknown, "about deployment d-1 of beta", "0.1.30-dev"},
		"rollback of another": {func(r *answer) {
			endedAs("rolled-back", 40)(r)
			r.report.Deployment = "d-0"
		}, Unknown, "about deployment d-0", "0.1.29-dev"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			host := Host{State: NotStarted, Before: "0.1.28-dev"}
			host.applyAnswer(wanted, successAnswer(test.change))
			if host.State != test.state || !strings.Contains(host.Message, test.message) || host.Runs() != test.runs {
				t.Errorf("%s, runs %q: %s", host.State, host.Runs(), host.Message)
			}
		})
	}
}

func TestExpectationIsMetOnlyByAHealthyHost(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*deploy.Report)
		met    bool
	}{
		"healthy":        {func(*deploy.Report) {}, true},
		"job":            {func(r *deploy.Report) { r.Unit, r.Evidence = "inactive", deploy.EvidenceSucceeded }, true}, // between two runs
		"unit inactive":  {func(r *deploy.Report) { r.Unit = "inactive" }, false},
		"unit failed":    {func(r *deploy.Report) { r.Unit = "failed" }, false},
		"drifted":        {func(r *deploy.Report) { r.Drift = []string{"unit-file"} }, false},
		"not verified":   {func(r *deploy.Report) { r.Verified = false }, false},
		"only installed": {func(r *deploy.Report) { r.Verified, r.Evidence = false, deploy.EvidenceNotRun }, false},
		"no container":   {func(r *deploy.Report) { r.Evidence = deploy.EvidenceNone }, false},
		"busy":           {func(r *deploy.Report) { r.Busy = true }, false},
		"other version":  {func(r *deploy.Report) { r.Version = "0.1.29-dev" }, false},
		"other digest":   {func(r *deploy.Report) { r.Digest = "sha256:2222" }, false},
		"not installed":  {func(r *deploy.Report) { *r = deploy.Report{} }, false},
		"status answer":  {func(r *deploy.Report) { r.Outcome, r.Deployment = "status", "d-0" }, true},
	} {
		report := *successAnswer(func(*answer) {}).report
		report.Unit = "active"
		test.change(&report)
		if got := wanted.isMetBy(&report); got != test.met {
			t.Errorf("%s: %t", name, got)
		}
	}
	if wanted.isMetBy(nil) {
		t.Error("met by a host without a report")
	}
}

func TestOutcomeIsTheMostUrgentOfTheHosts(t *testing.T) {
	ok, problem := context.Background(), errors.New("a problem")
	cancelled, cancel := context.WithCancel(ok)
	cancel()
	late, stop := context.WithTimeout(ok, 0)
	defer stop()
	tests := []struct {
		states string
		ctx    context.Context
		err    error
		want   Outcome
	}{
		{"", ok, nil, OutcomeSuccess},
		{"", ok, problem, OutcomeFailed},
		{"", cancelled, problem, OutcomeCancelled},
		{"", late, problem, OutcomeFailed},
		{"deployed", ok, nil, OutcomeSuccess},
		{"deployed", cancelled, nil, OutcomeSuccess},
		{"deployed deployed", ok, problem, OutcomeFailed},
		{"not-started not-started", ok, problem, OutcomeFailed},
		{"not-started", ok, nil, OutcomeFailed},
		{"not-started", cancelled, problem, OutcomeCancelled},
		{"deployed not-deployed", ok, problem, OutcomeFailed},
		{"not-deployed", ok, problem, OutcomeFailed},
		{"rolled-back", ok, problem, OutcomeRolledBack},
		{"rolled-back not-deployed", ok, problem, OutcomeRolledBack},
		{"deployed rolled-back", ok, problem, OutcomeFailed},
		{"deployed unknown", ok, problem, OutcomeUnknown},
		{"unknown rolled-back", ok, problem, OutcomeUnknown},
		{"unknown", late, problem, OutcomeUnknown},
		{"unknown", cancelled, problem, OutcomeCancelled},
		{"unknown rollback-failed", ok, problem, OutcomeRollbackFailed},
		{"rollback-failed", cancelled, problem, OutcomeRollbackFailed},
		{"deployed rolled-back rollback-failed", ok, problem, OutcomeRollbackFailed},
	}
	for _, test := range tests {
		var hosts []*Host
		for state := range strings.FieldsSeq(test.states) {
			hosts = append(hosts, &Host{State: State(state)})
		}
		if got := fleetOutcome(test.ctx, hosts, test.err); got != test.want {
			t.Errorf("%q, %v, %v: %s, want %s", test.states, test.ctx.Err(), test.err, got, test.want)
		}
	}
}

func TestPreviousVersionIsTheOneThatAllHostsRan(t *testing.T) {
	for ran, want := range map[string]string{
		"": "", "0.1.29-dev": "0.1.29-dev", "0.1.29-dev 0.1.29-dev": "0.1.29-dev", "0.1.28-dev 0.1.29-dev": "", "0.1.29-dev -": "",
	} {
		var result Result
		for version := range strings.FieldsSeq(ran) {
			result.Hosts = append(result.Hosts, &Host{Before: strings.Trim(version, "-")})
		}
		if got := result.Previous(); got != want {
			t.Errorf("after %q: %q", ran, got)
		}
	}
}

func TestErrorNamesAFewHostsAndCountsTheRest(t *testing.T) {
	one := &Host{Instance: fleet.Instance{ID: "i-1"}, State: Unknown, Message: "no answer in time"}
	if got := (&UnhealthyError{Hosts: []*Host{one}, Of: 1}).Error(); got != "instance i-1: unknown: no answer in time" {
		t.Errorf("one: %s", got)
	}
	many := make([]*Host, 12)
	for i := range many {
		many[i] = one
	}
	lines := strings.Split((&UnhealthyError{Hosts: many, Of: 500}).Error(), "\n")
	if len(lines) != 7 || lines[0] != "12 of 500 instances are not known to run the release" || lines[1] != "instance i-1: unknown: no answer in time" || lines[6] != "and 7 more" {
		t.Errorf("many: %q", lines)
	}
}

func TestErrorsNameUpToFiveHosts(t *testing.T) {
	var hosts []*Host
	for i := range 7 {
		hosts = append(hosts, &Host{Instance: fleet.Instance{ID: fmt.Sprintf("i-%d", i)}, Before: "0.1.30-dev", Report: &deploy.Report{}})
	}
	_, disagreement := previousVersion(hosts, lease.Current{Version: "0.1.30-dev"})
	for name, err := range map[string]error{
		"too few":             &TooFewError{Found: instancesOf(hosts), Want: 9},
		"unhealthy":           &UnhealthyError{Hosts: hosts, Of: 7},
		"drift":               &DriftError{Hosts: hosts, Of: 7},
		"no previous version": disagreement,
	} {
		if n := strings.Count(err.Error(), "i-"); n != 5 {
			t.Errorf("%s: %d of 7 hosts are named: %v", name, n, err)
		}
	}
}
