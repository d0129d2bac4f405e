# shellcheck shell=bash
# report.sh: phases, log, result line, history. Part of ec2_deploy.sh.

PHASE=preflight PHASE_STARTED=0 TIMES='' FAILED_IN='' ACTION='' TO='' REACHED='' UP='' ENABLED='' OUTCOME='' CODE='' REASON='' WHY='' IGNORED='' ROLLBACK='' RECOVERING=no

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
  uptime_centiseconds
  PHASE_STARTED=$REPLY
  log_note "$PHASE"
}

end_phase() {
  uptime_centiseconds
  ((PHASE_STARTED == 0)) || TIMES+="${TIMES:+,}\"$PHASE\":$(((REPLY - PHASE_STARTED) * 10))"
  PHASE_STARTED=0
}

# uptime_centiseconds: sets REPLY to hundredths of a second. SECONDS would not do: it counts the
# seconds that begin, and so up to one too many.
uptime_centiseconds() {
  local up
  read -r up _ </proc/uptime
  REPLY=$((10#${up/./}))
}

# moment_of_uptime MICROSECONDS: sets REPLY to when this host was up for so long, as date +%s.%N prints it.
moment_of_uptime() {
  local now
  uptime_centiseconds
  now=$(date +%s%N)
  now=$((now - (REPLY * 10000 - $1) * 1000))
  REPLY=${now%?????????}.${now: -9}
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
  TZ=UTC printf '%(%FT%TZ)T bootstrap: deployment %s: %s\n' -1 "$DEPLOYMENT" "${ACTION:-recover}" >&2 || true
}

# A full disk must not stop a rollback, so a lost line is not an error.
log_note() {
  TZ=UTC printf '%(%FT%TZ)T %s: %s\n' -1 "${TO:-$OWN}" "$1" >&2 || true
  { [[ ! -e /dev/fd/8 ]] || printf '%s\n' "$1" >&8; } 2>/dev/null || true
}

# log_wait WHAT SECONDS: what is waited for, and until when.
log_wait() { log_note "waiting for $1, until $(date -u -d "+$2 seconds" +%FT%TZ)"; }

# last_log_line: without the time and the version that this script puts before its own.
last_log_line() { print_log | tail -n 1 | sed 's/^20[0-9TZ:-]* [^ ]*: //'; }

# last_engine_error: of the last lines that docker or podman printed, the last that is not advice. Of a
# settings file that it does not take docker prints the line, which may be a secret.
last_engine_error() {
  local lines
  lines=$(tail -n 5 | sed -e 's/: \[[0-9 ]*\]\.*$//' -e "s/ on line '.*//")
  grep -aE '^(docker|podman|Error)[: ]' <<<"$lines" | tail -n 1 | grep . || printf '%s' "${lines##*$'\n'}"
}

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
  CODE=$2
  [[ -z $STAGED ]] || rm -f -- "$STAGED"
  log_note "$1: $4"
  format_report "$1" "$2" "$3" "$4"
  record_result "$REPLY"
  print_and_exit "$REPLY"
}

# end_check MESSAGE: ends a check that found no problem.
end_check() { end_unchanged ready 0 "" "$1"; }

print_and_exit() {
  trap - EXIT
  printf 'ATTA_RESULT %s\n' "$1"
  [[ $RECOVERING != yes || $OUTCOME == rollback-failed ]] || exit 0
  exit "$CODE"
}

# record_result LINE: in the history, unless it is that of a check.
record_result() { [[ $ACTION == check ]] || add_to_history "$ACTION" "$1" || log_note "the history cannot be written"; }

# format_report OUTCOME CODE REASON MESSAGE: sets REPLY to the one line that the caller reads.
# What runs is read from the host at this moment.
format_report() {
  local deployment message version digest verified=false generation status result IMAGE=$IMAGE IMAGE_ID=$IMAGE_ID
  end_phase
  read_linked_version current
  version=$REPLY digest=${ENTRY[IMAGE]:-}
  [[ -z $version || ! -f $BASE/releases/$version/verified ]] || verified=true
  [[ $digest == "$IMAGE" ]] || IMAGE=$digest IMAGE_ID=''
  read_generation && generation=$REPLY
  query_properties || true
  # A success is reported with what it was seen by: a timer may have begun the next run since.
  [[ -z $version || $1:$RECOVERING == deployed:no ]] || observe_release "$version"
  number_or "${PROPERTY[ExecMainStatus]:-}" 0 && status=$REPLY
  json_string "$DEPLOYMENT" && deployment=$REPLY
  json_string "$4" && message=$REPLY
  printf -v REPLY '{"v":1,"deployment":"%s","service":"%s","outcome":"%s","code":%d,"reason":"%s","phase":"%s","wanted":"%s","version":"%s","digest":"%s","verified":%s,"evidence":"%s","before":"%s","generation":%d,"unit":"%s","result":"%s","exit":%d,"ms":{%s},"message":"%s"}' \
    "$deployment" "$SERVICE" "$1" "$2" "$3" "$PHASE" "$TO" "$version" "${digest##*@}" "$verified" "$EVIDENCE" "$FROM" "$generation" \
    "${PROPERTY[ActiveState]:-}" "${PROPERTY[Result]:-}" "$status" "$TIMES" "$message"
}

plain_text() {
  local text=${1:0:600}
  REPLY=${text//[[:cntrl:]]/ }
}

json_string() {
  plain_text "$1"
  REPLY=${REPLY//\\/\\\\}
  REPLY=${REPLY//\"/\\\"}
  REPLY=${REPLY:0:1000} # so that the whole line fits, and no escape is cut in half
  [[ ! $REPLY =~ (^|[^\\])(\\\\)*\\$ ]] || REPLY=${REPLY%?}
}

die() {
  printf '%s\n' "$1" >&2
  exit 10
}
