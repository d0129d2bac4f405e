//go:build !e2e

package host_test

import (
	"os"
	"os/exec"
	"strconv"
	"strings"
)

// killed is what one way of being cut off needs: a hook that is told where.
type killed struct {
	standin
	hook, count string
}

func (m standin) withHook() killed {
	m.t.Helper()
	k := killed{m, m.Path("..", "hook.sh"), m.Path("..", "count")}
	if err := os.WriteFile(k.hook, []byte(hook), 0o644); err != nil {
		m.t.Fatal(err)
	}
	return k
}

// env is the environment in which a script dies before its command at; at 0 it lives.
func (k killed) env(at int) []string {
	k.t.Helper()
	for file, text := range map[string]string{k.count: "0\n", k.count + ".names": ""} {
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			k.t.Fatal(err)
		}
	}
	return []string{"BASH_ENV=" + k.hook, "KILL_AT=" + strconv.Itoa(at), "KILL_COUNT=" + k.count, "KILL_ALL=" + os.Getenv("KILL_ALL")}
}

// before is the environment in which a script dies before its first command that begins
// with text.
func (k killed) before(text string) []string { return append(k.env(-1), "KILL_BEFORE="+text) }

// points are the commands of the last run, by number from 1.
func (k killed) points() []string {
	k.t.Helper()
	names, err := os.ReadFile(k.count + ".names")
	if err != nil {
		k.t.Fatal(err)
	}
	return strings.Split(strings.TrimSpace(string(names)), "\n")
}

// save keeps the instance's disk, and restore brings it back and boots from it.
func (m standin) save() {
	m.t.Helper()
	if err := m.Close(); err != nil {
		m.t.Fatal(err)
	}
	m.copy(m.Root(), m.Path("..", "saved"))
}

func (m standin) restore() {
	m.t.Helper()
	if err := m.Close(); err != nil {
		m.t.Fatal(err)
	}
	m.copy(m.Path("..", "saved"), m.Root())
	if err := m.Reboot(); err != nil {
		m.t.Fatal(err)
	}
}

// copy makes the folder to a copy of the folder from, modes and links included.
func (m standin) copy(from, to string) {
	m.t.Helper()
	if out, err := exec.Command("sh", "-c", `rm -rf -- "$2" && cp -a -- "$1" "$2"`, "copy", from, to).CombinedOutput(); err != nil {
		m.t.Fatalf("%v\n%s", err, out)
	}
}
