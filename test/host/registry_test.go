//go:build !e2e

package host_test

import (
	"os/exec"
	"testing"

	ecr "github.com/org/atta-deploy-action/internal/image"
)

// The hosts of ECR are written down in a script, since an instance has no SDK to ask.
func TestAnInstanceKnowsTheRegistriesOfEachPartition(t *testing.T) {
	t.Parallel()
	hosts := map[string]string{
		"123456789012.dkr-ecr.us-east-1.on.aws":                         "us-east-1",
		"123456789012.dkr-ecr.cn-north-1.on.amazonwebservices.com.cn":   "cn-north-1",
		"123456789012.dkr-ecr.eusc-de-east-1.on.amazonwebservices.eu":   "eusc-de-east-1",
		"123456789012.dkr.ecr-fips.us-gov-west-1.amazonaws.com":         "us-gov-west-1",
		"123456789012.dkr.ecr.us-east-1.amazonaws.com.registry.example": "",
		"123456789012.dkr.ecr.us-east-1.registry.example":               "",
		"a123456789012.dkr.ecr.us-east-1.amazonaws.com":                 "",
		"registry.example/123456789012.dkr.ecr.us-east-1.amazonaws.com": "",
	}
	for _, region := range []string{"us-east-1", "cn-north-1", "us-gov-west-1", "eusc-de-east-1", "us-iso-east-1", "us-isob-east-1", "eu-isoe-west-1", "us-isof-south-1"} {
		hosts[ecr.RegistryHost(t.Context(), "123456789012", region)] = region
	}
	for host, region := range hosts {
		err := exec.Command("bash", "-c", `source ../../deploy/lib/image.sh; is_ecr_host "$1" https://another.example`, "bash", host).Run()
		if got := ecr.RegionOf(t.Context(), host); got != region || (err == nil) != (region != "") {
			t.Errorf("%s is in region %q, want %q; the instance: %v", host, got, region, err)
		}
	}
}
