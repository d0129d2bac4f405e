//go:build !e2e

package host_test

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"strings"
	"testing"

	"github.com/org/atta-deploy-action/internal/bundle"
	"github.com/org/atta-deploy-action/test/tier"
)

// damaged are copies of a bundle: cut every four kilobytes, and with one bit flipped
// in the headers, in the trailer and here and there between.
func damaged(b bundle.Bundle) map[string][]byte {
	copies := map[string][]byte{}
	for size := 0; size < len(b.Content); size += 4096 {
		copies["cut to "+fmt.Sprint(size)] = b.Content[:size]
	}
	for _, size := range []int{1, 4, 8, 9} { // within the trailer, all of it, and more
		copies["cut by "+fmt.Sprint(size)] = b.Content[:len(b.Content)-size]
	}
	positions := []int{0, 2, 3, 4, 9, 10, 11, 13, 15, 20, 120, 140, 163, 172, 272}
	for at := 600; at < len(b.Content); at += 3989 {
		positions = append(positions, at)
	}
	for _, at := range append(positions, len(b.Content)-8, len(b.Content)-5, len(b.Content)-4, len(b.Content)-1) {
		content := bytes.Clone(b.Content)
		content[at] ^= 1 << (at % 8)
		copies["flipped at "+fmt.Sprint(at)] = content
	}
	return sampleOf(copies)
}

func TestADamagedBundleIsRefusedBeforeItIsUnpacked(t *testing.T) {
	t.Parallel()
	m := bootDeployed(t, "0.1.0-dev")
	image := m.push()
	before := m.tree("opt")
	maps.DeleteFunc(before, leavesTraces)
	m.untouched(func() {
		whole := m.build("0.1.1-dev", nil, "").Content
		flipped := bytes.Clone(whole)
		flipped[11] ^= 1
		for name, content := range map[string][]byte{"cut": whole[:len(whole)-1], "flipped": flipped, "empty": {}} {
			a := m.deploy("0.1.1-dev", parameter("image", image), func(a *attempt) { a.bundle = func(bundle.Bundle) []byte { return content } })
			if a.Outcome != "refused" || a.exit != 20 || !strings.Contains(a.Message, "has sha256") {
				t.Fatalf("%s: %d %s", name, a.exit, a.Message)
			}
			after := m.tree("opt")
			maps.DeleteFunc(after, leavesTraces)
			m.same(before, after)
		}
	})
}

// The sum of a damaged file may have been taken after the damage. Then it does not
// unpack, or it unpacks to the very same files: a gzip header has bytes that do not count.
func TestABundleDamagedBeforeItsSumWasTakenIsRefusedOrWhole(t *testing.T) {
	t.Parallel()
	m := bootDeployed(t, "0.1.0-dev")
	missing := parameter("image", cloud.RegistryHost()+"/"+m.name+"@sha256:"+strings.Repeat("0", 64))
	m.expect(m.deploy("0.1.1-dev", missing), "refused", 10, "pull")
	whole := m.tree("opt/atta/releases/0.1.1-dev")
	maps.DeleteFunc(whole, isReleaseEnv)
	refused := 0
	m.untouched(func() {
		for name, content := range damaged(m.build("0.1.1-dev", nil, "")) {
			if err := os.RemoveAll(m.Path("opt/atta/releases/0.1.1-dev")); err != nil {
				t.Fatal(err)
			}
			a := m.deploy("0.1.1-dev", missing, repacked(func(bundle.Bundle) []byte { return content }))
			if a.exit == 20 && a.Outcome == "refused" {
				refused++
				continue
			}
			unpacked := m.tree("opt/atta/releases/0.1.1-dev")
			maps.DeleteFunc(unpacked, isReleaseEnv)
			if a.exit != 10 || !strings.Contains(a.Message, "pull") || !maps.Equal(whole, unpacked) {
				t.Errorf("%s: %d %s", name, a.exit, a.Message)
			}
		}
	})
	if refused == 0 || !tier.Sampled && refused < 15 {
		t.Errorf("only %d were refused", refused)
	}
}

func isReleaseEnv(path, _ string) bool { return strings.HasSuffix(path, "/release.env") }

// leavesTraces are the places where a refused deploy may leave something.
func leavesTraces(path, _ string) bool {
	return strings.HasPrefix(path, "/opt/atta/incoming/") || path == "/opt/atta/history" || strings.HasPrefix(path, "/var/log/") || strings.HasPrefix(path, "/run/atta-deploy")
}

func TestABundleOfSomethingElseIsRefused(t *testing.T) {
	t.Parallel()
	m := bootDeployed(t, "0.1.0-dev")
	for message, edit := range map[string]func(bundle.Bundle) []byte{
		"is not the bundle of 0.1.1-dev":           func(bundle.Bundle) []byte { return m.build("0.1.2-dev", nil, "").Content },
		"holds no executable deploy/ec2_deploy.sh": func(b bundle.Bundle) []byte { return pack(t, drop(entries(t, b), "deploy/ec2_deploy.sh")...) },
		"is not a readable tar.gz":                 func(bundle.Bundle) []byte { return []byte("<html>not found</html>") },
	} {
		m.untouched(func() { m.expect(m.deploy("0.1.1-dev", repacked(edit)), "refused", 20, message) })
	}
}

func TestUnpackedFilesAreTheirOwnersToWrite(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.deployed("0.1.0-dev", repacked(func(b bundle.Bundle) []byte {
		all := entries(t, b)
		for i := range all {
			all[i].Mode |= 0o666
		}
		return pack(t, all...)
	}))
	for path, value := range m.tree("opt/atta/releases") {
		if mode, _, _ := strings.Cut(value, " "); mode[8] == 'w' {
			t.Errorf("%s has mode %s", path, mode)
		}
	}
}
