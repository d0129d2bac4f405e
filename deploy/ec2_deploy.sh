#!/usr/bin/env bash
#
# ec2_deploy.sh: makes this host run the release that this script belongs to.
#
#   ec2_deploy.sh VERSION IMAGE_TAG    deploy the release (it is unpacked around this script)
#   ec2_deploy.sh status [--line]      what runs here; with --line as one line for machines
#   ec2_deploy.sh --help
#
# A release is the folder /opt/<service>/releases/<version>; its release.env names
# the service, the version and the image by digest. The release that runs is
# /opt/<service>/current, the one before it that was seen healthy is `previous`.
#
# It ends with one line, ATTA_RESULT {…}, on standard output; everything else goes
# to standard error. Exit codes:
#
#    0  the release runs and was seen healthy (or already did)
#   10  not fit to start: nothing was changed
#   30  the unit could not be started; the release before it is back
#   40  started, found unhealthy; the release before it is back
#   41  unhealthy, and going back went wrong as well
#   51  a job of the running release did not end in time; nothing was changed
#
# The exit code of a container is never passed on: the SSM agent gives some numbers
# a meaning of their own, and 194 would reboot the host.
# https://docs.aws.amazon.com/systems-manager/latest/userguide/send-commands-reboot.html
#
# Needs bash 4.2, coreutils 8.22, systemd 232 or later, Docker 20.10 or later, the
# AWS CLI 1 or 2. ATTA_ROOT, when set, is put before every path of the host;
# ATTA_DRAIN_TIMEOUT is how many seconds a running job may take to end (600),
# ATTA_STAY_UP how many a service must stay up to be healthy (10).

set -euo pipefail
umask 022
export LC_ALL=C

readonly ROOT=${ATTA_ROOT:-}
readonly DEPLOYMENT=${ATTA_DEPLOYMENT:-by-hand}
readonly HEALTH_TIMEOUT=${ATTA_HEALTH_TIMEOUT:-300}
readonly DRAIN_TIMEOUT=${ATTA_DRAIN_TIMEOUT:-600}
readonly STAY_UP=${ATTA_STAY_UP:-10}
readonly ALLOW_DOWNGRADE=${ATTA_ALLOW_DOWNGRADE:-false}

main() {
  case ${1:-} in
    -h | --help) usage ;;
    status)
      read_release
      status "${2:-}"
      ;;
    *)
      read_release
      deploy "$@"
      ;;
  esac
}

deploy() {
  trap ended_early EXIT
  phase preflight check_request "$@"
  if runs_already; then
    finish unchanged 0 "$VERSION runs already and was seen healthy"
  fi
  phase pull pull_image
  phase unit check_unit
  phase drain wait_for_running_job
  phase stop stop_unit
  phase switch switch_to "$RELEASE"
  phase start start_unit
  phase health check_health
  phase verify mark_verified
  finish deployed 0 "$VERSION runs"
}

# --- what is to be done -----------------------------------------------------

read_release() {
  RELEASE=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
  if [[ ! -f $RELEASE/release.env ]]; then
    printf '%s\n' "this script works from inside a release: /opt/SERVICE/current/deploy/ec2_deploy.sh --help" >&2
    exit 10
  fi
  SERVICE='' VERSION='' IMAGE='' IMAGE_TAG='' REGION=''
  local key value
  while IFS='=' read -r key value; do
    case $key in
      SERVICE) SERVICE=$value ;;
      VERSION) VERSION=$value ;;
      IMAGE) IMAGE=$value ;;
      IMAGE_TAG) IMAGE_TAG=$value ;;
      REGION) REGION=$value ;;
    esac
  done <"$RELEASE/release.env"
  readonly RELEASE SERVICE VERSION IMAGE IMAGE_TAG REGION
  readonly REPOSITORY=${IMAGE%@*} REGISTRY=${IMAGE%%/*}
  readonly BASE=$ROOT/opt/$SERVICE RUN=$ROOT/run/atta-deploy
  readonly UNIT=$SERVICE.service
  readonly UNIT_FILE=$ROOT/etc/systemd/system/$UNIT
}

check_request() {
  [[ ${1:-} == "$VERSION" && ${2:-} == "$IMAGE_TAG" && $# -eq 2 ]] ||
    refuse "this is the release $VERSION with image tag $IMAGE_TAG; usage: ec2_deploy.sh $VERSION $IMAGE_TAG"
  [[ -f $RELEASE/deploy/systemd/$UNIT ]] || refuse "the bundle holds no deploy/systemd/$UNIT"
  timeout 60 docker info --format '{{.ServerVersion}}' >/dev/null || refuse "the Docker engine does not answer"
  property LoadState >/dev/null || refuse "systemd does not answer"

  BEFORE=$(installed_release current)
  local running=${BEFORE##*/}
  [[ -n $running ]] || refuse_foreign_unit
  [[ -z $running || ${running#*-} == "${VERSION#*-}" ]] || refuse "$running runs here, which belongs to another environment"
  if [[ -n $running && $ALLOW_DOWNGRADE != true ]] && is_older "$VERSION" "$running"; then
    refuse "$VERSION is older than $running, which runs here; allow-downgrade was not given"
  fi
}

# A unit of this name that no release has brought is somebody else's.
refuse_foreign_unit() {
  local path release
  path=$(property FragmentPath)
  [[ -n $path || -e $UNIT_FILE ]] || return 0
  if [[ ${path:-/etc/systemd/system/$UNIT} == "/etc/systemd/system/$UNIT" ]]; then
    for release in "$BASE"/releases/*; do
      ! cmp -s "$release/deploy/systemd/$UNIT" "$UNIT_FILE" || return 0
    done
  fi
  refuse "${path:-$UNIT_FILE} was here before any release of $SERVICE; remove it first, or choose another service name"
}

# The version folder that a link (current, previous) points to, or nothing.
installed_release() {
  local target
  target=$(readlink -f -- "$BASE/$1") && [[ -d $target ]] || return 0
  printf '%s' "$target"
}

# is_older A B: versions of one environment differ in their three numbers only.
is_older() {
  local -a a b
  IFS=.- read -ra a <<<"$1"
  IFS=.- read -ra b <<<"$2"
  local i
  for i in 0 1 2; do
    ((a[i] == b[i])) || return $((a[i] > b[i]))
  done
  return 1
}

runs_already() {
  [[ $BEFORE == "$RELEASE" && -f $RELEASE/verified ]] || return 1
  cmp -s "$RELEASE/deploy/systemd/$UNIT" "$UNIT_FILE" && has_image || return 1
  case $(property Type):$(property ActiveState) in
    oneshot:failed) return 1 ;;
    oneshot:* | *:active) return 0 ;;
  esac
  return 1
}

# --- image ------------------------------------------------------------------

has_image() { docker image inspect --format '{{.Id}}' "$IMAGE" >/dev/null 2>&1; }

# The registry's password lives for 12 hours; the file it is kept in lives until
# the pull has ended. The local tag keeps `docker image prune` from taking an
# image that is otherwise known only by its digest.
pull_image() {
  if ! has_image; then
    install -d -m 0700 "$RUN"
    rm -rf -- "$RUN/$SERVICE-docker."*
    DOCKER_CONFIG=$(mktemp -d "$RUN/$SERVICE-docker.XXXXXX")
    export DOCKER_CONFIG
    local problem=''
    if ! aws ecr get-login-password --region "$REGION" | docker login --username AWS --password-stdin "$REGISTRY" >&2; then
      problem="log in to $REGISTRY: may this host's role use ecr:GetAuthorizationToken?"
    elif ! docker pull --quiet "$IMAGE" >&2; then
      problem="pull $IMAGE: see the log above"
    fi
    rm -rf -- "$DOCKER_CONFIG"
    unset DOCKER_CONFIG
    [[ -z $problem ]] || refuse "$problem"
  fi

  local image host
  image=$(docker image inspect --format '{{.Architecture}}' "$IMAGE")
  case $(uname -m) in
    x86_64) host=amd64 ;;
    aarch64) host=arm64 ;;
    *) host=$(uname -m) ;;
  esac
  [[ $image == "$host" ]] || refuse "the image is for $image, this host is $host"
  docker tag "$IMAGE" "$REPOSITORY:$IMAGE_TAG"
}

# --- unit -------------------------------------------------------------------

check_unit() {
  systemd-analyze verify "$RELEASE/deploy/systemd/$UNIT" >&2 || refuse "systemd does not accept deploy/systemd/$UNIT"
}

# A job in flight is never killed by a deploy; one that waits for systemd to try it
# again is not in flight.
wait_for_running_job() {
  local waited=0
  while [[ $(property Type):$(property ActiveState) == oneshot:activating && $(property SubState) != auto-restart ]]; do
    ((waited < DRAIN_TIMEOUT)) || finish refused 51 "a run of $UNIT has not ended within $DRAIN_TIMEOUT s; nothing was changed"
    sleep 1
    waited=$((waited + 1))
  done
}

stop_unit() {
  local known
  known=$(property LoadState)
  [[ $known != loaded ]] || systemctl stop "$UNIT"
}

# switch_to RELEASE: files, unit and link become those of the release. Also the
# way back, so it needs no network.
switch_to() {
  mkdir -p "$BASE/output" "${UNIT_FILE%/*}"
  [[ -e $BASE/.env ]] || install -T -m 0600 "$1/deploy/.env.example" "$BASE/.env"
  install -T -m 0644 "$1/deploy/systemd/$UNIT" "$UNIT_FILE.new"
  mv -T -- "$UNIT_FILE.new" "$UNIT_FILE"
  point current "$1"
  systemctl daemon-reload
}

# point LINK RELEASE: a rename replaces the link in one step.
point() {
  ln -sfn -- "releases/${2##*/}" "$BASE/.$1.new"
  mv -T -- "$BASE/.$1.new" "$BASE/$1"
}

# Enabled first: a unit that something wants stays loaded when it has ended, and
# with it the result of its last run.
start_unit() {
  systemctl enable "$UNIT" >&2
  systemctl reset-failed "$UNIT" >&2 || true
  INVOCATION_BEFORE=$(property InvocationID)
  START_CODE=0
  timeout --foreground "$HEALTH_TIMEOUT" systemctl start "$UNIT" >&2 || START_CODE=$?
}

# A job is healthy when this start made a new invocation that ended well, or that
# is still at work when the time is over: `systemctl start` of a oneshot unit waits
# for its end, and afterwards the unit is inactive, failed or not. One that waits
# for systemd to try it again is activating, too, and not at work. A service is
# healthy when the same invocation has stayed up for a while.
# https://www.freedesktop.org/software/systemd/man/latest/systemd.service.html#Type=
check_health() {
  local invocation
  while [[ $(property ActiveState) == deactivating ]]; do
    sleep 0.2
  done
  invocation=$(property InvocationID)
  if [[ -z $invocation || $invocation == "$INVOCATION_BEFORE" ]]; then
    go_back 30 "$UNIT could not be started: systemctl start ended with $START_CODE and made no new run"
  fi
  if ! is_healthy "$invocation"; then
    { journalctl --quiet --no-pager --output=cat --lines=20 "_SYSTEMD_INVOCATION_ID=$invocation" || true; } >&2
    go_back 40 "$UNIT failed: result $(property Result), exit status $(property ExecMainStatus)"
  fi
}

is_healthy() {
  case $(property Type):$(property ActiveState) in
    oneshot:activating) [[ $(property Result):$START_CODE == success:124 ]] ;;
    oneshot:inactive | oneshot:active) [[ $(property Result):$(property ExecMainStatus) == success:0 ]] ;;
    *:active) stays_up "$1" ;;
    *) return 1 ;;
  esac
}

# stays_up INVOCATION: systemd gives every start an invocation of its own, so a
# restart in between shows.
stays_up() {
  local second
  for ((second = 0; second < STAY_UP; second++)); do
    sleep 1
    [[ $(property ActiveState):$(property InvocationID) == "active:$1" ]] || return 1
  done
}

property() { systemctl show --property="$1" "$UNIT" | sed 's/^[^=]*=//'; }

mark_verified() {
  : >"$RELEASE/verified"
  if [[ -n $BEFORE && $BEFORE != "$RELEASE" && -f $BEFORE/verified ]]; then
    point previous "$BEFORE"
  fi
}

# --- the way back -----------------------------------------------------------

# go_back CODE WHY: to the release that ran before, or to nothing when this is
# the first. A job is not run again for that: it was seen healthy in its time.
go_back() {
  local why=$2 code to=${BEFORE##*/}
  begin_phase rollback
  systemctl stop "$UNIT" >&2 || true
  systemctl reset-failed "$UNIT" >&2 || true
  set +e
  (
    set -e
    if [[ -n $to ]]; then
      switch_to "$BEFORE"
      restart_service
    else
      remove_unit
    fi
  )
  code=$?
  set -e
  ((code == 0)) || finish rollback-failed 41 "$why; going back to ${to:-no release at all} went wrong, see the log above"
  finish rolled-back "$1" "$why; ${to:-nothing, as before,} is installed"
}

restart_service() {
  [[ $(property Type) == oneshot ]] || systemctl start "$UNIT" >&2
}

remove_unit() {
  [[ ! -e $UNIT_FILE ]] || systemctl disable "$UNIT" >&2
  rm -f -- "$UNIT_FILE" "$BASE/current"
  systemctl daemon-reload
}

# --- answers ----------------------------------------------------------------

PHASE=preflight PHASE_STARTED=0 TIMES='' BEFORE=''

# phase NAME COMMAND…: runs one step and keeps how long it took.
phase() {
  begin_phase "$1"
  shift
  "$@"
}

begin_phase() {
  end_phase
  PHASE=$1
  PHASE_STARTED=$(date +%s%3N)
  note "$PHASE"
}

end_phase() {
  ((PHASE_STARTED == 0)) || TIMES+="${TIMES:+,}\"$PHASE\":$(($(date +%s%3N) - PHASE_STARTED))"
  PHASE_STARTED=0
}

# A full disk must not stop the way back, so a line that is lost is no error.
note() { printf '%s %s: %s\n' "$(date -u +%FT%TZ)" "$VERSION" "$1" >&2 || true; }

# A command that failed without a verdict ends the deploy here, after the way back
# when something was changed.
ended_early() {
  local code=$? command=$BASH_COMMAND
  case $PHASE in
    stop | switch | start | health | verify) go_back 30 "$PHASE: '$command' ended with $code" ;;
    rollback) finish rollback-failed 41 "rollback: '$command' ended with $code" ;;
    *) finish refused 10 "$PHASE: '$command' ended with $code" ;;
  esac
}

refuse() { finish refused 10 "$1"; }

# finish OUTCOME CODE MESSAGE
finish() {
  trap - EXIT
  local phase=$PHASE
  end_phase
  note "$1: $3"
  result "$1" "$2" "$phase" "$3"
  exit "$2"
}

status() {
  local current image verified=no
  current=$(installed_release current)
  [[ -n $current && -f $current/verified ]] && verified=yes
  if [[ ${1:-} == --line ]]; then
    result status 0 status "verified: $verified"
    return
  fi
  image=$(sed -n 's/^IMAGE=//p' "${current:-/nonexistent}/release.env" 2>/dev/null || true)
  printf '%-10s %s\n' service "$SERVICE" version "${current##*/}" verified "$verified" image "$image" \
    unit "$(property ActiveState), last result $(property Result), exit status $(property ExecMainStatus)" \
    previous "$(basename -- "$(installed_release previous)")"
}

# result OUTCOME CODE PHASE MESSAGE: the one line that the caller reads. What runs
# is read from the host at this moment, not from what was meant.
result() {
  local current version='' digest='' verified=false
  current=$(installed_release current)
  if [[ -n $current ]]; then
    version=${current##*/}
    digest=$(sed -n 's/^IMAGE=.*@//p' "$current/release.env")
    [[ ! -f $current/verified ]] || verified=true
  fi
  printf 'ATTA_RESULT {"v":1,"deployment":"%s","service":"%s","outcome":"%s","code":%d,"phase":"%s","version":"%s","digest":"%s","verified":%s,"before":"%s","unit":"%s","result":"%s","exit":%d,"ms":{%s},"message":"%s"}\n' \
    "$(json "$DEPLOYMENT")" "$SERVICE" "$1" "$2" "$3" "$version" "$digest" "$verified" "${BEFORE##*/}" \
    "$(property ActiveState)" "$(property Result)" "$(number "$(property ExecMainStatus)")" "$TIMES" "$(json "$4")"
}

number() { [[ $1 =~ ^[0-9]+$ ]] && printf '%s' "$1" || printf 0; }

json() {
  local text=${1:0:600}
  text=${text//\\/\\\\}
  text=${text//\"/\\\"}
  printf '%s' "${text//[[:cntrl:]]/ }"
}

usage() { sed -n '3,/^$/{/^#/!q;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}"; }

if [[ ${BASH_SOURCE[0]} == "$0" ]]; then
  main "$@"
fi
