package clients

import (
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/google/go-containerregistry/pkg/authn"

	"github.com/org/atta-deploy-action/internal/inputs"
)

// hostRecorder records the hosts of requests and returns an error for each.
type hostRecorder []string

func (a *hostRecorder) Do(r *http.Request) (*http.Response, error) {
	*a = append(*a, r.URL.Host)
	return nil, http.ErrServerClosed
}

// A token is valid in one region only.
func TestEachRegionOfECRIssuesItsOwnToken(t *testing.T) {
	for name, value := range map[string]string{
		"AWS_CONFIG_FILE": os.DevNull, "AWS_SHARED_CREDENTIALS_FILE": os.DevNull, "AWS_PROFILE": "", "AWS_DEFAULT_PROFILE": "",
		"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_ENDPOINT_URL": "", "AWS_ENDPOINT_URL_ECR": "",
	} {
		t.Setenv(name, value)
	}
	a, err := New(t.Context(), inputs.Inputs{Identity: inputs.Identity{Region: "us-east-1"}}, noToken{})
	if err != nil {
		t.Fatal(err)
	}
	a.cfg.Retryer = func() aws.Retryer { return aws.NopRetryer{} }
	var hosts hostRecorder
	a.cfg.HTTPClient = &hosts
	if _, err := authn.Authorization(t.Context(), a.loginForRegion("eu-west-1")); err == nil || len(hosts) != 1 || !strings.Contains(hosts[0], ".eu-west-1.") {
		t.Errorf("%v, and requests went to %v", err, hosts)
	}
	for region, want := range map[string]string{"": "us-east-1", "us-east-1": "us-east-1", "eu-west-1": "eu-west-1"} {
		if got := a.ecrClient(region).Options().Region; got != want {
			t.Errorf("the request for ECR in %q went to %q", region, got)
		}
		if shared := a.loginForRegion(region) == a.login; shared != (want == "us-east-1") {
			t.Errorf("in %q the token of us-east-1 is used: %v", region, shared)
		}
	}
}

func TestHostsAreThoseOfThePartition(t *testing.T) {
	for region, want := range map[string]struct{ console, sts string }{
		"us-east-1":      {"us-east-1.console.aws.amazon.com", "sts.us-east-1.amazonaws.com"},
		"us-gov-west-1":  {"us-gov-west-1.console.amazonaws-us-gov.com", "sts.us-gov-west-1.amazonaws.com"},
		"cn-north-1":     {"cn-north-1.console.amazonaws.cn", "sts.cn-north-1.amazonaws.com.cn"},
		"eusc-de-east-1": {"eusc-de-east-1.console.amazonaws-eusc.eu", "sts.eusc-de-east-1.amazonaws.eu"},
		"us-isob-east-1": {"us-isob-east-1.console.sc2shome.sgov.gov", "sts.us-isob-east-1.sc2s.sgov.gov"},
	} {
		if got := consoleHost(t.Context(), region); got != want.console {
			t.Errorf("the console of %s is %s, want %s", region, got, want.console)
		}
		var hosts hostRecorder
		cfg := aws.Config{
			Region: region, HTTPClient: &hosts, Retryer: func() aws.Retryer { return aws.NopRetryer{} },
			Credentials: credentials.NewStaticCredentialsProvider("key", "secret", ""),
		}
		if _, _, err := callerAccount(t.Context(), cfg, nil); err == nil || len(hosts) != 1 || hosts[0] != want.sts {
			t.Errorf("the request for %s went to %v, want %s: %v", region, hosts, want.sts, err)
		}
	}
}
