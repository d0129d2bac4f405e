#!/usr/bin/env bash
#
# ec2_deploy.sh: makes this host run a release, and goes back to the one before.
#
#   ec2_deploy.sh VERSION IMAGE_TAG    deploy the release that this script lies in
#   ec2_deploy.sh rollback [VERSION]   go back to the release before, or to VERSION
#   ec2_deploy.sh status [--json]      what runs here, and how the last deploy ended
#   ec2_deploy.sh history [COUNT]      the last deploys, the newest last (20)
#   ec2_deploy.sh logs [LINES]         the last deploy's log and the unit's journal (100)
#   ec2_deploy.sh recover              take back a deploy that was cut off; it happens
#                                      by itself: at once, at boot, before the next deploy
#
# Run as root, from /opt/SERVICE/current/deploy. What is where:
#
#   /opt/SERVICE/.env                settings and secrets, yours; no deploy changes it
#   /opt/SERVICE/releases/VERSION    a release: its files, and its image by digest
#   /opt/SERVICE/current             the release that runs
#   /opt/SERVICE/previous            the release seen healthy before it
#   /opt/SERVICE/state               the last change, phase by phase
#   /opt/SERVICE/history             how every deploy ended
#   /opt/SERVICE/quarantine          images that were found unhealthy here
#   /var/log/SERVICE-deploy.log      the deploys; what the program prints is in the journal
#
# A deploy ends with one line, ATTA_RESULT {…}, on standard output. Exit codes:
#
#    0  the release runs and was seen healthy (or already did)
#   10  not fit to start: nothing was changed
#   30  could not be started, or was stopped or cut off; the release before it is back
#   40  started, found unhealthy; the release before it is back
#   41  unhealthy, and going back went wrong as well
#   51  a job, or another deploy, did not end in time; nothing was changed
#
# ATTA_ALLOW_DOWNGRADE=true deploys a version older than the one that runs,
# ATTA_ALLOW_QUARANTINED=true an image that was found unhealthy here.

# The exit code of a container is never passed on: the SSM agent gives some numbers
# a meaning of their own, and 194 would reboot the host.
# https://docs.aws.amazon.com/systems-manager/latest/userguide/send-commands-reboot.html
#
# Crash safety. Between `open` and `close` the link /opt/SERVICE/recover is there and
# leads to this script. Whoever finds it without this script at work - the process
# that waits for its end, a unit at boot, the next deploy - runs `recover`. It reads
# `state` and goes back to FROM, or, when `state` says that the deploy was a success,
# does what is left to do. Every step of that can be done twice. No trap is needed for
# it: SIGKILL and a power cut are as good an end as any.
#
# Needs bash 4.2, coreutils 8.22, GNU sed and grep, util-linux (flock, setsid), systemd
# 219 or later, Docker 20.10 or later or podman-docker, the AWS CLI 1 or 2. Avoided, as
# Amazon Linux 2 or bash 4.2 lacks it: "${empty[@]}" under set -u, ${x@Q}, local -n,
# systemctl --value, sync's options; and curl, jq and python, which a host need not have.
# ATTA_ROOT, when set, is put before every path of the host.

set -euo pipefail
umask 077
export LC_ALL=C

main() {
  case ${1:-} in
    '' | -h | --help) usage ;;
    status | history | logs) prepare && "$@" ;;
    rollback) prepare && rollback "${2:-}" ;;
    recover | watch) prepare && "$1" ;;
    request) request "$2" "$3" "$4" ;;
    *) prepare && deploy "$@" ;;
  esac
}

# What happens to the machine, in order. Up to `open` nothing that runs is touched.
deploy() {
  begin_work deploy
  phase preflight check_deploy "$@"
  ! runs_already || finish unchanged 0 "$TO runs already and was seen healthy"
  phase room make_room
  phase pull get_image
  change
}

# The same way, to a release that is here already and was seen healthy in its time.
rollback() {
  begin_work rollback
  phase preflight check_rollback "$1"
  phase pull get_image
  change
}

change() {
  phase open open_change
  phase drain drain
  phase stop stop_services
  phase switch switch_to "$TO" forward
  phase start start_release
  phase health check_health
  phase timers start_rest "$TO" forward
  phase close mark_verified
  conclude deployed 0 "$TO $(is_up_or_installed)"
}

# --- what this is about -----------------------------------------------------

prepare() {
  local release
  release=$(cd "$(dirname "$(readlink -f -- "${BASH_SOURCE[0]}")")/.." && pwd -P)
  if [[ ! -f $release/release.env ]]; then
    die "this script works from inside a release: /opt/SERVICE/current/deploy/ec2_deploy.sh --help"
  fi
  readonly ROOT=${ATTA_ROOT:-}
  ((EUID == 0)) || [[ -n $ROOT ]] || die "this needs root: sudo ${BASH_SOURCE[0]} …"
  SERVICE=$(entry SERVICE "$release/release.env")
  readonly SERVICE OWN=${release##*/}
  readonly BASE=$ROOT/opt/$SERVICE RUN=$ROOT/run/atta-deploy LOG=$ROOT/var/log/$SERVICE-deploy.log
  readonly UNIT=$SERVICE.service UNITS=$ROOT/etc/systemd/system
  readonly RECOVERY=$SERVICE-recover.service
  DEPLOYMENT=${ATTA_DEPLOYMENT:-by-hand-$(date -u +%Y%m%dT%H%M%S)-$$}
  FROM=$(installed current)
  load_release "$OWN"
}

# entry KEY FILE: the value of a KEY=value line.
entry() {
  local line
  [[ -f $2 ]] || return 0
  while IFS= read -r line; do
    [[ $line != "$1="* ]] || { printf '%s' "${line#*=}" && return; }
  done <"$2"
}

# installed LINK: the version that current or previous leads to, or nothing.
installed() {
  local target
  target=$(readlink -f -- "$BASE/$1") && [[ -f $target/release.env ]] || return 0
  printf '%s' "${target##*/}"
}

folder() { printf '%s' "$BASE/releases/$1"; }

# load_release VERSION: from here on the settings and the image are those of VERSION.
load_release() {
  local file=$BASE/releases/$1/release.env settings=$BASE/releases/$1/rollout.env
  IMAGE=$(entry IMAGE "$file") IMAGE_TAG=$(entry IMAGE_TAG "$file") REGION=$(entry REGION "$file")
  ON_RUNNING=$(entry ON_RUNNING "$settings") RUN_ON_DEPLOY=$(entry RUN_ON_DEPLOY "$settings")
  HEALTH_COMMAND=$(entry HEALTH_COMMAND "$settings") HEALTH_URL=$(entry HEALTH_URL "$settings")
  DRAIN_TIMEOUT=$(number "$(entry DRAIN_TIMEOUT "$settings")" 600)
  HEALTH_TIMEOUT=$(number "$(entry HEALTH_TIMEOUT "$settings")" 300)
  MIN_HEALTHY_TIME=$(number "$(entry MIN_HEALTHY_TIME "$settings")" 10)
  KEEP_RELEASES=$(number "$(entry KEEP_RELEASES "$settings")" 5)
  IMAGE_BYTES=$(number "$(entry IMAGE_BYTES "$settings")" 0)
}

# number TEXT OTHERWISE
number() { [[ $1 =~ ^(0|[1-9][0-9]*)$ ]] && printf '%s' "$1" || printf '%s' "$2"; }

# begin_work ACTION: one at a time on a host. The SSM command's own script holds the
# lock already and says so.
begin_work() {
  ACTION=$1
  trap ended_early EXIT
  trap 'trap - EXIT; exit 30' TERM
  open_log
  TO=$OWN
  if ! lock_host "${ATTA_LOCK_WAIT:-60}"; then
    CODE=51
    note "another deploy of $SERVICE is at work on this host: $(cat "$RUN/$SERVICE.lock")"
    leave "$(result refused 51 "another deploy of $SERVICE is at work on this host: $(cat "$RUN/$SERVICE.lock")")"
  fi
  if [[ -L $BASE/recover ]]; then
    note "the deploy before was cut off"
    ATTA_LOCK_HELD=yes "$BASE/recover" recover >&2 || finish refused 51 "the deploy before was cut off and cannot be taken back: $(last_line)"
  fi
  FROM=$(installed current)
}

# lock_host SECONDS: descriptor 9 holds the lock for as long as this process lives.
# What may live longer is started without it.
lock_host() {
  [[ ${ATTA_LOCK_HELD:-} != yes ]] || return 0
  install -d -m 0700 "$RUN"
  exec 9>>"$RUN/$SERVICE.lock"
  flock -w "$1" 9 || return 1
  printf '%s\n' "$DEPLOYMENT" >"$RUN/$SERVICE.lock"
}

# --- preflight --------------------------------------------------------------

check_deploy() {
  [[ ${1:-} == "$OWN" && ${2:-} == "$IMAGE_TAG" && $# -eq 2 ]] ||
    refuse "this is the release $OWN with image tag $IMAGE_TAG; usage: ec2_deploy.sh $OWN $IMAGE_TAG"
  check_tools
  check_units
  [[ -z $FROM || ${FROM#*-} == "${TO#*-}" ]] || refuse "$FROM runs here, which belongs to another environment"
  if [[ -n $FROM && ${ATTA_ALLOW_DOWNGRADE:-false} != true ]] && is_older "$TO" "$FROM"; then
    refuse "$TO is older than $FROM, which runs here; allow-downgrade was not given"
  fi
  check_quarantine
  check_settings
}

check_rollback() {
  TO=${1:-$(installed previous)}
  [[ $TO != */* ]] || refuse "$TO is no version"
  [[ -n $FROM ]] || refuse "no release of $SERVICE is installed here"
  [[ -n $TO ]] || refuse "there is no release before $FROM to go back to; seen healthy here: $(verified_releases | paste -s -d ' ')"
  [[ $TO != "$FROM" ]] || refuse "$TO is what runs here"
  [[ -f $(folder "$TO")/verified ]] || refuse "$TO was never seen healthy here; those that were: $(verified_releases | paste -s -d ' ')"
  load_release "$TO"
  check_tools
  check_units
  check_settings
}

check_tools() {
  ask_docker ps --quiet >/dev/null || refuse "the Docker engine does not answer"
  systemctl show --property=LoadState "$UNIT" >/dev/null || refuse "systemd does not answer"
}

# The unit, its timers and what they start; all that a release may bring.
check_units() {
  local folder unit type path
  folder=$(folder "$TO")/deploy/systemd
  [[ -f $folder/$UNIT ]] || refuse "the bundle holds no deploy/systemd/$UNIT"
  for unit in $(units_of "$TO"); do
    [[ $unit =~ ^$SERVICE(-[A-Za-z0-9_.-]+)?\.(service|timer)$ && $unit != "$RECOVERY" ]] ||
      refuse "deploy/systemd/$unit must be called $SERVICE.timer, $SERVICE-SOMETHING.service or $SERVICE-SOMETHING.timer"
    is_ours "$unit" || refuse "$(property FragmentPath "$unit") was here before any release of $SERVICE; remove it first, or choose another service name"
  done
  path=$(property FragmentPath "$RECOVERY")
  [[ ! -f $UNITS/$RECOVERY ]] || path=/etc/systemd/system/$RECOVERY
  [[ ! -f $ROOT/$path ]] || grep -qxF "ConditionPathExists=/opt/$SERVICE/recover" "$ROOT/$path" ||
    refuse "$path is in the way: a deploy of $SERVICE makes and removes a unit of that name"
  type=$(sed -n 's/^[[:blank:]]*Type[[:blank:]]*=[[:blank:]]*//p' "$folder/$UNIT" | tail -n 1)
  [[ $RUN_ON_DEPLOY != false || $type == oneshot ]] || refuse "run-on-deploy: false is for jobs, and deploy/systemd/$UNIT is no Type=oneshot"
  for unit in $(units_of "$TO"); do
    printf '%s\n' "$folder/$unit"
  done | xargs -d '\n' systemd-analyze verify >&2 || refuse "systemd does not accept the unit files: $(last_line)"
}

# is_ours UNIT: no such unit, or one that a release of this service has brought.
is_ours() {
  local path release
  [[ ! -f $BASE/releases/$FROM/deploy/systemd/$1 ]] || return 0
  path=$(property FragmentPath "$1")
  [[ -n $path || -e $UNITS/$1 ]] || return 0
  [[ ${path:-/etc/systemd/system/$1} == "/etc/systemd/system/$1" ]] || return 1
  for release in "$BASE"/releases/*; do
    ! cmp -s "$release/deploy/systemd/$1" "$UNITS/$1" || return 0
  done
  return 1
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

check_quarantine() {
  local found
  found=$(grep -F -m 1 "${IMAGE##*@} " "$BASE/quarantine" 2>/dev/null) || return 0
  [[ ${ATTA_ALLOW_QUARANTINED:-false} == true ]] || refuse "this image is quarantined: ${found#* }; allow-quarantined was not given"
}

# The operator's settings must have what .env.example asks for: KEY=value a line of
# that name, KEY= without a value a line with one.
check_settings() {
  local example key value have missing=()
  example=$(folder "$TO")/deploy/.env.example
  if [[ ! -e $BASE/.env ]]; then
    [[ -f $example ]] || example=/dev/null
    install -m 0600 -- "$example" "$BASE/.env.new"
    mv -T -- "$BASE/.env.new" "$BASE/.env"
    note "made $BASE/.env from .env.example"
  fi
  [[ -f $example ]] || return 0
  while IFS='=' read -r key value; do
    [[ $key =~ ^[A-Za-z_][A-Za-z0-9_]*$ ]] || continue
    have=$(grep -m 1 "^$key=" "$BASE/.env") || have=''
    [[ -n $have && (-n $value || $have != "$key=") ]] || missing+=("$key")
  done < <(grep -a '=' "$example" || true)
  ((${#missing[@]} == 0)) || refuse "/opt/$SERVICE/.env lacks ${missing[*]}, which $TO needs: add them on the host and deploy again"
}

runs_already() {
  local unit
  [[ $FROM == "$TO" && -f $(folder "$TO")/verified ]] && has_image || return 1
  for unit in $(units_of "$TO"); do
    cmp -s "$(folder "$TO")/deploy/systemd/$unit" "$UNITS/$unit" || return 1
    [[ $unit != *.timer || $(property ActiveState "$unit") == active ]] || return 1
  done
  case $(property Type):$(property RemainAfterExit):$(property ActiveState) in
    oneshot:yes:inactive) [[ $RUN_ON_DEPLOY == false ]] ;;
    oneshot:*:failed) return 1 ;;
    oneshot:* | *:active) return 0 ;;
    *) return 1 ;;
  esac
}

# --- releases and room ------------------------------------------------------

# verified_releases: those seen healthy here, the newest version first.
verified_releases() {
  local mark
  for mark in "$BASE"/releases/*/verified; do
    [[ ! -f $mark ]] || basename -- "${mark%/verified}"
  done | sort -rV
}

# Old releases of this service go before the next one comes: never the one that runs,
# the one before it, or one of the KEEP_RELEASES newest that were seen healthy.
make_room() {
  local version root
  for version in "$BASE"/releases/*; do
    version=${version##*/}
    keeps "$version" || drop_release "$version" || note "$version could not be removed"
  done
  if ! has_image; then
    root=$(ask_docker info --format '{{.DockerRootDir}}' 2>/dev/null) && [[ -d $root ]] || root=$ROOT/var/lib
    # Packed and unpacked for a while, and three times as large unpacked.
    needs_room "$root" $((IMAGE_BYTES * 4 / 1024 + 64 * 1024)) "the image"
  fi
  needs_room "$BASE" $((16 * 1024)) "the release"
}

keeps() {
  [[ $1 == "$TO" || $1 == "$OWN" || $1 == "$FROM" || $1 == "$(installed previous)" ]] ||
    verified_releases | head -n "$KEEP_RELEASES" | grep -qxF -- "$1"
}

# The folder goes by a rename first, so that no half of a release can be gone back to.
drop_release() {
  local image tag
  image=$(entry IMAGE "$(folder "$1")/release.env") tag=$(entry IMAGE_TAG "$(folder "$1")/release.env")
  rm -rf -- "$BASE/.dropped"
  mv -T -- "$(folder "$1")" "$BASE/.dropped" || return
  note "removed the release $1"
  docker rm --volumes "$SERVICE-$1" >&2 || true
  if [[ -n $image ]] && ! docker image rm "${image%@*}:$tag" >&2 && ! grep -qsxF "IMAGE=$image" "$BASE"/releases/*/release.env; then
    docker image rm "$image" >&2 || true # pulled, and refused before it had a tag
  fi
  rm -rf -- "$BASE/.dropped"
}

# needs_room FOLDER KIB WHAT
needs_room() {
  local free
  free=$(df --block-size=1K --output=avail -- "$1" | tail -n 1)
  ((free >= $2)) || refuse "not enough room for $3: $1 has $((free / 1024)) MB free, $(($2 / 1024)) MB are needed"
}

# --- image ------------------------------------------------------------------

# ask_docker COMMAND…: a question that has to be answered soon. With --foreground a command
# is in this script's process group and ends with it. Else it would hold the lock for longer.
ask_docker() { timeout --foreground -k 5 60 docker "$@"; }

has_image() { ask_docker image inspect --format '{{.Id}}' "$IMAGE" >/dev/null 2>&1; }

# The image comes by digest and keeps two things: a local tag, since `docker image
# prune` takes what has only a digest, and a container that is never started, since
# `docker image prune --all` takes what no container uses.
# https://docs.docker.com/reference/cli/docker/image/prune/
get_image() {
  local image host
  has_image || pull_image
  image=$(docker image inspect --format '{{.Architecture}}' "$IMAGE")
  case $(uname -m) in
    x86_64) host=amd64 ;;
    aarch64) host=arm64 ;;
    *) host=$(uname -m) ;;
  esac
  [[ $image == "$host" ]] || refuse "the image is for $image, this host is $host"
  docker tag "$IMAGE" "${IMAGE%@*}:$IMAGE_TAG"
  docker container inspect --format '{{.Id}}' "$SERVICE-$TO" >/dev/null 2>&1 ||
    docker create --pull=never --network=none --name="$SERVICE-$TO" --label="keeps-image-of=$SERVICE" "$IMAGE" never-started >/dev/null ||
    refuse "the image of $TO cannot be kept: $(last_line)"
}

# The registry's password lives for 12 hours; the file it is kept in lives until the
# pull has ended. Docker reads DOCKER_CONFIG, podman REGISTRY_AUTH_FILE.
pull_image() {
  local problem='' registry=${IMAGE%%/*}
  install -d -m 0700 "$RUN"
  rm -rf -- "$RUN/$SERVICE:docker."*
  DOCKER_CONFIG=$(mktemp -d "$RUN/$SERVICE:docker.XXXXXX")
  REGISTRY_AUTH_FILE=$DOCKER_CONFIG/config.json
  export DOCKER_CONFIG REGISTRY_AUTH_FILE
  if ! aws ecr get-login-password --region "$REGION" | docker login --username AWS --password-stdin "$registry" >&2; then
    problem="log in to $registry: may this host's role use ecr:GetAuthorizationToken?"
  elif ! docker pull --quiet "$IMAGE" >&2; then
    problem="pull $IMAGE: $(last_line)"
  fi
  rm -rf -- "$DOCKER_CONFIG"
  unset DOCKER_CONFIG REGISTRY_AUTH_FILE
  [[ -z $problem ]] || refuse "$problem"
}

# --- the change and its journal ---------------------------------------------

# From here on a crash leads to `recover`.
open_change() {
  local unit
  UP='' ENABLED='' OUTCOME='' CODE='' WHY=''
  for unit in $(units_of "$FROM"); do
    [[ $(property UnitFileState "$unit") != enabled ]] || ENABLED+="${ENABLED:+ }$unit"
    case $unit:$(property Type "$unit"):$(property ActiveState "$unit") in
      *.service:oneshot:activating) ;;
      *:active | *:activating) UP+="${UP:+ }$unit" ;;
    esac
  done
  record open
  # In a session of its own, so that what kills this process group leaves it alone.
  ATTA_LOCK_HELD='' ATTA_LOG_OPEN='' setsid "$(folder "$OWN")/deploy/ec2_deploy.sh" watch </dev/null >/dev/null 2>&1 8>&- 9>&- &
  ln -sfn -- "releases/$OWN/deploy/ec2_deploy.sh" "$BASE/recover"
  flush "$BASE"
  install_recovery
}

# record PHASE: writes down how far the change is. It is read after a crash, so it is
# on the disk, whole, before the phase begins.
record() {
  REACHED=$1
  printf '%s=%s\n' DEPLOYMENT "$DEPLOYMENT" ACTION "$ACTION" FROM "$FROM" TO "$TO" UP "$UP" ENABLED "$ENABLED" \
    REACHED "$REACHED" OUTCOME "$OUTCOME" CODE "$CODE" WHY "$(plain "$WHY")" TIME "$(now)" >"$BASE/.state.new" &&
    flush "$BASE/.state.new" &&
    mv -T -- "$BASE/.state.new" "$BASE/state" &&
    flush "$BASE"
}

read_state() {
  local state=$BASE/state
  DEPLOYMENT=$(entry DEPLOYMENT "$state") ACTION=$(entry ACTION "$state") UP=$(entry UP "$state")
  FROM=$(entry FROM "$state") TO=$(entry TO "$state") REACHED=$(entry REACHED "$state")
  ENABLED=$(entry ENABLED "$state") OUTCOME=$(entry OUTCOME "$state") CODE=$(entry CODE "$state") WHY=$(entry WHY "$state")
}

# flush PATH…: what was written is on the disk. Before coreutils 8.24 sync takes no
# arguments, says so, and writes everything.
flush() { sync "$@" 2>/dev/null || sync; }

# At boot the services are started after recovery, whichever of their files is there.
install_recovery() {
  local link=$UNITS/multi-user.target.wants/$RECOVERY services
  services=$(units_of "$FROM" "$TO" | sed '/\.service$/!d' | paste -s -d ' ')
  install -d -m 0755 "${link%/*}"
  cat >"$UNITS/$RECOVERY.new" <<END
# There only while a deploy is under way.
[Unit]
Description=Takes back a deploy of $SERVICE that was cut off
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
  flush "$UNITS" "${link%/*}"
}

# conclude OUTCOME CODE WHY: the record decides. What comes after it only follows from
# it, and is done again by `recover` if it is cut off.
conclude() {
  OUTCOME=$1 CODE=$2 WHY=$3
  if ! record "$REACHED"; then
    [[ $OUTCOME != deployed ]] || go_back 30 "the success cannot be written down: $(last_line)"
    note "the end cannot be written down; it will be gone through again"
  fi
  settle
}

settle() {
  local line
  if [[ $OUTCOME == deployed ]]; then
    keep_the_one_before || note "the link previous cannot be set"
    lift_quarantine || note "the quarantine of $TO cannot be lifted"
  elif [[ -n $TO && ! -f $(folder "$TO")/verified ]]; then
    ask_docker rm --volumes "$SERVICE-$TO" >&2 || true
  fi
  end_phase
  PHASE=${FAILED_IN:-$PHASE}
  note "$OUTCOME: $WHY"
  line=$(result "$OUTCOME" "$CODE" "$WHY")
  remember "$line"
  rm -f -- "$UNITS/multi-user.target.wants/$RECOVERY" "$UNITS/$RECOVERY" "$UNITS/$RECOVERY.new" "$BASE/".{state,current,previous}.new "$BASE/recover"
  leave "$line"
}

mark_verified() {
  : >"$(folder "$TO")/verified"
  flush "$(folder "$TO")"
}

# After a deploy the release before is the one to go back to; after a rollback it is the
# one below, so that going back twice goes further back.
keep_the_one_before() {
  local before=$FROM version
  if [[ $ACTION == rollback ]]; then
    before=''
    for version in $(verified_releases); do
      if is_older "$version" "$TO"; then
        before=$version
        break
      fi
    done
    [[ -n $before ]] || rm -f -- "$BASE/previous"
  fi
  [[ -z $before || $before == "$TO" || ! -f $(folder "$before")/verified ]] || point previous "$before"
}

lift_quarantine() {
  local image
  image=$(entry IMAGE "$(folder "$TO")/release.env")
  grep -qsF "${image##*@} " "$BASE/quarantine" || return 0
  { grep -vF "${image##*@} " "$BASE/quarantine" || true; } >"$BASE/.quarantine.new" && mv -T -- "$BASE/.quarantine.new" "$BASE/quarantine"
}

# quarantine: the next deploy of an image that was never seen healthy here is refused,
# unless it is told otherwise.
quarantine() {
  local image version
  image=$(entry IMAGE "$(folder "$TO")/release.env")
  for version in $(verified_releases); do
    [[ $(entry IMAGE "$(folder "$version")/release.env") != "$image" ]] || return 0
  done
  grep -qsF "${image##*@} " "$BASE/quarantine" ||
    printf '%s %s was found unhealthy at %s (%s)\n' "${image##*@}" "$TO" "$(now)" "$(plain "$WHY")" >>"$BASE/quarantine" || return
  flush "$BASE/quarantine"
}

# --- units ------------------------------------------------------------------

# units_of VERSION…: the names of their unit files, each once.
units_of() {
  local version file
  for version; do
    for file in "$BASE/releases/$version/deploy/systemd/"*.service "$BASE/releases/$version/deploy/systemd/"*.timer; do
      [[ -z $version || ! -f $file ]] || printf '%s\n' "${file##*/}"
    done
  done | sort -u
}

# property NAME [UNIT]: what systemd says of it. One question that gets no answer says
# nothing of a release, so it is put again.
property() {
  local line wait
  for wait in 0.5 1 0; do
    line=$(systemctl show --property="$1" "${2:-$UNIT}") && printf '%s' "${line#*=}" && return
    sleep "$wait"
  done
  return 1
}

# systemctl, without the host's lock: what it starts may live longer.
ctl() {
  DOING="systemctl $*"
  systemctl "$@" >&2 8>&- 9>&-
}

# No timer starts a job from here on, and a job in flight is waited for.
drain() {
  local unit waited=0
  for unit in $(units_of "$FROM"); do
    [[ $unit != *.timer || $(property ActiveState "$unit") != active ]] || ctl stop "$unit"
  done
  [[ $ON_RUNNING != kill ]] || return 0
  for unit in $(units_of "$FROM" "$TO"); do
    while is_at_work "$unit"; do
      ((waited < DRAIN_TIMEOUT)) || go_back 51 "a run of $unit has not ended within $DRAIN_TIMEOUT s"
      sleep 1
      waited=$((waited + 1))
    done
  done
}

# is_at_work UNIT: a job that waits for systemd to try it again is not in flight.
is_at_work() {
  [[ $1 == *.service && $(property Type "$1"):$(property ActiveState "$1") == oneshot:activating && $(property SubState "$1") != auto-restart ]]
}

# At boot a unit that is not up has its start waiting in systemd's queue, and a stop
# would take it out.
stop_services() {
  local unit
  for unit in $(units_of "$FROM" "$TO"); do
    case $unit:$(property ActiveState "$unit") in
      *.timer:active | *.service:active | *.service:*ing) ctl stop "$unit" ;;
    esac
  done
}

# switch_to VERSION [back]: units, enablement and `current` become those of the release,
# or of no release. On the way back, too: it needs no network and can be done twice.
switch_to() {
  local unit
  [[ -z $1 || -f $(folder "$1")/deploy/systemd/$UNIT ]] || { note "the files of $1 are not on this host" && return 1; }
  [[ -d $BASE/output ]] || install -d -m 0755 "$BASE/output"
  for unit in $(units_of "$FROM" "$TO"); do
    if [[ -n $1 && -f $(folder "$1")/deploy/systemd/$unit ]]; then
      install -T -m 0644 "$(folder "$1")/deploy/systemd/$unit" "$UNITS/$unit.new"
      flush "$UNITS/$unit.new"
      mv -T -- "$UNITS/$unit.new" "$UNITS/$unit"
    elif [[ -e $UNITS/$unit ]]; then
      ctl disable "$unit"
      rm -f -- "$UNITS/$unit"
    fi
    rm -rf -- "$UNITS/$unit.new"
  done
  if [[ -n $1 ]]; then
    point current "$1"
  else
    rm -f -- "$BASE/current"
  fi
  flush "$UNITS" "$BASE"
  ctl daemon-reload
  [[ -z $1 ]] || enable_units "$1" "$2"
}

# enable_units VERSION [back]: a job that has a timer is started by that, and not at boot
# as well. A unit that something wants stays loaded when it has ended, and with it the
# result of its run. Other services start at boot when the operator has said so.
enable_units() {
  local unit want
  for unit in $(units_of "$1"); do
    want=disabled
    if [[ $2 == back ]]; then
      [[ " $ENABLED " != *" $unit "* ]] || want=enabled
    elif [[ $unit != "$UNIT" && " $ENABLED " == *" $unit "* ]]; then
      want=enabled
    elif [[ $unit == *.timer || ($unit == "$UNIT" && ! -f $(folder "$1")/deploy/systemd/$SERVICE.timer) ]]; then
      want=enabled
    fi
    if grep -q '^\[Install\]' "$UNITS/$unit" && [[ $(property UnitFileState "$unit") != "$want" ]]; then
      ctl "${want%d}" "$unit"
    fi
  done
}

# point LINK VERSION: a rename replaces the link in one step.
point() {
  ln -sfn -- "releases/$2" "$BASE/.$1.new" && mv -T -- "$BASE/.$1.new" "$BASE/$1"
}

# start_rest VERSION forward|back [--no-block]: timers, and what was up beside the unit. On
# the way back a timer that somebody had stopped stays so.
start_rest() {
  local unit
  for unit in $(units_of "$1"); do
    if [[ $unit != "$UNIT" ]] && { was_up "$unit" || [[ $2 == forward && $unit == *.timer ]]; }; then
      ctl start ${3:+"$3"} "$unit"
    fi
  done
}

was_up() { [[ " $UP " == *" $1 "* ]]; }

# --- start and health -------------------------------------------------------

RUN_BEFORE='' STARTED='' START_CODE=0 DEADLINE=0 UNWELL=''

# A job is not run again by going back to it: it was seen healthy in its time. One that
# stays up when its program has ended is a service in this.
is_started() {
  case $(property Type):$(property RemainAfterExit) in
    oneshot:yes) [[ $RUN_ON_DEPLOY != false ]] ;;
    oneshot:*) [[ $RUN_ON_DEPLOY != false && $ACTION == deploy ]] ;;
  esac
}

is_up_or_installed() { is_started && printf runs || printf 'is installed; systemctl start %s runs it' "$SERVICE"; }

# run_of_unit: which start of the unit this is. systemd before 232 gives a run no id.
run_of_unit() {
  local id
  id=$(property InvocationID) || return
  [[ -n $id ]] || id=$(property ExecMainStartTimestampMonotonic) || return
  printf '%s' "$id"
}

start_release() { ! is_started || start_unit; }

start_unit() {
  ctl reset-failed "$UNIT" || true
  START_CODE=0
  RUN_BEFORE=$(run_of_unit)
  DEADLINE=$((SECONDS + HEALTH_TIMEOUT))
  timeout --foreground "$HEALTH_TIMEOUT" systemctl start "$UNIT" >&2 8>&- 9>&- || START_CODE=$?
}

check_health() {
  is_started || return 0
  if ! is_healthy; then
    [[ -z $STARTED ]] || { journalctl --quiet --no-pager --output=cat --lines=20 --unit="$UNIT" || true; } >&2
    go_back "${STARTED:-30}" "$UNWELL"
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
  while [[ $(property ActiveState) == deactivating ]]; do
    sleep 0.2
  done
  run=$(run_of_unit)
  UNWELL="$UNIT could not be started: systemctl start ended with $START_CODE and made no new run"
  [[ -n $run && $run != 0 && $run != "$RUN_BEFORE" ]] || return 1
  STARTED=40
  case $(property Type):$(property ActiveState):$(property SubState) in
    oneshot:activating:auto-restart) UNWELL="$UNIT failed: $(how_it_ended)" && return 1 ;;
    oneshot:activating:*)
      UNWELL="systemctl start $UNIT ended with $START_CODE before the run did" STARTED=30
      ((START_CODE == 124))
      ;;
    oneshot:*)
      UNWELL="$UNIT failed: $(how_it_ended)"
      [[ $(property Result):$(property ActiveState) =~ ^success:(inactive|active)$ ]] || return 1
      if ((START_CODE != 0 && START_CODE != 124)); then
        UNWELL="$UNIT was stopped before its end: systemctl start ended with $START_CODE" STARTED=30
        return 1
      fi
      passes_checks
      ;;
    *) stays_up "$run" ;;
  esac
}

# how_it_ended: with the exit status, unless it was a step before or after the program that failed.
how_it_ended() {
  local result status
  result=$(property Result) status=$(property ExecMainStatus)
  printf 'result %s' "$result"
  [[ $result != success && $status == 0 ]] || printf ', exit status %s' "$status"
}

# uptime_now: hundredths of a second. SECONDS would not do: it counts the seconds that
# begin, and so up to one too many.
uptime_now() {
  local up
  read -r up _ </proc/uptime
  printf '%s' "$((10#${up/./}))"
}

# stays_up RUN: systemd gives every start a run of its own, so a restart in between
# shows.
stays_up() {
  local since='' run
  UNWELL="$UNIT did not come up within $HEALTH_TIMEOUT s"
  while :; do
    run=$(run_of_unit) || run=$1
    if [[ $run != "$1" ]]; then
      UNWELL="$UNIT did not stay up: it was started again, $(how_it_ended)"
      return 1
    fi
    case $(property ActiveState):$(property SubState) in
      active:*)
        since=${since:-$(uptime_now)}
        (($(uptime_now) - since < MIN_HEALTHY_TIME * 100)) || { has_container && passes_checks && return 0; }
        ;;
      *:auto-restart*) UNWELL="$UNIT did not stay up: $(how_it_ended)" && return 1 ;;
      activating:*) ;;
      *) UNWELL="$UNIT did not stay up: $(how_it_ended)" && return 1 ;;
    esac
    ((SECONDS < DEADLINE)) || return 1
    sleep 1
  done
}

has_container() {
  local id
  id=$(ask_docker image inspect --format '{{.Id}}' "$IMAGE") &&
    [[ -n $(ask_docker ps --quiet --filter "ancestor=$id") ]] && return 0
  UNWELL="$UNIT is up, but no container runs $IMAGE"
  return 1
}

passes_checks() {
  local code=0
  if [[ -n $HEALTH_COMMAND ]]; then
    env SERVICE="$SERVICE" VERSION="$TO" timeout -k 5 60 bash -c "$HEALTH_COMMAND" </dev/null >&2 8>&- 9>&- || code=$?
    ((code == 0)) || { UNWELL="health-command ended with $code" && return 1; }
  fi
  if [[ -n $HEALTH_URL ]] && ! answers "$HEALTH_URL"; then
    UNWELL="$HEALTH_URL does not answer with 2xx or 3xx"
    return 1
  fi
}

answers() {
  local place=${1#http://} host port=80 path=/
  host=${place%%/*}
  [[ $place != */* ]] || path=/${place#*/}
  if [[ $host =~ :[0-9]+$ ]]; then
    port=${host##*:} host=${host%:*}
  fi
  timeout --foreground -k 5 10 bash "${BASH_SOURCE[0]}" request "$host" "$port" "$path"
}

# request HOST PORT PATH: by bash itself, since curl is not everywhere. A connection
# has no time limit of its own, so this runs in a process that can be ended.
request() {
  local status host=${1#[}
  exec 7<>"/dev/tcp/${host%]}/$2"
  printf 'GET %s HTTP/1.0\r\nHost: %s:%s\r\nConnection: close\r\n\r\n' "$3" "$1" "$2" >&7
  IFS= read -r status <&7
  [[ $status =~ ^HTTP/[0-9.]+\ [23][0-9][0-9] ]]
}

# --- the way back -----------------------------------------------------------

# go_back CODE WHY: to the release that ran before, or to nothing when this is the
# first. No network is needed.
go_back() {
  local well=0
  yield_to_shutdown
  CODE=$1 WHY=$2 OUTCOME='' FAILED_IN=$PHASE
  begin_phase rollback
  record "$REACHED" || note "the way back cannot be written down"
  ((CODE != 40)) || quarantine || note "the image cannot be quarantined"
  set +e
  (
    set -e
    take_back
    is_back
  )
  well=$?
  set -e
  conclude_back "$well"
}

# conclude_back STATUS
conclude_back() {
  if (($1 != 0)); then
    yield_to_shutdown
    conclude rollback-failed 41 "$WHY; going back to ${FROM:-no release at all} went wrong: $(last_line)"
  elif is_untouched; then
    conclude refused "$CODE" "$WHY; nothing was changed"
  else
    conclude rolled-back "$CODE" "$WHY; ${FROM:-nothing, as before,} is installed"
  fi
}

# While the host goes down systemd stops what runs and starts nothing, which says
# nothing of a release; the unit at boot takes the deploy back. The end of a shutdown
# is SIGTERM, which systemctl may get before this script does.
yield_to_shutdown() {
  case $(systemctl is-system-running 2>/dev/null) in
    '' | stopping | offline | unknown) ;;
    *) return 0 ;;
  esac
  note "the host is going down; the deploy is taken back when it is up again"
  trap - EXIT
  exit 30
}

is_untouched() { [[ $REACHED == open || $REACHED == drain ]]; }

# take_back [--no-block]
take_back() {
  if ! is_untouched; then
    stop_services
    switch_to "$FROM" back
    ctl reset-failed "$UNIT" || true
  fi
  start_rest "$FROM" back "$@"
}

# The release that is back must be as healthy as it was.
is_back() {
  [[ -n $FROM ]] && ! is_untouched || return 0
  load_release "$FROM"
  if was_up "$UNIT"; then
    TO=$FROM
    start_unit
    is_healthy || { note "$UNWELL" && return 1; }
  fi
  has_image || { note "the image of $FROM is not on this host, or the Docker engine does not answer" && return 1; }
}

# recover: a deploy that was cut off is taken back, or brought to its end when it had
# been a success. A service is only started here and not waited for: at boot that
# would be waiting for oneself.
recover() {
  local well=0
  [[ -L $BASE/recover ]] || return 0
  lock_host "${ATTA_LOCK_WAIT:-60}" || exit 51
  [[ -L $BASE/recover ]] || return 0
  open_log
  RECOVERING=yes
  read_state
  begin_phase recover
  [[ -z $OUTCOME ]] || settle
  load_release "$TO"
  [[ -n $CODE ]] || CODE=30 WHY="the deploy of $TO was cut off in its phase $REACHED"
  ((CODE != 40)) || quarantine || note "the image cannot be quarantined"
  wait_for_cut_off_job || exit 51
  FAILED_IN=$REACHED
  set +e
  (
    set -e
    take_back --no-block
    is_untouched || ! was_up "$UNIT" || ctl start --no-block "$UNIT"
  )
  well=$?
  set -e
  conclude_back "$well"
}

wait_for_cut_off_job() {
  local waited=0
  [[ $ON_RUNNING != kill ]] || return 0
  while ! is_untouched && is_at_work "$UNIT"; do
    if ((waited >= DRAIN_TIMEOUT)); then
      note "a run of $UNIT has not ended within $DRAIN_TIMEOUT s"
      return 1
    fi
    sleep 1
    waited=$((waited + 1))
  done
}

# watch: waits for the end of the deploy that has started it, however it ends, and then
# for that of a job that is at work. The lock comes before the first look: the link may
# not be there yet. errexit does not live in a condition, so there is none around recover.
watch() {
  local code
  while :; do
    set +e
    (
      set -e
      lock_host 1000000
      recover
    )
    code=$?
    set -e
    ((code == 51)) || exit "$code"
    sleep 20
  done
}

# --- answers ----------------------------------------------------------------

PHASE=preflight PHASE_STARTED=0 TIMES='' FAILED_IN='' ACTION='' TO='' REACHED='' UP='' ENABLED='' OUTCOME='' CODE='' WHY='' RECOVERING=no

# phase NAME COMMAND…: runs one step and keeps how long it took.
phase() {
  begin_phase "$1"
  case $1 in
    drain | stop | switch | start | health | timers) record "$1" ;;
  esac
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

# By hand the log gets everything, and the operator what happens.
open_log() {
  [[ ${ATTA_LOG_OPEN:-} != yes ]] || return 0
  local size
  export ATTA_LOG_OPEN=yes
  mkdir -p "${LOG%/*}"
  size=$(stat -c %s -- "$LOG" 2>/dev/null) || size=0
  ((size < 4 * 1024 * 1024)) || mv -f -- "$LOG" "$LOG.1"
  [[ -e $LOG ]] || install -m 0600 /dev/null "$LOG"
  exec 8>&2 2>>"$LOG"
  printf '%s bootstrap: deployment %s: %s\n' "$(now)" "$DEPLOYMENT" "${ACTION:-recover}" >&2 || true
}

now() { TZ=UTC printf '%(%FT%TZ)T' -1; }

# A full disk must not stop the way back, so a line that is lost is no error.
note() {
  printf '%s %s: %s\n' "$(now)" "${TO:-$OWN}" "$1" >&2 || true
  { [[ ! -e /dev/fd/8 ]] || printf '%s\n' "$1" >&8; } 2>/dev/null || true
}

# last_line: of the log, without the time and the version that this script puts before its own.
last_line() { tail -n 1 "$LOG" 2>/dev/null | sed 's/^20[0-9TZ:-]* [^ ]*: //' || true; }

# A command that failed without a verdict ends the deploy here, after the way back
# when something was changed.
ended_early() {
  local code=$? command=$BASH_COMMAND
  trap - EXIT
  [[ $command != 'systemctl "$@"'* ]] || command=$DOING
  case $PHASE in
    drain | stop | switch | start | health | timers | close) go_back 30 "$PHASE: '$command' ended with $code" ;;
    open) go_back 10 "$PHASE: '$command' ended with $code" ;;
    rollback) conclude rollback-failed 41 "$WHY; rollback: '$command' ended with $code" ;;
    *) finish refused 10 "$PHASE: '$command' ended with $code" ;;
  esac
}

refuse() { finish refused 10 "$1"; }

# finish OUTCOME CODE MESSAGE: the end of a deploy that has changed nothing.
finish() {
  local line
  CODE=$2
  note "$1: $3"
  line=$(result "$1" "$2" "$3")
  remember "$line"
  leave "$line"
}

leave() {
  trap - EXIT
  printf 'ATTA_RESULT %s\n' "$1"
  [[ $RECOVERING != yes || $OUTCOME == rollback-failed ]] || exit 0
  exit "$CODE"
}

# remember LINE: what became of a deployment is written down once.
remember() {
  if ! grep -qsF "\"deployment\":\"$DEPLOYMENT\"" "$BASE/history"; then
    { printf '%s %s %s\n' "$(now)" "$ACTION" "$1" >>"$BASE/history" && flush "$BASE/history"; } || note "the history cannot be written"
  fi
}

# result OUTCOME CODE MESSAGE: the one line that the caller reads. What runs is read
# from the host at this moment, not from what was meant.
result() {
  local phase=$PHASE version verified=false digest=''
  end_phase
  version=$(installed current)
  if [[ -n $version ]]; then
    digest=$(entry IMAGE "$(folder "$version")/release.env")
    [[ ! -f $(folder "$version")/verified ]] || verified=true
  fi
  printf '{"v":1,"deployment":"%s","service":"%s","outcome":"%s","code":%d,"phase":"%s","wanted":"%s","version":"%s","digest":"%s","verified":%s,"before":"%s","generation":%d,"unit":"%s","result":"%s","exit":%d,"ms":{%s},"message":"%s"}' \
    "$(json "$DEPLOYMENT")" "$SERVICE" "$1" "$2" "$phase" "$TO" "$version" "${digest##*@}" "$verified" "$FROM" \
    "$(number "$(cat "$BASE/generation" 2>/dev/null || true)" 0)" \
    "$(property ActiveState)" "$(property Result)" "$(number "$(property ExecMainStatus)" 0)" "$TIMES" "$(json "$3")"
}

plain() {
  local text=${1:0:600}
  printf '%s' "${text//[[:cntrl:]]/ }"
}

json() {
  local text
  text=$(plain "$1")
  text=${text//\\/\\\\}
  printf '%s' "${text//\"/\\\"}"
}

die() {
  printf '%s\n' "$1" >&2
  exit 10
}

# --- for the operator -------------------------------------------------------

status() {
  local version verified=no last
  if [[ ${1:-} == --json ]]; then
    result status 0 "what runs here" && printf '\n'
    return
  fi
  version=$(installed current)
  [[ -z $version || ! -f $(folder "$version")/verified ]] || verified=$(date -u -r "$(folder "$version")/verified" +%FT%TZ)
  last=$(tail -n 1 "$BASE/history" 2>/dev/null) || last=''
  row service "$SERVICE"
  row version "${version:-none}"
  row 'seen healthy' "$verified"
  row image "$(entry IMAGE "$(folder "${version:-none}")/release.env")"
  row unit "$(property ActiveState) ($(property SubState)), last run: $(how_it_ended)"
  row 'go back to' "$(installed previous)"
  row 'also here' "$(verified_releases | paste -s -d ' ')"
  row 'last deploy' "$(describe "$last")"
  [[ ! -L $BASE/recover ]] || row 'under way' "$(entry TO "$BASE/state"), in phase $(entry REACHED "$BASE/state")"
  [[ ! -s $BASE/quarantine ]] || sed 's/^[^ ]* /quarantined    /' "$BASE/quarantine"
}

row() { printf '%-14s %s\n' "$1" "${2:--}"; }

history() {
  local line
  tail -n "$(number "${1:-20}" 20)" "$BASE/history" 2>/dev/null | while IFS= read -r line; do
    describe "$line"
  done
}

# describe LINE: an entry of the history in words.
describe() {
  local entry='^([^ ]+) ([^ ]+) .*"outcome":"([^"]*)","code":([0-9]+),"phase":"([^"]*)","wanted":"([^"]*)".*"before":"([^"]*)".*"message":"(.*)"}$'
  [[ $1 =~ $entry ]] || return 0
  printf '%s %s %s -> %s: %s (%s) in %s: %s\n' "${BASH_REMATCH[1]}" "${BASH_REMATCH[2]}" "${BASH_REMATCH[7]:-nothing}" "${BASH_REMATCH[6]}" \
    "${BASH_REMATCH[3]}" "${BASH_REMATCH[4]}" "${BASH_REMATCH[5]}" "${BASH_REMATCH[8]}"
}

logs() {
  local lines
  lines=$(number "${1:-100}" 100)
  printf '== %s: the last deploy\n' "$LOG"
  { tac "$LOG" 2>/dev/null | sed '/ bootstrap: deployment /q' | head -n "$lines" || true; } | tac
  printf '== journal of %s\n' "$UNIT"
  journalctl --quiet --no-pager --lines="$lines" --unit="$UNIT"
}

usage() { sed -n '3,/^$/{/^#/!q;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}"; }

if [[ ${BASH_SOURCE[0]} == "$0" ]]; then
  main "$@"
fi
