//go:build e2e

package host_test

import (
	"encoding/base64"
	"testing"
	"time"

	"github.com/org/atta-deploy-action/localaws"
	"github.com/org/atta-deploy-action/localaws/sample"
	"github.com/org/atta-deploy-action/test/tier"
)

// A moment is a command before which a deploy is cut off.
type moment struct {
	name, at string
	after    bool // the deploy is a success by then
}

var moments = []moment{
	{name: "stop", at: "systemctl stop SERVICE.service"},
	{name: "unit", at: "mv -T -- /etc/systemd/system/SERVICE.service.new *"},
	{name: "current", at: "mv -T -- /opt/SERVICE/.current.new *"},
	{name: "reload", at: "systemctl daemon-reload"},
	{name: "start", at: "systemctl start SERVICE.service"},
	{name: "health", at: "docker container inspect --format {{.Id}} {{.Image}}*"},
	{name: "settle", at: "mv -T -- /opt/SERVICE/.previous.new *", after: true},
}

// someOf are the cases with these indices, and in the long tests all cases.
func someOf[T any](cases []T, indices ...int) []T {
	if tier.Long {
		return cases
	}
	var few []T
	for _, i := range indices {
		few = append(few, cases[i])
	}
	return few
}

func TestE2EARebootInTheMiddleEndsInOneOfTheTwoReleases(t *testing.T) {
	onEach(t, func(t *testing.T, m guest) {
		m.deployed("0.0.1-dev", serving("8081"))
		m.deployed("0.0.2-dev", serving("8081"))
		for _, moment := range someOf(moments, 2, 6) {
			before := m.snapshot()
			reboot := m.Reboot
			if moment.name == "current" {
				reboot = m.Restart
			}
			cancel := m.held(moment.at, "0.1.0-dev", serving("8081"), image(sample.WithEnv("TRY", moment.name)))
			if err := reboot(t.Context()); err != nil {
				t.Fatal(moment.name, err)
			}
			cancel()
			m.settled()
			if moment.after {
				m.isUp("0.1.0-dev")
				m.concluded("deployed", 0, "0.1.0-dev")
				m.want("readlink /opt/$s/previous", "releases/0.0.2-dev")
				continue
			}
			m.same(before, m.snapshot())
			m.isUp("0.0.2-dev")
			m.concluded("rolled-back", 30, "0.1.0-dev")
			m.output("rm -rf /opt/$s/releases/0.1.0-dev; docker rm --force $s-0.1.0-dev >/dev/null 2>&1 || true")
		}
	})
}

// A service that systemd stops because the host goes down is not an unhealthy one.
func TestE2EShutdownDuringADeployDoesNotQuarantine(t *testing.T) {
	onEach(t, func(t *testing.T, m guest) {
		m.deployed("0.0.1-dev", serving("8081"))
		before, next := m.snapshot(), serving("8081", sample.WithEnv("TRY", "2"))
		command := m.command("0.0.2-dev", next, parameter("min-healthy-time", "60"), parameter("health-timeout", "90"))
		ended := make(chan localaws.Exit, 1)
		go func() { ended <- m.Run(t.Context(), command, nil) }()
		m.output("for i in {1..200}; do grep -qs ^REACHED=health /opt/$s/state && sleep 2 && exit 0; sleep 0.1; done; exit 1")
		if err := m.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
		<-ended
		m.settled()
		m.same(before, m.snapshot())
		m.isUp("0.0.1-dev")
		m.concluded("rolled-back", 30, "0.0.2-dev")
		m.deployed("0.0.2-dev", next)
	})
}

// isUp waits for a service that has just been started.
func (m guest) isUp(version string) {
	m.t.Helper()
	m.output("for i in {1..100}; do (: </dev/tcp/127.0.0.1/8081) 2>/dev/null && exit 0; sleep 0.1; done; exit 1")
	m.isServing(version)
}

func TestE2EAJobStartsOfflineAfterARebootInTheMiddle(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.deployed("0.0.1-dev")
	before := m.snapshot()
	for i, at := range someOf([]string{"mv -T -- /opt/SERVICE/.current.new *", "systemctl start SERVICE.service", ""}, 1, 2) {
		version := []string{"0.1.0-dev", "0.1.1-dev", "0.1.2-dev"}[i]
		if at != "" {
			cancel := m.held(at, version)
			defer cancel()
		} else { // the job itself is at work
			command := m.command(version, image(sample.WithCmd("-sleep", "60s")), parameter("health-timeout", "60"))
			go m.Run(t.Context(), command, nil)
			m.output("for i in {1..100}; do docker ps --quiet --filter=name=^$s$ | grep -q . && exit 0; sleep 0.1; done; exit 1")
		}
		m.output("rm -f /opt/$s/output/greeting.txt")
		if err := m.Unplug(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := m.Reboot(t.Context()); err != nil {
			t.Fatal(err)
		}
		m.settled()
		m.same(before, m.snapshot())
		m.concluded("rolled-back", 30, version)
		m.want("cat /opt/$s/output/greeting.txt", "hello from 0.0.1-dev")
		if err := m.Plug(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

func TestE2EAFirstDeployThatARebootCutsOffLeavesNothing(t *testing.T) {
	t.Parallel()
	m := boot(t)
	points := someOf([]string{"mv -T -- /opt/SERVICE/.current.new *", "systemctl start SERVICE.service", "docker container inspect --format {{.Id}} {{.Image}}*"}, 2)
	for i, at := range points {
		cancel := m.held(at, "0.0.1-dev", serving("8081"))
		if err := m.Reboot(t.Context()); err != nil {
			t.Fatal(err)
		}
		cancel()
		m.settled()
		m.concluded("rolled-back", 30, "0.0.1-dev")
		m.want("find /etc/systemd/system -name \"$s*\"; find /opt/$s -maxdepth 1 -type l", "")
		m.want("systemctl show --property=LoadState $s", "LoadState=not-found")
		m.want("docker ps --all --quiet", "")
		if i == len(points)-1 {
			m.deployed("0.0.1-dev", serving("8081"))
		}
	}
}

func TestE2EACancelledCommandIsRolledBack(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.deployed("0.0.1-dev", serving("8081"))
	m.deployed("0.0.2-dev", serving("8081"))
	before := m.snapshot()
	for _, moment := range someOf(moments, 0, 4, 5) {
		cancel := m.held(moment.at, "0.1.0-dev", serving("8081"))
		begin := time.Now()
		cancel()
		m.settled()
		took := time.Since(begin)
		t.Logf("cut off in %s: settled after %v", moment.name, took.Round(100*time.Millisecond))
		if moment.after {
			m.isUp("0.1.0-dev")
			m.concluded("deployed", 0, "0.1.0-dev")
			continue
		}
		m.isUp("0.0.2-dev")
		m.same(before, m.snapshot())
		m.concluded("rolled-back", 30, "0.1.0-dev")
	}
}

// A package of the agent whose unit has no KillMode=process takes every session of a command with it.
func TestE2EADeployIsRolledBackWhenTheWholeAgentIsKilled(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.deployed("0.0.1-dev", serving("8081"))
	before := m.snapshot()
	command := m.command("0.0.2-dev", serving("8081"), parameter("min-healthy-time", "60"), parameter("health-timeout", "90"))
	m.output("echo " + base64.StdEncoding.EncodeToString([]byte(command)) + " | base64 -d >/root/command && systemd-run --quiet --unit=agent /bin/bash /root/command") // systemd would expand variables
	m.output("for i in {1..200}; do grep -qs ^REACHED=health /opt/$s/state && exit 0; sleep 0.1; done; exit 1")
	m.output("systemctl kill --signal=KILL agent")
	m.settled()
	m.same(before, m.snapshot())
	m.isUp("0.0.1-dev")
	m.concluded("rolled-back", 30, "0.0.2-dev")
}
