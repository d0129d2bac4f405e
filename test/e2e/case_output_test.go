package e2e

import (
	"strings"
	"testing"
	"time"

	"github.com/org/atta-deploy-action/localaws"
	"github.com/org/atta-deploy-action/localaws/simhost"
)

// A role that may send a command and list its result, but not read its whole output (ssm:GetCommandInvocation):
// https://github.com/ReScienceLab/agent-world-network/pull/108
func TestCaseAResultThatTheRoleMayNotReadWhole(t *testing.T) {
	s := play(t)
	s.createDocuments()
	s.changeRole = func(r *localaws.Role) {
		for i, p := range r.Policies {
			r.Policies[i] = strings.ReplaceAll(p, `"ssm:GetCommandInvocation"`, `"ssm:DescribeInstanceInformation"`)
		}
	}
	doctor := s.runOperation("doctor")
	if !strings.Contains(doctor.log, "ssm:GetCommandInvocation") {
		t.Errorf("the doctor finds nothing:\n%s", doctor.log)
	}
	s.build("0.1.0-dev")
	s.runOperation("deploy").wants("success")
	s.build("0.1.1-dev")
	s.setBehavior("0.1.1-dev", simhost.Behavior{Unhealthy: true})
	began := time.Now()
	out := s.runOperation("deploy", "version=0.1.1-dev")
	out.wants("rolled-back")
	if !strings.Contains(out.log, "not authorized to perform: ssm:GetCommandInvocation") {
		t.Errorf("the permission is not named:\n%s", out.log)
	}
	if took := time.Since(began); took > time.Minute {
		t.Errorf("it took %v", took)
	}
}
