package deploy_test

import (
	"os"
	"os/exec"
	"strconv"
	"strings"
)

// hook is read by every bash of a deploy before its script (BASH_ENV). It numbers the
// commands that are not bash's own, and what is written by a redirection, and kills
// the process group right before the one that is wanted. Numbers go on from one
// process of the deploy to the next, and into subshells. Unless KILL_ALL is set, it
// leaves out commands that only read: being killed before one of these is no other
// thing than being killed before the next.
const hook = `
[[ ${0##*/} == _script.sh || ( ${0##*/} == ec2_deploy.sh && ${1:-} != watch && ${1:-} != request ) || ( ${0##*/} == recover && ${1:-} == recover ) ]] || return 0
kill_point() {
  local command=$1 word number
  while [[ $command =~ ^[A-Za-z_]+=(\'\'|\"[^\"]*\"|[^\ \'\"\$]*)\ +(.*)$ ]]; do command=${BASH_REMATCH[2]}; done
  word=${command%%[[:space:]]*}
  [[ ! $word =~ ^[A-Za-z_]+(\[[^]]*\])?\+?= ]] || return 0
  case $command in
    '(('* | '[['* | '"$@"' | '"$1"' | return* | number* | 'command -v'*) return 0 ;;
  esac
  if [[ -z ${KILL_ALL:-} ]]; then
    case $command in
      'systemctl show'* | 'docker '*inspect* | 'docker ps'* | 'docker info'* | 'timeout 60 docker ps'* | systemd-analyze* | journalctl*) return 0 ;;
      date* | cmp* | diff* | grep* | sed* | df* | stat* | tail* | head* | sort* | paste* | uname* | readlink* | basename* | dirname* | cat\ \"* | xargs* | sleep*) return 0 ;;
      'tar -t'* | sha256sum* | find* | sync*) return 0 ;;
    esac
  fi
  case $(type -t -- "$word") in
    builtin | keyword | function | alias) [[ $command =~ \>[^\&] && $command != *'>/dev/null'* && $command != *'>>"$LOG"'* ]] || return 0 ;;
  esac
  read -r number <"$KILL_COUNT"
  number=$((number + 1))
  printf '%s\n' "$number" >"$KILL_COUNT"
  printf '%s %s\n' "$number" "${command//$'\n'/ }" >>"$KILL_COUNT.names"
  [[ $number != "$KILL_AT" && ( -z ${KILL_BEFORE:-} || "$command ${DOING:-}" != *"$KILL_BEFORE"* ) ]] || kill -KILL 0
}
set -o functrace
trap 'kill_point "$BASH_COMMAND"' DEBUG
`

// killed is what one way of being cut off needs: a hook that is told where.
type killed struct {
	machine
	hook, count string
}

func (m machine) withHook() killed {
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
func (m machine) save() {
	m.t.Helper()
	if err := m.Close(); err != nil {
		m.t.Fatal(err)
	}
	m.copy(m.Root(), m.Path("..", "saved"))
}

func (m machine) restore() {
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
func (m machine) copy(from, to string) {
	m.t.Helper()
	if out, err := exec.Command("sh", "-c", `rm -rf -- "$2" && cp -a -- "$1" "$2"`, "copy", from, to).CombinedOutput(); err != nil {
		m.t.Fatalf("%v\n%s", err, out)
	}
}
