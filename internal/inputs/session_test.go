package inputs_test

import (
	"strings"
	"testing"
)

func TestSessionNameNamesTheRepositoryAndTheRun(t *testing.T) {
	long := strings.Repeat("x", 60)
	for _, test := range []struct{ repository, run, given, want string }{
		{"org/atta", "1234567890", "", "org-atta-1234567890"},
		{"Org/atta.jobs_2", "1", "", "Org-atta.jobs_2-1"},
		{"org/" + long, "1234567890", "", ("org-" + long)[:53] + "-1234567890"},
		{"org/ätta jobs", "1", "", "org--tta-jobs-1"},
		{"org/atta", "1", "ci", "ci"},
		{"", "1", "", "atta-deploy-action"},
		{"org/atta", "", "", "atta-deploy-action"},
		{"org/atta", "a b", "", "atta-deploy-action"},
		{"org/atta", strings.Repeat("1", 70), "", "atta-deploy-action"},
	} {
		got := mustRead(t, map[string]string{"GITHUB_REPOSITORY": test.repository, "GITHUB_RUN_ID": test.run, "INPUT_SERVICE": "atta"}, "--role-session-name="+test.given).Identity.SessionName
		if got != test.want {
			t.Errorf("the session of run %q of %q is %q, want %q", test.run, test.repository, got, test.want)
		}
	}
}
