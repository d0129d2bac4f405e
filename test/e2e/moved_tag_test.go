package e2e

import (
	"strings"
	"testing"
)

// ofTag is what a run of the tag 0.1.0-dev has, which names the commit of 40 such digits.
func ofTag(digit string) []string {
	return []string{"version=", "GITHUB_REF_TYPE=tag", "GITHUB_REF_NAME=0.1.0-dev", "GITHUB_SHA=" + strings.Repeat(digit, 40)}
}

// A version tag that was put on the wrong commit, deleted and pushed again on the right one: the build is skipped,
// since an earlier run has pushed an image of that version, and the image of the wrong commit is deployed.
// https://github.com/baresip/baresip/pull/3069
func TestCaseATagThatWasPutOnAnotherCommitIsNotDeployedFromTheFirst(t *testing.T) {
	s := play(t)
	first, second := ofTag("1"), ofTag("2")
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

// The tag 0.1.0-dev has always named commit 1. A run of another commit, from a branch, finds its image in the registry already: it has
// pushed nothing. The job of the tag that is started again is told that its tag was moved.
func TestATagThatWasNeverMovedIsNotRefused(t *testing.T) {
	s := play(t)
	tag := ofTag("1")
	s.build("0.1.0-dev")
	s.run(tag...).wants("success")
	// such as deploy.yml, started from the branch main with `image`, or the action in steps of one's own
	s.run("version=0.1.0-dev", "GITHUB_REF_TYPE=branch", "GITHUB_REF_NAME=main", "GITHUB_SHA=2222222222222222222222222222222222222222").wants("success")
	found := s.run(append(tag, "operation=plan", "phases=image", "image=", "instance-ids=")...)
	if found.code != 0 {
		t.Errorf("the tag was not moved:\n%s", found.log)
	}
}

// And the other way round: a tag that was moved is not noticed once a run elsewhere, such as make deploy-dev, has sent the same image.
func TestAMovedTagIsNoticedAfterARunOfTheSameImage(t *testing.T) {
	s := play(t)
	first, second := ofTag("1"), ofTag("2")
	s.build("0.1.0-dev")
	s.run(first...).wants("success")
	s.run("version=0.1.0-dev", "GITHUB_REF_TYPE=", "GITHUB_REF_NAME=", "GITHUB_SHA=").wants("success")
	found := s.run(append(second, "operation=plan", "phases=image", "image=", "instance-ids=")...)
	if found.outputs["image-digest"] != "" {
		t.Errorf("the image of commit 1111111 is to be deployed for commit 2222222:\n%s", found.log)
	}
}

// A tag was moved to a commit that builds the same image, and its run, which has no plan, was green: the image is that commit's as well.
func TestAMovedTagWhoseImageIsTheSameIsTaken(t *testing.T) {
	s := play(t)
	first, second := ofTag("1"), ofTag("2")
	s.build("0.1.0-dev")
	s.run(first...).wants("success")
	s.run(second...).wants("success")
	found := s.run(append(second, "operation=plan", "phases=image", "image=", "instance-ids=")...)
	if found.code != 0 || found.outputs["image-digest"] == "" {
		t.Errorf("the run of commit 2222222 was green with this image, and now:\n%s", found.log)
	}
}
