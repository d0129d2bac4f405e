#!/usr/bin/env bash
#
# bootstrap.sh: the part of a deploy that travels in the SSM command itself.
#
#   bootstrap.sh deploy --service=NAME --version=V --image=REPOSITORY@sha256:… --region=R
#                       --bundle=s3://BUCKET/KEY --sha256=HEX --deployment=ID --not-after=EPOCH
#                       --health-timeout=SECONDS --allow-downgrade=true|false
#   bootstrap.sh status --service=NAME --deployment=ID
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
  case $COMMAND in
    status) status ;;
    deploy) deploy ;;
  esac
}

deploy() {
  trap ended_early EXIT
  require_tools
  open_log
  lock_host
  refuse_when_late
  fetch_bundle
  unpack_bundle
  install_release
  hand_over "$RELEASE/deploy/ec2_deploy.sh" "$VERSION" "$VERSION"
}

status() {
  if [[ -f $HOME_OF_SERVICE/current/release.env ]]; then
    result status 0 status "$SERVICE is installed"
  else
    result absent 0 status "no release of $SERVICE is installed"
  fi
}

# --- parameters -------------------------------------------------------------

read_parameters() {
  COMMAND=${1:-} SERVICE='' VERSION='' IMAGE='' REGION='' BUNDLE='' SHA256='' DEPLOYMENT=none
  NOT_AFTER='' HEALTH_TIMEOUT='' ALLOW_DOWNGRADE=false
  (($# == 0)) || shift
  local parameter
  for parameter; do
    case $parameter in
      --service=*) SERVICE=${parameter#*=} ;;
      --version=*) VERSION=${parameter#*=} ;;
      --image=*) IMAGE=${parameter#*=} ;;
      --region=*) REGION=${parameter#*=} ;;
      --bundle=*) BUNDLE=${parameter#*=} ;;
      --sha256=*) SHA256=${parameter#*=} ;;
      --deployment=*) DEPLOYMENT=${parameter#*=} ;;
      --not-after=*) NOT_AFTER=${parameter#*=} ;;
      --health-timeout=*) HEALTH_TIMEOUT=${parameter#*=} ;;
      --allow-downgrade=*) ALLOW_DOWNGRADE=${parameter#*=} ;;
      *) refuse "unknown parameter: $parameter" ;;
    esac
  done

  local name='[a-z][a-z0-9]*(-[a-z0-9]+)*'
  [[ $COMMAND == deploy || $COMMAND == status ]] || refuse "unknown command: ${COMMAND:-none}; use deploy or status"
  must --deployment "$DEPLOYMENT" '[A-Za-z0-9-]{1,64}'
  must --service "$SERVICE" "$name"
  if [[ $COMMAND == deploy ]]; then
    must --version "$VERSION" "(0|[1-9][0-9]*)\\.(0|[1-9][0-9]*)\\.(0|[1-9][0-9]*)-$name"
    must --image "$IMAGE" '[a-z0-9.:-]+(/[a-z0-9._-]+)+@sha256:[0-9a-f]{64}'
    must --region "$REGION" '[a-z]{2}(-[a-z]+)+-[0-9]+'
    must --bundle "$BUNDLE" 's3://[a-z0-9.-]+/[A-Za-z0-9._/-]+'
    must --sha256 "$SHA256" '[0-9a-f]{64}'
    must --not-after "$NOT_AFTER" '[1-9][0-9]{0,11}'
    must --health-timeout "$HEALTH_TIMEOUT" '[1-9][0-9]{0,5}'
    must --allow-downgrade "$ALLOW_DOWNGRADE" 'true|false'
  fi

  readonly COMMAND SERVICE VERSION IMAGE REGION BUNDLE SHA256 DEPLOYMENT NOT_AFTER HEALTH_TIMEOUT ALLOW_DOWNGRADE
  readonly ROOT=${ATTA_ROOT:-}
  readonly HOME_OF_SERVICE=$ROOT/opt/$SERVICE
  readonly RELEASE=$HOME_OF_SERVICE/releases/$VERSION
  readonly INCOMING=$HOME_OF_SERVICE/incoming/$DEPLOYMENT
  readonly LOG=$ROOT/var/log/$SERVICE-deploy.log
  readonly RUN=$ROOT/run/atta-deploy
  readonly LOCK_WAIT=${ATTA_LOCK_WAIT:-60}
}

# must NAME VALUE PATTERN: the whole value has to match.
must() {
  [[ $2 =~ ^($3)$ ]] || refuse "$1 is not valid: ${2:0:80}"
}

# --- steps ------------------------------------------------------------------

require_tools() {
  local tool missing=()
  for tool in aws docker systemctl tar sha256sum flock timeout; do
    command -v "$tool" >/dev/null || missing+=("$tool")
  done
  ((${#missing[@]} == 0)) || refuse "not installed on this host: ${missing[*]}"
}

open_log() {
  mkdir -p "$HOME_OF_SERVICE/releases" "${LOG%/*}"
  install -d -m 0700 "$RUN"
  # The log may hold what the program has printed.
  [[ -e $LOG ]] || install -m 0600 /dev/null "$LOG"
  log "deployment $DEPLOYMENT: $SERVICE $VERSION, $IMAGE"
}

# One deploy at a time on a host. Descriptor 9 holds the lock for as long as this
# process lives; children that may outlive it are started with it closed.
lock_host() {
  exec 9>"$RUN/$SERVICE.lock"
  flock --wait "$LOCK_WAIT" 9 || give_up 51 lock "another deploy of $SERVICE has held this host's lock for $LOCK_WAIT s"
}

# A command can reach the agent up to two days after it was sent.
refuse_when_late() {
  (($(date +%s) <= NOT_AFTER)) || give_up 50 lock "the command came too late (not after $(date -u -d "@$NOT_AFTER" +%FT%TZ)) and was not carried out"
}

fetch_bundle() {
  rm -rf -- "$HOME_OF_SERVICE/incoming"
  mkdir -p "$INCOMING/tree"
  aws s3 cp --region "$REGION" --only-show-errors "$BUNDLE" "$INCOMING/bundle.tar.gz" >>"$LOG" 2>&1 ||
    give_up 10 download "$BUNDLE cannot be downloaded: $(last_line)"
  local got
  got=$(sha256sum <"$INCOMING/bundle.tar.gz")
  [[ ${got%% *} == "$SHA256" ]] || give_up 20 integrity "$BUNDLE has sha256 ${got%% *}, expected $SHA256"
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

# The finished tree gets its name by one rename. A version's bytes never change,
# so a release that is already here with the same bundle and image stays as it is.
install_release() {
  printf '%s\n' "SERVICE=$SERVICE" "VERSION=$VERSION" "IMAGE=$IMAGE" "IMAGE_TAG=$VERSION" "REGION=$REGION" "BUNDLE_SHA256=$SHA256" \
    >"$INCOMING/tree/release.env"
  if [[ ! -e $RELEASE ]]; then
    mv -T -- "$INCOMING/tree" "$RELEASE"
  elif ! cmp -s "$INCOMING/tree/release.env" "$RELEASE/release.env"; then
    give_up 20 integrity "$RELEASE was made from another bundle or image; a version is never reused"
  elif diff -r --exclude=verified "$INCOMING/tree" "$RELEASE" >>"$LOG" 2>&1; then
    log "$RELEASE is already here"
  elif [[ $(readlink -f "$HOME_OF_SERVICE/current") == "$(readlink -f "$RELEASE")" ]]; then
    give_up 20 integrity "$RELEASE was changed on this host, and it is what runs: mend it, or deploy the next version"
  else
    rm -rf -- "$RELEASE"
    mv -T -- "$INCOMING/tree" "$RELEASE"
  fi
  rm -rf -- "$HOME_OF_SERVICE/incoming"
}

# hand_over SCRIPT ARGUMENT…: the release's own script may print what it likes and
# end as it likes; only its result line and a known exit code are passed on.
hand_over() {
  local answer code=0 line
  answer=$(mktemp "$RUN/$SERVICE-answer.XXXXXX")
  trap - EXIT
  ATTA_DEPLOYMENT=$DEPLOYMENT ATTA_HEALTH_TIMEOUT=$HEALTH_TIMEOUT ATTA_ALLOW_DOWNGRADE=$ALLOW_DOWNGRADE \
    "$@" >"$answer" 2>>"$LOG" 9>&- || code=$?
  line=$(grep -a -m 1 '^ATTA_RESULT ' "$answer" || true)
  rm -f -- "$answer"
  if [[ -z $line ]]; then
    log "$1 ended with $code and no result line"
    result unknown 30 hand-over "$1 ended with $code and no result line, so nobody knows how far it got"
    finish 30
  fi
  printf '%s\n' "${line:0:2000}"
  ((code == 0)) || finish "$code"
}

# --- answers ----------------------------------------------------------------

log() { printf '%s bootstrap: %s\n' "$(date -u +%FT%TZ)" "$*" >>"$LOG" || true; }

last_line() { tail -n 1 "$LOG" 2>/dev/null || true; }

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
  trap - EXIT
  log "$3"
  result refused "$1" "$2" "$3"
  finish "$1"
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
  local current=${HOME_OF_SERVICE:-/nonexistent}/current version='' digest='' verified=false unit=''
  if [[ -f $current/release.env ]]; then
    version=$(sed -n 's/^VERSION=//p' "$current/release.env")
    digest=$(sed -n 's/^IMAGE=.*@//p' "$current/release.env")
    [[ ! -f $current/verified ]] || verified=true
    unit=$(systemctl show --property=ActiveState "$SERVICE.service" 2>/dev/null | sed 's/^ActiveState=//' || true)
  fi
  printf 'ATTA_RESULT {"v":1,"deployment":"%s","service":"%s","outcome":"%s","code":%d,"phase":"%s","version":"%s","digest":"%s","verified":%s,"unit":"%s","message":"%s"}\n' \
    "$(json "$DEPLOYMENT")" "$(json "$SERVICE")" "$1" "$2" "$3" "$(json "$version")" "$(json "$digest")" "$verified" "$(json "$unit")" "$(json "$4")"
}

json() {
  local text=${1:0:600}
  text=${text//\\/\\\\}
  text=${text//\"/\\\"}
  printf '%s' "${text//[[:cntrl:]]/ }"
}

main "$@"
