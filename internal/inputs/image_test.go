package inputs_test

import (
	"slices"
	"strings"
	"testing"
)

func TestACreatedRepositoryAllowsFourMovableTagsInAdditionToLatest(t *testing.T) {
	tags := []string{"latest-dev", "latest-eu", "a", "b", "c", "d"}
	if got := mustRead(t, nil, "--create-repository", "--image-tags="+strings.Join(tags, ",")).Image.Tags; !slices.Equal(got, tags) {
		t.Errorf("the tags are %v", got)
	}
	tags = append(tags, "e")
	want := "at most 4 tags in addition to latest-*"
	if got := problems(t, nil, "--create-repository", "--image-tags="+strings.Join(tags, ",")); !strings.Contains(got, want) {
		t.Errorf("got %s, want %s", got, want)
	}
	// ECR limits only the repositories whose tags are immutable.
	if got := mustRead(t, nil, "--image-tags="+strings.Join(tags, ",")).Image.Tags; len(got) != len(tags) {
		t.Errorf("the tags of an existing repository are %v", got)
	}
}
