package bundle_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/org/atta-deploy-action/deploy"
	"github.com/org/atta-deploy-action/internal/bundle"
)

// units returns the files in deploy/systemd of a bundle of web, by name.
func units(t *testing.T, mode string, files ...own) map[string]string {
	t.Helper()
	b, err := bundle.Build(folder(t, files...), version(t, "web"), mode)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	for _, file := range unpack(t, b.Content) {
		if name, ok := strings.CutPrefix(file.Name, "deploy/systemd/"); ok {
			found[name] = file.Text
		}
	}
	return found
}

func builtIn(t *testing.T, name string) string {
	t.Helper()
	text, err := deploy.Files.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestModeSelectsTheBuiltInUnit(t *testing.T) {
	t.Parallel()
	job, service := builtIn(t, deploy.JobUnit), builtIn(t, deploy.ServiceUnit)
	copied := []own{{deploy.JobUnit, job, 0o755}, {deploy.ServiceUnit, service, 0o644}} // of the folder of the action
	for mode, want := range map[string]string{"": job, "job": job, "service": service} {
		for _, files := range [][]own{nil, copied} {
			if diff := cmp.Diff(map[string]string{"web.service": want}, units(t, mode, files...)); diff != "" {
				t.Errorf("mode %q: %s", mode, diff)
			}
		}
	}
}

func TestBuildRefusesAnOwnUnitOfAnotherMode(t *testing.T) {
	t.Parallel()
	for text, is := range map[string]string{
		"[Service]\nType=oneshot\nExecStart=/bin/true\n":            "job",
		"[Service]\n Type = oneshot \r\n":                           "job",
		"[Service]\nType=simple\nType=oneshot":                      "job",
		"[Service]\nType=oneshot\nType=exec\n":                      "service",
		"[Service]\n#Type=oneshot\nExecStart=/bin/true\n":           "service",
		"[Service]\nExecStart=/bin/true Type=oneshot\n":             "service",
		"[Service]\nExecStart=/bin/true\n[Install]\nWantedBy=x.y\n": "service",
	} {
		unit := own{"systemd/web.service", text, 0o644}
		for _, mode := range []string{"", is} {
			if diff := cmp.Diff(map[string]string{"web.service": text}, units(t, mode, unit)); diff != "" {
				t.Errorf("mode %q: %s", mode, diff)
			}
		}
		other := map[string]string{"job": "service", "service": "job"}[is]
		wantRefused(t, other, []own{unit}, "mode is "+other+", but systemd/web.service", "is a "+is)
	}
}

const job = "[Service]\nType=oneshot\nExecStart=/bin/true\n"

func TestBuildAcceptsTimersAndTheUnitsTheyStart(t *testing.T) {
	t.Parallel()
	got := units(t, "", own{"systemd/web.timer", "", 0o644}, own{"systemd/web-back_up.2.timer", "", 0o644}, own{"systemd/web-back_up.2.service", job, 0o644},
		own{"systemd/web-twice.timer", "[Timer]\nUnit = web.service\n", 0o644}, own{"systemd/web.service.d.conf", "", 0o644})
	if len(got) != 6 {
		t.Errorf("the units are %v", got)
	}
}

// wantRefused checks that no bundle of web is built, and that the error names each of the reasons.
func wantRefused(t *testing.T, mode string, files []own, reasons ...string) {
	t.Helper()
	_, err := bundle.Build(folder(t, files...), version(t, "web"), mode)
	if err == nil {
		t.Fatalf("mode %q: a bundle of %+v was built", mode, files)
	}
	for _, reason := range reasons {
		if !strings.Contains(err.Error(), reason) {
			t.Errorf("no %s in\n%v", reason, err)
		}
	}
}

func TestBuildReportsAllUnitsThatWouldNotBeInstalledAtOnce(t *testing.T) {
	t.Parallel()
	var files []own
	var reasons []string
	for _, name := range []string{
		"atta.service", "daemon.service", "web.socket", "web.path", "web.target", "webshop.service", "web-.timer", "web@.service", "web-a b.service", "x/web.service", ".timer", "web.service.d/limits.conf",
	} {
		files = append(files, own{"systemd/" + name, "changed", 0o644})
		reasons = append(reasons, `"systemd/`+name+`" would not be installed`)
	}
	files = append(files, own{"systemd/web-recover.service", job, 0o644}, own{"systemd/web-a.timer", "", 0o644}, own{"systemd/web-b.timer", "[Timer]\nUnit=web-c.service", 0o644},
		own{"systemd/web.service", job, 0o644}, own{".env", "", 0o600})
	reasons = append(reasons, `"systemd/web-recover.service" has a name that is reserved for the deploy`, `"systemd/web-a.timer" starts web-a.service, which`,
		`"systemd/web-b.timer" starts web-c.service, which`, "mode is service", `".env" contains settings`)
	wantRefused(t, "service", files, reasons...)
}
