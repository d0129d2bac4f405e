package inputs_test

import (
	"strings"
	"testing"
)

func TestDocumentNameIsOneOfThisAccount(t *testing.T) {
	for given, want := range map[string]string{"": "", "AWS-RunShellScript": "", "deploy-atta-dev": "deploy-atta-dev", "Deploy_atta.dev": "Deploy_atta.dev"} {
		if got := mustRead(t, nil, "--document-name="+given).Rollout.Document; got != want {
			t.Errorf("%q is read as %q", given, got)
		}
	}
	for _, given := range []string{"AWS-RunPatchBaseline", "amazon-x", "amzn-x", "ab", strings.Repeat("a", 129), "a b c", "arn:aws:ssm:us-east-1:123456789012:document/deploy"} {
		if got := problems(t, nil, "--document-name="+given); !strings.HasPrefix(got, "document-name ") || !strings.HasSuffix(got, "or AWS-RunShellScript") {
			t.Errorf("%q: %s", given, got)
		}
	}
}
