package host_test

import (
	"context"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/org/atta-deploy-action/localaws"
	"github.com/org/atta-deploy-action/localaws/host"
)

func TestScriptsGetTheAgentsEnvironment(t *testing.T) {
	t.Parallel()
	m := boot(t)
	exit := m.Run(t.Context(), "pwd; umask; cat; echo ${HOME-none} ${USER-none} $SSM_COMMAND_ID; env | cut -d= -f1 | sort | tr '\\n' ' '", []string{"SSM_COMMAND_ID=c-1"})
	want := "/usr/bin\n0022\nnone none c-1\nATTA_ROOT PATH PWD SSM_COMMAND_ID STANDIN_AGENT "
	if got := strings.Replace(string(exit.Stdout), " OLDPWD", "", 1); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestRunHonoursTheShebang(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.want(0, "[[ a == a ]] && set -o pipefail && echo bash", "bash")
	if exit := m.Run(t.Context(), "echo ${BASH_VERSION-plain sh}", nil); string(exit.Stdout) != "plain sh\n" {
		t.Errorf("without a first line: %q", exit.Stdout)
	}
}

func TestRunReturnsTheScriptsExitStatus(t *testing.T) {
	t.Parallel()
	m := boot(t)
	for script, code := range map[string]int{"exit 0": 0, "exit 3": 3, "exit 137": 137, "exit 168": 168, "exit 169": 169, "exit 194": 194, "kill -TERM $$": 143, "kill -KILL $$": 137} {
		m.sh(code, script)
	}
}

func TestRunWaitsForBackgroundChildrenThatHoldTheOutput(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.want(0, "(sleep 0.3; echo late) & echo early", "early\nlate")
}

func TestACancelledScriptDiesWithItsGroupButOtherSessionsSurvive(t *testing.T) {
	t.Parallel()
	m := boot(t)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan localaws.Exit, 1)
	go func() {
		ended <- m.Run(ctx, `#!/bin/bash
trap 'echo trapped' EXIT TERM
setsid sh -c 'until test -e $ATTA_ROOT/go; do sleep .02; done; touch $ATTA_ROOT/survived' &
(until test -e $ATTA_ROOT/go; do sleep .02; done; touch $ATTA_ROOT/outlived) &
echo begun; touch $ATTA_ROOT/begun; sleep 600`, nil)
	}()
	m.eventually("test -e $ATTA_ROOT/begun")
	cancel()
	if exit := <-ended; exit.Code != 137 || string(exit.Stdout) != "begun\n" { // although another session holds the output
		t.Errorf("got %d %q", exit.Code, exit.Stdout)
	}
	m.write("/go", "")
	m.eventually("test -e $ATTA_ROOT/survived")
	if _, err := os.Stat(m.Path("outlived")); err == nil {
		t.Error("a child in the group outlived it")
	}
}

func TestScriptFilesAreReadableByTheOwnerOnly(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.want(0, `stat -c %a "$0"`, "700")
}

func TestOnlyTheAWSCommandSeesTheRole(t *testing.T) {
	t.Parallel()
	h, err := host.New(host.Options{Dir: t.TempDir(), AWSCLI: "/usr/bin/env", Standins: standinPrograms, Endpoint: "http://127.0.0.1:9", AccessKeyID: "AKIAROLE", SecretAccessKey: "it's secret"})
	if err != nil {
		t.Fatal(err)
	}
	if exit := h.Run(t.Context(), "env", nil); strings.Contains(string(exit.Stdout), "AKIAROLE") {
		t.Errorf("the script sees %s", exit.Stdout)
	}
	wrapper, err := os.ReadFile(h.Path("..", "bin", "aws"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"AWS_ACCESS_KEY_ID=AKIAROLE", `AWS_SECRET_ACCESS_KEY='it'"'"'s secret'`, "AWS_EC2_METADATA_DISABLED=true", "--endpoint-url http://127.0.0.1:9"} {
		if !strings.Contains(string(wrapper), want) {
			t.Errorf("the aws command lacks %s:\n%s", want, wrapper)
		}
	}
	if strings.Contains(string(wrapper), "REGION") {
		t.Error("the aws command has a region of its own")
	}
}

func TestRebootStartsEnabledUnits(t *testing.T) {
	t.Parallel()
	m := boot(t)
	for _, name := range []string{"on", "off"} {
		m.unit(name+".service", "[Service]\nExecStart=/bin/sleep 60\n[Install]\nWantedBy=multi-user.target\n")
		m.sh(0, "systemctl start "+name)
	}
	m.sh(0, "systemctl enable on")
	before := m.sh(0, "systemctl show on -p InvocationID --value; touch $ATTA_ROOT/run/gone $ATTA_ROOT/opt/kept")
	if err := m.Reboot(); err != nil {
		t.Fatal(err)
	}
	m.eventually("systemctl is-active --quiet on")
	m.want(3, "systemctl is-active off", "inactive")
	if after := m.sh(0, "systemctl show on -p InvocationID --value"); cmp.Equal(before, after) {
		t.Error("the invocation is still", after)
	}
	m.want(1, "ls $ATTA_ROOT/opt; test -e $ATTA_ROOT/run/gone", "kept")
}

func TestCloseLeavesNothingRunning(t *testing.T) {
	t.Parallel()
	m, r := boot(t), serve(t)
	r.login(m)
	m.sh(0, "docker pull -q "+r.push("1")+" && docker tag $(docker images -q) atta")
	m.unit("web.service", "[Service]\nExecStart=/bin/sleep 60\nRestart=always\n")
	pids := strings.Fields(m.sh(0, `systemctl start web; systemctl show -p MainPID --value web
docker run -d --name up atta --sleep 60s >/dev/null; docker inspect --format '{{.State.Pid}}' up`))
	if len(pids) != 2 {
		t.Fatalf("processes %v", pids)
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	for _, pid := range pids {
		m.eventually("! grep -q . /proc/" + pid + "/environ 2>/dev/null")
	}
	m.want(0, "docker ps -a --format '{{.Names}} {{.Status}}'", "up Exited (255)")
}

func TestTheAgentsControlGroupHasEverySessionButNoUnit(t *testing.T) {
	t.Parallel()
	m := boot(t)
	ended := make(chan localaws.Exit, 1)
	go func() {
		ended <- m.Run(t.Context(), `#!/bin/bash
wait='until test -e $ATTA_ROOT/go; do sleep .02; done; touch $ATTA_ROOT/survived-'
setsid sh -c "${wait}session" &
systemd-run --quiet --setenv=NAME=unit sh -c "$wait\$NAME"
touch $ATTA_ROOT/begun; sleep 600`, nil)
	}()
	m.eventually("test -e $ATTA_ROOT/begun")
	if err := m.KillAgent(); err != nil {
		t.Fatal(err)
	}
	<-ended
	m.write("/go", "")
	m.eventually("test -e $ATTA_ROOT/survived-unit")
	if _, err := os.Stat(m.Path("survived-session")); err == nil {
		t.Error("another session outlived the agent's control group")
	}
}
