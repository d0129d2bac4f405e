# shellcheck shell=bash
# rollback.sh: rollback, and recovery of a deploy that was cut off. Part of ec2_deploy.sh.

# roll_back CODE REASON WHY: to the release that ran before, or to nothing when this is the
# first one. It needs no network.
roll_back() {
  local well=0
  yield_to_shutdown
  CODE=$1 REASON=$2 WHY=$3 OUTCOME='' FAILED_IN=$PHASE
  begin_phase rollback
  write_journal "$REACHED" || log_note "the rollback cannot be recorded"
  ((CODE != 40)) || quarantine_image || log_note "the image cannot be quarantined"
  mark_failed_redeploy
  set +e
  (
    set -e
    restore_previous
    prove_restored
  )
  well=$?
  set -e
  end_rollback "$well"
}

# mark_failed_redeploy: of a release that was deployed again, what was seen of its last run is gone.
mark_failed_redeploy() {
  [[ $FROM != "$TO" || $RUN_ON_DEPLOY == false ]] || nothing_changed || mark_failed "$TO"
}

# end_rollback STATUS [--no-block]
end_rollback() {
  local back=back
  if (($# > 1)); then
    back=installed
    ! was_up "$UNIT" || back+=', and starting'
  fi
  if (($1 != 0)); then
    yield_to_shutdown
    end_change rollback-failed 41 "$REASON" "$WHY; the rollback to ${FROM:-no release} failed: $(last_log_line)"
  elif nothing_changed; then
    end_change refused "$CODE" "$REASON" "$WHY; nothing was changed"
  else
    describe_restored "$back"
    end_change rolled-back "$CODE" "$REASON" "$WHY; $REPLY"
  fi
}

# describe_restored WORD: sets REPLY to what a rollback has left. A service that was down before stays down, and a boot does
# not wait for one that was up.
describe_restored() {
  REPLY=${FROM:+$FROM is $1}
  REPLY=${REPLY:-nothing, as before, is installed}
  [[ -n $FROM ]] && ! was_up "$UNIT" && query_properties || return 0
  [[ ${PROPERTY[Type]:-} == oneshot ]] || REPLY+="; it was not running before"
}

# While the host shuts down systemd stops what runs and starts nothing, which says nothing
# about a release; the unit at boot rolls the deploy back. The end of a shutdown
# is SIGTERM, which systemctl may get before this script does.
yield_to_shutdown() {
  local running
  running=$(systemctl is-system-running 2>/dev/null) || true
  case $running in
    '' | stopping | offline | unknown) ;;
    *) return 0 ;;
  esac
  log_note "the host is shutting down; the deploy is rolled back at the next boot"
  trap - EXIT
  exit 30
}

nothing_changed() { [[ $REACHED == open || $REACHED == drain ]]; }

# restore_previous [--no-block]
restore_previous() {
  if ! nothing_changed; then
    stop_units
    switch_release "$FROM" back
    run_systemctl reset-failed "$UNIT" || true
  fi
  start_other_units "$FROM" back "$@"
}

# The restored release must be as healthy as it was. A release that was deployed again is judged by its
# previous checks, which bootstrap.sh has saved.
prove_restored() {
  local kept='' version
  [[ -n $FROM ]] && ! nothing_changed || return 0
  if [[ $FROM == "$TO" && -f $BASE/.rollout.kept ]]; then
    read -r _ version <"$BASE/.rollout.kept" # the first line: DEPLOYMENT VERSION
    [[ $version != "$FROM" ]] || kept=$BASE/.rollout.kept
  fi
  load_release "$FROM" "$kept"
  if was_up "$UNIT"; then
    TO=$FROM
    start_unit
    is_healthy || { log_note "$UNWELL" && return 1; }
    rm -f -- "$BASE/releases/$FROM/failed" "$BASE/releases/$FROM/rollback-failed"
  elif [[ $FROM == "$TO" && ! -e $BASE/releases/$TO/settings.env.before ]]; then
    ((CODE != 40)) || { log_note "$FROM was installed before as well, and is not healthy" && return 1; }
    # A service that was down and cannot be started is as it was; a job has failed.
    [[ ! $REASON =~ ^(start|step)-failed$ || ${PROPERTY[Type]:-} != oneshot ]] || { log_note "$FROM was installed before as well, and could not be started" && return 1; }
  fi
  has_image || { log_note "the image of $FROM is not on this host, or the Docker engine does not answer" && return 1; }
}

# recover [--no-block]: rolls back a deploy that was cut off, or completes it when it had succeeded.
# At boot a service is only started and not waited for: that would be waiting for oneself.
recover() {
  local well=0
  (($# > 0)) || [[ $(systemctl is-system-running 2>/dev/null) != starting ]] || set -- --no-block
  [[ -L $BASE/recover ]] || return 0
  try_lock "${ATTA_LOCK_WAIT:-60}" || exit 51
  [[ -L $BASE/recover ]] || return 0
  redirect_log
  RECOVERING=yes
  read_journal
  begin_phase recover
  [[ -z $OUTCOME ]] || finish_change
  load_release "$TO"
  [[ -n $CODE ]] || CODE=30 REASON=cut-off WHY="the deploy of $TO was cut off in its phase $REACHED"
  ((CODE != 40)) || quarantine_image || log_note "the image cannot be quarantined"
  mark_failed_redeploy
  wait_for_running_job || exit 51
  FAILED_IN=$REACHED
  set +e
  (
    set -e
    restore_previous "$@"
    if (($# == 0)); then
      prove_restored
    elif ! nothing_changed && was_up "$UNIT"; then
      run_systemctl start "$1" "$UNIT"
    fi
  )
  well=$?
  set -e
  end_rollback "$well" "$@"
}

wait_for_running_job() {
  local waited=0
  [[ $ON_RUNNING != kill ]] || return 0
  while ! nothing_changed && job_is_running "$UNIT"; do
    if ((waited >= DRAIN_TIMEOUT)); then
      log_note "a run of $UNIT has not ended within $DRAIN_TIMEOUT s"
      return 1
    fi
    sleep 1
    waited=$((waited + 1))
  done
}

# watch_deploy: waits for the end of the deploy that has started it, however it ends, and then
# for that of a job that is at work. The lock comes before the first look: the link may
# not be there yet. errexit does not live in a condition, so there is none around recover.
watch_deploy() {
  local code
  while :; do
    set +e
    (
      set -e
      try_lock 1000000
      recover
    )
    code=$?
    set -e
    ((code == 51)) || exit 0 # a unit that fails would stay in systemd's list
    sleep 20
  done
}
