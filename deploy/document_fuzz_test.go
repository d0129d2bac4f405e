package deploy_test

import (
	"strings"
	"testing"

	"github.com/org/atta-deploy-action/deploy"
)

// FuzzDocumentUseOf looks for documents that are taken for one of this version although they would do something else. The
// content is that of a document in which one text is replaced by another.
func FuzzDocumentUseOf(f *testing.F) {
	f.Add("set -euo pipefail", "set -eu")
	f.Add("status|doctor", "status|deploy")
	f.Add(`"schemaVersion"`, `"schemaversion"`)
	f.Add("{", "{{")
	f.Add("\n", " ")
	f.Fuzz(func(t *testing.T, old, text string) {
		whole := deploy.Document("atta", deploy.DocumentForStatus)
		changed := strings.Replace(whole, old, text, 1)
		use := deploy.DocumentUseOf(changed, "atta")
		without := func(s string) string { return strings.Join(strings.Fields(s), "") }
		if use != "" && use != deploy.DocumentForStatus {
			t.Errorf("with %q for %q, it is for %s", text, old, use)
		}
		if use == deploy.DocumentForStatus && strings.Count(without(changed), "set-euopipefail") != strings.Count(without(whole), "set-euopipefail") {
			t.Errorf("with %q for %q, it counts as unchanged", text, old)
		}
		_ = deploy.DocumentUseOf(text, "atta")
	})
}
