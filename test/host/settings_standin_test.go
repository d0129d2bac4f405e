//go:build !e2e

package host_test

import (
	"os"
	"strings"
	"testing"

	"github.com/org/atta-deploy-action/deploy"
	"github.com/org/atta-deploy-action/localaws"
	"github.com/org/atta-deploy-action/localaws/sample"
	"github.com/org/atta-deploy-action/test/tier"
)

// withoutEnvFile forbids .env for a unit that does not read it.
func withoutEnvFile(a *attempt) {
	parameter("allow-env-file", "false")(a)
	own("systemd/atta.service", "[Service]\nType=oneshot\nExecStart=/usr/bin/docker run --name=%N --env-file=/opt/%N/current/settings.env ${IMAGE}\n")(a)
}

func TestParametersThatCannotBeSettingsAreRefusedBeforeAnythingChanges(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		prepare func(m standin, path string)
		more    change
		reason  deploy.Reason
		message string // PATH is that of the parameters
	}{
		"nothing there": {
			prepare: func(_ standin, path string) { cloud.DeleteParameter(path + "/GREETING") },
			reason:  deploy.ReasonSettingsMissing, message: "there is no parameter directly below PATH in us-east-1",
		},
		"only deeper": {
			prepare: func(_ standin, path string) {
				cloud.DeleteParameter(path + "/GREETING")
				cloud.PutParameter(localaws.Parameter{Name: path + "/deeper/GREETING", Value: "secret"})
			},
			reason: deploy.ReasonSettingsMissing, message: "there is no parameter directly below PATH in us-east-1",
		},
		"not allowed": {
			prepare: func(_ standin, path string) {
				cloud.AddFault(localaws.Fault{Operation: "ssm:GetParametersByPath", Resource: path, Error: &localaws.Error{Code: "AccessDeniedException",
					Message: "User: arn:aws:sts::123456789012:assumed-role/x/i-1 is not authorized to perform: ssm:GetParametersByPath"}})
			},
			reason: deploy.ReasonSettingsUnavailable, message: "the parameters in PATH cannot be read: An error occurred (AccessDeniedException) when calling the GetParametersByPath operation: User: arn:aws:sts::",
		},
		"key not allowed": {
			prepare: func(_ standin, path string) {
				cloud.PutParameter(localaws.Parameter{Name: path + "/TOKEN", Value: "secret", Type: "SecureString", KeyDenied: true})
			},
			reason: deploy.ReasonSettingsUnavailable, message: "The ciphertext refers to a customer master key",
		},
		"several problems": {
			prepare: func(m standin, _ string) {
				m.setParameter("PEM", "-----BEGIN secret-----\nFalse\tsecret\n-----END-----")
				m.setParameter("1ST", "secret")
				m.setParameter("WINDOWS", "secret\r")
			},
			reason: deploy.ReasonSettingsInvalid,
			message: "docker does not take these parameters in PATH as settings: 1ST does not begin with a letter or _; the value of PEM contains a newline; " +
				"the value of WINDOWS ends with a carriage return",
		},
		"keys missing": {
			prepare: func(m standin, _ string) {
				m.write("opt/atta/.env", "EMPTY=\n", 0o600)
				m.setParameter("EMPTY", "secret")
			},
			more:   own(".env.example", "GREETING=\nTOKEN=\nEMPTY=\nDEFAULT=1\n"),
			reason: deploy.ReasonSettingsMissing, message: "PATH lacks TOKEN EMPTY, which 0.0.2-dev needs, or /opt/atta/.env sets them to nothing",
		},
		"a file of the operator": {
			prepare: func(m standin, _ string) { m.write("opt/atta/.env", "# none\nTOKEN=secret\nLEVEL=1\n", 0o600) },
			more:    parameter("allow-env-file", "false"),
			reason:  deploy.ReasonSettingsForbidden, message: "/opt/atta/.env sets TOKEN LEVEL, and allow-env-file is false",
		},
		"what may be lines of a secret": {
			prepare: func(m standin, _ string) {
				m.write("opt/atta/.env", "-----BEGIN secret-----\nsecretAAAA==\n-----END-----\n", 0o600)
			},
			more:   parameter("allow-env-file", "false"),
			reason: deploy.ReasonSettingsInvalid, message: "/opt/atta/.env, line 1: docker takes KEY=value only",
		},
		"the same, for a unit that has no .env": {
			prepare: func(m standin, _ string) {
				m.write("opt/atta/.env", "-----BEGIN secret-----\nsecretAAAA==\n-----END-----\n", 0o600)
			},
			more:   withoutEnvFile,
			reason: deploy.ReasonSettingsForbidden, message: "/opt/atta/.env has settings, and allow-env-file is false",
		},
		"lines of a shell, for a unit that has no .env": {
			prepare: func(m standin, _ string) { m.write("opt/atta/.env", "export TOKEN=secret\n", 0o600) },
			more:    withoutEnvFile,
			reason:  deploy.ReasonSettingsForbidden, message: "/opt/atta/.env has settings, and allow-env-file is false",
		},
		"a name that is not a variable of a shell": {
			prepare: func(m standin, _ string) { m.write("opt/atta/.env", "1=secret\n", 0o600) },
			more:    parameter("allow-env-file", "false"),
			reason:  deploy.ReasonSettingsForbidden, message: "/opt/atta/.env has settings, and allow-env-file is false",
		},
		"a script that ignores them": {
			prepare: func(standin, string) {},
			more:    own("ec2_deploy.sh", "#!/bin/sh\ntouch $ATTA_ROOT/ran\n"),
			reason:  deploy.ReasonBadParameter, message: "the script of 0.0.2-dev does not know settings-from",
		},
		"a unit that ignores them": {
			prepare: func(standin, string) {},
			more:    own("systemd/atta.service", "[Service]\nType=oneshot\nExecStart=/usr/bin/docker run --name=%N --env-file=/opt/%N/.env ${IMAGE}\n"),
			reason:  deploy.ReasonUnitInvalid, message: "deploy/systemd/atta.service does not give its container what settings-from reads: add --env-file=/opt/%N/current/settings.env",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := boot(t)
			path := "/" + m.name + "/dev"
			m.setParameter("GREETING", "hi")
			m.deployed("0.0.1-dev", m.fromParameters())
			c.prepare(m, path)
			changes := []change{m.fromParameters()}
			if c.more != nil {
				changes = append(changes, c.more)
			}
			m.untouched(func() {
				a := m.deploy("0.0.2-dev", changes...)
				m.expect(a, "refused", 10, strings.ReplaceAll(c.message, "PATH", path))
				if log := m.text("var/log/atta-deploy.log"); a.Reason != c.reason || strings.Contains(a.stdout+a.stderr+log, "secret") {
					t.Errorf("reason %s, printed\n%s%s%s", a.Reason, a.stdout, a.stderr, log)
				}
			})
			if m.exists("run/atta-deploy/atta.settings") {
				t.Error("the settings that were read are still there")
			}
			m.write("opt/atta/.env", "", 0o600)
			m.expect(m.rollbackTo("0.0.1-dev"), "unchanged", 0, "runs already")
		})
	}
}

func (m standin) rollbackTo(version string) answer {
	m.t.Helper()
	return m.send([]string{"rollback", "--service=atta", "--deployment=back", "--not-after=99999999999", "--version=" + version})
}

func TestTheOperatorsSettingsWin(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.setParameter("GREETING", "parameter")
	m.write("opt/atta/.env", "GREETING=operator\n", 0o600)
	m.deployed("0.0.1-dev", m.fromParameters())
	m.wantOutput("operator from 0.0.1-dev\n")
	m.write("opt/atta/.env", "", 0o600)
	m.deployed("0.0.2-dev", m.fromParameters(), parameter("allow-env-file", "false"))
	m.wantOutput("parameter from 0.0.2-dev\n")
	if got := m.byHand("status").stdout; !strings.Contains(got, "\nsettings       GREETING from /"+m.name+"/dev, read at 20") {
		t.Errorf("the status is\n%s", got)
	}
	m.deployed("0.0.2-dev")
	m.wantOutput("hello from 0.0.2-dev\n")
	if got := m.text("opt/atta/current/settings.env"); got != "" {
		t.Errorf("without settings-from the release has %q", got)
	}
}

func TestThrottledParametersAreReadAgain(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.setParameter("GREETING", "hi")
	cloud.AddFault(localaws.Fault{Operation: "ssm:GetParametersByPath", Resource: "/" + m.name, Times: 2, Error: &localaws.Error{Code: "ThrottlingException", Message: "Rate exceeded"}})
	m.deployed("0.0.1-dev", m.fromParameters())
	m.wantOutput("hi from 0.0.1-dev\n")
}

func TestDoctorTriesToReadTheParameters(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.setParameter("GREETING", "secret")
	doctor := []string{"doctor", "--service=atta", "--deployment=ask", "--region=us-east-1", "--settings-from=/" + m.name + "/dev/"}
	m.expect(m.send(doctor), "ready", 0, ", 1 parameters in /"+m.name+"/dev")
	cloud.PutParameter(localaws.Parameter{Name: "/" + m.name + "/dev/TOKEN", Value: "secret", Type: "SecureString", KeyDenied: true})
	if a := m.send(doctor); a.Reason != deploy.ReasonSettingsUnavailable || strings.Contains(a.stdout+a.stderr, "secret") {
		t.Errorf("%s: %s", a.Reason, a.Message)
	}
	cloud.DeleteParameter("/" + m.name + "/dev/GREETING")
	cloud.DeleteParameter("/" + m.name + "/dev/TOKEN")
	if a := m.send(doctor); a.Reason != deploy.ReasonSettingsMissing {
		t.Errorf("%s: %s", a.Reason, a.Message)
	}
}

// What a command is called with, every user of the host can read.
func TestASecretOfParameterStoreIsNowhereButInTheRelease(t *testing.T) {
	t.Parallel()
	m := boot(t)
	const canary = "open-sesame-4711"
	m.setParameter("PASSWORD", canary)
	note := `printf '%s\n' "$0 $*" >>$ATTA_ROOT/called`
	for _, command := range []string{"docker", "systemctl"} {
		m.replace(command, note+"\n"+m.passOn(command))
	}
	aws := m.text("../bin/aws")
	m.write("../bin/aws", strings.Replace(aws, "\n", "\n"+note+"\n", 1), 0o755)
	for _, command := range []string{"install", "mv", "ln", "sort", "cmp", "sync", "sed", "grep", "tail", "rm", "timeout", "env"} {
		m.wrap(command, note)
	}
	outputs := []answer{m.deployed("0.1.0-dev", m.fromParameters())}
	m.setParameter("PASSWORD", canary+"-2")
	outputs = append(outputs, m.deployed("0.1.0-dev", m.fromParameters()), m.deploy("0.1.1-dev", m.fromParameters(), image(sample.WithExitCode(3))), m.status(), m.byHand("status"))
	for _, a := range outputs {
		if strings.Contains(a.stdout+a.stderr, canary) {
			t.Errorf("printed:\n%s\n%s", a.stdout, a.stderr)
		}
	}
	if called := m.text("called"); !strings.Contains(called, "/docker create ") || !strings.Contains(called, "/aws ssm get-parameters-by-path ") || !strings.Contains(called, "/install ") {
		t.Fatalf("the calls that were seen are\n%s", called)
	}
	files := m.tree("opt", "var/log", "run", "etc", "called", "../commands")
	if len(files) < 10 {
		t.Fatalf("looked at %d files only", len(files))
	}
	for path := range files {
		for _, file := range []string{path, m.Path(path)} { // outside the instance's root, or in it
			if text, err := os.ReadFile(file); err == nil && strings.Contains(string(text), canary) && path != "/opt/atta/releases/0.1.0-dev/settings.env" && path != "/opt/atta/releases/0.1.1-dev/settings.env" {
				t.Error("kept in", path)
			}
		}
	}
}

func TestKilledWhileItsSettingsAreReplacedTheReleaseHasTheEarlierOnes(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.setParameter("LEVEL", "old")
	m.deployed("0.0.1-dev", daemon(), m.fromParameters())
	release := func() map[string]string {
		files := m.tree("opt/atta/releases")
		delete(files, "/opt/atta/releases/0.0.1-dev/failed") // until the service is seen to run again
		return files
	}
	before := release()
	m.setParameter("LEVEL", "new")
	k := m.withHook()
	for i, command := range []string{`ln -- "$own" `, "install -T -m 0600", `mv -T -- "$own.new"`, "systemctl daemon-reload", "systemctl start"} {
		for _, recovery := range []string{"boot", "itself", "command"} {
			if tier.Sampled && recovery != []string{"boot", "itself", "command"}[(i+2)%3] {
				continue
			}
			m.watcher(recovery == "itself")
			a := m.attempt("0.0.1-dev", daemon(), m.fromParameters(), environment(k.before(command)))
			if a.exit == 0 {
				t.Fatalf("not killed before %s: %s", command, a.stdout)
			}
			m.recovered(recovery)
			m.same(before, release())
			if state := m.text("opt/atta/state"); !strings.Contains(state, "\nOUTCOME=rolled-back\n") {
				t.Errorf("killed before %s, after its %s:\n%s", command, recovery, state)
			}
			m.want("timeout 300 sh -c 'until systemctl is-active atta; do sleep 0.1; done' | tail -n 1", "active")
		}
	}
	m.watcher(true)
	m.deployed("0.0.1-dev", daemon(), m.fromParameters())
	if got := m.text("opt/atta/current/settings.env"); !strings.HasSuffix(got, "\nLEVEL=new\n") {
		t.Errorf("in the end the release has %q", got)
	}
}

func TestAFileOfTheOperatorThatSetsNothingIsAllowed(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.setParameter("GREETING", "hello")
	m.write("opt/atta/.env", "not a setting\n", 0o600)
	unit := strings.Replace(unitWith(t, "Nice=1"), " --env-file=/opt/%N/.env", "", 1)
	m.deployed("0.0.1-dev", m.fromParameters(), parameter("allow-env-file", "false"), own("systemd/atta.service", unit))
}

// What fails with new settings worked with the earlier ones.
func TestAJobThatFailsWithOtherSettingsIsRolledBackToItsOwn(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.setParameter("LEVEL", "old")
	job := oneshot("EnvironmentFile=/opt/atta/current/settings.env\n", `[ "$LEVEL" = old ]`)
	m.deployed("0.0.1-dev", job, m.fromParameters())
	before := m.tree("opt/atta/releases/0.0.1-dev/settings.env")
	m.setParameter("LEVEL", "new")
	m.expect(m.deploy("0.0.1-dev", job, m.fromParameters()), "rolled-back", 40, "0.0.1-dev is back")
	m.same(before, m.tree("opt/atta/releases/0.0.1-dev/settings.env", "opt/atta/releases/0.0.1-dev/settings.env.before"))
}

func TestAfterARollbackThatFailsAReleaseHasItsEarlierSettings(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.setParameter("LEVEL", "old")
	m.deployed("0.0.1-dev", daemon(), m.fromParameters())
	before := m.tree("opt/atta/releases/0.0.1-dev/settings.env")
	m.setParameter("LEVEL", "new")
	m.replace("systemctl", `case "$*" in "start atta.service") touch $ATTA_ROOT/started ;; "stop atta.service") test ! -e $ATTA_ROOT/started || exit 1 ;; esac; `+m.passOn("systemctl"))
	m.expect(m.deploy("0.0.1-dev", daemon(), m.fromParameters(), parameter("health-command", "false"), parameter("health-timeout", "2")), "rollback-failed", 41, "the rollback to 0.0.1-dev failed")
	m.same(before, m.tree("opt/atta/releases/0.0.1-dev/settings.env", "opt/atta/releases/0.0.1-dev/settings.env.before"))
}
