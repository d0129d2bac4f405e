//go:build !e2e

package host_test

import (
	"os"
	"strings"
	"testing"

	"github.com/org/atta-deploy-action/deploy"
)

func TestTheFirstDeployMakesTheSettingsAndAsksForWhatTheyLack(t *testing.T) {
	t.Parallel()
	m := boot(t)
	example := own(".env.example", "# what it needs\nGREETING=good day\nTOKEN=\nother=\n#UNUSED=\n")
	m.expect(m.deploy("0.0.1-dev", example), "refused", 10, "/opt/atta/.env lacks TOKEN other, which 0.0.1-dev needs: add them on the host and deploy again")
	if m.exists("opt/atta/current") || m.exists("etc/systemd/system/atta.service") || m.sh("docker images --quiet").stdout != "" {
		t.Error("something was installed")
	}
	info, err := os.Stat(m.Path("opt/atta/.env"))
	if err != nil || info.Mode() != 0o600 {
		t.Fatalf(".env: %v %v", info, err)
	}
	m.sh("sed -i 's/^TOKEN=/TOKEN=t/; s/^other=/other=o/' $ATTA_ROOT/opt/atta/.env")
	m.deployed("0.0.1-dev", example)
	m.wantOutput("good day from 0.0.1-dev\n")
}

func TestSettingsThatTheNextReleaseNeedsAreAllNamedBeforeAnythingChanges(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.write("opt/atta/.env", "EMPTY=\nGIVEN=x\n#COMMENTED=x\nNOT_DEFAULT=\nLONGER=x\n", 0o600)
	m.deployed("0.0.1-dev")
	example := own(".env.example", "EMPTY=\nGIVEN=\nCOMMENTED=\nMISSING=with a default\nNOT_DEFAULT=default\nLONG=\n")
	m.untouched(func() {
		m.expect(m.deploy("0.0.2-dev", example), "refused", 10, ".env lacks EMPTY COMMENTED MISSING LONG, which 0.0.2-dev needs")
	})
	m.write("opt/atta/.env", "EMPTY=1\nGIVEN=x\nCOMMENTED=2\nNOT_DEFAULT=\nMISSING=\nLONG=3", 0o600)
	m.deployed("0.0.2-dev", example)
	// Going back by hand asks for what that release needs.
	m.deployed("0.0.3-dev", own(".env.example", ""))
	m.write("opt/atta/.env", "", 0o600)
	m.untouched(func() {
		m.expect(m.rollback(""), "refused", 10, ".env lacks EMPTY GIVEN COMMENTED MISSING NOT_DEFAULT LONG")
	})
}

// A value of several lines in .env: docker takes the first, and each other line for a separate variable, most of which
// nobody has set. So are the lines of base64, which GNU wraps at 76 columns: https://github.com/moby/moby/issues/12997
func TestCaseAValueOfSeveralLinesInTheFileIsNotCutSilently(t *testing.T) {
	t.Parallel()
	m := bootDeployed(t, "0.1.0-dev")
	wrapped := strings.TrimSpace(m.output("seq 99 | head -c 200 | base64")) // the documented remedy for a key in PEM, as GNU prints it
	for version, text := range map[string]string{
		"0.1.1-dev": "TLS_KEY=" + wrapped + "\n",
		"0.1.2-dev": "TLS_KEY=\"" + wrapped + "\"\n",
		"0.1.3-dev": "TOKEN=abcdefgh\nijklmnop\n",
	} {
		m.write("opt/atta/.env", text, 0o600)
		a := m.deploy(version, parameter("allow-downgrade", "true"))
		if a.exit != int(deploy.ExitPreflight) || a.Reason != deploy.ReasonSettingsInvalid {
			t.Errorf("%s: %s, %q", strings.ReplaceAll(text, "\n", "|"), a.Outcome, a.Message)
		}
	}
	m.write("opt/atta/.env", "GREETING=hi\n# KEY\n\nEMPTY=\n", 0o600)
	m.deployed("0.1.4-dev")
}

// GNU wraps base64 after 76 characters, PEM and openssl after 64. The next line may look like a variable or a name alone.
func TestAValueOfSeveralLinesOfBase64IsNotCutSilently(t *testing.T) {
	t.Parallel()
	for name, command := range map[string]string{
		"GNU": "seq 99 | head -c 62 | base64", "openssl": "seq 99 | head -c 64 | base64 -w 64",
		"a whole line": "seq 99 | head -c 96 | base64 -w 64", "quoted": `printf '"%s"' "$(seq 99 | head -c 64 | base64 -w 64)"`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := bootDeployed(t, "0.1.0-dev")
			m.write("opt/atta/.env", "TLS_KEY="+strings.TrimSpace(m.output(command))+"\n", 0o600)
			if a := m.deploy("0.1.1-dev"); a.exit != int(deploy.ExitPreflight) || a.Reason != deploy.ReasonSettingsInvalid {
				t.Errorf("%s, %q", a.Outcome, a.Message)
			}
		})
	}
}

// What docker takes, and is no rest of the value before it.
func TestLinesThatLookOddAreTaken(t *testing.T) {
	t.Parallel()
	token := "TOKEN=" + strings.Repeat("ab12", 19) + "\n"
	for name, text := range map[string]string{
		"an empty variable after a long token":             token + "DEBUG=\n",
		"an empty variable of three letters":               token + "KEY=\n",
		"an empty one in lower case after 32 bytes in hex": "TOKEN=" + strings.Repeat("0a1b2c3d", 8) + "\ntimeout=\n",
		"an empty one in lower case after any long token":  "TOKEN=" + strings.Repeat("gh12", 22) + "\ntimeout=\n",
		"a name with slashes, as of AWS AppConfig":         "/config/application/url=http://x\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := boot(t)
			m.write("opt/atta/.env", text, 0o600)
			if a := m.deploy("0.0.1-dev", daemon()); a.Outcome != "deployed" {
				t.Errorf("%s %d: %s", a.Outcome, a.exit, a.Message)
			}
		})
	}
}

// The unit's variables are also those of a drop-in of the operator, of a file of the instance, and of systemd.
func TestANameAloneThatTheInstanceSetsIsTaken(t *testing.T) {
	t.Parallel()
	reads := own("systemd/atta.service", strings.Replace(unitOf(t, "daemon.service"), "EnvironmentFile=/opt/%N/current/release.env", "EnvironmentFile=/opt/%N/current/release.env\nEnvironmentFile=-/etc/default/atta", 1))
	for name, c := range map[string]struct {
		settings, path, text string
		unit                 change
	}{
		"drop-in":                 {"https_proxy\n", "etc/systemd/system/atta.service.d/proxy.conf", "[Service]\nEnvironment=https_proxy=http://proxy:3128\n", daemon()},
		"drop-in of all services": {"https_proxy\n", "etc/systemd/system/service.d/proxy.conf", "[Service]\nEnvironment=https_proxy=http://proxy:3128\n", daemon()},
		"file":                    {"https_proxy\n", "etc/default/atta", "https_proxy=http://proxy:3128\n", reads},
		"file of a pattern":       {"https_proxy\n", "etc/atta/a.env", "https_proxy = http://proxy:3128\n", own("systemd/atta.service", strings.Replace(unitOf(t, "daemon.service"), "[Service]", "[Service]\nEnvironmentFile=-/etc/atta/*.env", 1))},
		"drop-in of systemctl":    {"https_proxy\n", "etc/systemd/system.control/atta.service.d/a.conf", "[Service]\nEnvironment=https_proxy=http://proxy:3128\n", daemon()},
		"systemd":                 {"INVOCATION_ID\nPATH\nHOME\nSTATE_DIRECTORY\n", "etc/default/atta", "", daemon()},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := boot(t)
			m.write("etc/systemd/system/service.d/0.conf", "[Unit]\nDocumentation=https://example.com", 0o644) // without a line end
			m.write(c.path, c.text, 0o644)
			m.write("opt/atta/.env", c.settings, 0o600)
			if a := m.deploy("0.0.1-dev", daemon(), c.unit); a.Outcome != "deployed" {
				t.Errorf("%s %d: %s", a.Outcome, a.exit, a.Message)
			}
		})
	}
}

// The file is there, and the unit does not read it.
func TestANameAloneOfAFileThatTheUnitDoesNotReadIsRefused(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.write("etc/default/atta", "https_proxy=http://proxy:3128\n", 0o644)
	m.write("opt/atta/.env", "GREETING=x\nhttps_proxy\n", 0o600)
	m.expect(m.deploy("0.0.1-dev", daemon(), own("more.env", "https_proxy=x\n")), "refused", deploy.ExitPreflight, "/opt/atta/.env, line 2: it is not KEY=value")
}

// Docker's client takes the value of a name alone from its environment, which is the unit's: Environment=, and release.env of each
// built-in unit. So such a line is not ignored.
func TestANameAloneThatTheUnitSetsIsTaken(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.write("opt/atta/.env", "IMAGE_TAG\nREGION\n", 0o600)
	if a := m.deployed("0.0.1-dev", daemon()); a.Message != "0.0.1-dev runs" {
		t.Errorf("%q", a.Message)
	}
	if got := m.output("docker container inspect --format '{{json .Config.Env}}' atta"); !strings.Contains(got, `"IMAGE_TAG=0.0.1-dev"`) {
		t.Errorf("the program has %s", got)
	}
}

// With settings-from, .env.example is never given to docker, and a name alone has no default: it says what the program can have.
func TestAnExampleWithANameAloneIsTakenWithParameters(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.setParameter("TOKEN", "x")
	m.deployed("0.0.1-dev", daemon(), m.fromParameters(), own(".env.example", "TOKEN=\nPROXY\n"))
}

// A rollback that has to bring the release is a rollback: what a rollback takes stands in no way back.
func TestANameAloneDoesNotStandInTheWayBack(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.deployed("0.0.2-dev", daemon())
	m.write("opt/atta/.env", "PROXY\n", 0o600)
	a := m.deploy("0.0.1-dev", daemon(), parameter("allow-downgrade", "true"), parameter("rollback", "true"))
	if a.Outcome != "deployed" {
		t.Errorf("%s %d: %s", a.Outcome, a.exit, a.Message)
	}
}

// A key that the operator may set, without a value. The release was deployed to instances that have their .env.
func TestANameAloneInTheExampleIsTakenByANewInstance(t *testing.T) {
	t.Parallel()
	m := boot(t)
	for _, version := range []string{"0.0.1-dev", "0.0.2-dev"} {
		if a := m.deploy(version, daemon(), own(".env.example", "--------\nLOG_LEVEL=info\nSENTRY_DSN\n")); a.Message != version+" runs" {
			t.Errorf("%s %d: %s", a.Outcome, a.exit, a.Message)
		}
	}
}

// The release's unit passes the variable of the host.
func TestANameAloneThatTheUnitPassesIsTaken(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.write("opt/atta/.env", "https_proxy\n", 0o600)
	unit := strings.Replace(unitOf(t, "daemon.service"), "EnvironmentFile=/opt/%N/current/release.env", "PassEnvironment=https_proxy\nEnvironmentFile=/opt/%N/current/release.env", 1)
	if a := m.deploy("0.0.1-dev", daemon(), own("systemd/atta.service", unit)); a.Outcome != "deployed" {
		t.Errorf("%s %d: %s", a.Outcome, a.exit, a.Message)
	}
}

// Its lines may have the ends of Windows, or blanks before them.
func TestANameAloneOfAnExampleIsTakenAsDockerReadsIt(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"LOG_LEVEL=info\r\nSENTRY_DSN\r\n", "LOG_LEVEL=info\n  SENTRY_DSN\n"} {
		m := boot(t)
		if a := m.deploy("0.0.1-dev", daemon(), own(".env.example", text)); a.Outcome != "deployed" {
			t.Errorf("%s %d: %s", a.Outcome, a.exit, a.Message)
		}
	}
}

// The file of the release is invalid, also where the instance has its own already, and with parameters.
func TestAnExampleThatDockerDoesNotTakeIsRefused(t *testing.T) {
	t.Parallel()
	for name, line := range map[string]string{"export": "export TOKEN=", "blanks": "TOKEN = x"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := bootDeployed(t, "0.0.1-dev")
			example := own(".env.example", "# what it needs\n"+line+"\n")
			want := "deploy/.env.example of 0.0.2-dev, line 2: docker takes KEY=value only"
			m.untouched(func() {
				m.expect(m.deploy("0.0.2-dev", example), "refused", deploy.ExitPreflight, want)
				m.expect(m.deploy("0.0.2-dev", example, parameter("settings-from", "/atta/dev/")), "refused", deploy.ExitPreflight, want)
			})
			m = boot(t)
			m.expect(m.deploy("0.0.2-dev", example), "refused", deploy.ExitPreflight, want)
		})
	}
}
