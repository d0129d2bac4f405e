package host_test

import (
	"testing"
)

const install = "[Install]\nWantedBy=multi-user.target\n"

// gate is a oneshot unit that ends when the file of its name is there.
const gate = "[Service]\nType=oneshot\nExecStart=/bin/sh -c 'until test -e $ATTA_ROOT/%N; do sleep .02; done; echo %N >> $ATTA_ROOT/order'\n" + install

const logging = "[Service]\nType=oneshot\nExecStart=/bin/sh -c 'echo %N >> $ATTA_ROOT/order'\n" + install

func TestBootStartsUnitsInOrder(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.unit("a-last.service", "[Unit]\nAfter=middle.service\n"+logging)
	m.unit("middle.service", "[Unit]\nAfter=first.service unknown.target\n"+logging)
	m.unit("first.service", "[Unit]\nBefore=a-last.service\n"+gate)
	m.unit("free.service", logging)
	m.sh(0, "systemctl enable a-last middle first free")
	if err := m.Reboot(); err != nil {
		t.Fatal(err)
	}
	m.eventually("[ \"$(cat $ATTA_ROOT/order)\" = free ]")
	m.want(0, "sleep .3; systemctl is-active first middle a-last || cat $ATTA_ROOT/order", "activating\ninactive\ninactive\nfree")
	m.write("/first", "")
	m.eventually("[ $(wc -l < $ATTA_ROOT/order) = 4 ]")
	m.want(0, "cat $ATTA_ROOT/order", "free\nfirst\nmiddle\na-last")
}

func TestFailedUnitDoesNotBlockUnitsOrderedAfterIt(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.unit("recover.service", "[Unit]\nBefore=job.service\n[Service]\nType=oneshot\nExecStart=/bin/sh -c 'sleep .2; exit 1'\n"+install)
	m.unit("job.service", logging)
	m.sh(0, "systemctl enable recover job")
	if err := m.Reboot(); err != nil {
		t.Fatal(err)
	}
	m.eventually("grep -q job $ATTA_ROOT/order && systemctl is-failed -q recover")
}

func TestUnitCanQueueTheUnitItIsOrderedBefore(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.unit("job.service", "[Service]\nType=oneshot\nExecStart=/bin/sh -c 'echo old >> $ATTA_ROOT/order'\n"+install)
	m.write("/next", "[Service]\nType=oneshot\nExecStart=/bin/sh -c 'echo new >> $ATTA_ROOT/order'\n"+install)
	m.unit("recover.service", "[Unit]\nBefore=job.service\n[Service]\nType=oneshot\nExecStart=/bin/sh -c 'sleep .2; cp $ATTA_ROOT/next $ATTA_ROOT/etc/systemd/system/job.service && "+
		"systemctl daemon-reload && systemctl start --no-block job.service && echo recovered >> $ATTA_ROOT/order'\n"+install)
	m.sh(0, "systemctl enable recover job")
	if err := m.Reboot(); err != nil {
		t.Fatal(err)
	}
	m.eventually("[ $(wc -l < $ATTA_ROOT/order) -ge 2 ]")
	m.want(0, "sleep .3; cat $ATTA_ROOT/order; systemctl show -p Result --value recover", "recovered\nnew\nsuccess")
}

func TestUnitThatWaitsForAUnitOrderedAfterItTimesOut(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.unit("job.service", logging)
	m.unit("recover.service", "[Unit]\nBefore=job.service\n[Service]\nType=oneshot\nTimeoutStartSec=1\nExecStart=/bin/sh -c 'systemctl start job.service; echo recovered >> $ATTA_ROOT/order'\n")
	m.wantPart(1, "systemctl start recover", "a timeout was exceeded")
	m.eventually("test -e $ATTA_ROOT/order")
	m.want(0, "cat $ATTA_ROOT/order", "job")
}

func TestAStartWaitsForAnEarlierUnit(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.unit("first.service", gate)
	m.unit("job.service", "[Unit]\nAfter=first.service\n"+logging)
	m.sh(0, "systemctl start --no-block first; systemctl is-active first || true")
	m.want(1, "(until test -e $ATTA_ROOT/run/systemd/jobs/job.service.json; do sleep .05; done; systemctl stop job) & systemctl start job", "Job for job.service canceled.")
	m.want(0, "(sleep .2; touch $ATTA_ROOT/first) & systemctl start job; cat $ATTA_ROOT/order", "first\njob")
	m.want(0, "systemctl show -p ActiveState,Result --value first; systemctl start job; tail -1 $ATTA_ROOT/order", "success\ninactive\njob")
}

func TestAQueuedStartOfAUnitThatIsGoneFails(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.unit("first.service", gate)
	m.unit("job.service", "[Unit]\nAfter=first.service\n"+logging)
	m.sh(0, "systemctl start --no-block first")
	m.wantPart(1, "(until test -e $ATTA_ROOT/run/systemd/jobs/job.service.json; do sleep .05; done; rm $ATTA_ROOT/etc/systemd/system/job.service; systemctl daemon-reload) & systemctl start job", "Job for job.service failed.")
	m.want(0, "systemctl show -p LoadState --value job; systemctl stop first", "not-found")
}

func TestAStartOfAUnitThatIsStoppingIsQueued(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.unit("web.service", "[Service]\nExecStart=/bin/sleep 60\nExecStopPost=/bin/sh -c 'until test -e $ATTA_ROOT/go; do sleep .02; done'\n")
	m.sh(0, "systemctl start web; systemctl stop --no-block web")
	m.eventually("[ $(systemctl show -p ActiveState --value web) = deactivating ]")
	m.want(0, "systemctl start --no-block web; systemctl show -p ActiveState --value web", "deactivating")
	m.write("/go", "")
	m.eventually("systemctl is-active -q web")
}

func TestAKilledInstanceForgetsItsQueue(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.unit("first.service", gate)
	m.unit("job.service", "[Unit]\nAfter=first.service\n"+logging)
	m.sh(0, "systemctl start --no-block first job")
	if err := m.Reboot(); err != nil {
		t.Fatal(err)
	}
	m.want(3, "systemctl is-active first job", "inactive\ninactive")
	m.write("/first", "")
	m.want(0, "systemctl start job first; cat $ATTA_ROOT/order", "job\nfirst")
}

func TestAStartCanBeQueuedAgainOnceItIsCanceled(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.unit("first.service", gate)
	m.unit("job.service", "[Unit]\nAfter=first.service\n"+logging)
	m.sh(0, "systemctl start --no-block first; for i in {1..30}; do systemctl start --no-block job; systemctl stop job; done")
}
