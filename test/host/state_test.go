package host_test

import (
	"fmt"
	"strings"

	"github.com/org/atta-deploy-action/deploy"
)

// snapshot is all that decides what runs: units, enablement, links, settings, the files
// of the installed release and its image.
func (m machine) snapshot() string {
	m.t.Helper()
	return m.output(`
cd $ATTA_ROOT/ && find etc/systemd/system opt/$s/current opt/$s/previous opt/$s/.env opt/$s/current/ \
  '(' -type l -printf '%p -> %l\n' ')' -o '(' -type f -printf '%m ' -exec sha256sum {} ';' ')' 2>/dev/null | sort
image=$(sed -n s/^IMAGE=//p opt/$s/current/release.env 2>/dev/null) || exit 0
docker image inspect --format '{{.Id}} {{.RepoTags}} {{.RepoDigests}}' "$image"
docker inspect --format '{{.Name}} {{.Image}}' "$s-$(cat opt/$s/current/VERSION)"`)
}

// invocation identifies the latest run of the unit.
func (m machine) invocation() string {
	m.t.Helper()
	return m.output("systemctl show --property=InvocationID $s")
}

// settled waits until no change is under way and fails the test if something of it
// is left. A program that is told to end before it listens to signals ends 85 s later.
func (m machine) settled() {
	m.t.Helper()
	m.output(`for i in {1..1200}; do [[ -L $ATTA_ROOT/opt/$s/recover ]] || exit 0; sleep 0.1; done; exit 1`)
	if left := m.output("find $ATTA_ROOT/etc/systemd/system $ATTA_ROOT/opt/$s -name '*recover*' -o -name '*.new' -o -name .dropped"); left != "" {
		m.t.Errorf("left behind:\n%s", left)
	}
}

// concluded fails the test unless this is the last line of the service's history.
func (m machine) concluded(outcome deploy.Outcome, code int, version string) {
	m.t.Helper()
	want := fmt.Sprintf(`"outcome":"%s","code":%d,`, outcome, code)
	if last := m.output("tail -n 1 $ATTA_ROOT/opt/$s/history"); !strings.Contains(last, want) || !strings.Contains(last, `"wanted":"`+version+`"`) {
		m.t.Errorf("the history ends with %s", last)
	}
}

// isServing fails the test unless the version is up, in one container, and answers.
func (m machine) isServing(version string) {
	m.t.Helper()
	m.want("readlink $ATTA_ROOT/opt/$s/current", "releases/"+version)
	m.want("systemctl is-active $s", "active")
	m.want("docker container inspect --format '{{.State.Running}} {{index .Config.Labels \"version\"}}' $s", "true "+version)
	m.want("exec 3<>/dev/tcp/127.0.0.1/"+m.port+"; printf 'GET /health HTTP/1.0\\r\\n\\r\\n' >&3; tail -n 1 <&3", "ok "+version)
}
