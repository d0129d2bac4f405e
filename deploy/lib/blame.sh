# shellcheck shell=bash
# blame.sh: why a release is not healthy, and whether its image is to blame. Part of ec2_deploy.sh.

# find_ended MESSAGE [CODE REASON]: the run has ended, with 40 unless its container was stopped from outside, with the engine as well, or
# goes on. That says nothing about the image: https://github.com/scollier/SATraining/issues/67
find_ended() {
  local start=$START_CODE
  query_docker ps --quiet >/dev/null 2>&1 || find_unwell 30 not-seen "$1; the Docker engine does not answer" || return 1
  # So systemctl says that somebody has stopped the unit before it was up:
  # https://github.com/systemd/systemd/blob/main/src/shared/bus-wait-for-jobs.c (check_wait_response)
  [[ $(print_log) != *"Job for $UNIT canceled."* ]] || start=0
  # Of other results systemd has stopped it, for a time-out of the program or, before a service was up, for a step that failed.
  if goes_on || { [[ ${PROPERTY[Result]:-}:$start:${PROPERTY[Type]:-} =~ ^(success|start-limit-hit):|^(exit-code|signal):(0:|.*:oneshot) ]] && was_stopped; }; then
    find_unwell 30 stopped "$1, although the container was running: $UNIT was stopped, or its command does not wait for the container (docker run --detach)"
  else
    find_unwell "${2:-40}" "${3:-unhealthy}" "$1"
  fi
}

# goes_on: the container runs, and none of its name has ended since the start.
goes_on() { [[ $(query_docker container inspect --format '{{.State.Running}}' "$SERVICE" 2>/dev/null) == true ]] && ! was_seen die died; }

# was_stopped: somebody has stopped the container. The event may come after the end. But if the unit's own program has given up before
# the container has ended, or as timeout(1) does with 124, a step of the unit has stopped it.
was_stopped() {
  if [[ ${PROPERTY[Result]:-} == exit-code ]]; then
    [[ ${PROPERTY[ExecMainStatus]:-} != 124 ]] && has_ended_first || return 1
  fi
  was_ended_by_signal || { sleep 1 && was_ended_by_signal; }
}

# has_ended_first: the container has ended before the unit's main process, as far as can be seen. The clock of systemd does not count a
# time in which the host hibernates.
has_ended_first() {
  local UNTIL end=${PROPERTY[ExecMainExitTimestampMonotonic]:-0}
  ((end > 0)) || return 0
  moment_of_uptime "$end"
  UNTIL=$REPLY
  [[ $UNTIL < $STARTED_AT ]] || was_seen die died
}

# was_ended_by_signal: the engine has stopped the container, or has sent it SIGINT, SIGQUIT, SIGKILL or SIGTERM. Some clients of Docker
# 20.10 also forward each SIGURG that Go's runtime sends them: https://github.com/docker/cli/pull/3107
was_ended_by_signal() {
  local events
  events=$(list_events '{{.Actor.Attributes.name}} {{.Action}} {{.Actor.Attributes.signal}}' '{{.Name}}' kill stop) || return 1
  grep -qxE -- "$SERVICE( stop .*| kill (2|3|9|15))?" <<<"$events"
}

# excuse_image: what the engine did not start since the start of the unit says nothing about the image, unless the image's program
# cannot be run. The engine's client ends with 125 then, and with 126 or 127 also for a device that is missing or, of
# podman, a port that is taken:
# https://github.com/docker/cli/blob/v27.0.0/cli/command/container/run.go (toStatusError)
# https://github.com/containers/podman/blob/v4.3.1/libpod/define/exec_codes.go (ExitCode)
# What names an executable of the host, such as docker-proxy, is not about the program.
excuse_image() {
  local said wait status=${PROPERTY[ExecMainStatus]:-} not_runnable='container process(:| caused:?)( error during container init:)? "?exec|crun: .*executable|exec format error'
  observe_container
  [[ $EVIDENCE != other-image ]] || is_other_name || find_unwell 30 not-seen "$UNWELL; $SEEN" || return 0
  [[ $EVIDENCE == none || $EVIDENCE == not-run ]] && ! was_seen start || return 0
  for wait in 1 0; do # journald may be a moment behind
    said=$(print_said | grep -aE '^((docker|podman|Error): |Error response )' | last_engine_error) || said=''
    [[ $status =~ ^12[67]$ && -z $said ]] || break
    sleep "$wait"
  done
  if [[ $status == 125 ]] || [[ -n $said && $status =~ ^12[67]$ && ! $said =~ $not_runnable ]]; then
    find_unwell 30 start-failed "the engine did not start the container: ${said:-$UNIT ended with $status}" || true
  elif [[ $said =~ $not_runnable ]]; then
    UNWELL+=": ${said:0:300}"
  elif [[ $STARTED != 40 ]] || { [[ $status =~ ^12[67]$ ]] && was_seen create; }; then
    return 0
  elif [[ ${PROPERTY[Result]:-} == resources ]]; then # such as a file of EnvironmentFile= that is missing
    STARTED=30 UNWELL_REASON=start-failed
  else
    said=$(print_said | tail -n 1)
    find_unwell 30 step-failed "the container was never started: a step before it failed or timed out ($UNWELL)${said:+; last line: ${said:0:300}}" || true
  fi
}

# is_other_name: the removed container's image had another name, which is one of the release's image now. That is no evidence of
# success, since a name can be moved.
is_other_name() { [[ -n $OTHER_NAME ]] && has_image && [[ $(query_docker image inspect --format '{{.Id}}' "$OTHER_NAME" 2>/dev/null) == "$IMAGE_ID" ]]; }

# print_said: prints what the unit's main process has written since the start, and not the steps before and after it. If that is no
# message of docker run, what it has written as a child of that process; if it is nothing, what all have.
print_said() {
  local pid said child run='^docker: '
  [[ -z ${STORE:-} ]] || run='^(docker|Error): ' # podman
  pid=$(systemctl show --property=ExecMainPID "$UNIT")
  said=$(read_unit_log "_PID=${pid#*=}")
  if ! grep -qaE "$run" <<<"$said"; then
    child=$(read_unit_log | grep -aE "$run" | grep -aviE 'no (such )?container') || child=''
    said=${child:-$said}
  fi
  printf '%s\n' "${said:-$(read_unit_log)}"
}

# read_unit_log [FIELD=VALUE]: prints the last lines of the unit's processes since the start.
read_unit_log() { journalctl --quiet --no-pager --output=cat --lines=50 --since="@$STARTED_AT" "_SYSTEMD_UNIT=$UNIT" "$@" 2>/dev/null || true; }

# was_seen EVENT…: the engine has had one of these of the unit's container, or does not say.
was_seen() {
  local names
  names=$(list_events '{{.Actor.Attributes.name}}' '{{.Name}}' "$@") || return 0
  grep -qxF -- "$SERVICE" <<<"$names"
}

# was_out_of_memory: whether the container ran out of memory since its start. If it was removed, the engine's events show
# it; podman has none of this kind.
was_out_of_memory() {
  [[ $(query_docker container inspect --format '{{.State.OOMKilled}}' "$SERVICE" 2>/dev/null) != true ]] || return 0
  list_events '{{.Actor.Attributes.name}}' '{{.Name}}' oom | grep -xF -- "$SERVICE" >/dev/null # and not -q, which would end docker
}
