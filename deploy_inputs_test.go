package main

import (
	"slices"
	"strings"
	"testing"
)

// The inputs that are not for the action: those of GitHub and of the checkout in each job, and those of the build.
func TestDeployWorkflowUsesTheInputsThatAreItsOwn(t *testing.T) {
	text, workflow := readFile(t, deployWorkflow), parseDeployWorkflow(t)
	jobs := len(workflow.Jobs)
	for line, want := range map[string]int{
		"    runs-on: ${{ startsWith(inputs.runs-on, '[') && fromJSON(inputs.runs-on) || inputs.runs-on }}\n": jobs,
		"          submodules: ${{ inputs.submodules }}\n":                                                    strings.Count(text, "uses: actions/checkout@"),
		"          lfs: ${{ inputs.lfs }}\n":                                                                  strings.Count(text, "uses: actions/checkout@"),
	} {
		if got := strings.Count(text, line); got != want || got < 2 {
			t.Errorf("%d times %q, want %d", got, line, want)
		}
	}
	steps := workflow.Jobs["deploy"].Steps
	build := steps[slices.IndexFunc(steps, func(s workflowStep) bool { return s.Name == "Build" })]
	for variable, input := range map[string]string{"CONTEXT": "context", "DOCKERFILE": "dockerfile", "PLATFORMS": "platforms", "BUILD_ARGS": "build-args"} {
		if got, want := build.Env[variable], "${{ inputs."+input+" }}"; got != want {
			t.Errorf("the build has %s: %q, want %q", variable, got, want)
		}
	}
}
