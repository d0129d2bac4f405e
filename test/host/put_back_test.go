//go:build !e2e

package host_test

import "testing"

// A check, or a deploy, of an earlier release with a file that was changed on the instance is killed while it puts the files of
// the bundle back. What was verified can be rolled back to as before.
func TestAReleaseThatIsPutBackIsThereAfterAKill(t *testing.T) {
	t.Parallel()
	for name, at := range map[string]string{
		"before the swap": `mv -T -- "$RELEASE" "$HOME_OF_SERVICE/.replaced"`,
		"in the swap":     `mv -T -- "$tree" "$RELEASE"`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := boot(t)
			m.deployed("0.0.1-dev", daemon())
			m.deployed("0.0.2-dev", daemon())
			m.sh("echo '# changed' >>$ATTA_ROOT/opt/atta/releases/0.0.1-dev/deploy/systemd/atta.service")
			k := m.withHook()
			m.attempt("0.0.1-dev", daemon(), parameter("allow-downgrade", "true"), environment(k.before(at)))
			m.offline()
			m.expect(m.rollback(""), "deployed", 0, "0.0.1-dev runs")
		})
	}
}
