package e2e

import "testing"

// "Run workflow" offers the default branch, which has no version: https://github.com/ViewComponent/view_component/pull/2703,
// https://github.com/phase-rs/phase/pull/8330
func TestCaseADeployThatWasStartedFromABranchIsToldToUseTheTag(t *testing.T) {
	s := play(t)
	s.build("0.1.0-dev")
	for _, settings := range [][]string{{"version="}, {"version=", "operation=plan", "phases=image", "image="}} {
		out := s.run(append(settings, "GITHUB_EVENT_NAME=workflow_dispatch")...)
		out.says("version is missing", "main", "--ref")
	}
}
