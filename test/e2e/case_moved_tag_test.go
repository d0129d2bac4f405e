package e2e

import (
	"strings"
	"testing"
)

// A version tag that was put on the wrong commit, deleted and pushed again on the right one: the build is skipped,
// since an earlier run has pushed an image of that version, and the image of the wrong commit is deployed.
// https://github.com/baresip/baresip/pull/3069
func TestCaseATagThatWasPutOnAnotherCommitIsNotDeployedFromTheFirst(t *testing.T) {
	s := play(t)
	tag := []string{"version=", "GITHUB_REF_TYPE=tag", "GITHUB_REF_NAME=0.1.0-dev"}
	first := append(tag, "GITHUB_SHA=1111111111111111111111111111111111111111")
	second := append(tag[:3:3], "GITHUB_SHA=2222222222222222222222222222222222222222")
	s.build("0.1.0-dev")
	s.run(first...).wants("success")

	// The steps of deploy.yml for the tag that now names another commit.
	found := s.run(append(second, "operation=plan", "phases=image", "image=", "instance-ids=")...)
	log := found.log + found.summary
	digest := found.outputs["image-digest"]
	if digest == "" {
		return // it is built, and refused as another image of the version
	}
	out := s.run(append(second, "phases=bundle,rollout", "image-digest="+digest)...)
	log += out.log + out.summary
	if out.code == 0 && !strings.Contains(log, "1111111") {
		t.Errorf("the image of commit 1111111 is deployed for commit 2222222, green and without a word:\n%s", log)
	}
}
