package e2e

import (
	"strings"
	"testing"

	"github.com/org/atta-deploy-action/localaws"
)

// A denial of the registry names the permission, and whose policy lacks it; the credentials are in order. Of another account's
// repository it is that repository's policy: https://github.com/aws-actions/amazon-ecr-login/issues/232
func TestCaseADenialOfTheRegistryHasARemedy(t *testing.T) {
	for _, action := range []string{"ecr:BatchGetImage", "ecr:PutImage"} {
		t.Run(action, func(t *testing.T) {
			s := play(t)
			s.createDocuments()
			s.changeRole = func(r *localaws.Role) {
				for i := range r.Policies {
					r.Policies[i] = strings.ReplaceAll(r.Policies[i], `"`+action+`"`, `"none:Left"`)
				}
			}
			s.build("0.1.0-dev")
			out := s.runOperation("deploy")
			out.wants("failed")
			out.says(action, "permissions.md")
			if strings.Contains(out.log, "refuses the credentials") {
				t.Errorf("the credentials are in order:\n%s", out.log)
			}
		})
	}
}

// A build that was not run again leaves the archive of the version before, and a green deploy of the old code:
// https://www.codewithagents.de/en/blog/ghost-deploy-docker-image-identity
func TestCaseANewVersionWithTheOldImageIsNamed(t *testing.T) {
	s := play(t)
	s.build("0.1.0-dev")
	s.run().wants("success")
	out := s.run("version=0.1.1-dev") // image.tar is still that of 0.1.0-dev
	out.wants("success")
	if !strings.Contains(out.log, "::notice title=The image is that of 0.1.0-dev") {
		t.Errorf("nothing says that the image is that of 0.1.0-dev:\n%s", out.log)
	}
	if out.outputs["image-pushed"] != "false" { // README.md: false if it was already in the registry
		t.Errorf("image-pushed is %s, although the image was in the registry", out.outputs["image-pushed"])
	}
}
