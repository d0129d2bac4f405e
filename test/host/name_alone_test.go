//go:build !e2e

package host_test

import "testing"

// Docker's client takes the value of a name alone from its environment, which is the unit's: Environment=, and release.env of each
// built-in unit. So such a line is not ignored.
func TestANameAloneThatTheUnitSetsIsTaken(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.write("opt/atta/.env", "IMAGE_TAG\nREGION\n", 0o600)
	a := m.deploy("0.0.1-dev", daemon())
	if a.Outcome != "deployed" {
		t.Errorf("%s: %s", a.Outcome, a.Message)
	}
	t.Log(m.sh("docker container inspect --format '{{json .Config.Env}}' atta").stdout)
}

// With settings-from, .env.example is never given to docker, and a name alone has no default: it says what the program can have.
func TestAnExampleWithANameAloneIsTakenWithParameters(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.setParameter("TOKEN", "x")
	a := m.deploy("0.0.1-dev", daemon(), m.fromParameters(), own(".env.example", "TOKEN=\nPROXY\n"))
	if a.Outcome != "deployed" {
		t.Errorf("%s: %s", a.Outcome, a.Message)
	}
}
