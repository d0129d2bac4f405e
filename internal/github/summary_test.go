package github_test

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const mebibyte = 1 << 20

// summarize adds the parts in turn and returns the summary.
func summarize(t *testing.T, parts ...string) string {
	t.Helper()
	file := commandFile(t)
	a := newAction(&strings.Builder{}, map[string]string{"GITHUB_STEP_SUMMARY": file})
	for _, part := range parts {
		if err := a.Summary(part); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestSummariesAreAppended(t *testing.T) {
	if diff := cmp.Diff("# Done\nmore\n", summarize(t, "# Done", "more\n")); diff != "" {
		t.Error(diff)
	}
}

func TestASummaryOfTheMaximumSizeIsKeptWhole(t *testing.T) {
	whole := strings.Repeat("123456\n", mebibyte/7) + "123\n"
	if len(whole) != mebibyte {
		t.Fatalf("the test's text has %d bytes", len(whole))
	}
	if summarize(t, whole) != whole {
		t.Error("it was changed")
	}
}

func TestALargerSummaryIsTruncatedAfterALineWithANote(t *testing.T) {
	got := summarize(t, strings.Repeat("é, a line\n", 90_000), strings.Repeat("more\n", 100_000))
	if len(got) > mebibyte || len(got) < mebibyte-20 {
		t.Errorf("it has %d bytes", len(got))
	}
	if !strings.HasSuffix(got, "more\n\n\n*The rest is in the log: a summary is limited to 1 MiB.*\n") {
		t.Errorf("it ends in %q", got[len(got)-80:])
	}
}

func TestNothingIsAppendedToAFullSummary(t *testing.T) {
	got := summarize(t, strings.Repeat("line\n", 300_000), strings.Repeat("more\n", 300_000), "last")
	if len(got) > mebibyte || strings.Count(got, "The rest is in the log") != 1 {
		t.Errorf("it has %d bytes and ends in %q", len(got), got[len(got)-80:])
	}
}
