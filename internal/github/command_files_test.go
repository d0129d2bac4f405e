package github_test

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestOutputsAreWrittenImmediately(t *testing.T) {
	file := commandFile(t)
	var log strings.Builder
	a := newAction(&log, map[string]string{"GITHUB_OUTPUT": file})
	want := map[string]string{}
	for _, output := range [][2]string{{"version", "0.1.30-dev"}, {"empty", ""}, {"results", "[\n1\n]\n"}, {"version", "2"}} {
		if err := a.Output(output[0], output[1]); err != nil {
			t.Fatal(err)
		}
		want[output[0]] = output[1]
		if diff := cmp.Diff(want, readCommandFile(t, file)); diff != "" {
			t.Error(diff)
		}
	}
	if log.Len() > 0 {
		t.Errorf("logged %q", log.String())
	}
}

func TestOutputsOutsideGitHubAreLogged(t *testing.T) {
	var log strings.Builder
	if err := newAction(&log, nil).Output("version", "x\n::error::y"); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff("output version=x\n: :error::y\n", log.String()); diff != "" {
		t.Error(diff)
	}
}

func TestAnUnwritableFileIsReportedWithTheValueItWasFor(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "no", "folder")
	a := newAction(&strings.Builder{}, map[string]string{
		"GITHUB_OUTPUT": missing, "GITHUB_STEP_SUMMARY": missing,
	})
	for want, err := range map[string]error{
		"write output version: ": a.Output("version", "x"),
		"write step summary: ":   a.Summary("x"),
	} {
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("got %v, want %s…", err, want)
		}
	}
}

func TestASummaryOutsideGitHubIsDropped(t *testing.T) {
	var log strings.Builder
	a := newAction(&log, nil)
	if err := a.Summary("# Done"); err != nil {
		t.Error(err)
	}
	if log.Len() > 0 {
		t.Errorf("logged %q", log.String())
	}
}

func FuzzNoValueCanForgeAnOutput(f *testing.F) {
	f.Add("x")
	f.Add("x\nevil<<E\nvalue\nE\n")
	f.Add("_GitHubActionsFileCommandDelimeter_\nevil=1")
	f.Fuzz(func(t *testing.T, value string) {
		file := commandFile(t)
		a := newAction(&strings.Builder{}, map[string]string{"GITHUB_OUTPUT": file})
		for _, name := range []string{"first", "second"} {
			if err := a.Output(name, value); err != nil {
				t.Fatal(err)
			}
		}
		want := map[string]string{"first": value, "second": value}
		if got := readCommandFile(t, file); !maps.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}

func TestEachValueGetsItsOwnDelimiter(t *testing.T) {
	file := commandFile(t)
	a := newAction(&strings.Builder{}, map[string]string{"GITHUB_OUTPUT": file})
	if err := a.Output("first", "x"); err != nil {
		t.Fatal(err)
	}
	first, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	// A later value may contain the delimiter of an earlier one.
	if err := a.Output("second", "x\n"+string(first)); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{"first": "x", "second": "x\n" + string(first)}, readCommandFile(t, file)); diff != "" {
		t.Error(diff)
	}
}
