package host_test

import (
	"strings"
	"testing"

	"github.com/org/atta-deploy-action/localaws"
)

// setParameter stores a setting of the machine in Parameter Store, as a secret.
func (m machine) setParameter(name, value string) {
	cloud.PutParameter(localaws.Parameter{Name: "/" + m.name + "/dev/" + name, Value: value, Type: "SecureString"})
}

// fromParameters makes a deploy read the machine's settings from Parameter Store.
func (m machine) fromParameters() change { return parameter("settings-from", "/"+m.name+"/dev/") }

// greets fails the test unless the program that was started last has this greeting.
func (m machine) greets(want string) {
	m.t.Helper()
	m.want("sed s/^/=/ $ATTA_ROOT/opt/$s/output/greeting.txt", "="+want)
}

func TestOnEachMachineSettingsOfParameterStoreBelongToTheRelease(t *testing.T) {
	onEachMachine(t, func(t *testing.T, m machine) {
		const secret, changed = `  sesame "one" \ $HOME é日本 `, "sesame two"
		m.setParameter("GREETING", secret)
		settings := []change{serving(m.port), m.fromParameters(), own(".env.example", "GREETING=\nLEVEL=info\n")}
		answers := []answer{m.deployed("0.0.1-dev", settings...)}
		m.greets(secret + " from 0.0.1-dev")
		m.want("stat -c '%a %s' $ATTA_ROOT/opt/$s/.env", "600 0")
		m.want("stat -c %a $ATTA_ROOT/opt/$s/current/settings.env", "600")
		m.want("grep LEVEL $ATTA_ROOT/opt/$s/current/settings.env", "LEVEL=info")

		m.setParameter("GREETING", changed)
		m.run("systemctl restart $s")
		m.greets(secret + " from 0.0.1-dev")
		answers = append(answers, m.deployed("0.0.2-dev", settings...))
		m.greets(changed + " from 0.0.2-dev")
		answers = append(answers, m.send([]string{"rollback", "--service=" + m.service, "--deployment=back", "--not-after=99999999999"}))
		m.greets(secret + " from 0.0.1-dev")
		m.isServing("0.0.1-dev")

		// The same version again gets what the parameters have now, once.
		answers = append(answers, m.deployed("0.0.1-dev", settings...))
		m.greets(changed + " from 0.0.1-dev")
		m.expect(m.deploy("0.0.1-dev", settings...), "unchanged", 0, "runs already")
		m.settled()

		for _, a := range answers {
			for _, value := range []string{strings.TrimSpace(secret), changed} {
				if strings.Contains(a.stdout+a.stderr, value) {
					t.Errorf("a secret was printed:\n%s%s", a.stdout, a.stderr)
				}
			}
		}
		m.want("grep -rlaF sesame $ATTA_ROOT/var/log $ATTA_ROOT/run/atta-deploy $ATTA_ROOT/opt/$s $ATTA_ROOT/etc/systemd | sed s,.*/opt/,, | sort || true",
			m.service+"/output/greeting.txt\n"+m.service+"/releases/0.0.1-dev/settings.env\n"+m.service+"/releases/0.0.2-dev/settings.env")
	})
}

func TestOnEachMachineAFailedDeployLeavesTheSettingsOfEachRelease(t *testing.T) {
	onEachMachine(t, func(_ *testing.T, m machine) {
		m.setParameter("GREETING", "good")
		settings := []change{serving(m.port), m.fromParameters(), parameter("health-timeout", "15")}
		m.deployed("0.0.1-dev", settings...)
		m.deployed("0.0.2-dev", settings...)
		before := m.snapshot()
		m.setParameter("PORT", "no port")
		m.expect(m.deploy("0.0.2-dev", settings...), "rolled-back", 40, "0.0.2-dev is back")
		m.same(before, m.snapshot())
		m.settled()
		m.isServing("0.0.2-dev")
		m.expect(m.deploy("0.0.1-dev", append(settings, parameter("allow-downgrade", "true"))...), "rolled-back", 40, "0.0.2-dev is back")
		m.same(before, m.snapshot())
		m.expect(m.send([]string{"rollback", "--service=" + m.service, "--deployment=back", "--not-after=99999999999"}), "deployed", 0, "0.0.1-dev runs")
		m.isServing("0.0.1-dev")
	})
}
