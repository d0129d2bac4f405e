#!/usr/bin/env bash
#
# Read by every bash of a deploy before its script (BASH_ENV). It numbers the commands
# that are not bash's own, and what is written by a redirection, and kills the process
# group right before the one that is wanted. Numbers go on from one process of the deploy
# to the next, and into subshells. Unless KILL_ALL is set, it leaves out commands that
# only read: being killed before one of these is no other thing than being killed before
# the next. It uses no =~, since a script may use BASH_REMATCH a command later.
#
#   KILL_COUNT   the file that holds the number; FILE.names gets every command
#   KILL_AT      the number to be killed at
#   KILL_BEFORE  or the beginning of the command to be killed before

[[ ${0##*/} == _script.sh || ( ${0##*/} == ec2_deploy.sh && ${1:-} != watch && ${1:-} != request ) || ( ${0##*/} == recover && ${1:-} == recover ) ]] || return 0
declare -A KIND_OF=()
kill_point() {
  local command=$1 word number
  while [[ $command == +([A-Za-z_])=@(\'\'|\"*([^\"])\"|*([^\ \'\"\$]))\ * ]]; do
    command=${command#*=}
    case $command in
      \"*) command=${command#\"*\"} ;;
      *) command=${command#"${command%%[[:space:]]*}"} ;;
    esac
    command=${command#"${command%%[![:space:]]*}"}
  done
  word=${command%%[[:space:]]*}
  [[ $word != +([A-Za-z_])?(\[*([^]])\])?(+)=* ]] || return 0
  case $command in
    '(('* | '[['* | \"\$@\" | \"\$1\" | return* | number* | 'command -v'*) return 0 ;;
  esac
  if [[ -z ${KILL_ALL:-} ]]; then
    case $command in
      'systemctl show'* | 'docker '*inspect* | 'docker ps'* | 'docker info'* | 'timeout --foreground -k 5 60 docker '*inspect* | 'timeout --foreground -k 5 60 docker ps'* | 'timeout --foreground -k 5 60 docker info'* | systemd-analyze* | journalctl*) return 0 ;;
      date* | cmp* | diff* | grep* | sed* | df* | stat* | tail* | head* | sort* | paste* | uname* | readlink* | basename* | dirname* | cat\ \"* | xargs* | sleep*) return 0 ;;
      'tar -t'* | sha256sum* | find* | sync* | 'gzip -dc'* | wc* | 'timeout --foreground -k 5 60 docker events'*) return 0 ;;
    esac
  fi
  [[ -n ${KIND_OF[$word]:-} ]] || KIND_OF[$word]=$(type -t -- "$word") || KIND_OF[$word]=unknown
  case ${KIND_OF[$word]} in
    builtin | keyword | function | alias) [[ $command == *\>[!\&]* && $command != *'>/dev/null'* && $command != *">>\"\$LOG\""* ]] || return 0 ;;
  esac
  read -r number <"$KILL_COUNT"
  number=$((number + 1))
  printf '%s\n' "$number" >"$KILL_COUNT"
  printf '%s %s\n' "$number" "${command//$'\n'/ }" >>"$KILL_COUNT.names"
  [[ $number != "${KILL_AT:-}" && ( -z ${KILL_BEFORE:-} || "$command ${DOING:-}" != *"$KILL_BEFORE"* ) ]] || kill -KILL 0
}
set -o functrace
trap 'kill_point "$BASH_COMMAND"' DEBUG
