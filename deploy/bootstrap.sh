#!/usr/bin/env bash
#
# bootstrap.sh: the part of a deploy that travels in the SSM command itself.
#
#   bootstrap.sh deploy --service=NAME --version=V --deployment=ID …      see FORMS
#   bootstrap.sh rollback --service=NAME --deployment=ID [--version=V] …  to a release that is here
#   bootstrap.sh status --service=NAME [--about=ID] …                     changes nothing that runs
#
# It brings the release's bundle to the host, proves that it is the right one,
# and hands over to the release's own deploy/ec2_deploy.sh. Its text is constant:
# the caller only puts validated, quoted parameters in front of it.
#
# The agent runs it as root with no HOME, in /usr/bin, and may end it at any time
# with SIGKILL, so nothing here relies on a trap to tidy up. Only the first 24,000 characters
# of standard output reach the caller: the result line is therefore printed first,
# everything else goes to the log.
# https://docs.aws.amazon.com/systems-manager/latest/userguide/ssm-rc-setting-up-logging.html
#
# Needs bash 4.2, coreutils 8.22, GNU tar 1.26, util-linux flock, the AWS CLI (1 or 2).
# ATTA_ROOT, when set, is put before every path of the host (as DESTDIR is).
# ATTA_LOCK_WAIT is how many seconds to wait for another deploy to end (60).

set -euo pipefail
umask 022
export LC_ALL=C

main() {
  read_parameters "$@"
  "$COMMAND"
}

deploy() {
  trap ended_early EXIT
  require_tools
  open_log
  lock_host
  recover_cut_off_deploy
  answer_again
  refuse_when_stale
  fetch_bundle
  unpack_bundle
  install_release
  hand_over "$RELEASE/deploy/ec2_deploy.sh" "$VERSION" "$VERSION"
}

# Back to VERSION, or without one to the release that was seen healthy before. It needs
# neither the bundle nor the registry.
rollback() {
  trap ended_early EXIT
  require_tools
  open_log
  lock_host
  recover_cut_off_deploy
  answer_again
  refuse_when_stale
  [[ -f $HOME_OF_SERVICE/current/release.env ]] || give_up 10 preflight "no release of $SERVICE is installed here"
  hand_over "$HOME_OF_SERVICE/current/deploy/ec2_deploy.sh" rollback ${VERSION:+"$VERSION"}
}

# What runs here, and with --about what has become of that deployment. With --generation
# no command of an earlier one is carried out from here on.
status() {
  local outcome=absent
  look_up
  close_fence
  exec 9>&-
  look_for_drift
  [[ ! -f $HOME_OF_SERVICE/current/release.env ]] || outcome=status
  result "$outcome" 0 status "$INSTALLED"
}

# --- parameters -------------------------------------------------------------

# The form of every parameter.
readonly NAME='[a-z][a-z0-9]*(-[a-z0-9]+)*' NUMBER='[1-9][0-9]{0,11}' TIME='[1-9][0-9]{0,5}' SWITCH='(true|false)'
declare -rA FORMS=(
  ['service']="$NAME"
  ['deployment']='[A-Za-z0-9-]{1,64}'
  ['about']='[A-Za-z0-9-]{1,64}'
  ['version']="(0|[1-9][0-9]*)\\.(0|[1-9][0-9]*)\\.(0|[1-9][0-9]*)-$NAME"
  ['image']='[a-z0-9.:-]+(/[a-z0-9._-]+)+@sha256:[0-9a-f]{64}'
  ['image-bytes']="(0|$NUMBER)"
  ['region']='[a-z]{2}(-[a-z]+)+-[0-9]+'
  ['bundle']='s3://[a-z0-9.-]+/[A-Za-z0-9._/=-]+'
  ['sha256']='[0-9a-f]{64}'
  ['not-after']="$NUMBER"
  ['generation']="$NUMBER"
  ['allow-downgrade']="$SWITCH"
  ['allow-quarantined']="$SWITCH"
  ['on-running']='(wait|kill)'
  ['drain-timeout']="(0|$TIME)"
  ['run-on-deploy']="$SWITCH"
  ['health-command']='[^[:cntrl:]]{1,1000}'
  ['health-url']='http://[^[:cntrl:][:space:]]{1,500}'
  ['health-timeout']="$TIME"
  ['min-healthy-time']="$TIME"
  ['keep-releases']='[1-9][0-9]{0,2}'
)
# Those that a command cannot do without.
declare -rA NEEDED=(
  ['deploy']="service deployment version image image-bytes region bundle sha256 not-after allow-downgrade allow-quarantined on-running \
    drain-timeout run-on-deploy health-timeout min-healthy-time keep-releases"
  ['rollback']='service deployment not-after'
  ['status']='service'
)
declare -A GIVEN=()

read_parameters() {
  local parameter name form
  COMMAND=${1:-}
  (($# == 0)) || shift
  for parameter; do
    name=${parameter%%=*}
    name=${name#--}
    [[ $parameter == --*=* && $name =~ ^[a-z0-9-]+$ && -n ${FORMS[$name]:-} ]] || refuse "unknown parameter: $parameter"
    GIVEN[$name]=${parameter#*=}
  done
  [[ -n $COMMAND && -n ${NEEDED[$COMMAND]:-} ]] || refuse "unknown command: ${COMMAND:-none}; use deploy, rollback or status"
  for name in deployment service "${!FORMS[@]}"; do
    form=${FORMS[$name]}
    [[ " ${NEEDED[$COMMAND]} " == *" $name "* || -n ${GIVEN[$name]:-} ]] || continue
    [[ ${GIVEN[$name]:-} =~ ^($form)$ ]] || refuse "--$name is not valid: ${GIVEN[$name]:0:80}"
  done

  readonly COMMAND GIVEN
  readonly SERVICE=${GIVEN[service]} VERSION=${GIVEN[version]:-} DEPLOYMENT=${GIVEN[deployment]:-none} BUNDLE=${GIVEN[bundle]:-}
  readonly ROOT=${ATTA_ROOT:-}
  readonly HOME_OF_SERVICE=$ROOT/opt/$SERVICE
  readonly RELEASE=$HOME_OF_SERVICE/releases/$VERSION
  readonly INCOMING=$HOME_OF_SERVICE/incoming/$DEPLOYMENT
  readonly HISTORY=$HOME_OF_SERVICE/history
  readonly LOG=$ROOT/var/log/$SERVICE-deploy.log
  readonly RUN=$ROOT/run/atta-deploy
  readonly LOCK=$RUN/$SERVICE.lock LOCK_WAIT=${ATTA_LOCK_WAIT:-60}
}

# --- steps ------------------------------------------------------------------

require_tools() {
  local tool missing=()
  for tool in aws docker systemctl tar sha256sum flock setsid timeout; do
    command -v "$tool" >/dev/null || missing+=("$tool")
  done
  ((${#missing[@]} == 0)) || refuse "not installed on this host: ${missing[*]}"
}

# The log may hold what the program has printed, so it is root's alone.
open_log() {
  local size
  mkdir -p "$HOME_OF_SERVICE/releases" "${LOG%/*}"
  install -d -m 0700 "$RUN"
  size=$(stat -c %s -- "$LOG" 2>/dev/null) || size=0
  ((size < 4 * 1024 * 1024)) || mv -f -- "$LOG" "$LOG.1"
  [[ -e $LOG ]] || install -m 0600 /dev/null "$LOG"
  log "deployment $DEPLOYMENT: $COMMAND $SERVICE $VERSION ${GIVEN[image]:-}"
}

# One deploy at a time on a host. Descriptor 9 holds the lock for as long as this
# process or the release's script lives. A command that came twice waits for its
# first copy, for as long as the agent lets it.
lock_host() {
  exec 9>>"$LOCK"
  if ! flock -w "$LOCK_WAIT" 9; then
    [[ $(cat "$LOCK") == "$DEPLOYMENT" ]] ||
      give_up 51 lock "another deploy of $SERVICE has held this host's lock for $LOCK_WAIT s: $(cat "$LOCK")"
    flock 9
  fi
  printf '%s\n' "$DEPLOYMENT" >"$LOCK"
}

# A command can reach the agent up to two days after it was sent, and after the
# command of a later run. The generation, when there is one, only rises.
refuse_when_stale() {
  local limit=${GIVEN[not-after]} generation=${GIVEN[generation]:-0} seen
  (($(date +%s) <= limit)) || give_up 50 lock "the command came too late (not after $(date -u -d "@$limit" +%FT%TZ)) and was not carried out"
  ((generation > 0)) || return 0
  seen=$(generation_seen)
  ((generation >= seen)) || give_up 50 lock "the command is of generation $generation, and this host has seen $seen; it was not carried out"
  keep_generation "$generation"
}

generation_seen() { cat "$HOME_OF_SERVICE/generation" 2>/dev/null || printf 0; }

keep_generation() {
  printf '%s\n' "$1" >"$HOME_OF_SERVICE/.generation.new"
  flush "$HOME_OF_SERVICE/.generation.new"
  mv -T -- "$HOME_OF_SERVICE/.generation.new" "$HOME_OF_SERVICE/generation"
  flush "$HOME_OF_SERVICE"
}

# The script of the deploy that was cut off knows how to take it back.
recover_cut_off_deploy() {
  [[ -L $HOME_OF_SERVICE/recover ]] || return 0
  log "the deploy before was cut off"
  ATTA_LOCK_HELD=yes ATTA_LOG_OPEN=yes "$HOME_OF_SERVICE/recover" recover >>"$LOG" 2>&1 ||
    give_up 51 lock "the deploy before was cut off and cannot be taken back: $(last_line)"
}

# SendCommand has no token against being repeated, so a command can come twice. The
# second one changes nothing, and gets the first one's answer.
# https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_SendCommand.html
answer_again() {
  local line
  line=$(grep -sF "\"deployment\":\"$DEPLOYMENT\"" "$HISTORY" | tail -n 1) || return 0
  [[ $line == "$(tail -n 1 "$HISTORY")" ]] || give_up 50 lock "this deployment was carried out before, and others after it"
  trap - EXIT
  log "this deployment was carried out before"
  printf 'ATTA_RESULT %s\n' "${line#* * }"
  [[ $line =~ \"code\":([0-9]+), ]]
  ((BASH_REMATCH[1] == 0)) || finish "${BASH_REMATCH[1]}"
  exit 0
}

fetch_bundle() {
  local got free
  free=$(df --block-size=1M --output=avail -- "$HOME_OF_SERVICE" | tail -n 1)
  ((free >= 64)) || give_up 10 download "not enough room: $HOME_OF_SERVICE has ${free// /} MB free, 64 MB are needed"
  rm -rf -- "$HOME_OF_SERVICE/incoming"
  mkdir -p "$INCOMING/tree"
  aws s3 cp --region "${GIVEN[region]}" --only-show-errors "$BUNDLE" "$INCOMING/bundle.tar.gz" >>"$LOG" 2>&1 ||
    give_up 10 download "$BUNDLE cannot be downloaded: $(last_line)"
  got=$(sha256sum <"$INCOMING/bundle.tar.gz")
  [[ ${got%% *} == "${GIVEN[sha256]}" ]] || give_up 20 integrity "$BUNDLE has sha256 ${got%% *}, expected ${GIVEN[sha256]}"
}

# Only regular files and folders, no setuid or setgid, nothing but VERSION and what
# is below deploy/: beside them the host keeps marks of its own.
unpack_bundle() {
  local archive=$INCOMING/bundle.tar.gz types names odd
  types=$(tar -tvzf "$archive" 2>>"$LOG") || give_up 20 integrity "$BUNDLE is not a readable tar.gz"
  odd=$(grep -Ev '^(-[rwx-]{9}|d[rwx-]{9}) ' <<<"$types" || true)
  [[ -z $odd ]] || give_up 20 integrity "$BUNDLE holds more than plain files: ${odd%%$'\n'*}"
  names=$(tar -tzf "$archive" 2>>"$LOG") || give_up 20 integrity "$BUNDLE is not a readable tar.gz"
  odd=$(grep -Ev '^(VERSION|deploy(/[A-Za-z0-9._+@ -]+)*/?)$' <<<"$names" || true)
  [[ -z $odd ]] || give_up 20 integrity "$BUNDLE holds more than VERSION and deploy/: ${odd%%$'\n'*}"
  odd=$(grep -E '/\.\.?(/|$)' <<<"$names" || true)
  [[ -z $odd ]] || give_up 20 integrity "$BUNDLE leaves its folder: ${odd%%$'\n'*}"

  tar -xzf "$archive" --no-same-owner --no-same-permissions -C "$INCOMING/tree" >>"$LOG" 2>&1 || give_up 10 unpack "$BUNDLE cannot be unpacked: $(last_line)"
  [[ $(cat "$INCOMING/tree/VERSION" 2>/dev/null) == "$VERSION" ]] || give_up 20 integrity "$BUNDLE is not the bundle of $VERSION"
  [[ -x $INCOMING/tree/deploy/ec2_deploy.sh ]] || give_up 20 integrity "$BUNDLE holds no executable deploy/ec2_deploy.sh"
}

# The finished tree gets its name by one rename, when all of it is on the disk. A
# version's bytes never change, so a release that is already here with the same bundle
# and image stays as it is; how it is rolled out may be another each time.
install_release() {
  local tree=$INCOMING/tree
  printf '%s\n' "SERVICE=$SERVICE" "VERSION=$VERSION" "IMAGE=${GIVEN[image]}" "IMAGE_TAG=$VERSION" "REGION=${GIVEN[region]}" "BUNDLE_SHA256=${GIVEN[sha256]}" \
    >"$tree/release.env"
  printf '%s\n' "IMAGE_BYTES=${GIVEN[image-bytes]}" "ON_RUNNING=${GIVEN[on-running]}" "DRAIN_TIMEOUT=${GIVEN[drain-timeout]}" \
    "RUN_ON_DEPLOY=${GIVEN[run-on-deploy]}" "HEALTH_COMMAND=${GIVEN[health-command]:-}" "HEALTH_URL=${GIVEN[health-url]:-}" \
    "HEALTH_TIMEOUT=${GIVEN[health-timeout]}" "MIN_HEALTHY_TIME=${GIVEN[min-healthy-time]}" "KEEP_RELEASES=${GIVEN[keep-releases]}" \
    >"$tree/rollout.env"
  find "$tree" -print0 | xargs -0 sync 2>/dev/null || sync
  if [[ -e $RELEASE ]]; then
    cmp -s "$tree/release.env" "$RELEASE/release.env" ||
      give_up 20 integrity "$RELEASE was made from another bundle or image; a version is never reused"
    if diff -r --exclude=verified --exclude=rollout.env "$tree" "$RELEASE" >>"$LOG" 2>&1; then
      log "$RELEASE is already here"
      mv -T -- "$tree/rollout.env" "$RELEASE/rollout.env"
    elif [[ $(readlink -f "$HOME_OF_SERVICE/current") == "$(readlink -f "$RELEASE")" ]]; then
      give_up 20 integrity "$RELEASE was changed on this host, and it is what runs: mend it, or deploy the next version"
    else
      rm -rf -- "$RELEASE"
    fi
  fi
  [[ -e $RELEASE ]] || mv -T -- "$tree" "$RELEASE"
  flush "$HOME_OF_SERVICE/releases"
  rm -rf -- "$HOME_OF_SERVICE/incoming"
}

# hand_over SCRIPT ARGUMENT…: the release's own script may print what it likes and
# end as it likes; only its result line and a known exit code are passed on.
hand_over() {
  local answer code=0 line
  answer=$(mktemp "$RUN/$SERVICE-answer.XXXXXX")
  trap - EXIT
  ATTA_DEPLOYMENT=$DEPLOYMENT ATTA_LOCK_HELD=yes ATTA_LOG_OPEN=yes \
    ATTA_ALLOW_DOWNGRADE=${GIVEN[allow-downgrade]:-false} ATTA_ALLOW_QUARANTINED=${GIVEN[allow-quarantined]:-false} \
    "$@" >"$answer" 2>>"$LOG" || code=$?
  line=$(grep -a -m 1 '^ATTA_RESULT ' "$answer" || true)
  rm -f -- "$answer"
  if [[ -z $line ]]; then
    log "$1 ended with $code and no result line"
    line=$(result unknown 30 hand-over "$1 ended with $code and no result line, so nobody knows how far it got")
    code=30
  fi
  line=${line:0:2000}
  printf '%s\n' "$line"
  # How a deploy that was cut off ends is written down by its recovery.
  [[ -L $HOME_OF_SERVICE/recover ]] || remember "${line#* }"
  ((code == 0)) || finish "$code"
}

# --- status -----------------------------------------------------------------

MORE='' INSTALLED='' AT_WORK=no

# look_up: what became of the deployment that is asked about, by the history, and what
# there is to go back to. A deploy is under way while somebody holds the host's lock, or
# until one that was cut off is taken back.
look_up() {
  local about=${GIVEN[about]:-} line found='' version releases='' verified='' home=$HOME_OF_SERVICE
  if [[ -e $LOCK ]]; then
    exec 9>>"$LOCK"
    flock -n 9 || AT_WORK=yes
  fi
  [[ ! -L $home/recover ]] || AT_WORK=yes
  if [[ -n $about ]]; then
    line=$(grep -sF "\"deployment\":\"$about\"" "$home/history" | tail -n 1) || line=''
    found=none
    [[ $AT_WORK == no ]] || found=under-way
    [[ ! $line =~ \"outcome\":\"([a-z-]+)\" ]] || found=${BASH_REMATCH[1]}
    [[ ! $line =~ \"code\":([0-9]+), ]] || found+=":${BASH_REMATCH[1]}"
  fi
  for version in $(verified_here | head -n 20); do
    releases+="${releases:+,}\"$(json "$version")\""
  done
  version=$(readlink -f -- "$home/previous" 2>/dev/null) || version=''
  verified=$(stat -L -c %Y -- "$home/current/verified" 2>/dev/null) || verified=0
  MORE=$(printf ',"about":"%s","previous":"%s","releases":[%s],"since":%d,"time":%d' \
    "$found" "$(json "${version##*/}")" "$releases" "$verified" "$(date +%s)")
}

# verified_here: the versions that were seen healthy here, the newest first.
verified_here() {
  local mark
  for mark in "$HOME_OF_SERVICE"/releases/*/verified; do
    [[ ! -f $mark ]] || basename -- "${mark%/verified}"
  done | sort -rV
}

# close_fence: also on a host that has never had the service, since a deploy of an earlier
# run may be on its way to it.
close_fence() {
  local generation=${GIVEN[generation]:-0}
  [[ $AT_WORK == no ]] || return 0
  GENERATION=$(generation_seen)
  ((generation > GENERATION)) || return 0
  mkdir -p "$HOME_OF_SERVICE"
  keep_generation "$generation"
}

# look_for_drift: in what this host differs from the release that is installed.
look_for_drift() {
  local file unit image drift='' folder=$HOME_OF_SERVICE/current/deploy/systemd
  INSTALLED="no release of $SERVICE is installed"
  [[ -f $HOME_OF_SERVICE/current/release.env ]] || return 0
  INSTALLED="$SERVICE is installed"
  for file in "$folder"/*.service "$folder"/*.timer; do
    unit=${file##*/}
    [[ -f $file ]] || continue
    cmp -s "$file" "$ROOT/etc/systemd/system/$unit" || drift+=',"unit-file"'
    [[ $unit != *.timer || $(property ActiveState "$unit") == active ]] || drift+=',"timer"'
  done
  image=$(sed -n 's/^IMAGE=//p' "$HOME_OF_SERVICE/current/release.env")
  if ! timeout 60 docker image inspect "$image" >/dev/null 2>&1; then
    drift+=',"image"'
  elif [[ $AT_WORK == no && $(property Type "$SERVICE.service") != oneshot ]]; then
    if [[ $(property ActiveState "$SERVICE.service") != active ]]; then
      drift+=',"inactive"'
    elif [[ -z $(timeout 60 docker ps --quiet --filter "ancestor=$image" 2>/dev/null) ]]; then
      drift+=',"container"'
    fi
  fi
  MORE+=",\"drift\":[${drift#,}]"
}

property() { systemctl show --property="$1" "$2" 2>/dev/null | sed "s/^$1=//" || true; }

# --- answers ----------------------------------------------------------------

log() { printf '%s bootstrap: %s\n' "$(date -u +%FT%TZ)" "$*" >>"$LOG" || true; }

last_line() { tail -n 1 "$LOG" 2>/dev/null || true; }

# flush PATH…: what was written is on the disk. Before coreutils 8.24 sync takes no
# arguments, says so, and writes everything.
flush() { sync "$@" 2>/dev/null || sync; }

# refuse MESSAGE: the parameters or the host are not fit; nothing was changed.
refuse() {
  trap - EXIT
  result refused 10 preflight "$1"
  exit 10
}

# A command that failed without a verdict, before the release's own script ran.
ended_early() {
  local code=$? command=$BASH_COMMAND
  refuse "'$command' ended with $code: $(last_line)"
}

# give_up CODE PHASE MESSAGE: ends a deploy before the release's own script ran.
give_up() {
  local line
  trap - EXIT
  log "$3"
  line=$(result refused "$1" "$2" "$3")
  printf '%s\n' "$line"
  (($1 >= 50)) || remember "${line#* }"
  finish "$1"
}

# remember LINE: what became of a deployment is written down once, by the release's
# script if it got so far.
remember() {
  grep -qsF "\"deployment\":\"$DEPLOYMENT\"" "$HISTORY" ||
    (umask 077 && printf '%s %s %s\n' "$(date -u +%FT%TZ)" "$COMMAND" "$1" >>"$HISTORY" && flush "$HISTORY") || log "the history cannot be written"
}

# finish CODE: shows the end of this deployment's log and leaves with a code that the agent
# takes as it is. It treats 168 as success, 169 as a skip, 194 as a wish to reboot.
# https://docs.aws.amazon.com/systems-manager/latest/userguide/send-commands-reboot.html
finish() {
  sed -n "/ bootstrap: deployment $DEPLOYMENT:/,\$p" "$LOG" | tail -n 60 | tail -c 6000 >&2 || true
  case $1 in
    10 | 20 | 30 | 40 | 41 | 50 | 51) exit "$1" ;;
    *) exit 30 ;;
  esac
}

# result OUTCOME CODE PHASE MESSAGE: the one line that the caller reads. What is
# installed is read from the host at this moment, and no script of a release is run
# for it.
result() {
  local home=${HOME_OF_SERVICE:-/nonexistent} version='' digest='' verified=false unit='' generation=${GENERATION:-}
  if [[ -f $home/current/release.env ]]; then
    version=$(sed -n 's/^VERSION=//p' "$home/current/release.env")
    digest=$(sed -n 's/^IMAGE=.*@//p' "$home/current/release.env")
    [[ ! -f $home/current/verified ]] || verified=true
    unit=$(property ActiveState "$SERVICE.service")
  fi
  [[ -n $generation ]] || generation=$(cat "$home/generation" 2>/dev/null) || generation=0
  printf 'ATTA_RESULT {"v":1,"deployment":"%s","service":"%s","outcome":"%s","code":%d,"phase":"%s","wanted":"%s","version":"%s","digest":"%s","verified":%s,"before":"%s","generation":%d,"unit":"%s","message":"%s"%s}\n' \
    "$(json "${DEPLOYMENT:-none}")" "$(json "${SERVICE:-}")" "$1" "$2" "$3" "$(json "${VERSION:-}")" "$(json "$version")" "$(json "$digest")" "$verified" \
    "$(json "$version")" "$generation" "$(json "$unit")" "$(json "$4")" "$MORE"
}

json() {
  local text=${1:0:600}
  text=${text//\\/\\\\}
  text=${text//\"/\\\"}
  printf '%s' "${text//[[:cntrl:]]/ }"
}

main "$@"
