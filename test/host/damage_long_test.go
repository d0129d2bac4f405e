//go:build long && !e2e

package host_test

import (
	"archive/tar"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/org/atta-deploy-action/internal/bundle"
)

func TestAHostileBundleIsRefused(t *testing.T) {
	t.Parallel()
	m := bootDeployed(t, "0.1.0-dev")
	image := m.push()
	before := m.tree("")
	maps.DeleteFunc(before, leavesTraces)
	maps.DeleteFunc(before, leavesTraces)
	regular := func(name string) entry {
		return entry{tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644}, "evil"}
	}
	special := func(kind byte, target string) entry {
		return entry{tar.Header{Typeflag: kind, Name: "deploy/odd", Linkname: target, Mode: 0o755, Devmajor: 1, Devminor: 3}, ""}
	}
	for name, c := range map[string]struct {
		entry   entry
		message string
	}{
		"up":                {regular("../evil"), "../evil"},
		"up from within":    {regular("deploy/../../evil"), "leaves its folder"},
		"up at the end":     {entry{tar.Header{Typeflag: tar.TypeDir, Name: "deploy/..", Mode: 0o755}, ""}, "leaves its folder"},
		"here":              {regular("deploy/./evil"), "leaves its folder"},
		"absolute":          {regular("/etc/evil"), "/etc/evil"},
		"beside deploy":     {regular("verified"), "more than VERSION and deploy/: verified"},
		"other beginning":   {regular("deployed/x"), "more than VERSION and deploy/: deployed/x"},
		"symbolic link":     {special(tar.TypeSymlink, "/etc"), "more than plain files"},
		"hard link":         {special(tar.TypeLink, "VERSION"), "more than plain files"},
		"character device":  {special(tar.TypeChar, ""), "more than plain files"},
		"block device":      {special(tar.TypeBlock, ""), "more than plain files"},
		"fifo":              {special(tar.TypeFifo, ""), "more than plain files"},
		"setuid":            {entry{tar.Header{Typeflag: tar.TypeReg, Name: "deploy/su", Mode: 0o4755}, "evil"}, "more than plain files"},
		"setgid folder":     {entry{tar.Header{Typeflag: tar.TypeDir, Name: "deploy/su/", Mode: 0o2755}, ""}, "more than plain files"},
		"sticky":            {entry{tar.Header{Typeflag: tar.TypeReg, Name: "deploy/su", Mode: 0o1755}, "evil"}, "more than plain files"},
		"newline":           {regular("deploy/a\nb"), "more than VERSION and deploy/"},
		"newline, disguise": {regular("deploy/a\ndeploy/b"), "more than VERSION and deploy/"},
		"backslash":         {regular(`deploy/a\b`), "more than VERSION and deploy/"},
		"quote":             {regular(`deploy/a"b`), "more than VERSION and deploy/"},
		"not ASCII":         {regular("deploy/ä"), "more than VERSION and deploy/"},
	} {
		a := m.deploy("0.1.1-dev", parameter("image", image), repacked(func(b bundle.Bundle) []byte {
			all := entries(t, b)
			return pack(t, slices.Insert(all, []int{0, len(all)}[len(name)%2], c.entry)...)
		}))
		if a.Outcome != "refused" || a.exit != 20 || !strings.Contains(a.Message, c.message) {
			t.Errorf("%s: %s %d %q, want …%s…", name, a.Outcome, a.exit, a.Message, c.message)
		}
	}
	after := m.tree("")
	maps.DeleteFunc(after, leavesTraces)
	m.same(before, after)
}
