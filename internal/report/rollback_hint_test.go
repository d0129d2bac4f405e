package report_test

import (
	"strings"
	"testing"

	"github.com/org/atta-deploy-action/deploy"
	"github.com/org/atta-deploy-action/internal/report"
	"github.com/org/atta-deploy-action/internal/rollout"
)

// A rollback from 0.1.31-dev to 0.1.30-dev, in which a step before the program fails. A version is never reused, so the fix cannot be
// released as the one that runs.
func TestTheRemedyOfARollbackDoesNotNameAVersionThatIsTaken(t *testing.T) {
	for _, reason := range []deploy.Reason{deploy.ReasonStartFailed, deploy.ReasonStepFailed, deploy.ReasonUnitInvalid, deploy.ReasonReleaseChanged} {
		failed := reasoned("i-1", rollout.RolledBack, reason)
		failed.Before, failed.Report.Version = "0.1.31-dev", "0.1.31-dev"
		result, err := unhealthy(finished(failed), rollout.OutcomeRolledBack)
		result.Plan.Operation, result.Current.Version = rollout.Rollback, "0.1.31-dev"
		if hints := strings.Join(report.Hints(result, err), "\n"); strings.Contains(hints, "0.1.31-dev") && strings.Contains(hints, "release it as 0.1.31-dev") || strings.Contains(hints, "release 0.1.31-dev") {
			t.Errorf("%s: 0.1.31-dev runs: %s", reason, hints)
		}
	}
}

// The line is in deploy/.env.example of the release, and nothing on the instance has been made of it yet.
func TestTheRemedyForAnInvalidExampleIsNotToCorrectTheInstance(t *testing.T) {
	failed := reasoned("i-1", rollout.NotDeployed, deploy.ReasonSettingsInvalid)
	failed.Message = "deploy/.env.example of 0.1.30-dev, line 3: docker takes KEY=value only, without export, blanks around the name, a value of several lines or, on podman, a byte order mark"
	failed.Report.Message = failed.Message
	result, err := unhealthy(finished(failed), rollout.OutcomeFailed)
	if hints := strings.Join(report.Hints(result, err), "\n"); strings.Contains(hints, "Correct that line of /opt/atta/.env on the instance") && !strings.Contains(hints, ".env.example") {
		t.Errorf("there is no such line: %s", hints)
	}
}

// A deploy of the version to roll back to is refused, since a newer one runs.
func TestTheRemedyForAnUnknownRollbackIsNotADeploy(t *testing.T) {
	silent := host("i-1", rollout.Unknown, "0.1.31-dev", "", "no answer")
	result, err := unhealthy(finished(silent), rollout.OutcomeUnknown)
	result.Plan.Operation, result.Current.Version = rollout.Rollback, "0.1.31-dev"
	if hints := strings.Join(report.Hints(result, err), "\n"); strings.Contains(hints, "Deploying this version again is safe") {
		t.Error(hints)
	}
}
