# shellcheck shell=bash
# journal.sh: the change and its crash-safe journal. Part of ec2_deploy.sh.

# From here on a crash leads to `recover`.
open_change() {
  local unit
  REACHED=open UP='' ENABLED='' OUTCOME='' CODE='' REASON='' WHY=''
  list_units "$FROM"
  for unit in $REPLY; do
    query_properties "$unit"
    [[ $unit != "$UNIT" ]] || ! has_failed "$FROM" || mark_failed "$FROM"
    [[ ${PROPERTY[UnitFileState]:-} != enabled ]] || ENABLED+="${ENABLED:+ }$unit"
    case $unit:${PROPERTY[Type]:-}:${PROPERTY[ActiveState]:-} in
      *.service:oneshot:activating) ;;
      *:active | *:activating) UP+="${UP:+ }$unit" ;;
    esac
  done
  write_journal open
  start_watcher
  ln -sfn -- "releases/$OWN/deploy/ec2_deploy.sh" "$BASE/recover"
  flush_to_disk "$BASE"
  install_recovery
}

# start_watcher: the process that waits for the end of this deploy is known to be alive before the
# change begins. It is a unit, so that what kills the agent's session or whole control group
# leaves it alone, or has at least its own session.
start_watcher() {
  local start wait
  local -a watch=(flock --close "$RUN/$SERVICE.watch" "$BASE/releases/$OWN/deploy/ec2_deploy.sh" watch)
  for start in run_as_unit run_in_session; do
    "$start" "${watch[@]}" </dev/null >/dev/null || continue
    for wait in {1..100}; do
      ! is_watched || return 0
      sleep 0.1
    done
  done
  refuse script-failed "nobody could be started who rolls this deploy back if it is cut off: $(last_log_line)"
}

run_as_unit() {
  timeout --foreground -k 5 20 systemd-run --quiet --setenv=ATTA_ROOT="$ROOT" --setenv=PATH="$PATH" "$@" >&2 8>&- 9>&-
}

run_in_session() { ATTA_LOCK_HELD='' ATTA_LOG_OPEN='' setsid "$@" 2>/dev/null 8>&- 9>&- & }

# is_watched: somebody waits for the end of the deploy.
is_watched() { is_locked "$RUN/$SERVICE.watch"; }

# write_journal PHASE: records how far the change is. It is read after a crash, so it is
# on the disk, whole, before the phase begins.
write_journal() {
  local now
  REACHED=$1
  TZ=UTC printf -v now '%(%FT%TZ)T' -1
  plain_text "$WHY"
  printf '%s=%s\n' DEPLOYMENT "$DEPLOYMENT" ACTION "$ACTION" FROM "$FROM" TO "$TO" UP "$UP" ENABLED "$ENABLED" \
    REACHED "$REACHED" OUTCOME "$OUTCOME" CODE "$CODE" REASON "$REASON" WHY "$REPLY" TIME "$now" >"$BASE/.state.new" &&
    flush_to_disk "$BASE/.state.new" &&
    mv -T -- "$BASE/.state.new" "$BASE/state" &&
    flush_to_disk "$BASE"
}

read_journal() {
  read_entries "$BASE/state"
  DEPLOYMENT=${ENTRY[DEPLOYMENT]:-} ACTION=${ENTRY[ACTION]:-} FROM=${ENTRY[FROM]:-} TO=${ENTRY[TO]:-} UP=${ENTRY[UP]:-} ENABLED=${ENTRY[ENABLED]:-}
  REACHED=${ENTRY[REACHED]:-} OUTCOME=${ENTRY[OUTCOME]:-} CODE=${ENTRY[CODE]:-} REASON=${ENTRY[REASON]:-} WHY=${ENTRY[WHY]:-}
}

# flush_to_disk PATH…: what was written is on the disk. Before coreutils 8.24 sync takes no
# arguments, says so, and writes everything.
flush_to_disk() { sync "$@" 2>/dev/null || sync; }

# At boot the services are started after recovery, whichever of their files is there.
install_recovery() {
  local link=$UNITS/multi-user.target.wants/$RECOVERY unit services=''
  list_units "$FROM" "$TO"
  for unit in $REPLY; do
    [[ $unit != *.service ]] || services+="${services:+ }$unit"
  done
  [[ -d ${link%/*} ]] || install -d -m 0755 "${link%/*}"
  cat >"$UNITS/$RECOVERY.new" <<END
# There only while a deploy is under way.
[Unit]
Description=Rolls back a deploy of $SERVICE that was cut off
ConditionPathExists=/opt/$SERVICE/recover
RequiresMountsFor=/opt/$SERVICE
Before=$services

[Service]
Type=oneshot
ExecStart=/opt/$SERVICE/recover recover --no-block

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
  if [[ $OUTCOME == deployed ]]; then
    set_previous || log_note "the link previous cannot be set"
    lift_quarantine || log_note "the quarantine of $TO cannot be lifted"
  else
    restore_settings || log_note "the settings that $TO had before cannot be restored"
    [[ -z $TO || -f $BASE/releases/$TO/verified || -f $BASE/releases/$TO/installed ]] || query_docker rm --volumes "$SERVICE-$TO" >&2 || true
  fi
  end_phase
  PHASE=${FAILED_IN:-$PHASE}
  log_note "$OUTCOME: $WHY"
  format_report "$OUTCOME" "$CODE" "$REASON" "$WHY"
  mark_rollback "$BASE" "$REPLY"
  record_result "$REPLY"
  rm -f -- "$RUN/$SERVICE.settings" "$BASE/releases/$TO/settings.env."{new,before} \
    "$UNITS/multi-user.target.wants/$RECOVERY" "$UNITS/$RECOVERY" "$UNITS/$RECOVERY.new" "$BASE/".{state,current,previous}.new "$BASE/recover"
  print_and_exit "$REPLY"
}

# mark_release: as verified when it was seen to run or to succeed, and as installed otherwise.
mark_release() {
  local release=$BASE/releases/$TO
  if [[ $STARTS:$EVIDENCE =~ ^yes:(running|succeeded)$ ]]; then
    printf '%s\n' "$EVIDENCE" >"$release/verified"
    rm -f -- "$release/installed" "$release/failed"
  elif [[ ! -f $release/verified ]]; then
    : >"$release/installed"
  fi
  flush_to_disk "$release"
}

# has_failed VERSION: the last run of the unit, of this version, failed. systemd forgets that in a boot, and the container of
# a job still shows it.
has_failed() {
  [[ ${PROPERTY[ActiveState]:-} != failed ]] || return 0
  [[ ${PROPERTY[Type]:-} == oneshot ]] && (load_release "$1" && observe_container && [[ $EVIDENCE == failed ]])
}

# mark_failed VERSION: its last run failed, and a rollback would hide that. The mark stays until a run
# succeeds or a service runs again.
mark_failed() { : >"$BASE/releases/$1/failed" || log_note "that $1 has failed cannot be recorded"; }

# verify_current: the marks of the release that runs, before another one is deployed.
verify_current() {
  local release=$BASE/releases/${FROM:-none}
  [[ -f $release/installed || -f $release/failed ]] || return 0
  load_release "$FROM"
  query_properties && observe_release "$FROM"
  log_note "$FROM: $SEEN"
  confirm_marks "$release"
  load_release "$OWN"
}

# After a deploy the release that ran before is the previous one; after a rollback, also one that had to bring the
# release, it is the next older one, so that rolling back twice goes further back. One that was only
# installed does not replace a verified one.
set_previous() {
  local before=$FROM version
  if [[ $ACTION == rollback || $ROLLBACK == true ]]; then
    before=''
    for version in $(list_verified); do
      if is_older "$version" "$TO"; then
        before=$version
        break
      fi
    done
    [[ -n $before ]] || rm -f -- "$BASE/previous"
  fi
  read_linked_version previous
  [[ $REPLY != "$TO" ]] || rm -f -- "$BASE/previous"
  [[ -n $before && $before != "$TO" ]] || return 0
  if [[ -f $BASE/releases/$before/verified ]] || [[ -f $BASE/releases/$before/installed && ! -f $BASE/previous/verified ]]; then
    point_link previous "$before"
  fi
}

lift_quarantine() {
  local image
  [[ -s $BASE/quarantine ]] || return 0
  read_entries "$BASE/releases/$TO/release.env"
  image=${ENTRY[IMAGE]:-}
  grep -qsF "${image##*@} " "$BASE/quarantine" || return 0
  { grep -vF "${image##*@} " "$BASE/quarantine" || true; } >"$BASE/.quarantine.new" && mv -T -- "$BASE/.quarantine.new" "$BASE/quarantine"
}

# quarantine_image: the next deploy of an image that was never seen healthy here is
# refused, unless allow-quarantined is set.
quarantine_image() {
  local image version
  read_entries "$BASE/releases/$TO/release.env"
  image=${ENTRY[IMAGE]:-}
  for version in $(list_verified); do
    read_entries "$BASE/releases/$version/release.env"
    [[ ${ENTRY[IMAGE]:-} != "$image" ]] || return 0
  done
  rm -f -- "$BASE/releases/$TO/installed"
  plain_text "$WHY"
  grep -qsF "${image##*@} " "$BASE/quarantine" ||
    TZ=UTC printf '%s %s was found unhealthy at %(%FT%TZ)T (%s)\n' "${image##*@}" "$TO" -1 "$REPLY" >>"$BASE/quarantine" || return
  flush_to_disk "$BASE/quarantine"
}
