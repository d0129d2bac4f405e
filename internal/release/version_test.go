package release_test

import (
	"testing"

	"github.com/org/atta-deploy-action/internal/release"
)

func parseStrict(t *testing.T, s string) release.Version {
	t.Helper()
	v, err := release.ParseVersion(s)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestVersionsAreOrderedByNumber(t *testing.T) {
	ordered := []string{"0.0.1-dev", "0.1.9-dev", "0.1.30-dev", "0.2.0-dev", "0.10.0-dev", "1.0.0-dev"}
	for i, older := range ordered {
		for j, newer := range ordered {
			got := parseStrict(t, older).Compare(parseStrict(t, newer))
			if (got < 0) != (i < j) || (got == 0) != (i == j) {
				t.Errorf("compare %s with %s: %d", older, newer, got)
			}
		}
	}
}

func TestEqualVersionsAreEqualWithTheOperator(t *testing.T) {
	if a, b := parseStrict(t, "0.1.30-dev"), parseStrict(t, "0.1.30-dev"); a != b {
		t.Error("0.1.30-dev does not equal itself")
	}
	if parseStrict(t, "0.1.29-dev").Next() != parseStrict(t, "0.1.30-dev") {
		t.Error("a constructed version differs from a parsed one")
	}
}

func TestNextIncrementsThePatchAndKeepsTheEnvironment(t *testing.T) {
	for version, want := range map[string]string{
		"0.1.30-dev":                "0.1.31-dev",
		"0.1.9-eu-prod":             "0.1.10-eu-prod",
		"1.0.999999999999999999-qa": "1.0.1000000000000000000-qa",
	} {
		if got := parseStrict(t, version).Next().String(); got != want {
			t.Errorf("after %s comes %s, want %s", version, got, want)
		}
	}
	if got := release.First("dev").String(); got != "0.1.0-dev" {
		t.Errorf("the first version is %s", got)
	}
}

func TestParseVersionSuggestsACorrection(t *testing.T) {
	const want = "want MAJOR.MINOR.PATCH-<environment>, as in 0.1.30-dev"
	for version, message := range map[string]string{
		"":            "version is missing: " + want,
		"v0.1.30-dev": `version "v0.1.30-dev": ` + want + "; did you mean 0.1.30-dev?",
		"0.1.30":      `version "0.1.30": ` + want,
	} {
		if _, err := release.ParseVersion(version); err == nil || err.Error() != message {
			t.Errorf("ParseVersion(%q): %v, want %s", version, err, message)
		}
	}
}

func TestTheZeroVersionIsWrittenAsEmptyText(t *testing.T) {
	if s := (release.Version{}).String(); s != "" {
		t.Errorf("the zero version is %q", s)
	}
}
