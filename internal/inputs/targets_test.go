package inputs_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/org/atta-deploy-action/internal/inputs"
)

func TestTargetTagsAreSplitIntoKeysAndValues(t *testing.T) {
	got := mustRead(t, map[string]string{"INPUT_INSTANCE-IDS": "", "INPUT_TARGET-TAGS": "Environment=dev\nteam:role = web server , Empty="}).Targets
	want := inputs.Targets{Tags: []inputs.Tag{{Key: "Environment", Value: "dev"}, {Key: "team:role", Value: "web server"}, {Key: "Empty"}}, MinInstances: 1}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestAtMostTenTargetTagsAreAccepted(t *testing.T) {
	tags := ""
	for i := range 10 {
		tags += fmt.Sprintf("Tag%d=x\n", i)
	}
	without := map[string]string{"INPUT_INSTANCE-IDS": ""}
	if got := mustRead(t, without, "--target-tags="+tags).Targets.Tags; len(got) != 10 {
		t.Errorf("%d tags are read", len(got))
	}
	if got := problems(t, without, "--target-tags="+tags+"Tag10=x"); got != "target-tags has 11 tags: want at most 10" {
		t.Error(got)
	}
}
