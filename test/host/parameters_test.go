//go:build !e2e

package host_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"al.essio.dev/pkg/shellescape"

	"github.com/org/atta-deploy-action/deploy"
	"github.com/org/atta-deploy-action/test/tier"
)

func TestABadParameterIsRefusedAndNothingIsMade(t *testing.T) {
	t.Parallel()
	m := boot(t)
	image := m.push()
	command := m.prepare("0.0.1-dev", parameter("image", image))
	before := m.tree("")
	bad := map[string][]string{
		"service":         {"", "Atta", "../atta", "atta/x", "-atta", "atta-", "a b", "be", "fe80"},
		"version":         {"", "1.2", "1.2.3", "v1.2.3-dev", "01.2.3-dev", "1.2.3-Dev", "1.2.3-dev/..", "../../etc"},
		"image":           {"atta:latest", "host/atta@sha256:12", image + "0", "-" + image + " "},
		"region":          {"", "mars", "us-east-1 --debug"},
		"bundle":          {"", "http://host/x", "s3://bucket", "s3://b/k --no-sign-request", "s3://b/k?x"},
		"sha256":          {"", "12", strings.Repeat("g", 64), strings.Repeat("0", 65)},
		"deployment":      {"", "a.b", "a/b", strings.Repeat("a", 65)},
		"not-after":       {"", "0", "08", "-1", "1e9", "a[$(touch /tmp/x)]", "1234567890123"},
		"health-timeout":  {"", "0", "010", "1.5", "20s", "1234567"},
		"allow-downgrade": {"", "yes", "TRUE", "true false"}, "allow-quarantined": {"", "1"}, "run-on-deploy": {"", "no"},
		"on-running": {"", "stop"}, "drain-timeout": {"", "-1", "10m"}, "min-healthy-time": {"", "0"}, "keep-releases": {"", "0", "1234567"},
		"image-bytes": {"", "1k"}, "generation": {"0", "01", "-1", "1234567890123"}, "about": {"a.b", strings.Repeat("a", 65)},
		"live-log":   {"yes"},
		"health-url": {"https://h/", "http://", "http://h/ x", "file:///etc"},
		"unheard-of": {"1"},
	}
	hostile := []string{`$(touch "$ATTA_ROOT/pwned")`, "\ndev", "x{{ssm:/y}}", "dev\n", `'`, `"`, "`id`", ";id", "$$", `\`, "*", "é"}
	for i, name := range slices.Sorted(maps.Keys(bad)) {
		values := slices.Concat(bad[name], []string{hostile[i%len(hostile)], hostile[(i+5)%len(hostile)]})
		if tier.Sampled {
			values = slices.Concat(bad[name][:min(2, len(bad[name]))], hostile[:1])
		}
		for _, value := range values {
			if name == "image" && value == "" {
				continue
			}
			args := slices.DeleteFunc(slices.Clone(command.args), func(arg string) bool { return strings.HasPrefix(arg, "--"+name+"=") })
			a := m.send(append(args, "--"+name+"="+value))
			if a.Outcome != "refused" || a.exit != 10 || !strings.Contains(a.Message, name) {
				t.Errorf("--%s=%q: %s %d %q", name, value, a.Outcome, a.exit, a.Message)
			}
		}
	}
	m.same(before, m.tree(""))
}

func TestAnUnknownCommandIsRefused(t *testing.T) {
	t.Parallel()
	m := boot(t)
	for _, args := range [][]string{{}, {"--service=atta"}, {"remove", "--service=atta"}, {"deploy; id", "--service=atta"}} {
		m.expect(m.send(args), "refused", 10, "unknown command")
	}
	m.expect(m.send([]string{"status", "--service=atta", "atta"}), "refused", 10, "unknown parameter: atta")
}

// SSM replaces {{ name }} anywhere in a command, and takes 64 KB with everything around it.
func TestTheCommandIsConstantAndSmall(t *testing.T) {
	t.Parallel()
	if strings.Contains(deploy.Bootstrap, "{{") {
		t.Error("bootstrap.sh has {{")
	}
	longest := shellescape.QuoteCommand([]string{"deploy", strings.Repeat("--service="+strings.Repeat("a", 250)+" ", 10)})
	if size := len(deploy.Bootstrap) + len(longest); size > 40_000 {
		t.Errorf("the command has %d bytes", size)
	}
}
