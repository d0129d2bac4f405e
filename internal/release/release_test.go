package release_test

import (
	"errors"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/org/atta-deploy-action/deploy"
	"github.com/org/atta-deploy-action/internal/release"
)

func TestReleaseNamesAreBuiltFromServiceEnvironmentAndVersion(t *testing.T) {
	r, err := release.New("atta", "dev", "0.1.30-dev")
	if err != nil {
		t.Fatal(err)
	}
	got := []string{r.ImageTag(), r.Alias(), r.BundleName(), r.BundlePrefix(), r.BundleKey("b/"), r.OldBundleKey("b/"), r.Folder()}
	want := []string{
		"0.1.30-dev",
		"latest-dev",
		"deploy-bundle-0.1.30-dev.tar.gz",
		"bundles/dev/",
		"b/atta/deploy-bundle-0.1.30-dev.tar.gz",
		"b/deploy-bundle-0.1.30-dev.tar.gz",
		"/opt/atta/releases/0.1.30-dev",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestValidPartsAreAccepted(t *testing.T) {
	for _, parts := range [][3]string{
		{"atta", "dev", "0.1.30-dev"},
		{"x", "x", "0.0.0-x"},
		{"web-2-api", "eu-prod-1", "10.20.30-eu-prod-1"},
		{strings.Repeat("s", 48), strings.Repeat("e", 32), "1.2.999999999999999999-" + strings.Repeat("e", 32)},
	} {
		r, err := release.New(parts[0], parts[1], parts[2])
		if err != nil {
			t.Errorf("New%q: %v", parts, err)
			continue
		}
		if got := [3]string{r.Service, r.Environment, r.Version.String()}; got != parts {
			t.Errorf("New%q has %q", parts, got)
		}
	}
}

func TestInvalidPartsAreRefusedWithAReason(t *testing.T) {
	const want = "want at most 32 lower-case letters, digits and single dashes, starting with a letter, as in dev"
	tests := map[string]struct{ service, environment, version, want string }{
		"leading v": {"atta", "dev", "v0.1.30-dev",
			`version "v0.1.30-dev": want MAJOR.MINOR.PATCH-dev; did you mean 0.1.30-dev?`},
		"no suffix": {"atta", "dev", "0.1.30",
			`version "0.1.30": want MAJOR.MINOR.PATCH-dev; did you mean 0.1.30-dev?`},
		"leading v and no suffix": {"atta", "dev", "v0.1.30",
			`version "v0.1.30": want MAJOR.MINOR.PATCH-dev; did you mean 0.1.30-dev?`},
		"build metadata": {"atta", "dev", "0.1.30-dev+5",
			`version "0.1.30-dev+5": want MAJOR.MINOR.PATCH-dev; did you mean 0.1.30-dev?`},
		"suffix in capitals": {"atta", "dev", "0.1.30-DEV",
			`version "0.1.30-DEV": want MAJOR.MINOR.PATCH-dev; did you mean 0.1.30-dev?`},
		"other environment": {"atta", "dev", "0.1.30-prod",
			`version "0.1.30-prod": belongs to environment prod, but environment is dev`},
		"environment as a prefix of the suffix": {"atta", "dev", "0.1.30-dev-2",
			`version "0.1.30-dev-2": belongs to environment dev-2, but environment is dev`},
		"two numbers":       {"atta", "dev", "0.1-dev", `version "0.1-dev": want MAJOR.MINOR.PATCH-dev`},
		"leading zero":      {"atta", "dev", "0.01.3-dev", `version "0.01.3-dev": want MAJOR.MINOR.PATCH-dev`},
		"number too large":  {"atta", "dev", "0.1.1000000000000000000-dev", `version "0.1.1000000000000000000-dev": want MAJOR.MINOR.PATCH-dev`},
		"newline":           {"atta", "dev", "0.1.3-dev\n", `version "0.1.3-dev\n": want MAJOR.MINOR.PATCH-dev; did you mean 0.1.3-dev?`},
		"branch":            {"atta", "dev", "main", `version "main": want MAJOR.MINOR.PATCH-dev`},
		"no version":        {"atta", "dev", "", "version is missing: want MAJOR.MINOR.PATCH-dev"},
		"environment empty": {"atta", "", "0.1.30-dev", "environment is missing: " + want},
		"environment too long": {"atta", strings.Repeat("e", 33), "0.1.30-dev",
			`environment "` + strings.Repeat("e", 33) + `": ` + want},
		"everything wrong": {"-", "Dev", "x", strings.Join([]string{
			`service "-": want at most 48 lower-case letters, digits and single dashes, starting with a letter, as in atta`,
			`environment "Dev": ` + want,
			`version "x": want MAJOR.MINOR.PATCH-<environment>, as in 0.1.30-dev`,
		}, "\n")},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			r, err := release.New(test.service, test.environment, test.version)
			if err == nil {
				t.Fatalf("New accepted it as %+v", r)
			}
			if diff := cmp.Diff(test.want, err.Error()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestServiceNamesThatWouldNeedQuotingAreRefused(t *testing.T) {
	for _, service := range []string{
		"", "Atta", "1atta", "at_ta", "at.ta", "at ta", "at--ta", "-atta", "atta-", "../atta", "at/ta", "atta@1", "ättä",
		"atta\n", "{{ssm:x}}", strings.Repeat("s", 49),
	} {
		if _, err := release.New(service, "dev", "0.1.30-dev"); err == nil {
			t.Errorf("service %q was accepted", service)
		}
	}
}

// docker rm be removes a container whose ID begins with be.
func TestServiceNameThatBeginsAContainerIDIsRefused(t *testing.T) {
	for service, ok := range map[string]bool{"be": false, "fe": false, "db": false, "cafe80": false, "a": false, "web": true, "be-web": true, "bees": true, "api": true, "f0g": true} {
		_, err := release.New(service, "dev", "0.1.30-dev")
		if (err == nil) != ok || !ok && !strings.Contains(err.Error(), "the beginning of a container ID") {
			t.Errorf("%s: %v", service, err)
		}
		if deploy.MatchesForm("service", service) != ok {
			t.Errorf("a host accepts %s: %t", service, !ok)
		}
	}
}

func TestOnlyAPushedTagProvidesAVersion(t *testing.T) {
	for _, test := range []struct {
		refType, refName, want string
		ok                     bool
	}{
		{"tag", "0.1.30-dev", "0.1.30-dev", true},
		{"branch", "0.1.30-dev", "", false},
		{"tag", "", "", false},
		{"", "", "", false},
	} {
		if got, ok := release.VersionFromRef(test.refType, test.refName); got != test.want || ok != test.ok {
			t.Errorf("VersionFromRef(%q, %q) = %q, %t", test.refType, test.refName, got, ok)
		}
	}
}

func TestDowngradeErrorNamesBothVersionsAndTheInstance(t *testing.T) {
	wanted, current := parseStrict(t, "0.1.29-dev"), parseStrict(t, "0.1.30-dev")
	err := release.CheckDowngrade(wanted, current, "i-0123456789abcdef0")
	var downgrade *release.DowngradeError
	if !errors.As(err, &downgrade) {
		t.Fatalf("got %v, want a DowngradeError", err)
	}
	want := "0.1.29-dev is older than 0.1.30-dev, which runs on i-0123456789abcdef0; set allow-downgrade: true to deploy it anyway"
	if diff := cmp.Diff(want, err.Error()); diff != "" {
		t.Error(diff)
	}
}

func TestAnyVersionIsAcceptedOnAnInstanceThatRunsNothing(t *testing.T) {
	if err := release.CheckDowngrade(parseStrict(t, "0.0.0-dev"), release.Version{}, "i-1"); err != nil {
		t.Error(err)
	}
}

func TestTheSameOrANewerVersionIsNotADowngrade(t *testing.T) {
	for _, current := range []release.Version{parseStrict(t, "0.1.30-dev"), parseStrict(t, "0.1.9-dev")} {
		if err := release.CheckDowngrade(parseStrict(t, "0.1.30-dev"), current, "i-1"); err != nil {
			t.Errorf("over %q: %v", current, err)
		}
	}
}

// safe matches text that needs no quoting in a unit name, a container name, a path, an S3 key, a shell or an image tag.
var safe = regexp.MustCompile(`^[a-z0-9.-]+$`)

func FuzzAcceptedPartsNeedNoQuoting(f *testing.F) {
	f.Add("atta", "dev", "0.1.30-dev")
	f.Add("at ta", "d'v", "0.1.30-d'v")
	f.Add("{{ssm:x}}", "$(id)", "1.2.3-$(id)")
	f.Add("a/..", "..", "0.0.1-..")
	f.Add("a\n", "e\n", "1.2.3-e\n")
	f.Fuzz(func(t *testing.T, service, environment, version string) {
		r, err := release.New(service, environment, version)
		if err != nil {
			if !strings.HasPrefix(err.Error(), "service") && !strings.HasPrefix(err.Error(), "environment") &&
				!strings.HasPrefix(err.Error(), "version") {
				t.Errorf("the error does not name the part: %v", err)
			}
			return
		}
		for _, name := range []string{r.Service, r.Environment, r.Version.String(), r.ImageTag(), r.Alias(), r.BundleName()} {
			if !safe.MatchString(name) || strings.Contains(name, "..") || len(name) > 128 {
				t.Errorf("New(%q, %q, %q) made the name %q", service, environment, version, name)
			}
		}
		if r.Version.Environment() != environment {
			t.Errorf("version %q was accepted for environment %q", version, environment)
		}
	})
}
