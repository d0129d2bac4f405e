# shellcheck shell=bash
# health.sh: start the release and prove that it is healthy. Part of ec2_deploy.sh.

STARTS=no RUN_BEFORE='' STARTED='' START_CODE=0 DEADLINE=0 UNWELL='' UNWELL_REASON=''

# A rollback does not run a job again: it was seen healthy before. A job with
# RemainAfterExit counts as a service here.
start_release() {
  query_properties
  STARTS=yes
  case ${PROPERTY[Type]:-}:${PROPERTY[RemainAfterExit]:-} in
    oneshot:yes) [[ $RUN_ON_DEPLOY != false ]] || STARTS=no ;;
    oneshot:*) [[ $RUN_ON_DEPLOY != false && $ACTION == deploy ]] || STARTS=no ;;
  esac
  if [[ $STARTS == yes ]]; then
    note_other_answer
    start_unit
  elif [[ $FROM != "$TO" ]]; then
    run_systemctl reset-failed "$UNIT" || true # the failure is that of another release
  fi
}

# describe_success: what was seen of the release, in words. A job that was not run, or has not
# ended, has proved nothing yet.
describe_success() {
  case $STARTS:$EVIDENCE in
    no:*) REPLY="is installed; run by its timer or systemctl start $SERVICE" ;;
    yes:at-work) REPLY="is still at work after $HEALTH_TIMEOUT s; how it ends is not known yet" ;;
    yes:succeeded) REPLY="ran and succeeded" ;;
    *) REPLY=runs ;;
  esac
}

# invocation_id: which start of the unit PROPERTY is about. systemd before 232 gives a run no id.
invocation_id() { REPLY=${PROPERTY[InvocationID]:-${PROPERTY[ExecMainStartTimestampMonotonic]:-}}; }

# note_other_answer: what answers at the health URL while the unit is stopped is not the release, and would pass for it, unless
# the question itself has started the unit, by a socket.
note_other_answer() {
  local answers=no
  [[ -n $HEALTH_URL ]] || return 0
  ! url_answers "$HEALTH_URL" || answers=yes
  query_properties
  if [[ ! ${PROPERTY[ActiveState]:-} =~ ^(inactive|failed)$ ]]; then
    run_systemctl stop "$UNIT"
  elif [[ $answers == yes ]]; then
    IGNORED+="; warning: something other than $UNIT answered $HEALTH_URL while the unit was stopped, so health-url proves nothing about this release"
  fi
}

start_unit() {
  run_systemctl reset-failed "$UNIT" || true
  START_CODE=0
  query_properties
  invocation_id
  RUN_BEFORE=$REPLY
  CONTAINER_BEFORE=$(query_docker container inspect --format '{{.Id}}' "$SERVICE" 2>/dev/null) || CONTAINER_BEFORE=''
  STARTED_AT=$(date +%s.%N)
  DEADLINE=$((SECONDS + HEALTH_TIMEOUT))
  log_wait "$UNIT" "$HEALTH_TIMEOUT"
  timeout --foreground "$HEALTH_TIMEOUT" systemctl start "$UNIT" >&2 8>&- 9>&- || START_CODE=$?
}

check_health() {
  EVIDENCE=not-run
  [[ $STARTS == yes ]] || return 0
  if ! is_healthy; then
    excuse_image
    [[ $STARTED != 40 ]] || ! was_out_of_memory || UNWELL+="; the kernel killed a process in the container: out of memory (OOM)"
    [[ -z $STARTED ]] || { journalctl --quiet --no-pager --output=cat --lines=20 --since="@$STARTED_AT" --unit="$UNIT" || true; } >&2
    roll_back "${STARTED:-30}" "$UNWELL_REASON" "$UNWELL"
  fi
}

# A job is healthy when this start made a new run that ended well, or that is still at
# work when the time is over: `systemctl start` of a oneshot unit waits for its end,
# and afterwards the unit is inactive, failed or not. A service is healthy when the
# same run has stayed up for a while. In each case the engine must show the release's image
# in the unit's container.
# https://www.freedesktop.org/software/systemd/man/latest/systemd.service.html#Type=
is_healthy() {
  local run
  STARTED=''
  while unit_is ActiveState deactivating; do
    sleep 0.2
  done
  invocation_id
  run=$REPLY
  UNWELL_REASON=start-failed UNWELL="$UNIT could not be started: systemctl start ended with $START_CODE and made no new run"
  [[ -n $run && $run != 0 && $run != "$RUN_BEFORE" ]] || return 1
  STARTED=40 UNWELL_REASON=unhealthy
  describe_result
  case ${PROPERTY[Type]:-}:${PROPERTY[ActiveState]:-}:${PROPERTY[SubState]:-} in
    oneshot:activating:auto-restart) find_ended "$UNIT failed: $REPLY" || return 1 ;;
    oneshot:activating:*)
      UNWELL="systemctl start $UNIT ended with $START_CODE before the run did" STARTED=30 UNWELL_REASON=start-failed
      ((START_CODE == 124)) && is_soon_evident at-work && passes_checks || return 1
      if unit_is ActiveState activating; then
        is_evident at-work
      else
        is_healthy # it has ended during the checks
      fi
      ;;
    oneshot:*)
      [[ ${PROPERTY[Result]:-}:${PROPERTY[ActiveState]:-} =~ ^success:(inactive|active)$ ]] || find_ended "$UNIT failed: $REPLY" || return 1
      if ((START_CODE != 0)) && ! { ((START_CODE == 124)) && has_finished; }; then
        UNWELL="$UNIT was stopped before its end: systemctl start ended with $START_CODE" STARTED=30 UNWELL_REASON=stopped
        return 1
      fi
      is_soon_evident succeeded running && outlives_start && passes_checks && is_same_container "$CONTAINER"
      ;;
    *) stays_up "$run" ;;
  esac
}

# find_unwell CODE REASON MESSAGE: why the release is not healthy, and how the deploy ends.
find_unwell() {
  STARTED=$1 UNWELL_REASON=$2 UNWELL=$3
  return 1
}

# outlives_start: a container that a job leaves running is still the same after a while, and was
# not started again, or has succeeded.
outlives_start() {
  local container=$CONTAINER
  [[ $EVIDENCE == running ]] || return 0
  sleep "$MIN_HEALTHY_TIME"
  is_same_container "$container"
}

# is_same_container CONTAINER: what ran still runs, and was not started again, or has succeeded.
is_same_container() {
  [[ $EVIDENCE == running ]] || return 0
  is_evident running succeeded || return 1
  [[ $CONTAINER == "$1" ]] || find_unwell 40 unhealthy "$UNIT did not stay up: the container $SERVICE was started again"
}

# describe_result: of the unit that PROPERTY is about, with the exit status, unless it was a step
# before or after the program that failed.
describe_result() {
  REPLY="result ${PROPERTY[Result]:-}"
  [[ ${PROPERTY[Result]:-} != success && ${PROPERTY[ExecMainStatus]:-} == 0 ]] || REPLY+=", exit status ${PROPERTY[ExecMainStatus]:-}"
}

# stays_up RUN [SINCE]: systemd gives every start its own run, so a restart in between
# shows. The last look comes after the checks, which may take long.
stays_up() {
  local since=${2:-} container=${2:+$CONTAINER} checked=no result
  find_unwell 40 unhealthy "$UNIT did not come up within $HEALTH_TIMEOUT s" || true
  while :; do
    query_properties || PROPERTY=([ActiveState]=unknown)
    describe_result
    result=$REPLY
    invocation_id
    if [[ ${PROPERTY[ActiveState]:-} != unknown && $REPLY != "$1" ]]; then
      find_ended "$UNIT did not stay up: it was started again, $result"
      return 1
    fi
    case ${PROPERTY[ActiveState]:-}:${PROPERTY[SubState]:-} in
      active:*)
        uptime_centiseconds
        if [[ -z $since ]]; then
          ! is_evident running || since=$REPLY container=$CONTAINER
        fi
        if [[ -n $since ]] && ((REPLY - since >= MIN_HEALTHY_TIME * 100)) && is_evident running; then
          [[ $CONTAINER == "$container" ]] || find_unwell 40 unhealthy "$UNIT did not stay up: the container $SERVICE was started again" || return 1
          [[ $checked == no ]] || return 0
          if passes_checks; then
            [[ -n $HEALTH_COMMAND$HEALTH_URL ]] || return 0
            checked=yes
            continue
          fi
        fi
        ;;
      *:auto-restart*) find_ended "$UNIT did not stay up: $result" || return 1 ;;
      activating:* | unknown:*) ;;
      *) find_ended "$UNIT did not stay up: $result" || return 1 ;;
    esac
    ((SECONDS < DEADLINE)) || return 1
    sleep 1
  done
}

passes_checks() {
  local code=0 state='' interval=30 last=''
  if [[ $EVIDENCE == running && ${PROPERTY[Type]:-} != oneshot ]]; then
    state=$(query_docker container inspect --format '{{json .Config.Healthcheck}} {{json .State}}' "$SERVICE" 2>/dev/null) ||
      find_unwell 30 not-seen "the Docker engine does not answer" || return 1
    [[ ! $state =~ \"Interval\":([0-9]+)[0-9]{9}[,}] ]] || interval=${BASH_REMATCH[1]}
    describe_last_check "$state" && last=$REPLY
    if [[ $state =~ \"Health(check)?\":\{\"Status\":\"([a-z]*)\" ]]; then state=${BASH_REMATCH[2]}; else state=''; fi # podman 3: Healthcheck
  fi
  case $state in # of the HEALTHCHECK that the image may have
    # The first check comes after a whole interval: https://github.com/docker/compose/issues/12782
    starting) find_unwell 30 not-seen "the HEALTHCHECK of the container $SERVICE has not passed within $HEALTH_TIMEOUT s; the engine runs it every $interval s$last" || return 1 ;;
    unhealthy) find_unwell 40 unhealthy "the container $SERVICE is unhealthy, by its HEALTHCHECK$last" || return 1 ;;
  esac
  if [[ -n $HEALTH_COMMAND ]]; then
    # Not as an argument, which every user of the host could read.
    env SERVICE="$SERVICE" VERSION="$TO" timeout -k 5 60 bash /dev/fd/7 7<<<"$HEALTH_COMMAND" </dev/null >&2 8>&- 9>&- || code=$?
    [[ ! $code =~ ^12[67]$ ]] || find_unwell 30 not-seen "health-command ended with $code: a command of it was not found or cannot be run" || return 1
    ((code == 0)) || find_unwell 40 unhealthy "health-command ended with $code" || return 1
  fi
  if [[ -n $HEALTH_URL ]] && ! url_answers "$HEALTH_URL"; then
    [[ -z $REPLY ]] || REPLY="answered $REPLY, not 2xx or 3xx"
    find_unwell 40 unhealthy "$HEALTH_URL ${REPLY:-did not answer (does the program listen on that port, on all addresses, and does deploy/docker.env publish it?)}"
    return 1
  fi
}

# describe_last_check JSON: sets REPLY to how the last run of the HEALTHCHECK ended, and what it printed. It is lost
# with the container: https://github.com/basecamp/kamal/issues/844
describe_last_check() {
  local text=${1##*'"ExitCode":'} code
  REPLY=''
  code=${text%%,*}
  [[ $text == *',"Output":"'* && $code =~ ^-?[1-9] ]] || return 0
  text=${text#*',"Output":"'}
  text=${text%'"}]'*}
  text=${text//'\n'/ } text=${text//'\t'/ } text=${text//'\r'/ }
  while [[ $text == *'  '* ]]; do text=${text//'  '/ }; done
  text=${text//'\"'/'"'}
  text=${text%% }
  ((${#text} <= 300)) || text="${text:0:120} ... ${text: -175}"
  REPLY="; its last check ended with $code: $text"
}

# url_answers URL: with a status of 2xx or 3xx. Sets REPLY to the status, or to nothing.
url_answers() {
  local place=${1#http://} host port=80 path=/
  host=${place%%/*}
  [[ $place != */* ]] || path=/${place#*/}
  if [[ $host =~ :[0-9]+$ ]]; then
    port=${host##*:} host=${host%:*}
  fi
  REPLY=$(timeout --foreground -k 5 10 bash "$SCRIPT" request "$host" "$port" "$path" 2>/dev/null) || REPLY='' # "did not answer" says it
  [[ $REPLY == [23]* ]]
}

# http_get HOST PORT PATH: prints the status of the answer; in bash, since a host need not have
# curl. A connection has no time-out, so this runs in a process that can be ended. Envoy refuses
# HTTP/1.0: https://github.com/envoyproxy/envoy/issues/4891
http_get() {
  local status host=${1#[}
  exec 7<>"/dev/tcp/${host%]}/$2"
  printf 'GET %s HTTP/1.1\r\nHost: %s:%s\r\nUser-Agent: atta-deploy-action\r\nAccept: */*\r\nConnection: close\r\n\r\n' "$3" "$1" "$2" >&7
  IFS= read -r status <&7
  [[ $status =~ ^HTTP/[0-9.]+\ ([0-9]{3}) ]] && printf '%s' "${BASH_REMATCH[1]}"
}
