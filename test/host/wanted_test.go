//go:build !e2e

package host_test

import (
	"strings"
	"testing"
)

// A service without [Install] that something of the instance starts at boot is fit.
func TestAServiceThatTheInstanceStartsAtBootIsTaken(t *testing.T) {
	t.Parallel()
	text, _, _ := strings.Cut(unitOf(t, "daemon.service"), "[Install]")
	for name, command := range map[string]string{
		"systemctl add-wants": "mkdir -p $ATTA_ROOT/etc/systemd/system/multi-user.target.wants && ln -s ../atta.service $ATTA_ROOT/etc/systemd/system/multi-user.target.wants/atta.service",
		"a line with blanks":  "printf '[Unit]\\nWants = atta.service\\n' >$ATTA_ROOT/etc/systemd/system/web.target",
		"a socket":            "printf '[Socket]\\nListenStream=80\\n[Install]\\nWantedBy=sockets.target\\n' >$ATTA_ROOT/etc/systemd/system/atta.socket",
		"a linked unit":       "mkdir -p $ATTA_ROOT/opt/units && printf '[Unit]\\nWants=atta.service\\n[Install]\\nWantedBy=multi-user.target\\n' >$ATTA_ROOT/opt/units/web.target && ln -s $ATTA_ROOT/opt/units/web.target $ATTA_ROOT/etc/systemd/system/web.target",
		"a wanting unit":      "printf '[Unit]\\nWants=atta.service\\n' >$ATTA_ROOT/etc/systemd/system/web.target",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := boot(t)
			m.sh(command)
			m.deployed("0.1.0-dev", daemon(), own("systemd/atta.service", text))
		})
	}
}
