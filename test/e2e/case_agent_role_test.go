package e2e

import "testing"

// An agent that had no role when it was started tries again after up to an hour, so the role that is attached then seems to have no
// effect: https://github.com/peterkimzz/aws-ssm-send-command/issues/5, https://github.com/aws/amazon-ssm-agent/issues/202
func TestCaseAnInstanceWhoseRoleCameLaterIsHelped(t *testing.T) {
	s := play(t)
	s.build("0.1.0-dev")
	out := s.run("instance-ids=i-0123456789abcdef9")
	out.wants("failed")
	out.says("AmazonSSMManagedInstanceCore", "amazon-ssm-agent")
}
