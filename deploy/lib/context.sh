# shellcheck shell=bash
# context.sh: which release this is about, where its files are, and the host lock. Part of ec2_deploy.sh.

load_context() {
  local release=${SCRIPT%/*/*}
  if [[ ! -f $release/release.env ]]; then
    die "this script works from inside a release: /opt/SERVICE/current/deploy/ec2_deploy.sh --help"
  fi
  readonly ROOT=${ATTA_ROOT:-}
  ((EUID == 0)) || [[ -n $ROOT ]] || die "this needs root: sudo $SCRIPT …"
  read_entries "$release/release.env"
  SERVICE=${ENTRY[SERVICE]:-}
  readonly SERVICE OWN=${release##*/}
  readonly BASE=$ROOT/opt/$SERVICE RUN=$ROOT/run/atta-deploy LOG=$ROOT/var/log/$SERVICE-deploy.log
  readonly UNIT=$SERVICE.service UNITS=$ROOT/etc/systemd/system
  readonly RECOVERY=$SERVICE-recover.service
  DEPLOYMENT=${ATTA_DEPLOYMENT:-}
  [[ -n $DEPLOYMENT ]] || TZ=UTC printf -v DEPLOYMENT 'by-hand-%(%Y%m%dT%H%M%S)T-%d' -1 $$
  read_linked_version current
  FROM=$REPLY
  load_release "$OWN"
}

# read_entries FILE…: sets ENTRY to the KEY=value lines of the files. The first value of a key
# counts, and the end of a file that has no newline is not read.
declare -gA ENTRY=()
read_entries() {
  local file line
  ENTRY=()
  for file; do
    [[ -f $file ]] || continue
    while IFS= read -r line; do
      [[ $line != [A-Z]*=* || -n ${ENTRY[${line%%=*}]+set} ]] || ENTRY[${line%%=*}]=${line#*=}
    done <"$file"
  done
}

# read_linked_version LINK: sets REPLY to the version that the link current or previous points
# to, or to nothing.
read_linked_version() {
  read_entries "$BASE/$1/release.env"
  REPLY=${ENTRY[VERSION]:-}
}

# load_release VERSION [FILE]: from here on the settings and the image are those of VERSION; FILE takes precedence.
load_release() {
  read_entries "$BASE/releases/$1/release.env" "${2:-}" "$BASE/releases/$1/rollout.env"
  IMAGE=${ENTRY[IMAGE]:-} IMAGE_ID='' IMAGE_TAG=${ENTRY[IMAGE_TAG]:-} REGION=${ENTRY[REGION]:-}
  ROLLBACK=${ENTRY[ROLLBACK]:-} ON_RUNNING=${ENTRY[ON_RUNNING]:-} RUN_ON_DEPLOY=${ENTRY[RUN_ON_DEPLOY]:-}
  HEALTH_COMMAND=${ENTRY[HEALTH_COMMAND]:-} HEALTH_URL=${ENTRY[HEALTH_URL]:-}
  SETTINGS_FROM=${ENTRY[SETTINGS_FROM]:-} ALLOW_ENV_FILE=${ENTRY[ALLOW_ENV_FILE]:-}
  number_or "${ENTRY[DRAIN_TIMEOUT]:-}" 600 && DRAIN_TIMEOUT=$REPLY
  number_or "${ENTRY[HEALTH_TIMEOUT]:-}" 300 && HEALTH_TIMEOUT=$REPLY
  number_or "${ENTRY[MIN_HEALTHY_TIME]:-}" 10 && MIN_HEALTHY_TIME=$REPLY
  number_or "${ENTRY[KEEP_RELEASES]:-}" 5 && KEEP_RELEASES=$REPLY
  number_or "${ENTRY[IMAGE_BYTES]:-}" 0 && IMAGE_BYTES=$REPLY
}

# number_or TEXT DEFAULT
number_or() {
  REPLY=$1
  [[ $1 =~ ^(0|[1-9][0-9]*)$ ]] || REPLY=$2
}

# begin_change ACTION: one at a time on a host. bootstrap.sh holds the lock already.
begin_change() {
  ACTION=$1
  trap handle_early_exit EXIT
  trap 'trap - EXIT; exit 30' TERM
  redirect_log
  TO=$OWN
  if ! try_lock "${ATTA_LOCK_WAIT:-60}"; then
    CODE=51 WHY="another deploy of $SERVICE is at work on this host: $(cat "$RUN/$SERVICE.lock")"
    log_note "$WHY"
    format_report refused 51 busy "$WHY"
    print_and_exit "$REPLY"
  fi
  if [[ -L $BASE/recover ]]; then
    [[ $(readlink -- "$BASE/recover") =~ ^releases/[A-Za-z0-9.-]+/deploy/ec2_deploy\.sh$ ]] ||
      refuse unsafe-folder "$BASE/recover does not lead to a release's script: $(readlink -- "$BASE/recover")"
    log_note "the previous deploy was cut off"
    ATTA_LOCK_HELD=yes "$BASE/recover" recover >&2 || [[ ! -L $BASE/recover ]] || end_unchanged refused 51 cut-off "the previous deploy was cut off and cannot be rolled back: $(last_log_line)"
  fi
  # By hand, a release is judged by its own checks, too, and not by those of a command that was killed.
  if [[ ${ATTA_LOCK_HELD:-} != yes ]]; then
    settle_killed_command
    load_release "$OWN"
  fi
  read_linked_version current
  FROM=$REPLY
  verify_current
  read_generation
  number_or "${ATTA_GENERATION:-}" "$REPLY" && GENERATION=$REPLY
}

# read_generation: sets REPLY to the highest generation that this host has accepted.
read_generation() {
  local generation=''
  { read -r generation <"$BASE/generation"; } 2>/dev/null || true
  number_or "$generation" 0
}

# is_locked FILE: somebody holds this lock, and does not share it.
is_locked() {
  local code=0
  flock --shared --nonblock "$1" true 2>/dev/null || code=$?
  ((code == 1))
}

# try_lock SECONDS: descriptor 9 holds the lock for as long as this process lives.
# What may live longer is started without it.
try_lock() {
  [[ ${ATTA_LOCK_HELD:-} != yes ]] || return 0
  install -d -m 0700 "$RUN"
  exec 9>>"$RUN/$SERVICE.lock"
  flock -n 9 || log_wait "another deploy of $SERVICE, $(cat "$RUN/$SERVICE.lock")" "$1"
  flock -w "$1" 9 || return 1
  printf '%s\n' "$DEPLOYMENT" >"$RUN/$SERVICE.lock"
}
