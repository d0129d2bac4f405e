package clients

import (
	"os"
	"testing"

	"github.com/org/atta-deploy-action/internal/action"
)

// A token is of one region: another one of ECR is asked for its own.
func TestEachRegionOfECRIsAskedItself(t *testing.T) {
	t.Setenv("AWS_CONFIG_FILE", os.DevNull)
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", os.DevNull)
	in := action.Inputs{Identity: action.Identity{Region: "us-east-1"}}
	a, err := New(t.Context(), in, nil)
	if err != nil {
		t.Fatal(err)
	}
	for region, want := range map[string]string{"": "us-east-1", "us-east-1": "us-east-1", "eu-west-1": "eu-west-1"} {
		if got := a.ecrIn(region).Options().Region; got != want {
			t.Errorf("ECR in %q is asked in %q", region, got)
		}
		if shared := a.loginIn(region) == a.login; shared != (want == "us-east-1") {
			t.Errorf("in %q the token of us-east-1 is used: %v", region, shared)
		}
	}
}
