//go:build !e2e

package host_test

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/org/atta-deploy-action/deploy"
	"github.com/org/atta-deploy-action/internal/bundle"
)

// What lies below the service's folder is run as root.
func TestNothingIsRunFromAFolderThatOthersMayChange(t *testing.T) {
	t.Parallel()
	m := bootDeployed(t, "0.0.1-dev")
	for spoil, c := range map[string]struct{ repair, message string }{
		"chmod o+w $ATTA_ROOT/opt/atta":                             {"chmod o-w $ATTA_ROOT/opt/atta", "/opt/atta is not owned by root, or others may write to it"},
		"chmod g+w $ATTA_ROOT/opt/atta/releases":                    {"chmod g-w $ATTA_ROOT/opt/atta/releases", "/opt/atta/releases is not owned by root, or others may write to it"},
		`mkdir -m o+w "$ATTA_ROOT/opt/atta/releases/\$(touch ran)"`: {`rmdir "$ATTA_ROOT/opt/atta/releases/\$(touch ran)"`, `/opt/atta/releases/\$\(touch\ ran\) && chmod go-w `},
		"ln -s /tmp/evil.sh $ATTA_ROOT/opt/atta/recover; echo '#!/bin/sh\ntouch '$ATTA_ROOT'/ran' >$ATTA_ROOT/evil; chmod +x $ATTA_ROOT/evil; ln -sfn $ATTA_ROOT/evil $ATTA_ROOT/opt/atta/recover": {
			"rm $ATTA_ROOT/opt/atta/recover", "/opt/atta/recover does not lead to a release's script"},
		"mkdir $ATTA_ROOT/other; cp -a $ATTA_ROOT/opt/atta/releases/0.0.1-dev/. $ATTA_ROOT/other; ln -sfn $ATTA_ROOT/other $ATTA_ROOT/opt/atta/current": {
			"ln -sfn releases/0.0.1-dev $ATTA_ROOT/opt/atta/current; rm -r $ATTA_ROOT/other", "/opt/atta/current does not lead to a release"},
	} {
		m.sh(spoil)
		m.untouched(func() {
			a := m.deploy("0.0.2-dev")
			m.expect(a, "refused", 10, c.message)
			if a.Reason != "unsafe-folder" || m.exists("ran") {
				t.Errorf("reason %s, ran %t", a.Reason, m.exists("ran"))
			}
		})
		m.sh(c.repair)
	}
	m.sh("ln -sfn $ATTA_ROOT/evil $ATTA_ROOT/opt/atta/recover")
	m.expect(m.read("$ATTA_ROOT/opt/atta/current/deploy/ec2_deploy.sh rollback"), "refused", 10, "does not lead to a release's script")
	if m.exists("ran") {
		t.Error("it was run by hand")
	}
}

func TestSettingsOfARolloutAreRootsAlone(t *testing.T) {
	t.Parallel()
	m := boot(t)
	command := "tr '\\0' ' ' </proc/$PPID/cmdline >$ATTA_ROOT/seen; tr '\\0' ' ' </proc/$$/cmdline >>$ATTA_ROOT/seen # secret"
	m.deployed("0.0.1-dev", parameter("health-command", command))
	if got := m.text("seen"); got == "" || strings.Contains(got, "secret") {
		t.Errorf("every user could read %q", got)
	}
	for path, mode := range map[string]os.FileMode{"opt/atta/current/rollout.env": 0o600, "opt/atta/output": 0o750, "opt/atta/history": 0o600, "opt/atta/state": 0o600} {
		if info, err := os.Stat(m.Path(path)); err != nil || info.Mode().Perm() != mode {
			t.Errorf("%s: %v, %v", path, info.Mode(), err)
		}
	}
}

func TestABundleIsBoundedPackedAndUnpacked(t *testing.T) {
	t.Parallel()
	m := boot(t)
	var packed bytes.Buffer
	writer := gzip.NewWriter(&packed)
	if _, err := writer.Write(make([]byte, 40_000_000)); err != nil || writer.Close() != nil {
		t.Fatal(err)
	}
	m.expect(m.deploy("0.0.1-dev", func(a *attempt) {
		a.bundle = func(bundle.Bundle) []byte { return packed.Bytes() }
		a.parameters["sha256"] = fmt.Sprintf("%x", sha256.Sum256(packed.Bytes()))
	}), "refused", 20, "has more than 32 MB unpacked")
	m.expect(m.deploy("0.0.1-dev", func(a *attempt) {
		a.bundle = func(bundle.Bundle) []byte { return make([]byte, deploy.MaxBundle+1) }
	}), "refused", 10, "cannot be downloaded, or has more than 32 MB")
}
