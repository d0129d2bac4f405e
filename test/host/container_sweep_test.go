//go:build e2e

package host_test

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/org/atta-deploy-action/localaws"
	"github.com/org/atta-deploy-action/test/tier"
)

// The sweep of the deploy package, at a few of its places, with real systemd and Docker:
// killed there, the deploy comes to its end by itself.
func TestE2EKillPointsLeaveTheHostAsBeforeOrAsIntended(t *testing.T) {
	t.Parallel()
	places := 2
	if tier.Long {
		places = 12
	}
	hook, err := os.ReadFile("../../test/host/testdata/kill_point.sh")
	if err != nil {
		t.Fatal(err)
	}
	m := boot(t)
	m.output("cat >/root/kill_point.sh <<'END'\n" + string(hook) + "\nEND")
	release := func(version string) []change {
		return []change{serving("8081"), own("more.txt", version)}
	}
	m.deployed("0.0.1-dev", release("0.0.1-dev")...)
	if exit := m.killed(t.Context(), 0, m.command("0.0.2-dev", release("0.0.2-dev")...)); exit.Code != 0 {
		t.Fatalf("exit %d\n%s%s", exit.Code, exit.Stdout, exit.Stderr)
	}
	points := strings.Split(m.output("cat /root/count.names"), "\n")
	current, consistent := "0.0.2-dev", 0
	for i := range places {
		version, at := fmt.Sprintf("0.1.%d-dev", i), 1+i*len(points)/places
		before := m.snapshot()
		exit := m.killed(t.Context(), at, m.command(version, release(version)...))
		if exit.Code == 0 {
			t.Fatalf("not killed at %d of %d: exit %d\n%s%s", at, len(points), exit.Code, exit.Stdout, exit.Stderr)
		}
		if opened := slices.IndexFunc(points, func(p string) bool { return strings.Contains(p, "ln -sfn") && strings.Contains(p, "recover") }); at <= opened+1 {
			m.output("rm -rf /opt/$s/.state.new /opt/$s/.dropped") // not open yet: the next deploy does that
		}
		m.settled()
		if now := m.output("cat /opt/$s/current/VERSION"); now == version {
			m.output("test -f /opt/$s/current/verified && cmp /etc/systemd/system/$s.service /opt/$s/current/deploy/systemd/$s.service")
			m.want("readlink /opt/$s/previous", "releases/"+current)
			m.concluded("deployed", 0, version)
			current = version
		} else if after := m.snapshot(); after != before {
			t.Errorf("killed at %d, before %s:", at, points[at-1])
			m.same(before, after)
			continue
		}
		m.isUp(current)
		if !t.Failed() { // or it would count more than the test found
			consistent++
		}
	}
	fmt.Printf("real systemd and Docker: %d kill points, %d consistent\n", places, consistent)
}

// killed runs a script that is killed at one of its commands, or at none.
func (m guest) killed(ctx context.Context, at int, script string) localaws.Exit {
	m.t.Helper()
	m.output("echo 0 >/root/count; : >/root/count.names")
	return m.Run(ctx, script, []string{"BASH_ENV=/root/kill_point.sh", "KILL_COUNT=/root/count", fmt.Sprint("KILL_AT=", at)})
}
