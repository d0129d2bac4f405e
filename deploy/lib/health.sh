# shellcheck shell=bash
# health.sh: start the release and prove that it is healthy. Part of ec2_deploy.sh.

RUN_BEFORE='' STARTED='' START_CODE=0 DEADLINE=0 UNWELL='' UNWELL_REASON=''

# A rollback does not run a job again: it was seen healthy before. A job with
# RemainAfterExit counts as a service here.
starts_now() {
  case $(unit_property Type):$(unit_property RemainAfterExit) in
    oneshot:yes) [[ $RUN_ON_DEPLOY != false ]] ;;
    oneshot:*) [[ $RUN_ON_DEPLOY != false && $ACTION == deploy ]] ;;
  esac
}

describe_success() { starts_now && printf runs || printf 'is installed; systemctl start %s runs it' "$SERVICE"; }

# invocation_id: which start of the unit this is. systemd before 232 gives a run no id.
invocation_id() {
  local id
  id=$(unit_property InvocationID) || return
  [[ -n $id ]] || id=$(unit_property ExecMainStartTimestampMonotonic) || return
  printf '%s' "$id"
}

start_release() { ! starts_now || start_unit; }

start_unit() {
  run_systemctl reset-failed "$UNIT" || true
  START_CODE=0
  RUN_BEFORE=$(invocation_id)
  DEADLINE=$((SECONDS + HEALTH_TIMEOUT))
  timeout --foreground "$HEALTH_TIMEOUT" systemctl start "$UNIT" >&2 8>&- 9>&- || START_CODE=$?
}

check_health() {
  starts_now || return 0
  if ! is_healthy; then
    [[ -z $STARTED ]] || { journalctl --quiet --no-pager --output=cat --lines=20 --unit="$UNIT" || true; } >&2
    roll_back "${STARTED:-30}" "$UNWELL_REASON" "$UNWELL"
  fi
}

# A job is healthy when this start made a new run that ended well, or that is still at
# work when the time is over: `systemctl start` of a oneshot unit waits for its end,
# and afterwards the unit is inactive, failed or not. A service is healthy when the
# same run has stayed up for a while with the release's image.
# https://www.freedesktop.org/software/systemd/man/latest/systemd.service.html#Type=
is_healthy() {
  local run
  STARTED=''
  while [[ $(unit_property ActiveState) == deactivating ]]; do
    sleep 0.2
  done
  run=$(invocation_id)
  UNWELL_REASON=start-failed UNWELL="$UNIT could not be started: systemctl start ended with $START_CODE and made no new run"
  [[ -n $run && $run != 0 && $run != "$RUN_BEFORE" ]] || return 1
  STARTED=40 UNWELL_REASON=unhealthy
  case $(unit_property Type):$(unit_property ActiveState):$(unit_property SubState) in
    oneshot:activating:auto-restart) UNWELL="$UNIT failed: $(describe_result)" && return 1 ;;
    oneshot:activating:*)
      UNWELL="systemctl start $UNIT ended with $START_CODE before the run did" STARTED=30 UNWELL_REASON=start-failed
      ((START_CODE == 124))
      ;;
    oneshot:*)
      UNWELL="$UNIT failed: $(describe_result)"
      [[ $(unit_property Result):$(unit_property ActiveState) =~ ^success:(inactive|active)$ ]] || return 1
      if ((START_CODE != 0 && START_CODE != 124)); then
        UNWELL="$UNIT was stopped before its end: systemctl start ended with $START_CODE" STARTED=30 UNWELL_REASON=stopped
        return 1
      fi
      passes_checks
      ;;
    *) stays_up "$run" ;;
  esac
}

# describe_result: with the exit status, unless it was a step before or after the program that failed.
describe_result() {
  local result status
  result=$(unit_property Result) status=$(unit_property ExecMainStatus)
  printf 'result %s' "$result"
  [[ $result != success && $status == 0 ]] || printf ', exit status %s' "$status"
}

# uptime_centiseconds: hundredths of a second. SECONDS would not do: it counts the seconds that
# begin, and so up to one too many.
uptime_centiseconds() {
  local up
  read -r up _ </proc/uptime
  printf '%s' "$((10#${up/./}))"
}

# stays_up RUN: systemd gives every start its own run, so a restart in between
# shows.
stays_up() {
  local since='' run
  UNWELL="$UNIT did not come up within $HEALTH_TIMEOUT s"
  while :; do
    run=$(invocation_id) || run=$1
    if [[ $run != "$1" ]]; then
      UNWELL="$UNIT did not stay up: it was started again, $(describe_result)"
      return 1
    fi
    case $(unit_property ActiveState):$(unit_property SubState) in
      active:*)
        since=${since:-$(uptime_centiseconds)}
        (($(uptime_centiseconds) - since < MIN_HEALTHY_TIME * 100)) || { has_container && passes_checks && return 0; }
        ;;
      *:auto-restart*) UNWELL="$UNIT did not stay up: $(describe_result)" && return 1 ;;
      activating:*) ;;
      *) UNWELL="$UNIT did not stay up: $(describe_result)" && return 1 ;;
    esac
    ((SECONDS < DEADLINE)) || return 1
    sleep 1
  done
}

has_container() {
  local id
  id=$(query_docker image inspect --format '{{.Id}}' "$IMAGE") &&
    [[ -n $(query_docker ps --quiet --filter "ancestor=$id") ]] && return 0
  UNWELL="$UNIT is up, but no container runs $IMAGE"
  return 1
}

passes_checks() {
  local code=0
  if [[ -n $HEALTH_COMMAND ]]; then
    env SERVICE="$SERVICE" VERSION="$TO" timeout -k 5 60 bash -c "$HEALTH_COMMAND" </dev/null >&2 8>&- 9>&- || code=$?
    ((code == 0)) || { UNWELL="health-command ended with $code" && return 1; }
  fi
  if [[ -n $HEALTH_URL ]] && ! url_answers "$HEALTH_URL"; then
    UNWELL="$HEALTH_URL does not answer with 2xx or 3xx"
    return 1
  fi
}

url_answers() {
  local place=${1#http://} host port=80 path=/
  host=${place%%/*}
  [[ $place != */* ]] || path=/${place#*/}
  if [[ $host =~ :[0-9]+$ ]]; then
    port=${host##*:} host=${host%:*}
  fi
  timeout --foreground -k 5 10 bash "$SCRIPT" request "$host" "$port" "$path"
}

# http_get HOST PORT PATH: in bash, since a host need not have curl. A connection has no
# time-out, so this runs in a process that can be ended.
http_get() {
  local status host=${1#[}
  exec 7<>"/dev/tcp/${host%]}/$2"
  printf 'GET %s HTTP/1.0\r\nHost: %s:%s\r\nConnection: close\r\n\r\n' "$3" "$1" "$2" >&7
  IFS= read -r status <&7
  [[ $status =~ ^HTTP/[0-9.]+\ [23][0-9][0-9] ]]
}
