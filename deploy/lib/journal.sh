# shellcheck shell=bash
# journal.sh: the change and its crash-safe journal. Part of ec2_deploy.sh.

# From here on a crash leads to `recover`.
open_change() {
  local unit
  UP='' ENABLED='' OUTCOME='' CODE='' REASON='' WHY=''
  for unit in $(list_units "$FROM"); do
    [[ $(unit_property UnitFileState "$unit") != enabled ]] || ENABLED+="${ENABLED:+ }$unit"
    case $unit:$(unit_property Type "$unit"):$(unit_property ActiveState "$unit") in
      *.service:oneshot:activating) ;;
      *:active | *:activating) UP+="${UP:+ }$unit" ;;
    esac
  done
  write_journal open
  # In its own session, so that what kills this process group leaves it alone.
  ATTA_LOCK_HELD='' ATTA_LOG_OPEN='' setsid "$(release_dir "$OWN")/deploy/ec2_deploy.sh" watch </dev/null >/dev/null 2>&1 8>&- 9>&- &
  ln -sfn -- "releases/$OWN/deploy/ec2_deploy.sh" "$BASE/recover"
  flush_to_disk "$BASE"
  install_recovery
}

# write_journal PHASE: records how far the change is. It is read after a crash, so it is
# on the disk, whole, before the phase begins.
write_journal() {
  REACHED=$1
  printf '%s=%s\n' DEPLOYMENT "$DEPLOYMENT" ACTION "$ACTION" FROM "$FROM" TO "$TO" UP "$UP" ENABLED "$ENABLED" \
    REACHED "$REACHED" OUTCOME "$OUTCOME" CODE "$CODE" REASON "$REASON" WHY "$(plain_text "$WHY")" TIME "$(utc_now)" >"$BASE/.state.new" &&
    flush_to_disk "$BASE/.state.new" &&
    mv -T -- "$BASE/.state.new" "$BASE/state" &&
    flush_to_disk "$BASE"
}

read_journal() {
  local state=$BASE/state
  DEPLOYMENT=$(read_entry DEPLOYMENT "$state") ACTION=$(read_entry ACTION "$state") UP=$(read_entry UP "$state")
  FROM=$(read_entry FROM "$state") TO=$(read_entry TO "$state") REACHED=$(read_entry REACHED "$state")
  ENABLED=$(read_entry ENABLED "$state") OUTCOME=$(read_entry OUTCOME "$state") CODE=$(read_entry CODE "$state") REASON=$(read_entry REASON "$state") WHY=$(read_entry WHY "$state")
}

# flush_to_disk PATH…: what was written is on the disk. Before coreutils 8.24 sync takes no
# arguments, says so, and writes everything.
flush_to_disk() { sync "$@" 2>/dev/null || sync; }

# At boot the services are started after recovery, whichever of their files is there.
install_recovery() {
  local link=$UNITS/multi-user.target.wants/$RECOVERY services
  services=$(list_units "$FROM" "$TO" | sed '/\.service$/!d' | paste -s -d ' ')
  install -d -m 0755 "${link%/*}"
  cat >"$UNITS/$RECOVERY.new" <<END
# There only while a deploy is under way.
[Unit]
Description=Rolls back a deploy of $SERVICE that was cut off
ConditionPathExists=/opt/$SERVICE/recover
RequiresMountsFor=/opt/$SERVICE
Before=$services

[Service]
Type=oneshot
ExecStart=/opt/$SERVICE/recover recover

[Install]
WantedBy=multi-user.target
END
  chmod 0644 "$UNITS/$RECOVERY.new"
  mv -T -- "$UNITS/$RECOVERY.new" "$UNITS/$RECOVERY"
  ln -sfn -- "../$RECOVERY" "$link"
  flush_to_disk "$UNITS" "${link%/*}"
}

# end_change OUTCOME CODE REASON WHY: the journal decides. What comes after it only follows
# from it, and is done again by `recover` if it is cut off.
end_change() {
  OUTCOME=$1 CODE=$2 REASON=$3 WHY=$4
  if ! write_journal "$REACHED"; then
    [[ $OUTCOME != deployed ]] || roll_back 30 script-failed "the success cannot be recorded: $(last_log_line)"
    log_note "the end cannot be recorded; it will be done again"
  fi
  finish_change
}

finish_change() {
  local line
  if [[ $OUTCOME == deployed ]]; then
    set_previous || log_note "the link previous cannot be set"
    lift_quarantine || log_note "the quarantine of $TO cannot be lifted"
  elif [[ -n $TO && ! -f $(release_dir "$TO")/verified ]]; then
    query_docker rm --volumes "$SERVICE-$TO" >&2 || true
  fi
  end_phase
  PHASE=${FAILED_IN:-$PHASE}
  log_note "$OUTCOME: $WHY"
  line=$(format_report "$OUTCOME" "$CODE" "$REASON" "$WHY")
  append_history "$line"
  rm -f -- "$UNITS/multi-user.target.wants/$RECOVERY" "$UNITS/$RECOVERY" "$UNITS/$RECOVERY.new" "$BASE/".{state,current,previous}.new "$BASE/recover"
  print_and_exit "$line"
}

mark_verified() {
  : >"$(release_dir "$TO")/verified"
  flush_to_disk "$(release_dir "$TO")"
}

# After a deploy the release that ran before is the previous one; after a rollback it is
# the next older one, so that rolling back twice goes further back.
set_previous() {
  local before=$FROM version
  if [[ $ACTION == rollback ]]; then
    before=''
    for version in $(list_verified); do
      if is_older "$version" "$TO"; then
        before=$version
        break
      fi
    done
    [[ -n $before ]] || rm -f -- "$BASE/previous"
  fi
  [[ -z $before || $before == "$TO" || ! -f $(release_dir "$before")/verified ]] || point_link previous "$before"
}

lift_quarantine() {
  local image
  image=$(read_entry IMAGE "$(release_dir "$TO")/release.env")
  grep -qsF "${image##*@} " "$BASE/quarantine" || return 0
  { grep -vF "${image##*@} " "$BASE/quarantine" || true; } >"$BASE/.quarantine.new" && mv -T -- "$BASE/.quarantine.new" "$BASE/quarantine"
}

# quarantine_image: the next deploy of an image that was never seen healthy here is
# refused, unless allow-quarantined is set.
quarantine_image() {
  local image version
  image=$(read_entry IMAGE "$(release_dir "$TO")/release.env")
  for version in $(list_verified); do
    [[ $(read_entry IMAGE "$(release_dir "$version")/release.env") != "$image" ]] || return 0
  done
  grep -qsF "${image##*@} " "$BASE/quarantine" ||
    printf '%s %s was found unhealthy at %s (%s)\n' "${image##*@}" "$TO" "$(utc_now)" "$(plain_text "$WHY")" >>"$BASE/quarantine" || return
  flush_to_disk "$BASE/quarantine"
}
