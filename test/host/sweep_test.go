//go:build !e2e

package host_test

import (
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/org/atta-deploy-action/localaws/sample"
	"github.com/org/atta-deploy-action/test/tier"
)

// swept counts the kill points of all sweeps, for the line that `make sweep` ends with.
var swept struct{ points, consistent atomic.Int64 }

// sweepAll makes every command a kill point, those that only read as well.
var sweepAll = os.Getenv("KILL_ALL") != ""

// sweep is a deploy that is cut off at each of its commands.
type sweep struct {
	before func(standin)                  // what the host runs
	run    func(standin, []string) answer // what is cut off; the environment has the hook
	forth  bool                           // there is no way but to the end
}

// Every command of the scripts that is not bash's own is a place to be killed at, and
// so is every write. Afterwards the host is left to its next boot, to its next
// command, or to itself, and must be exactly as before or exactly as intended.
func TestKilledAnywhereTheHostIsAsBeforeOrAsIntended(t *testing.T) {
	t.Parallel()
	timer := own("systemd/atta.timer", "[Timer]\nOnActiveSec=1h\n[Install]\nWantedBy=timers.target\n")
	report := own("systemd/atta-report.timer", "[Timer]\nOnActiveSec=1h\n[Install]\nWantedBy=timers.target\n")
	job := own("systemd/atta-report.service", "[Service]\nType=oneshot\nExecStart=/bin/true\n")
	for name, s := range sampleOf(map[string]sweep{
		"a service": {
			before: func(m standin) {
				m.deployed("0.0.1-dev", daemon())
				m.deployed("0.0.2-dev", daemon(), report, job)
			},
			run: func(m standin, env []string) answer {
				return m.attempt("0.0.3-dev", daemon(), own("docker.env", "DOCKER_ARGS=--env=A=B\n"), environment(env))
			},
		},
		"a job with a timer": {
			before: func(m standin) { m.deployed("0.0.1-dev", timer) },
			run: func(m standin, env []string) answer {
				return m.attempt("0.0.2-dev", timer, own("more.txt", "more"), environment(env))
			},
		},
		"the first deploy": {
			before: func(m standin) { m.write("opt/atta/.env", "", 0o600) },
			run:    func(m standin, env []string) answer { return m.attempt("0.0.1-dev", timer, environment(env)) },
		},
		"a deploy that goes back": {
			before: func(m standin) { m.deployed("0.0.1-dev", daemon()) },
			run: func(m standin, env []string) answer {
				return m.attempt("0.0.2-dev", image(sample.WithExitCode(3)), report, job, environment(env))
			},
		},
		"a deploy that is taken back": {
			before: func(m standin) {
				m.deployed("0.0.1-dev", daemon())
				k := m.withHook()
				k.watcher(false)
				k.attempt("0.0.2-dev", daemon(), report, job, environment(k.before("systemctl daemon-reload")))
				m.sh("cd $ATTA_ROOT/etc/systemd/system && rm atta-recover.service multi-user.target.wants/atta-recover.service")
			},
			run:   func(m standin, env []string) answer { return m.sh("exec $ATTA_ROOT/opt/atta/recover recover", env...) },
			forth: true,
		},
		"a rollback": {
			before: func(m standin) {
				m.deployed("0.0.1-dev", daemon())
				m.deployed("0.0.2-dev", daemon(), report, job)
			},
			run: func(m standin, env []string) answer {
				return m.sh("exec $ATTA_ROOT/opt/atta/current/deploy/ec2_deploy.sh rollback", env...)
			},
		},
	}, "a service", "the first deploy") {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			workers := 1
			if sweepAll {
				workers = 2
			}
			for worker := range workers {
				t.Run(fmt.Sprint("part ", worker+1), func(t *testing.T) {
					t.Parallel()
					s.part(t, worker, workers)
				})
			}
		})
	}
}

// part goes through a worker's share of the kill points.
func (s sweep) part(t *testing.T, worker, workers int) {
	m := boot(t)
	s.before(m)
	m.save()
	k := m.withHook()
	m.restore()
	old := m.atRest()
	s.run(m, k.env(0))
	points := k.points()
	if len(points) < 10 {
		t.Fatalf("the hook has numbered %q only", points)
	}
	wanted := m.atRest()
	if s.forth {
		old = nil
	}
	stride := (len(points) + 2) / 3 // each way of recovery once
	switch {
	case sweepAll:
		stride = workers
	case tier.Long:
		stride = 48
	}
	for at := 1 + worker; at <= len(points); at += stride {
		swept.points.Add(1)
		m.restore()
		recovery := []string{"command", "boot", "itself"}[at/stride%3]
		if s.forth {
			recovery = "command"
		}
		m.watcher(recovery == "itself")
		s.run(m, k.env(at))
		atRest := m.recovered(recovery)
		got := m.whole()
		for deadline := time.Now().Add(5 * time.Minute); !cmp.Equal(got, old) && !cmp.Equal(got, wanted) && time.Now().Before(deadline); got = m.whole() {
			time.Sleep(50 * time.Millisecond) // a service is only just being started again
		}
		if cmp.Equal(got, old) || cmp.Equal(got, wanted) {
			if atRest {
				swept.consistent.Add(1)
			}
			continue
		}
		t.Errorf("killed at %d of %d, before %s, then left to its %s: neither as before (-before +after):\n%snor as intended (-intended +after):\n%s\n%s",
			at, len(points), points[at-1], recovery, cmp.Diff(old, got), cmp.Diff(wanted, got), m.sh("tail -n 30 $ATTA_ROOT/var/log/atta-deploy.log").stdout)
	}
}

// watcher decides what becomes of the process that waits for the end of a deploy: there it has
// its own session and control group, and otherwise it dies with the deploy.
func (m standin) watcher(there bool) {
	m.t.Helper()
	if there {
		_ = os.Remove(m.Path("..", "bin", "setsid"))
		m.replace("systemd-run", m.passOn("systemd-run"))
		return
	}
	m.replace("systemd-run", "exit 1")
	m.write("../bin/setsid", "#!/bin/sh\nexec \"$@\"\n", 0o755)
}

// recovered returns when the host has had what it needs to come to rest, and reports whether it has.
func (m standin) recovered(by string) bool {
	m.t.Helper()
	switch by {
	case "boot":
		if err := m.Reboot(); err != nil {
			m.t.Fatal(err)
		}
		// Cut off before the unit for the next boot was there, and before anything was
		// touched, the link waits for the next command.
		if state := m.sh("cat $ATTA_ROOT/opt/atta/state").stdout; m.exists("opt/atta/recover") && strings.Contains(state, "\nREACHED=open\n") {
			m.recovered("command")
		}
	case "command":
		// It comes no further than to its bundle, which is nowhere.
		m.expect(m.send(strings.Fields("deploy --service=atta --version=9.9.9-dev --region=us-east-1 --not-after=99999999999 --deployment=next-"+fmt.Sprint(time.Now().UnixNano())+
			" --image=h/i@sha256:"+strings.Repeat("0", 64)+" --image-bytes=0 --bundle=s3://nowhere/x --sha256="+strings.Repeat("0", 64)+
			" --allow-downgrade=false --allow-quarantined=false --rollback=false --on-running=wait --drain-timeout=20 --run-on-deploy=true"+
			" --health-timeout=20 --min-healthy-time=1 --keep-releases=5")), "refused", 10, "cannot be downloaded")
	}
	for deadline := time.Now().Add(5 * time.Minute); m.exists("opt/atta/recover"); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			m.t.Errorf("after its %s the host still has a deploy under way:\n%s", by, m.sh("cat $ATTA_ROOT/opt/atta/state; tail -n 30 $ATTA_ROOT/var/log/atta-deploy.log").stdout)
			return false
		}
	}
	return true
}

// atRest is the whole of a host where nothing is being started or stopped: a service is
// active a moment before its container is there.
func (m standin) atRest() map[string]string {
	m.t.Helper()
	for deadline := time.Now().Add(5 * time.Minute); ; time.Sleep(50 * time.Millisecond) {
		all := m.whole()
		if !strings.Contains(all["units"], "activating") && strings.Contains(all["units"], "SubState=running") == (all["containers"] != "") {
			return all
		}
		if time.Now().After(deadline) {
			m.t.Fatalf("the host does not come to rest: %s", all["units"])
		}
	}
}

// whole is all that a deploy changes: what decides what runs, what does run, and the
// images that the two releases to go to need.
func (m standin) whole() map[string]string {
	m.t.Helper()
	all := m.live()
	answers := m.run(`cd $ATTA_ROOT/opt/$s
systemctl show --property=LoadState,ActiveState,SubState,UnitFileState $s.service
systemctl show --property=ActiveState $s.timer $s-report.timer
echo --; docker ps --format '{{.Names}} {{.Image}}'
for link in current previous; do
  echo --; sed -n s/^IMAGE=//p $link/release.env | xargs --no-run-if-empty docker image inspect --format '{{.Id}} {{.RepoTags}}'
done
echo --; docker ps --all --format '{{.Names}}' | grep -x -e "$s-$(sed -n s/^VERSION=//p current/release.env)" -e "$s-$(sed -n s/^VERSION=//p previous/release.env)" | sort`).stdout
	parts := strings.Split(answers, "--\n")
	for i, name := range []string{"units", "containers", "image of current", "image of previous", "containers that keep them"} {
		all[name] = parts[i]
	}
	return all
}
