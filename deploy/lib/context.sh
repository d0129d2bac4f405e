# shellcheck shell=bash
# context.sh: which release this is about, where its files are, and the host lock. Part of ec2_deploy.sh.

load_context() {
  local release
  release=$(cd "${SCRIPT%/*}/.." && pwd -P)
  if [[ ! -f $release/release.env ]]; then
    die "this script works from inside a release: /opt/SERVICE/current/deploy/ec2_deploy.sh --help"
  fi
  readonly ROOT=${ATTA_ROOT:-}
  ((EUID == 0)) || [[ -n $ROOT ]] || die "this needs root: sudo $SCRIPT …"
  SERVICE=$(read_entry SERVICE "$release/release.env")
  readonly SERVICE OWN=${release##*/}
  readonly BASE=$ROOT/opt/$SERVICE RUN=$ROOT/run/atta-deploy LOG=$ROOT/var/log/$SERVICE-deploy.log
  readonly UNIT=$SERVICE.service UNITS=$ROOT/etc/systemd/system
  readonly RECOVERY=$SERVICE-recover.service
  DEPLOYMENT=${ATTA_DEPLOYMENT:-by-hand-$(date -u +%Y%m%dT%H%M%S)-$$}
  FROM=$(linked_version current)
  load_release "$OWN"
}

# read_entry KEY FILE: the value of a KEY=value line.
read_entry() {
  local line
  [[ -f $2 ]] || return 0
  while IFS= read -r line; do
    [[ $line != "$1="* ]] || { printf '%s' "${line#*=}" && return; }
  done <"$2"
}

# linked_version LINK: the version that the link current or previous points to, or nothing.
linked_version() {
  local target
  target=$(readlink -f -- "$BASE/$1") && [[ -f $target/release.env ]] || return 0
  printf '%s' "${target##*/}"
}

release_dir() { printf '%s' "$BASE/releases/$1"; }

# load_release VERSION: from here on the settings and the image are those of VERSION.
load_release() {
  local file=$BASE/releases/$1/release.env settings=$BASE/releases/$1/rollout.env
  IMAGE=$(read_entry IMAGE "$file") IMAGE_TAG=$(read_entry IMAGE_TAG "$file") REGION=$(read_entry REGION "$file")
  ON_RUNNING=$(read_entry ON_RUNNING "$settings") RUN_ON_DEPLOY=$(read_entry RUN_ON_DEPLOY "$settings")
  HEALTH_COMMAND=$(read_entry HEALTH_COMMAND "$settings") HEALTH_URL=$(read_entry HEALTH_URL "$settings")
  DRAIN_TIMEOUT=$(number_or "$(read_entry DRAIN_TIMEOUT "$settings")" 600)
  HEALTH_TIMEOUT=$(number_or "$(read_entry HEALTH_TIMEOUT "$settings")" 300)
  MIN_HEALTHY_TIME=$(number_or "$(read_entry MIN_HEALTHY_TIME "$settings")" 10)
  KEEP_RELEASES=$(number_or "$(read_entry KEEP_RELEASES "$settings")" 5)
  IMAGE_BYTES=$(number_or "$(read_entry IMAGE_BYTES "$settings")" 0)
}

# number_or TEXT DEFAULT
number_or() { [[ $1 =~ ^(0|[1-9][0-9]*)$ ]] && printf '%s' "$1" || printf '%s' "$2"; }

# begin_change ACTION: one at a time on a host. bootstrap.sh holds the lock already.
begin_change() {
  ACTION=$1
  trap handle_early_exit EXIT
  trap 'trap - EXIT; exit 30' TERM
  redirect_log
  TO=$OWN
  if ! try_lock "${ATTA_LOCK_WAIT:-60}"; then
    CODE=51
    log_note "another deploy of $SERVICE is at work on this host: $(cat "$RUN/$SERVICE.lock")"
    print_and_exit "$(format_report refused 51 busy "another deploy of $SERVICE is at work on this host: $(cat "$RUN/$SERVICE.lock")")"
  fi
  if [[ -L $BASE/recover ]]; then
    log_note "the previous deploy was cut off"
    ATTA_LOCK_HELD=yes "$BASE/recover" recover >&2 || end_unchanged refused 51 cut-off "the previous deploy was cut off and cannot be rolled back: $(last_log_line)"
  fi
  FROM=$(linked_version current)
}

# try_lock SECONDS: descriptor 9 holds the lock for as long as this process lives.
# What may live longer is started without it.
try_lock() {
  [[ ${ATTA_LOCK_HELD:-} != yes ]] || return 0
  install -d -m 0700 "$RUN"
  exec 9>>"$RUN/$SERVICE.lock"
  flock -w "$1" 9 || return 1
  printf '%s\n' "$DEPLOYMENT" >"$RUN/$SERVICE.lock"
}
