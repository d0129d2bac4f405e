package inputs_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestFlagsOverrideVariablesAndVariablesOverrideDefaults(t *testing.T) {
	variable := map[string]string{"INPUT_BUNDLE-PATH": "from-variable"}
	for want, got := range map[string]string{
		"deploy":        mustRead(t, nil).Bundle.Path,
		"from-variable": mustRead(t, variable, "--bundle-path=").Bundle.Path,
		"from-flag":     mustRead(t, variable, "--bundle-path=from-flag").Bundle.Path,
		"a=b":           mustRead(t, variable, "--bundle-path=a=b").Bundle.Path,
	} {
		if got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestABooleanFlagNeedsNoValue(t *testing.T) {
	if !mustRead(t, nil, "--allow-downgrade").Rollout.Policy.AllowDowngrade {
		t.Error("--allow-downgrade is not true")
	}
	if mustRead(t, nil, "--step-summary=false").Reporting.StepSummary {
		t.Error("--step-summary=false is true")
	}
}

func TestInvalidArgumentsAreRefusedWithASuggestion(t *testing.T) {
	for arg, want := range map[string]string{
		"dev":              `argument "dev": want --name=value`,
		"environment=dev":  `argument "environment=dev": want --name=value`,
		"":                 `argument "": want --name=value`,
		"--service":        "flag --service has no value: want --service=value",
		"-service=x":       `flag "-service" is not an input; did you mean --service?`,
		"--Service=x":      `flag "--Service" is not an input; did you mean --service?`,
		"--aws_region=x":   `flag "--aws_region" is not an input; did you mean --aws-region?`,
		"--instance-id=x":  `flag "--instance-id" is not an input; did you mean --instance-ids?`,
		"--zzzzzzzzzzzz=x": `flag "--zzzzzzzzzzzz" is not an input`,
		"--":               `flag "--" is not an input`,
		"--args=x":         `flag "--args" is not an input`,
	} {
		if diff := cmp.Diff(want, problems(t, nil, arg)); diff != "" {
			t.Errorf("%q: %s", arg, diff)
		}
	}
}

func TestADuplicateFlagIsRefused(t *testing.T) {
	want := "flag --service is given more than once"
	if diff := cmp.Diff(want, problems(t, nil, "--service=web", "--service=api")); diff != "" {
		t.Error(diff)
	}
}

func TestUnknownInputVariablesAreRefusedWithASuggestion(t *testing.T) {
	for name, want := range map[string]string{
		"INPUT_ECR_REPOSITORY": "INPUT_ECR_REPOSITORY is not an input; did you mean INPUT_ECR-REPOSITORY?",
		"INPUT_VERSIONS":       "INPUT_VERSIONS is not an input; did you mean INPUT_VERSION?",
		"INPUT_":               "INPUT_ is not an input",
	} {
		if diff := cmp.Diff(want, problems(t, map[string]string{name: "x"})); diff != "" {
			t.Error(diff)
		}
	}
}

func TestTheRunnersOwnVariablesAreIgnored(t *testing.T) {
	mustRead(t, map[string]string{"INPUT_ARGS": "x", "INPUT_ENTRYPOINT": "/x", "INPUTS": "x", "MY_INPUT_X": "x"})
}
