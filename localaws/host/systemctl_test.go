package host_test

import (
	"context"
	"strings"
	"testing"

	"github.com/org/atta-deploy-action/localaws/sample"

	"github.com/org/atta-deploy-action/localaws"
)

// service is the unit of a batch job, for any service by %N.
const service = `[Unit]
Description=%N batch job
[Service]
Type=oneshot
EnvironmentFile=-/opt/%N/release.env
ExecStartPre=-/usr/bin/docker rm --force %N
ExecStart=/usr/bin/docker run --rm --pull=never --name %N --env-file /opt/%N/.env \
  -v /opt/%N/output:/app/output ${IMAGE}
TimeoutStopSec=2
[Install]
WantedBy=multi-user.target
`

func TestAOneshotUnitRunsItsContainer(t *testing.T) {
	t.Parallel()
	m, r := boot(t), serve(t)
	image := r.push("1", sample.WithVersion("0.1.30-dev"))
	r.login(m)
	m.write("/opt/atta/.env", "GREETING=hi\n")
	m.write("/opt/atta/release.env", "IMAGE="+image+"\n")
	m.unit("atta.service", service)
	m.sh(0, "docker pull -q "+image+"; systemctl enable atta; systemctl start atta.service")
	m.want(0, "systemctl show atta -p ActiveState,SubState,Result,ExecMainStatus,ExecMainCode,UnitFileState,LoadState",
		"Result=success\nExecMainCode=1\nExecMainStatus=0\nLoadState=loaded\nActiveState=inactive\nSubState=dead\nUnitFileState=enabled")
	m.wantPart(3, "systemctl status atta", "atta batch job")
	m.want(0, "cat $ATTA_ROOT/opt/atta/output/greeting.txt", "hi from 0.1.30-dev")
	first := m.sh(0, "systemctl show --property=InvocationID --value atta")
	m.sh(0, "systemctl start atta")
	second := m.sh(0, "systemctl show --property=InvocationID --value atta")
	if len(first) != 32 || first == second {
		t.Errorf("invocations %s and %s", first, second)
	}
	m.want(0, "journalctl -q --no-pager -o cat -u atta _SYSTEMD_INVOCATION_ID="+second, "Error response from daemon: No such container: atta\nsample 0.1.30-dev\ndone, exit 0")
	m.wantPart(0, "journalctl -u atta -n 2 -o cat", "Stopped atta batch job.")
}

func TestStartOfAOneshotReturnsWhenTheUnitIsInactive(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.unit("job.service", "[Service]\nType=oneshot\nExecStart=/bin/true\nExecStopPost=/bin/sleep 0.3\n")
	m.want(0, "systemctl start job; systemctl show --property=ActiveState job", "ActiveState=inactive")
}

func TestAFailedJobFailsTheStart(t *testing.T) {
	t.Parallel()
	m, r := boot(t), serve(t)
	image := r.push("1")
	r.login(m)
	m.sh(0, "docker pull -q "+image)
	m.write("/opt/atta/release.env", "IMAGE="+image+"\n")
	m.unit("atta.service", "# no start limit here\n"+strings.Replace(service, "[Service]", "StartLimitIntervalSec=0\n[Service]", 1))
	for _, code := range []string{"3", "137", "168", "169", "194"} {
		m.write("/opt/atta/.env", "EXIT_CODE="+code+"\n")
		m.wantPart(1, "systemctl start atta", "Job for atta.service failed because the control process exited with error code.")
		m.want(0, "systemctl show -p Result -p ExecMainStatus --value atta; systemctl is-failed atta", "exit-code\n"+code+"\nfailed")
	}
	m.want(0, "systemctl reset-failed atta; systemctl show -p ActiveState --value atta", "inactive")
	m.write("/opt/atta/release.env", "")
	m.sh(1, "systemctl start atta")
	m.want(0, "systemctl show -p ExecMainStatus --value atta", "125")
}

func TestAJobOutlivesTheCommandThatStartedIt(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.unit("job.service", "[Service]\nType=oneshot\nExecStart=/bin/sh -c 'until test -e $ATTA_ROOT/go; do sleep .02; done; echo done >> $ATTA_ROOT/done'\n")
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan localaws.Exit, 1)
	go func() { ended <- m.Run(ctx, "systemctl start job", nil) }()
	m.eventually("[ $(systemctl show -p MainPID --value job) != 0 ]")
	cancel()
	if exit := <-ended; exit.Code != 137 {
		t.Fatalf("got %d", exit.Code)
	}
	m.want(3, "systemctl start --no-block job; systemctl is-active job", "activating") // joins the start in flight
	m.write("/go", "")
	m.eventually("[ $(systemctl show -p ActiveState --value job) = inactive ]")
	m.want(0, "cat $ATTA_ROOT/done; systemctl show -p Result --value job", "done\nsuccess")
}

func TestAJobThatHangsIsTimedOut(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.unit("job.service", "[Service]\nType=oneshot\nTimeoutStartSec=300ms\nTimeoutStopSec=200ms\nExecStart=/bin/sh -c 'trap \"\" TERM; while :; do sleep .05; done'\n")
	m.wantPart(1, "systemctl start job", "a timeout was exceeded")
	m.want(0, "systemctl show -p Result -p ExecMainCode -p ExecMainStatus --value job", "timeout\n2\n9")
}

func TestStopEndsAJobInFlight(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.unit("job.service", "[Service]\nType=oneshot\nExecStart=/bin/sleep 60\nExecStopPost=/bin/sh -c 'echo cleaned > $ATTA_ROOT/cleaned'\n")
	m.sh(0, "systemctl start --no-block job")
	m.eventually("systemctl show -p MainPID --value job | grep -qv '^0$'")
	m.want(0, "systemctl stop job; systemctl show -p Result -p ExecMainStatus --value job; cat $ATTA_ROOT/cleaned", "signal\n15\ncleaned")
}

func TestServiceIsRestartedUpToTheStartLimit(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.unit("web.service", "[Unit]\nStartLimitBurst=3\n[Service]\nExecStart=/bin/false\nRestart=always\nRestartSec=20ms\n")
	m.Run(t.Context(), "systemctl start web", nil)
	m.eventually("systemctl is-failed --quiet web")
	m.want(0, "systemctl show -p NRestarts -p Result --value web", "exit-code\n2")
	m.wantPart(1, "systemctl start web", "attempted too often")
	m.sh(0, "systemctl reset-failed web; systemctl start web")
}

func TestAServiceStaysUpUntilItIsStopped(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.unit("web.service", "[Service]\nEnvironment=A=one \"B=two words\"\nExecStart=/bin/sh -c 'echo \"$$0 $$1 ${C}.\"; exec sleep 60' ${A} ${B}\n")
	m.want(0, "systemctl start web; systemctl is-active web; systemctl show -p SubState --value web", "active\nrunning")
	m.eventually("journalctl -o cat -u web | grep -qx 'one two words .'")
	first := m.sh(0, "systemctl show -p MainPID --value web")
	if second := m.sh(0, "systemctl restart web; systemctl show -p MainPID --value web"); first == second {
		t.Error("restart kept process", first)
	}
	m.want(0, "systemctl stop web; systemctl show -p ActiveState,Result,MainPID --value web", "0\nsuccess\ninactive")
	m.want(3, "systemctl is-active web", "inactive")
}

func TestUnitChangesTakeEffectAfterDaemonReload(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.unit("job.service", "[Service]\nType=oneshot\nExecStart=/bin/echo old\n")
	m.write("/etc/systemd/system/job.service", "[Service]\nType=oneshot\nExecStart=/bin/echo new\n")
	m.wantPart(0, "systemctl start job", "changed on disk")
	m.want(0, "systemctl show -p NeedDaemonReload --value job; systemctl daemon-reload; systemctl start job; journalctl -o cat -u job SYSLOG_IDENTIFIER=echo", "yes\nold\nnew")
}

func TestUnknownUnitsAreReported(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.wantPart(5, "systemctl start none", "Unit none.service not found.")
	m.wantPart(4, "systemctl status none", "could not be found")
	m.want(0, "systemctl show -p LoadState --value none", "not-found")
	m.wantPart(1, "systemctl is-enabled none", "No such file or directory")
	m.wantPart(1, "systemctl reset-failed none", "Unit none.service not loaded.")
	m.want(0, "systemctl is-active docker", "active")
}

func TestVerifyNamesWhatSystemdWouldRefuse(t *testing.T) {
	t.Parallel()
	m := boot(t)
	for text, problem := range map[string]string{
		"[Service]\nType=oneshot\n":                                      "Service has no ExecStart=",
		"[Service]\nExecStart=/bin/true \"open\n":                        "Unbalanced quoting",
		"[Service]\nExecStart=/bin/true\nExecStart=/bin/true\n":          "more than one ExecStart=",
		"[Service]\nExecStart=/no/program\n":                             "Command /no/program is not executable",
		"[Service]\nType=oneshot\nRestart=always\nExecStart=/bin/true\n": "isn't allowed for Type=oneshot",
		"[Srvice]\nType=oneshot\n[Service]\nType=simple\n":               "Unknown section 'Srvice'",
	} {
		m.write("/tmp/job.service", text)
		m.wantPart(1, "systemd-analyze verify $ATTA_ROOT/tmp/job.service", problem)
	}
	m.write("/tmp/job.service", "[Service]\nExecStrat=x\nExecStart=/usr/bin/docker ps\n")
	m.wantPart(0, "systemd-analyze verify /tmp/job.service", "Unknown key 'ExecStrat' in section [Service], ignoring.")
	m.write("/tmp/job.service", "[Service]\nType=oneshot\nExecStart=/usr/bin/docker ps\nExecStart=/no/program\n")
	m.want(0, "systemd-analyze verify /tmp/job.service", "")
	m.write("/tmp/job.service", service)
	m.want(0, "systemd-analyze verify /tmp/job.service", "")
}

func TestUnmetConditionIsNotAFailure(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.unit("job.service", "[Unit]\nConditionPathExists=/opt/%N/.env\n[Service]\nType=oneshot\nExecStart=/bin/touch ${ATTA_ROOT}/ran\n")
	m.want(1, "systemctl start job && test -e $ATTA_ROOT/ran", "")
	m.want(0, "journalctl -q -o cat -u job; systemctl show -p ActiveState,Result,ConditionResult --value job",
		"job.service was skipped because of an unmet condition check (ConditionPathExists=/opt/job/.env).\nsuccess\ninactive\nno")
	m.write("/opt/job/.env", "")
	m.sh(0, "systemctl start job && test -e $ATTA_ROOT/ran")
	m.unit("job.service", "[Unit]\nDescription=A job\nConditionPathExists=!/opt/%N/.env\n[Service]\nType=oneshot\nExecStart=/bin/false\n")
	m.wantPart(0, "systemctl start job; journalctl -o cat -u job -n 1", "job.service - A job was skipped because of an unmet condition check (ConditionPathExists=!/opt/job/.env).")
}

func TestStateQueriesAnswerForEachUnit(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.unit("a.service", "[Service]\nExecStart=/bin/sleep 60\n[Install]\nWantedBy=multi-user.target\n")
	m.unit("b.service", "[Service]\nExecStart=/bin/sleep 60\n[Install]\nWantedBy=multi-user.target\n")
	m.want(3, "systemctl is-active a b", "inactive\ninactive")
	m.want(1, "systemctl is-enabled a b", "disabled\ndisabled")
	m.want(0, "systemctl enable b 2>/dev/null; systemctl start b; systemctl is-active a b; systemctl is-enabled a b", "inactive\nactive\ndisabled\nenabled")
	m.want(0, "systemctl show --property=Id,ActiveState a b", "Id=a.service\nActiveState=inactive\n\nId=b.service\nActiveState=active")
	m.want(0, "systemctl show -p ExecMainStartTimestampMonotonic -p NRestarts -p ActiveEnterTimestamp a", "NRestarts=0\nExecMainStartTimestampMonotonic=0\nActiveEnterTimestamp=")
	m.sh(0, "(($(systemctl show -p ExecMainStartTimestampMonotonic --value b) > 0)); [[ -n $(systemctl show -p ActiveEnterTimestamp --value b) ]]")
	first := m.sh(0, "systemctl show -p ExecMainStartTimestampMonotonic --value b")
	if second := m.sh(0, "systemctl restart b; systemctl show -p ExecMainStartTimestampMonotonic --value b"); first == second {
		t.Error("the second start was when the first was:", second)
	}
}
