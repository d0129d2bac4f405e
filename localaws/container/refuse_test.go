//go:build e2e

package container_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"testing"

	"github.com/org/atta-deploy-action/internal/bundle"
)

// holding is a bundle with one entry, which the command knows the right hash of.
func holding(t *testing.T, header tar.Header) change {
	var content bytes.Buffer
	compressed := gzip.NewWriter(&content)
	archive := tar.NewWriter(compressed)
	if err := archive.WriteHeader(&header); err != nil {
		t.Fatal(err)
	}
	if archive.Close() != nil || compressed.Close() != nil {
		t.Fatal("the archive cannot be made")
	}
	return func(a *attempt) {
		a.bundle = func(bundle.Bundle) []byte { return content.Bytes() }
		a.sha256 = func(b []byte) string {
			sum := sha256.Sum256(b)
			return hex.EncodeToString(sum[:])
		}
	}
}

func TestE2EADamagedOrHostileBundleTouchesNothing(t *testing.T) {
	onEach(t, func(t *testing.T, m machine) {
		m.deployed("0.0.1-dev")
		before, run := m.live(), m.id()
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
			m.same(before, m.live())
			m.want("systemctl show --property=InvocationID $s", run)
			m.want("ls /opt/$s/releases; find / -xdev -name evil", "0.0.1-dev")
		}
	})
}
