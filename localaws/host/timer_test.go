package host_test

import (
	"strings"
	"testing"
)

const counting = "[Service]\nType=oneshot\nExecStart=/bin/sh -c 'echo x >> $ATTA_ROOT/runs'\n"

func TestATimerThatElapsesByTheCalendarWaits(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.unit("job.service", counting)
	m.unit("job.timer", "[Timer]\nOnCalendar=daily\n[Install]\nWantedBy=timers.target\n")
	m.sh(0, "systemctl enable --now job.timer")
	m.want(0, "systemctl is-active job.timer; systemctl is-enabled job.timer", "active\nenabled")
	m.want(0, "systemctl show -p Id,LoadState,ActiveState,SubState,UnitFileState,FragmentPath,Unit,Result,NeedDaemonReload,Triggers job.timer",
		"Unit=job.service\nResult=success\nId=job.timer\nTriggers=job.service\nLoadState=loaded\nActiveState=active\nSubState=waiting\n"+
			"FragmentPath=/etc/systemd/system/job.timer\nUnitFileState=enabled\nNeedDaemonReload=no")
	m.wantPart(0, "systemctl cat job.timer", "OnCalendar=daily")
	m.wantPart(0, "systemctl list-timers", "1 timers listed.")
	m.sh(0, "systemctl list-timers --no-legend job.timer | grep -q '^-.*job.timer *job.service$'")
	m.want(0, "systemctl list-timers --no-legend other.timer", "")
	m.sh(0, "systemctl daemon-reload; systemctl is-active job.timer")
	m.sh(0, "systemctl disable --now job.timer")
	m.want(1, "systemctl is-active job.timer; systemctl is-enabled job.timer", "inactive\ndisabled")
	m.want(0, "systemctl list-timers --no-legend; systemctl list-timers --all --no-legend | wc -l; systemctl show -p SubState --value job.timer", "1\ndead")
	m.want(0, "cat $ATTA_ROOT/runs 2>/dev/null || true", "")
}

func TestATimerTriggersItsUnitUntilItIsStopped(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.unit("job.service", counting)
	m.unit("often.timer", "[Timer]\nOnActiveSec=50ms\nOnUnitInactiveSec=100ms\nUnit=job.service\n")
	m.sh(0, "systemctl start often.timer")
	m.eventually("[ $(wc -l < $ATTA_ROOT/runs) -ge 3 ]")
	m.wantPart(0, "systemctl list-timers --no-legend", "ago")
	before := m.sh(0, "systemctl stop often.timer; systemctl stop job; systemctl show -p SubState --value often.timer; wc -l < $ATTA_ROOT/runs")
	if after := m.sh(0, "sleep .5; systemctl show -p SubState --value often.timer; wc -l < $ATTA_ROOT/runs"); after != before || !strings.HasPrefix(after, "dead") {
		t.Errorf("got %q after %q", after, before)
	}
}

func TestATimerIsRunningWhileItsUnitIs(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.unit("job.service", "[Service]\nType=oneshot\nExecStart=/bin/sh -c 'until test -e $ATTA_ROOT/go; do sleep .02; done'\n")
	m.unit("job.timer", "[Timer]\nOnActiveSec=0\n")
	m.sh(0, "systemctl start job.timer")
	m.eventually("[ $(systemctl show -p SubState --value job.timer) = running ]")
	m.want(3, "sleep .2; systemctl show -p SubState --value job.timer; systemctl is-active job", "running\nactivating")
	m.write("/go", "")
	m.eventually("[ $(systemctl show -p SubState --value job.timer) = elapsed ]")
	m.want(0, "systemctl is-active job.timer", "active")
}

func TestATimerCountsFromTheBoot(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.unit("job.service", counting)
	m.unit("job.timer", "[Timer]\nOnBootSec=2\n[Install]\nWantedBy=timers.target\n")
	m.sh(0, "systemctl enable job.timer")
	m.want(0, "sleep 1; cat $ATTA_ROOT/runs 2>/dev/null || true", "") // enabled is not started
	m.sh(0, "systemctl start job.timer")                              // its moment is over, so now
	m.eventually("[ $(wc -l < $ATTA_ROOT/runs) = 1 ]")
	if err := m.Reboot(); err != nil {
		t.Fatal(err)
	}
	m.want(0, "systemctl show -p SubState --value job.timer; wc -l < $ATTA_ROOT/runs", "waiting\n1")
	m.eventually("[ $(wc -l < $ATTA_ROOT/runs) = 2 ]")
	m.want(0, "sleep .3; wc -l < $ATTA_ROOT/runs", "2")
}

func TestATimerNeedsItsUnitAndASetting(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.unit("job.timer", "[Timer]\nOnActiveSec=2\n")
	m.wantPart(1, "systemctl start job.timer", "Job for job.timer failed.")
	m.wantPart(0, "journalctl -u job.timer -o cat", "Refusing to start, unit job.service to trigger not loaded.")
	m.want(3, "systemctl is-active job.timer", "inactive")
	m.unit("job.service", counting)
	m.sh(0, "systemctl start job.timer; rm $ATTA_ROOT/etc/systemd/system/job.service; systemctl daemon-reload")
	m.eventually("systemctl is-failed --quiet job.timer")
	m.want(0, "systemctl show -p Result --value job.timer; systemctl reset-failed job.timer; systemctl is-active job.timer || true", "resources\ninactive")
	m.unit("job.service", counting)
	m.unit("job.timer", "[Timer]\nUnit=job.service\n")
	m.wantPart(1, "systemctl start job.timer", "Unit job.timer has a bad unit file setting.")
	m.want(0, "systemctl show -p LoadState --value job.timer", "bad-setting")
}

func TestVerifyReadsTimersWithTheUnitsNextToThem(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.write("/tmp/job.service", counting)
	m.write("/tmp/job.timer", "[Timer]\nOnBootSec=5min\nOnCalendar=Mon..Fri *-*-* 09:00:00 UTC\n")
	m.want(0, "systemd-analyze verify /tmp/job.service /tmp/job.timer; systemd-analyze verify $ATTA_ROOT/tmp/job.timer", "")
	m.write("/tmp/job.service", "[Service]\nType=oneshot\n")
	m.wantPart(0, "systemd-analyze verify /tmp/job.timer", "job.service: Service has no ExecStart=")
	m.wantPart(1, "systemd-analyze verify /tmp/job.timer /tmp/job.service", "Unit job.service has a bad unit file setting.")
	m.write("/tmp/job.timer", "[Timer]\nOnBootSec=soon\nOnCalendar=25:00\n")
	for _, part := range []string{"Failed to parse timer value, ignoring: soon", "Failed to parse calendar specification, ignoring: 25:00", "Timer unit lacks value setting. Refusing."} {
		m.wantPart(1, "systemd-analyze verify /tmp/job.timer", part)
	}
}

// As systemd-analyze 252 does: who needs the unit to be there must look for it.
func TestVerifyAcceptsATimerWithoutItsUnit(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.write("/tmp/job.timer", "[Timer]\nOnBootSec=5min\n")
	m.want(0, "systemd-analyze verify /tmp/job.timer", "")
}
