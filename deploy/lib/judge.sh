# shellcheck shell=bash
# judge.sh: what a container is evidence of. Part of ec2_deploy.sh, and of bootstrap.sh, which
# runs no script of a release to answer a status command.
#
#   not-run      no container has the unit's name, and the unit is a job
#   none         no container has the unit's name
#   other-image  it has another image
#   running      it runs, and is meant to
#   at-work      it runs a job that has not ended
#   succeeded    it has ended with exit status 0, or another one that the unit takes for success
#   failed       it has ended with another one, or runs only now and then

# read_properties: adds to PROPERTY what systemctl has printed. A unit that reads its configuration again is up.
# https://www.freedesktop.org/software/systemd/man/latest/org.freedesktop.systemd1.html (ActiveState)
read_properties() {
  local line
  while IFS= read -r line; do
    [[ $line != ?*=* ]] || PROPERTY[${line%%=*}]=${line#*=}
  done
  [[ ! ${PROPERTY[ActiveState]:-} =~ ^re(loading|freshing)$ ]] || PROPERTY[ActiveState]=active
}

# judge_container STATE STATUS UNSEEN: sets EVIDENCE and, in words, SEEN, for a container that has
# the release's image. STATE is in the words of Docker or podman, STATUS what the program exited
# with, and UNSEEN the evidence when it has not been started. PROPERTY must be about the unit.
judge_container() {
  case $1:${PROPERTY[Type]:-}:${PROPERTY[RemainAfterExit]:-}:${PROPERTY[ActiveState]:-} in
    running:oneshot:no:* | running:oneshot:*:activating) EVIDENCE=at-work SEEN="the container $SERVICE still runs $IMAGE" ;;
    running:*) EVIDENCE=running SEEN="the container $SERVICE runs $IMAGE" ;;
    created:* | configured:* | initialized:*) EVIDENCE=$3 SEEN="the container $SERVICE was not started" ;;
    exited:* | stopped:*)
      EVIDENCE=failed SEEN="the container $SERVICE ran $IMAGE and ended with exit status $2"
      if [[ $2 == 0 ]] || is_success_status "$2"; then
        EVIDENCE=succeeded
        [[ ${PROPERTY[ActiveState]:-} != *ing ]] || EVIDENCE=at-work
      fi
      ;;
    *) EVIDENCE=failed SEEN="the container $SERVICE is $1" ;;
  esac
}

# is_success_status STATUS: the unit, drop-ins included, takes it for success. What systemd remembers of
# a run does not say so: `systemctl reset-failed` and a reboot change it.
# https://www.freedesktop.org/software/systemd/man/latest/systemd.service.html#SuccessExitStatus=
is_success_status() {
  local text line name=$1
  local -a names=(USAGE DATAERR NOINPUT NOUSER NOHOST UNAVAILABLE SOFTWARE OSERR OSFILE CANTCREAT IOERR TEMPFAIL PROTOCOL NOPERM CONFIG)
  (($1 < 64 || $1 > 78)) || name=${names[$1 - 64]}
  text=$(systemctl cat "$SERVICE.service" 2>/dev/null) || return 1
  unit_setting Service.SuccessExitStatus /dev/stdin <<<"$text"
  REPLY=" ${REPLY//[[:space:]]/ } "
  [[ $REPLY != *" $1 "* && $REPLY != *" $name "* ]] || return 0
  unit_setting Service.ExecStart /dev/stdin <<<"$text"
  while IFS= read -r line; do # of several commands, the one that runs the container counts
    [[ $line != *IMAGE* && $line != *--name* ]] || { [[ $line =~ ^[@:+!|]*- ]] && return 0 || return 1; }
  done <<<"$REPLY"
  ! grep -qvE '^[@:+!|]*-' <<<"$REPLY"
}

# has_finished: the last run of a job ended without being stopped. One that is stopped in the middle can exit with
# 0 as well; systemd then writes no message that it has finished. Before systemd 232 a run has no id, and
# the message must be later than its start. journald may be a moment behind. Where the journal does not even have the
# message that the run was started (LogLevelMax=, LogLevel=, Storage=none), the missing one says nothing.
# https://github.com/systemd/systemd/blob/main/src/systemd/sd-messages.h (SD_MESSAGE_UNIT_STARTED, _STARTING)
has_finished() {
  local wait line start=${PROPERTY[ExecMainStartTimestampMonotonic]:-0}
  ((start > 0)) || return 1
  for wait in 1 0; do
    line=$(last_message 39f53479d3a045ac8e11786248231fbf)
    ! [[ $line =~ ^\[\ *([0-9]+)\.([0-9]{6})] ]] || ((10#${BASH_REMATCH[1]}${BASH_REMATCH[2]} < start)) || return 0
    sleep "$wait"
  done
  [[ -z $(last_message 7d4958e842da4a758f6c1cdc7b36dcc5) ]]
}

# last_message ID: prints the last message of this kind that systemd has written about the unit's last run.
last_message() {
  local run=${PROPERTY[InvocationID]:-}
  journalctl --quiet --no-pager --boot --output=short-monotonic --lines=1 \
    "MESSAGE_ID=$1" _PID=1 "UNIT=$SERVICE.service" ${run:+"INVOCATION_ID=$run"} 2>/dev/null || true
}

# disregard_stopped_run FOLDER: a run that was stopped does not prove a release that has yet to succeed.
disregard_stopped_run() {
  [[ $EVIDENCE == succeeded ]] && [[ -f $1/failed || -f $1/rollback-failed || (-f $1/installed && ! -f $1/verified) ]] || return 0
  has_finished || { EVIDENCE=not-run SEEN="the last run of $SERVICE was stopped before its end"; }
}

# mark_rollback BASE LINE: the result LINE decides whether what runs is in doubt: a failed rollback has left it, and no deploy or
# rollback has succeeded since.
mark_rollback() {
  local version
  if [[ $2 == *'"outcome":"rollback-failed"'* && -d $1/current ]]; then
    ln -f -- "$1/current/release.env" "$1/current/rollback-failed" || return 0 # a link needs no room on a disk that is full
    flush_to_disk "$1/current"
  elif [[ $2 == *'"outcome":"deployed"'* ]]; then
    while IFS= read -r version; do
      rm -f -- "$1/releases/$version/rollback-failed"
    done < <(grep -oE '"(version|before)":"[0-9a-z.-]+"' <<<"$2" | cut -d '"' -f 4)
  fi
}

# confirm_marks FOLDER: what the last run has shown of the release. One that was only installed is verified by a run that succeeded, and
# no target of a rollback after one that failed. A failed rollback is settled by a job that has run; a service can be up
# and fail its health checks.
confirm_marks() {
  [[ -f $1/installed || -f $1/failed || -f $1/rollback-failed ]] || return 0
  case ${PROPERTY[Result]:-}:$EVIDENCE in
    success:succeeded)
      [[ ${PROPERTY[Type]:-} != oneshot ]] || rm -f -- "$1/failed"
      [[ ${PROPERTY[Type]:-}:${PROPERTY[RemainAfterExit]:-} != oneshot:no ]] || rm -f -- "$1/rollback-failed"
      [[ ! -f $1/installed ]] || printf 'succeeded later\n' >"$1/verified"
      ;;
    *:running)
      [[ ${PROPERTY[Type]:-} == oneshot ]] || rm -f -- "$1/failed"
      return 0
      ;;
    *:failed) ;;
    *) return 0 ;;
  esac
  rm -f -- "$1/installed"
}
