package e2e

import (
	"strings"
	"testing"
)

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
