package inputs_test

import (
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
