
# --- report

add_to_log() { TZ=UTC printf '%(%FT%TZ)T bootstrap: %s\n' -1 "$*" >>"$LOG"; }

log_line() { add_to_log "$@" || true; }

last_log_line() { print_log | tail -n 1; }

# flush_to_disk PATH…: what was written is on the disk. Before coreutils 8.24 sync takes no
# arguments, says so, and writes everything.
flush_to_disk() { sync "$@" 2>/dev/null || sync; }

# reject_command REASON MESSAGE: the parameters or the host are not fit; nothing was changed.
reject_command() {
  trap - EXIT
  print_report refused 10 "$1" preflight "$2"
  exit 10
}

# A command that failed without a result, before the release's own script ran.
reject_early_exit() {
  local code=$? command=$BASH_COMMAND why=''
  [[ $COMMAND == status || $COMMAND == doctor ]] || why=$(last_log_line) # these write no line
  [[ $why != *'Z bootstrap: '* ]] || why=''                              # the command has said nothing
  reject_command "$(reason_of "$why")" "'$command' ended with $code${why:+: $why}"
}

# abort_command CODE PHASE REASON MESSAGE: ends a command before the release's own script ran.
abort_command() {
  local line
  trap - EXIT
  log_line "$4"
  line=$(print_report refused "$1" "$3" "$2" "$4")
  printf '%s\n' "$line"
  [[ $COMMAND == check ]] || (($1 >= 50)) || append_history "${line#* }"
  exit_with_log "$1"
}

# append_history LINE: by the release's script, if the command came so far.
append_history() { add_to_history "$COMMAND" "$1" || log_line "the history cannot be written"; }

print_log_end() { print_log "$@" | tail -n 60 | tail -c 6000; }

# exit_with_log CODE: prints the end of this deployment's log, after the result line, and exits with a code that the
# agent passes on. It takes 168 for success, 169 for a skip, 194 for a reboot request.
# https://docs.aws.amazon.com/systems-manager/latest/userguide/send-commands-reboot.html
exit_with_log() {
  print_log_end
  case $1 in
    10 | 20 | 30 | 40 | 41 | 50 | 51) exit "$1" ;;
    *) exit 30 ;;
  esac
}

# print_report OUTCOME CODE REASON PHASE MESSAGE: the one line that the caller reads. What is
# installed is read from the host at this moment, and no script of a release is run for it.
print_report() {
  local home=${HOME_OF_SERVICE:-/nonexistent} version='' digest='' verified=false unit='' generation=${GENERATION:-}
  if [[ -f $home/current/release.env ]]; then
    version=$(sed -n 's/^VERSION=//p' "$home/current/release.env")
    digest=$(sed -n 's/^IMAGE=.*@//p' "$home/current/release.env")
    [[ ! -f $home/current/verified ]] || verified=true
    unit=$(query_unit ActiveState "$SERVICE.service")
  fi
  [[ -n $generation ]] || generation=$(cat "$home/generation" 2>/dev/null) || generation=0
  printf 'ATTA_RESULT {"v":1,"deployment":"%s","service":"%s","outcome":"%s","code":%d,"reason":"%s","phase":"%s","wanted":"%s","version":"%s","digest":"%s","verified":%s,"before":"%s","generation":%d,"unit":"%s","message":"%s"%s}\n' \
    "$(json_string "${DEPLOYMENT:-none}")" "$(json_string "${SERVICE:-}")" "$1" "$2" "$3" "$4" "$(json_string "${VERSION:-}")" "$(json_string "$version")" "$(json_string "$digest")" "$verified" \
    "$(json_string "$version")" "$generation" "$(json_string "$unit")" "$(json_string "$5")" "$MORE"
}

json_string() {
  local text=${1:0:600}
  text=${text//\\/\\\\}
  text=${text//\"/\\\"}
  printf '%s' "${text//[[:cntrl:]]/ }"
}

main "$@"
