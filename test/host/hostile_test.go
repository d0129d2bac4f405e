//go:build !e2e || long

package host_test

import (
	"archive/tar"
	"testing"

	"github.com/org/atta-deploy-action/internal/bundle"
)

// holding is a bundle with one entry, which the command knows the right hash of.
func holding(t *testing.T, header tar.Header) change {
	return repacked(func(bundle.Bundle) []byte { return pack(t, entry{Header: header}) })
}

func TestOnEachMachineADamagedOrHostileBundleTouchesNothing(t *testing.T) {
	onEachMachine(t, func(t *testing.T, m machine) {
		m.deployed("0.0.1-dev")
		before, run := m.snapshot(), m.invocation()
		flipped := func(a *attempt) {
			a.bundle = func(b bundle.Bundle) []byte {
				b.Content[len(b.Content)/2] ^= 1
				return b.Content
			}
		}
		for message, c := range map[string]change{
			"expected":                flipped,
			"leaves its folder":       holding(t, tar.Header{Name: "deploy/../../../../etc/cron.d/evil", Typeflag: tar.TypeReg, Mode: 0o644}),
			"more than plain files":   holding(t, tar.Header{Name: "deploy/link", Typeflag: tar.TypeSymlink, Linkname: "/etc/passwd", Mode: 0o777}),
			"plain files: -rwsr-xr-x": holding(t, tar.Header{Name: "deploy/tool", Typeflag: tar.TypeReg, Mode: 0o4755}),
		} {
			m.expect(m.deploy("0.0.2-dev", c), "refused", 20, message)
			m.same(before, m.snapshot())
			m.want("systemctl show --property=InvocationID $s", run)
			m.want("ls $ATTA_ROOT/opt/$s/releases; find $ATTA_ROOT/ -xdev -name evil", "0.0.1-dev")
		}
	})
}
