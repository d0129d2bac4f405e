package report_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/org/atta-deploy-action/internal/report"
	"github.com/org/atta-deploy-action/internal/rollout"
)

// The main step was killed while its commands were at work. The post step cannot set up AWS (the file of AWS_CA_BUNDLE is gone from the
// workspace), so nobody knows what the instances run.
func TestThePostStepThatCannotBeginDoesNotSayThatNothingWasTouched(t *testing.T) {
	result := finished()
	plan := rollout.Plan{Operation: rollout.CleanUp, Release: result.Plan.Release, Phases: result.Plan.Phases,
		Leftover: rollout.Leftover{Deployment: "d-1", Commands: []string{"01234567-89ab-cdef-0123-456789abcdef"}}}
	summary := report.Summary(rollout.Result{Plan: plan, Status: rollout.OutcomeFailed}, errors.New("AWS_CA_BUNDLE is /github/workspace/ca.pem, which …"))
	if strings.Contains(summary, "no instance was touched") || strings.Contains(summary, "was not deployed") {
		t.Errorf("commands were sent, and the summary says:\n%s", summary)
	}
}
