package inputs_test

import (
	"maps"
	"os"
	"reflect"
	"sync"
	"testing"

	"github.com/org/atta-deploy-action/internal/inputs"
	"github.com/org/atta-deploy-action/internal/release"
)

var parsed = sync.OnceValues(func() (inputs.Definition, error) {
	text, err := os.ReadFile("../../action.yml")
	if err != nil {
		return inputs.Definition{}, err
	}
	return inputs.ParseDefinition(text)
})

func definition(t testing.TB) inputs.Definition {
	t.Helper()
	d, err := parsed()
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// minimal returns the environment of a workflow that sets only the required inputs.
func minimal() map[string]string {
	return map[string]string{
		"GITHUB_REPOSITORY":    "org/atta",
		"GITHUB_REF_TYPE":      "tag",
		"GITHUB_REF_NAME":      "0.1.30-dev",
		"GITHUB_WORKSPACE":     "/github/workspace",
		"INPUT_ENVIRONMENT":    "dev",
		"INPUT_IMAGE":          "image.tar",
		"INPUT_AWS-REGION":     "us-east-1",
		"INPUT_ECR-REPOSITORY": "atta",
		"INPUT_DEPLOY-BUCKET":  "atta-deploy-artifacts",
		"INPUT_INSTANCE-IDS":   "i-0123456789abcdef0",
	}
}

func read(t testing.TB, env map[string]string, args ...string) (inputs.Inputs, error) {
	t.Helper()
	var environ []string
	for name, value := range env {
		environ = append(environ, name+"="+value)
	}
	return definition(t).Read(environ, args)
}

// mustRead reads the minimal environment plus the given variables and flags.
func mustRead(t *testing.T, more map[string]string, args ...string) inputs.Inputs {
	t.Helper()
	env := minimal()
	maps.Copy(env, more)
	inputs, err := read(t, env, args...)
	if err != nil {
		t.Fatal(err)
	}
	return inputs
}

// problems reads the minimal environment plus the given variables and flags, and returns the error, which is required.
func problems(t *testing.T, more map[string]string, args ...string) string {
	t.Helper()
	env := minimal()
	maps.Copy(env, more)
	inputs, err := read(t, env, args...)
	if err == nil {
		t.Fatalf("%v %v was accepted", more, args)
	}
	if !reflect.ValueOf(inputs).IsZero() {
		t.Errorf("inputs with problems were returned: %+v", inputs)
	}
	return err.Error()
}

func sameVersion(a, b release.Version) bool { return a == b }
