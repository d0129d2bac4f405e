# shellcheck shell=bash
# operator.sh: status, history and logs for the operator. Part of ec2_deploy.sh.

show_status() {
  local version previous verified=no last
  if [[ ${1:-} == --json ]]; then
    format_report status 0 "" "what runs here"
    printf '%s\n' "$REPLY"
    return
  fi
  read_linked_version previous
  previous=$REPLY
  read_linked_version current
  version=$REPLY
  [[ ! -f $BASE/current/verified ]] || verified=$(date -u -r "$BASE/current/verified" +%FT%TZ)
  last=$(tail -n 1 "$BASE/history" 2>/dev/null) || last=''
  print_row service "$SERVICE"
  print_row version "${version:-none}"
  print_row 'seen healthy' "$verified"
  print_row image "${ENTRY[IMAGE]:-}"
  query_properties || true
  describe_result
  print_row unit "${PROPERTY[ActiveState]:-} (${PROPERTY[SubState]:-}), last run: $REPLY"
  observe_container
  print_row container "$SEEN"
  describe_settings
  print_row settings "$REPLY"
  print_row 'roll back to' "$previous"
  print_row 'also here' "$(list_verified | paste -s -d ' ')"
  print_row 'last deploy' "$(describe_entry "$last")"
  read_entries "$BASE/state"
  if [[ -L $BASE/recover ]] && is_at_work; then
    print_row 'under way' "${ENTRY[TO]:-}, in phase ${ENTRY[REACHED]:-}"
  elif [[ -L $BASE/recover ]]; then
    print_row 'cut off' "${ENTRY[TO]:-}, in phase ${ENTRY[REACHED]:-}; to roll it back: $BASE/recover recover"
  fi
  ! grep -qs '^[[:blank:]]*IMAGE_TAG=' "$BASE/.env" || print_row note "IMAGE_TAG in /opt/$SERVICE/.env does not choose what runs; ec2_deploy.sh rollback VERSION does"
  [[ ! -s $BASE/quarantine ]] || sed 's/^[^ ]* /quarantined    /' "$BASE/quarantine"
}

# describe_settings: sets REPLY to what Parameter Store gave the current release, without a value.
describe_settings() {
  local file=$BASE/current/settings.env source=''
  REPLY="/opt/$SERVICE/.env"
  [[ ! -s $file ]] || read -r source <"$file" || true
  [[ -n $source ]] || return 0
  read_settings "$file"
  REPLY="${NAMES[*]} ${source#'# '}, read at $(date -u -r "$file" +%FT%TZ); then $REPLY"
}

# is_at_work: a deploy or its recovery holds the host's lock, or somebody waits to roll it back.
is_at_work() { is_locked "$RUN/$SERVICE.lock" || is_watched; }

print_row() { printf '%-14s %s\n' "$1" "${2:--}"; }

show_history() {
  local line
  number_or "${1:-20}" 20
  tail -n "$REPLY" "$BASE/history" 2>/dev/null | while IFS= read -r line; do
    describe_entry "$line"
  done
}

# describe_entry LINE: an entry of the history in words.
describe_entry() {
  local entry='^([^ ]+) ([^ ]+) .*"outcome":"([^"]*)","code":([0-9]+),("reason":"[^"]*",)?"phase":"([^"]*)","wanted":"([^"]*)".*"before":"([^"]*)".*"message":"(.*)"}$'
  [[ $1 =~ $entry ]] || return 0
  printf '%s %s %s -> %s: %s (%s) in %s: %s\n' "${BASH_REMATCH[1]}" "${BASH_REMATCH[2]}" "${BASH_REMATCH[8]:-nothing}" "${BASH_REMATCH[7]}" \
    "${BASH_REMATCH[3]}" "${BASH_REMATCH[4]}" "${BASH_REMATCH[6]}" "${BASH_REMATCH[9]}"
}

show_logs() {
  local lines
  number_or "${1:-100}" 100
  lines=$REPLY
  printf '== %s: the last deploy\n' "$LOG"
  { tac "$LOG" 2>/dev/null | sed '/ bootstrap: deployment /q' | head -n "$lines" || true; } | tac
  printf '== journal of %s\n' "$UNIT"
  journalctl --quiet --no-pager --lines="$lines" --unit="$UNIT"
}

print_usage() { sed -n '3,/^$/{/^#/!q;s/^# \{0,1\}//;p}' "$SCRIPT"; }
