package inputs

import (
	"errors"
	"maps"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestEveryInputOfActionYMLIsReadAndNoOther(t *testing.T) {
	text, err := os.ReadFile("../../action.yml")
	if err != nil {
		t.Fatal(err)
	}
	d, err := ParseDefinition(text)
	if err != nil {
		t.Fatal(err)
	}
	var defined []string
	for _, input := range d.Inputs {
		defined = append(defined, input.Name)
	}
	p := &parser{values: map[string]string{}, requested: map[string]bool{}}
	p.parseInputs(nil)
	if diff := cmp.Diff(slices.Sorted(slices.Values(defined)), slices.Sorted(maps.Keys(p.requested))); diff != "" {
		t.Errorf("the inputs in action.yml and in the code differ:\n%s", diff)
	}
}

// readOne parses one value and returns the result and the problems.
func readOne[T any](value string, get func(p *parser) T) (T, string) {
	p := &parser{values: map[string]string{"x": value}, requested: map[string]bool{}}
	got := get(p)
	if err := errors.Join(p.problems...); err != nil {
		return got, err.Error()
	}
	return got, ""
}

func TestBooleansAreStrict(t *testing.T) {
	get := func(p *parser) bool { return p.parseBool("x") }
	for value, want := range map[string]bool{"true": true, "false": false, "": false} {
		if got, problem := readOne(value, get); got != want || problem != "" {
			t.Errorf("%q is %t, %s", value, got, problem)
		}
	}
	for _, value := range []string{"True", "TRUE", "1", "yes", "on", "0", "no", "false "} {
		if got, problem := readOne(value, get); got || problem == "" {
			t.Errorf("%q is %t without a problem", value, got)
		}
	}
}

func TestNumbersMustBeWholeAndInRange(t *testing.T) {
	get := func(p *parser) int { return p.parseInt("x", 900, 43200) }
	for value, want := range map[string]int{"900": 900, "43200": 43200, "": 0} {
		if got, problem := readOne(value, get); got != want || problem != "" {
			t.Errorf("%q is %d, %s", value, got, problem)
		}
	}
	for _, value := range []string{"899", "43201", "-900", "1e3", "0x400", "900.0", "1h", "99999999999999999999"} {
		want := `x "` + value + `": want a whole number from 900 to 43200`
		if got, problem := readOne(value, get); got != 0 || problem != want {
			t.Errorf("%q is %d, %s", value, got, problem)
		}
	}
}

func TestDurationsMustBeWholeSecondsAndInRange(t *testing.T) {
	get := func(p *parser) time.Duration { return p.parseDuration("x", 30*time.Second, 48*time.Hour) }
	for value, want := range map[string]time.Duration{
		"30s": 30 * time.Second, "1m30s": 90 * time.Second, "48h": 48 * time.Hour, "0.5h": 30 * time.Minute, "": 0,
	} {
		if got, problem := readOne(value, get); got != want || problem != "" {
			t.Errorf("%q is %s, %s", value, got, problem)
		}
	}
	for _, value := range []string{"29s", "48h1s", "-1m", "300", "5 m", "1d", "30s500ms", "10000000000h"} {
		want := `x "` + value + `": want a duration in whole seconds from 30s to 48h, as in 90s, 15m or 1h30m`
		if got, problem := readOne(value, get); got != 0 || problem != want {
			t.Errorf("%q is %s, %s", value, got, problem)
		}
	}
}

func TestDurationsAreFormattedWithoutZeroUnits(t *testing.T) {
	for want, d := range map[string]time.Duration{
		"30s": 30 * time.Second, "10m": 10 * time.Minute, "10h": 10 * time.Hour, "1h30m": 90 * time.Minute,
		"1h0m10s": time.Hour + 10*time.Second, "1m30s": 90 * time.Second,
	} {
		if got := formatDuration(d); got != want {
			t.Errorf("%s is written %s", d, got)
		}
	}
}

func TestListsAcceptNewlinesOrCommasAndDropBlanksAndDuplicates(t *testing.T) {
	get := func(p *parser) []string { return p.parseList("x", accountID) }
	const one, two = "111111111111", "222222222222"
	for value, want := range map[string][]string{
		"":                                   nil,
		one:                                  {one},
		two + "," + one:                      {two, one},
		" " + one + "\r\n\n  " + two + "  ,": {one, two},
		one + "\n" + two + "\n" + one:        {one, two},
	} {
		got, problem := readOne(value, get)
		if diff := cmp.Diff(want, got); diff != "" || problem != "" {
			t.Errorf("%q: %s %s", value, problem, diff)
		}
	}
	_, problem := readOne(one+",1,\n2 3", get)
	want := "x \"1\": want account ids of 12 digits\nx \"2 3\": want account ids of 12 digits"
	if diff := cmp.Diff(want, problem); diff != "" {
		t.Error(diff)
	}
	if _, problem := readOne(" ,\n, ", get); problem == "" {
		t.Error("a list that contains only separators is accepted")
	}
}

func TestPathsOutsideTheWorkspaceAreRefused(t *testing.T) {
	get := func(workspace string) func(p *parser) string {
		return func(p *parser) string { return p.parsePath("x", workspace) }
	}
	for value, want := range map[string]string{
		"deploy": "deploy", "./a//b/": "a/b", "a/../b": "b", ".": ".", "my files/it's": "my files/it's",
		"/github/workspace/deploy": "/github/workspace/deploy", "/github/workspace": "/github/workspace",
	} {
		if got, problem := readOne(value, get("/github/workspace")); got != want || problem != "" {
			t.Errorf("%q is %q, %s", value, got, problem)
		}
	}
	for _, value := range []string{"..", "../x", "a/../../x", "/etc", "/github/workspace/../x", "/github/workspacex", "a\nb", "a\x00"} {
		if got, problem := readOne(value, get("/github/workspace")); got != "" || problem == "" {
			t.Errorf("%q is %q without a problem", value, got)
		}
	}
	if got, problem := readOne("/github/workspace/deploy", get("")); got != "" || problem == "" {
		t.Errorf("an absolute path outside GitHub is %q without a problem", got)
	}
}

func TestLongValuesAreTruncatedInProblems(t *testing.T) {
	long := ""
	for range 1000 {
		long += "é\n"
	}
	_, problem := readOne(long, func(p *parser) string { return p.parseText("x", region) })
	if len(problem) > 300 {
		t.Errorf("the problem has %d bytes", len(problem))
	}
}
