# shellcheck shell=bash
# report.sh: phases, log, result line, history. Part of ec2_deploy.sh.

PHASE=preflight PHASE_STARTED=0 TIMES='' FAILED_IN='' ACTION='' TO='' REACHED='' UP='' ENABLED='' OUTCOME='' CODE='' REASON='' WHY='' RECOVERING=no

# run_phase NAME COMMAND…: runs one step and measures it.
run_phase() {
  begin_phase "$1"
  case $1 in
    drain | stop | switch | start | health | timers) write_journal "$1" ;;
  esac
  shift
  "$@"
}

begin_phase() {
  end_phase
  PHASE=$1
  PHASE_STARTED=$(date +%s%3N)
  log_note "$PHASE"
}

end_phase() {
  ((PHASE_STARTED == 0)) || TIMES+="${TIMES:+,}\"$PHASE\":$(($(date +%s%3N) - PHASE_STARTED))"
  PHASE_STARTED=0
}

# By hand the log gets everything, and the operator what happens.
redirect_log() {
  [[ ${ATTA_LOG_OPEN:-} != yes ]] || return 0
  local size
  export ATTA_LOG_OPEN=yes
  mkdir -p "${LOG%/*}"
  size=$(stat -c %s -- "$LOG" 2>/dev/null) || size=0
  ((size < 4 * 1024 * 1024)) || mv -f -- "$LOG" "$LOG.1"
  [[ -e $LOG ]] || install -m 0600 /dev/null "$LOG"
  exec 8>&2 2>>"$LOG"
  printf '%s bootstrap: deployment %s: %s\n' "$(utc_now)" "$DEPLOYMENT" "${ACTION:-recover}" >&2 || true
}

utc_now() { TZ=UTC printf '%(%FT%TZ)T' -1; }

# A full disk must not stop a rollback, so a lost line is not an error.
log_note() {
  printf '%s %s: %s\n' "$(utc_now)" "${TO:-$OWN}" "$1" >&2 || true
  { [[ ! -e /dev/fd/8 ]] || printf '%s\n' "$1" >&8; } 2>/dev/null || true
}

# last_log_line: of the log, without the time and the version that this script puts before its own.
last_log_line() { tail -n 1 "$LOG" 2>/dev/null | sed 's/^20[0-9TZ:-]* [^ ]*: //' || true; }

# A command that failed without a result ends the deploy here, after a rollback when
# something was changed.
handle_early_exit() {
  local code=$? command=$BASH_COMMAND
  trap - EXIT
  [[ $command != 'systemctl "$@"'* ]] || command=$DOING
  case $PHASE in
    drain | stop | switch | start | health | timers | close) roll_back 30 script-failed "$PHASE: '$command' ended with $code" ;;
    open) roll_back 10 script-failed "$PHASE: '$command' ended with $code" ;;
    rollback) end_change rollback-failed 41 "${REASON:-script-failed}" "$WHY; rollback: '$command' ended with $code" ;;
    *) end_unchanged refused 10 script-failed "$PHASE: '$command' ended with $code" ;;
  esac
}

# refuse REASON MESSAGE
refuse() { end_unchanged refused 10 "$1" "$2"; }

# end_unchanged OUTCOME CODE REASON MESSAGE: ends a deploy that has changed nothing.
end_unchanged() {
  local line
  CODE=$2
  log_note "$1: $4"
  line=$(format_report "$1" "$2" "$3" "$4")
  append_history "$line"
  print_and_exit "$line"
}

print_and_exit() {
  trap - EXIT
  printf 'ATTA_RESULT %s\n' "$1"
  [[ $RECOVERING != yes || $OUTCOME == rollback-failed ]] || exit 0
  exit "$CODE"
}

# append_history LINE: the result of a deployment is recorded once.
append_history() {
  if ! grep -qsF "\"deployment\":\"$DEPLOYMENT\"" "$BASE/history"; then
    { printf '%s %s %s\n' "$(utc_now)" "$ACTION" "$1" >>"$BASE/history" && flush_to_disk "$BASE/history"; } || log_note "the history cannot be written"
  fi
}

# format_report OUTCOME CODE REASON MESSAGE: the one line that the caller reads. What runs is
# read from the host at this moment.
format_report() {
  local phase=$PHASE version verified=false digest=''
  end_phase
  version=$(linked_version current)
  if [[ -n $version ]]; then
    digest=$(read_entry IMAGE "$(release_dir "$version")/release.env")
    [[ ! -f $(release_dir "$version")/verified ]] || verified=true
  fi
  printf '{"v":1,"deployment":"%s","service":"%s","outcome":"%s","code":%d,"reason":"%s","phase":"%s","wanted":"%s","version":"%s","digest":"%s","verified":%s,"before":"%s","generation":%d,"unit":"%s","result":"%s","exit":%d,"ms":{%s},"message":"%s"}' \
    "$(json_string "$DEPLOYMENT")" "$SERVICE" "$1" "$2" "$3" "$phase" "$TO" "$version" "${digest##*@}" "$verified" "$FROM" \
    "$(number_or "$(cat "$BASE/generation" 2>/dev/null || true)" 0)" \
    "$(unit_property ActiveState)" "$(unit_property Result)" "$(number_or "$(unit_property ExecMainStatus)" 0)" "$TIMES" "$(json_string "$4")"
}

plain_text() {
  local text=${1:0:600}
  printf '%s' "${text//[[:cntrl:]]/ }"
}

json_string() {
  local text
  text=$(plain_text "$1")
  text=${text//\\/\\\\}
  printf '%s' "${text//\"/\\\"}"
}

die() {
  printf '%s\n' "$1" >&2
  exit 10
}
