//go:build long || e2e

package host_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/org/atta-deploy-action/deploy"
	"github.com/org/atta-deploy-action/localaws/sample"
)

// settings writes the operator's settings.
func (m machine) settings(text string) {
	m.t.Helper()
	octal := ""
	for _, b := range []byte(text) {
		octal += fmt.Sprintf(`\0%03o`, b)
	}
	m.output("printf %b '" + octal + "' >$ATTA_ROOT/opt/$s/.env")
}

func TestOnEachMachineCaseSettingsAreReadAsDockerReadsThem(t *testing.T) {
	onEachMachine(t, func(t *testing.T, m machine) {
		m.deployed("0.0.1-dev")
		type refused = struct {
			version, example, settings string
			reason                     deploy.Reason
			message                    string
		}
		cases := map[string]refused{
			"CR at the end":      {"0.0.2-dev", "TOKEN=\r\n", "TOKEN=\r\n", deploy.ReasonSettingsMissing, ".env lacks TOKEN, which"},
			"the last of two":    {"0.0.3-dev", "TOKEN=\n", "TOKEN=abc\nTOKEN=\n", deploy.ReasonSettingsMissing, ".env lacks TOKEN, which"},
			"names with . and -": {"0.0.4-dev", "my.token=\nMY-KEY=\n", "my_token=1\n", deploy.ReasonSettingsMissing, ".env lacks my.token MY-KEY, which"},
			"export":             {"0.0.5-dev", "", "A=1\nexport TOKEN=secret\n", deploy.ReasonSettingsInvalid, "/opt/atta/.env, line 2: docker takes"},
			"blanks around =":    {"0.0.6-dev", "", "\n# x\nTOKEN = secret\n", deploy.ReasonSettingsInvalid, "/opt/atta/.env, line 3: docker takes"},
			"several lines":      {"0.0.7-dev", "", "KEY=-----BEGIN KEY-----\nsecret\n-----END KEY-----\n", deploy.ReasonSettingsInvalid, "/opt/atta/.env, line 3: docker takes"},
			"the end of a value": {"0.0.11-dev", "", "A=secret+/\nab/secret\n", deploy.ReasonSettingsInvalid, "/opt/atta/.env, line 2: it is not KEY=value"},
			"a name alone":       {"0.0.12-dev", "", "A=1\nsecret\n", deploy.ReasonSettingsInvalid, "/opt/atta/.env, line 2: it is not KEY=value"},
			"no name":            {"0.0.8-dev", "", "=secret\n", deploy.ReasonSettingsInvalid, "/opt/atta/.env, line 1: docker takes"},
			"not UTF-8":          {"0.0.9-dev", "", "A=1\nB=\xfe\xfd\n", deploy.ReasonSettingsInvalid, "docker does not take /opt/atta/.env: docker: "},
		}
		mark := "\xef\xbb\xbf"
		if m.isPodman() { // which takes any bytes, and a byte order mark for a part of the name
			delete(cases, "not UTF-8")
			cases["byte order mark"] = refused{"0.0.10-dev", "", mark + "TOKEN=1\n", deploy.ReasonSettingsInvalid, "/opt/atta/.env, line 1: docker takes"}
			mark = ""
		}
		for name, c := range cases {
			m.settings(c.settings)
			before := m.snapshot()
			a := m.deploy(c.version, own(".env.example", c.example))
			if m.expect(a, "refused", deploy.ExitPreflight, c.message); a.Reason != c.reason {
				t.Errorf("%s: reason %s", name, a.Reason)
			}
			if answer := a.stdout + a.stderr; strings.Contains(answer, "secret") || strings.Contains(answer, "254 253") {
				t.Errorf("%s: the answer has the settings:\n%s", name, answer)
			}
			m.same(before, m.snapshot())
		}
		m.settings(mark + "TOKEN=\r\n \t OTHER=  x\nGREETING=one\nTOKEN=good day\n#NONE=\n\nGREETING=good day\r\n")
		m.deployed("0.1.0-dev", own(".env.example", mark+" TOKEN=\r\nOTHER=\n"))
		m.want("cat $ATTA_ROOT/opt/$s/output/greeting.txt", "good day from 0.1.0-dev")
		if kept := m.output("docker inspect $s-0.1.0-dev"); strings.Contains(kept, "good day") {
			t.Errorf("the container that keeps the image has the settings:\n%s", kept)
		}
	})
}

func TestOnEachMachineCaseUnitsAreCheckedAsTheyWillBe(t *testing.T) {
	onEachMachine(t, func(_ *testing.T, m machine) {
		tidy := func(script string) []change {
			return []change{
				own("systemd/atta-tidy.service", "[Unit]\nDocumentation=man:atta-tidy(8)\n[Service]\nType=oneshot\nExecStartPre=-/opt/nothing\nExecStart=/opt/atta/current/deploy/"+script+"\n"),
				own("systemd/atta-tidy.timer", "[Timer]\nOnCalendar=daily\n[Install]\nWantedBy=timers.target\n"),
				own("tidy.sh", "#!/bin/sh\n"),
				own("systemd/atta.service", strings.Replace(unitOf(m.t, "atta.service"), "ExecStart=", "ExecStartPre=/opt/%N/current/deploy/"+script+"\nExecStart=", 1)),
			}
		}
		m.deployed("0.0.1-dev", tidy("tidy.sh")...)
		m.expect(m.deploy("0.0.2-dev", tidy("missing.sh")...), "refused", deploy.ExitPreflight, "/deploy/missing.sh is not executable")
		m.output("systemctl start $s-tidy.service")
	})
}

func TestOnEachMachineCaseALoginNeedsNoCredentialHelper(t *testing.T) {
	onEachMachine(t, func(t *testing.T, m machine) {
		m.output("d=$(dirname $(command -v docker)); printf '#!/bin/sh\\nexit 1\\n' >$d/docker-credential-secretservice; chmod +x $d/docker-credential-secretservice")
		m.deployed("0.0.1-dev", image(sample.WithUser("1234:5678")))
		m.want("stat -c %u:%g:%a $ATTA_ROOT/opt/$s/output", "1234:5678:750")
		m.want("cat $ATTA_ROOT/opt/$s/output/greeting.txt", "hello from 0.0.1-dev")
		m.output("rm -r $ATTA_ROOT/opt/$s/output")
		m.deployed("0.0.2-dev", image(sample.WithUser("sample")))
		m.want("stat -c %u:%g:%a $ATTA_ROOT/opt/$s/output", "1000:1001:750")

		// What an operator types.
		if logs := m.output("docker logs $s 2>&1"); !strings.Contains(logs, "sample 0.0.2-dev") {
			t.Errorf("docker logs: %s", logs)
		}
		m.want("docker ps --all --format '{{.Names}}' | grep -x $s", m.service)
		m.want("journalctl --quiet --no-pager --output=cat | grep -cx 'sample 0.0.2-dev'", "1") // in the whole journal
		m.deployed("0.0.3-dev", serving(m.port))
		if logs := m.output("docker logs $s 2>&1"); !strings.Contains(logs, "sample 0.0.3-dev") {
			t.Errorf("docker logs of a service: %s", logs)
		}
	})
}

// What a profile of the host or an agent's unit may set for other tools. SHELLOPTS has `set -o noclobber`.
func TestOnEachMachineCaseSettingsForOtherToolsChangeNothing(t *testing.T) {
	onEachMachine(t, func(_ *testing.T, m machine) {
		ambient := environment([]string{
			"SHELLOPTS=noclobber", "CDPATH=/", "TMPDIR=/nowhere", "LC_ALL=de_DE.UTF-8", "GREP_OPTIONS=--color=always", "TAR_OPTIONS=--strip-components=1",
			"GZIP=--no-such-option", "DOCKER_HOST=tcp://127.0.0.1:1", "DOCKER_CONTEXT=elsewhere", "DOCKER_DEFAULT_PLATFORM=linux/s390x", "CONTAINER_HOST=tcp://127.0.0.1:1", "AWS_DEFAULT_OUTPUT=table", "AWS_PAGER=false",
		})
		m.deployed("0.0.1-dev", ambient)
		m.deployed("0.0.2-dev", ambient)
		m.want("cat $ATTA_ROOT/opt/$s/output/greeting.txt", "hello from 0.0.2-dev")
		m.want("stat -c %a $ATTA_ROOT/opt/$s/releases/0.0.2-dev/settings.env", "600")
	})
}

func TestOnEachMachineWhatTheEngineRefusesToStartIsNotTheImagesFault(t *testing.T) {
	onEachMachine(t, func(_ *testing.T, m machine) {
		m.deployed("0.0.1-dev")
		said := "docker: Error response from daemon: invalid volume specification: '/a:b'"
		if m.isPodman() {
			said = "Error: invalid container path"
		}
		bad := own("docker.env", "DOCKER_ARGS=--volume=/a:b\n")
		a := m.deploy("0.0.2-dev", bad)
		m.expect(a, "rolled-back", deploy.ExitStart, "the engine did not start the container: "+said)
		m.want("cat $ATTA_ROOT/opt/$s/quarantine 2>/dev/null || true", "")
		m.expect(m.deploy("0.0.3-dev", daemon(), bad), "rolled-back", deploy.ExitStart, "the engine did not start the container: "+said)
		m.expect(m.deploy("0.0.4-dev", daemon(), own("docker.env", "DOCKER_ARGS=--device=/dev/nosuch\n")), "rolled-back", deploy.ExitStart, "the engine did not start the container: ")
		m.want("cat $ATTA_ROOT/opt/$s/quarantine 2>/dev/null || true", "")
		m.deployed("0.0.5-dev")
		// A program that the image lacks is the image's fault.
		lacking := image(func(c *v1.ConfigFile) { c.Config.Entrypoint = []string{"/nosuch"} })
		m.expect(m.deploy("0.0.6-dev", lacking), "rolled-back", deploy.ExitUnhealthy, "")
		m.expect(m.deploy("0.0.7-dev", daemon(), image(func(c *v1.ConfigFile) { c.Config.Entrypoint = []string{"/nosuch"} })), "rolled-back", deploy.ExitUnhealthy, "")
	})
}

// A step before the program fails, or waits, for a reason of the host: nothing of the image was started.
func TestOnEachMachineWhatFailsBeforeTheProgramIsNotTheImagesFault(t *testing.T) {
	onEachMachine(t, func(_ *testing.T, m machine) {
		unit := func(kind, step string) change {
			return own("systemd/atta.service", "[Service]\nType="+kind+"\nEnvironmentFile=/opt/%N/current/release.env\nExecStartPre=-/usr/bin/docker rm --force %N\nExecStartPre=/bin/sh -c '"+step+"'\n"+
				"ExecStart=/usr/bin/docker run --rm --pull=never --name=%N ${IMAGE}\n[Install]\nWantedBy=multi-user.target\n")
		}
		m.deployed("0.0.1-dev", unit("simple", "true"), image(sample.WithCmd("-sleep", "1h")))
		for version, c := range map[string]struct{ kind, step string }{
			"0.0.2-dev": {"simple", "echo no such device >&2; exit 1"},
			"0.0.3-dev": {"simple", "sleep 30"},
			"0.0.4-dev": {"oneshot", "echo no such device >&2; exit 1"},
			"0.0.5-dev": {"oneshot", "sleep 30"},
		} {
			a := m.deploy(version, unit(c.kind, c.step), parameter("health-timeout", "4"), parameter("min-healthy-time", "1"))
			m.expect(a, "rolled-back", deploy.ExitStart, "0.0.1-dev is back")
			m.want("cat $ATTA_ROOT/opt/$s/quarantine 2>/dev/null || true", "")
		}
		m.expect(m.deploy("0.0.6-dev", image(sample.WithExitCode(3))), "rolled-back", deploy.ExitUnhealthy, "0.0.1-dev is back")
	})
}

// A unit that has been started too often is not started any more, by nobody, until its counter is reset:
// https://github.com/systemd/systemd/issues/10529
func TestOnEachMachineCaseAUnitAtItsStartLimitIsStarted(t *testing.T) {
	onEachMachine(t, func(_ *testing.T, m machine) {
		limited := []change{
			own("systemd/atta.service", "[Unit]\nStartLimitIntervalSec=1h\nStartLimitBurst=2\n[Service]\nEnvironmentFile=/opt/%N/current/release.env\nRestart=on-failure\nRestartSec=200ms\n"+
				"ExecStartPre=-/usr/bin/docker rm --force %N\nExecStart=/usr/bin/docker run --rm --pull=never --name=%N ${IMAGE}\n[Install]\nWantedBy=multi-user.target\n"),
			image(sample.WithCmd("-sleep", "1h")),
		}
		m.deployed("0.0.1-dev", limited...)
		exhaust := "while systemctl restart $s; do sleep 0.2; done; systemctl show --property=ActiveState $s; ! systemctl start $s 2>/dev/null"
		m.want(exhaust, "ActiveState=failed")
		m.deployed("0.0.2-dev", limited...)
		a := m.deploy("0.0.3-dev", append(limited, image(sample.WithCmd("-sleep", "0s"), sample.WithExitCode(3)))...)
		m.expect(a, "rolled-back", deploy.ExitUnhealthy, "did not stay up")
		m.want("systemctl is-active $s", "active")
		m.want(exhaust, "ActiveState=failed")
		m.expect(m.parse(m.byHand("rollback")), "deployed", deploy.ExitOK, "0.0.1-dev runs")
	})
}

// ignoresHealthcheck reports, and proves with a check that fails, that podman ignores the HEALTHCHECK of an image in OCI's format:
// https://docs.podman.io/en/latest/markdown/podman-build.1.html#format
func ignoresHealthcheck(m machine) bool {
	if m.isPodman() {
		m.deployed("0.9.0-dev", serving(m.port), image(sample.WithHealthCheck("-nonsense")), parameter("health-timeout", "8"))
	}
	return m.isPodman()
}

// Docker makes the first check when an interval is over, whatever the image asks for at the start:
// https://github.com/docker/compose/issues/12782
func TestOnEachMachineCaseAHealthcheckThatHasNotRunYetIsNamed(t *testing.T) {
	onEachMachine(t, func(_ *testing.T, m machine) {
		if ignoresHealthcheck(m) {
			return
		}
		m.deployed("0.0.1-dev", serving(m.port))
		rare := image(sample.WithHealthCheck(), func(c *v1.ConfigFile) { c.Config.Healthcheck.Interval = 5 * time.Minute })
		a := m.deploy("0.0.2-dev", serving(m.port), rare, parameter("health-timeout", "8"))
		m.expect(a, "rolled-back", deploy.ExitStart, "the HEALTHCHECK of the container "+m.service+" has not passed within 8 s; the engine runs it every 300 s")
		m.isServing("0.0.1-dev")
		m.want("cat $ATTA_ROOT/opt/$s/quarantine 2>/dev/null | wc -l", "0")
	})
}

// Why an image's HEALTHCHECK fails is gone with its container: https://github.com/basecamp/kamal/issues/844
func TestOnEachMachineCaseWhatAHealthcheckPrintsIsInTheMessage(t *testing.T) {
	onEachMachine(t, func(_ *testing.T, m machine) {
		if ignoresHealthcheck(m) {
			return
		}
		m.deployed("0.1.0-dev", serving(m.port))
		a := m.deploy("0.1.1-dev", serving(m.port), image(sample.WithHealthCheck("-nonsense")), parameter("health-timeout", "8"))
		m.expect(a, "rolled-back", deploy.ExitUnhealthy, "by its HEALTHCHECK; its last check ended with 2: flag provided but not defined: -nonsense Usage of")
		missing := image(func(c *v1.ConfigFile) {
			c.Config.Healthcheck = &v1.HealthConfig{Test: []string{"CMD", "curl", "-f", "x"}, Interval: 1e9, Retries: 2}
		})
		a = m.deploy("0.1.2-dev", serving(m.port), missing, parameter("health-timeout", "8"))
		m.expect(a, "rolled-back", deploy.ExitUnhealthy, "by its HEALTHCHECK; its last check ended with -1: ")
	})
}
