package fleet_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ssm"

	"github.com/org/atta-deploy-action/internal/fleet"
	"github.com/org/atta-deploy-action/localaws"
)

// The role may not read whole outputs, and the command of one instance is killed before it has printed a result. The other
// instance still works, and has its result.
func TestAnInstanceWithoutAResultDoesNotCostTheOthersTheirs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := startServer(t, localaws.Options{})
		s.AddFault(localaws.Fault{Operation: "ssm:GetCommandInvocation", Error: &localaws.Error{Code: "AccessDeniedException", Message: "no"}})
		slow := faultyInstance("i-2", localaws.DeliveryFault{Delay: 2 * time.Minute})
		slow.Machine = healthyMachine
		command := script
		command.Timeout = 10 * time.Minute
		run, err := fleet.New(ssm.NewFromConfig(s.Config()), 5*time.Minute).Run(t.Context(), command,
			addInstances(s, faultyInstance("i-1", localaws.DeliveryFault{Status: "ExecutionTimedOut", Code: 137, Stdout: "killed\n"}), slow), nil)
		if err != nil {
			t.Error(err)
		}
		wantOutcomes(t, run, "i-1 unknown ExecutionTimedOut", "i-2 ran Success")
	})
}
