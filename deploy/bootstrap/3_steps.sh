
# --- steps

require_tools() {
  local tool missing=()
  for tool in aws docker systemctl tar gzip sha256sum find xargs cmp diff flock setsid timeout; do
    command -v "$tool" >/dev/null || missing+=("$tool")
  done
  ((${#missing[@]} == 0)) || reject_command tool-missing "not installed on this host: ${missing[*]}"
}

# check_folders: scripts below the service's folder are run as root, so nobody else may write
# there, and the links to them lead to its releases.
check_folders() {
  local found home=$HOME_OF_SERVICE
  [[ -e $home ]] || return 0
  found=$(find "$home" "$home/releases" "$home"/releases/* -maxdepth 0 ! -type l '(' ! -uid "$EUID" -o -perm /022 ')' 2>/dev/null) || true
  [[ -z $found ]] || printf -v found %q "${found%%$'\n'*}" # its name may be of whoever may write there
  [[ -z $found ]] ||
    reject_command unsafe-folder "$found is not owned by root, or others may write to it, and scripts below it are run as root: chown root $found && chmod go-w $found"
  [[ ! -e $home/current || $(readlink -- "$home/current") =~ ^releases/[A-Za-z0-9.-]+$ ]] ||
    reject_command unsafe-folder "$home/current does not lead to a release: $(readlink -- "$home/current")"
  [[ ! -e $home/recover || $(readlink -- "$home/recover") =~ ^releases/[A-Za-z0-9.-]+/deploy/ec2_deploy\.sh$ ]] ||
    reject_command unsafe-folder "$home/recover does not lead to a release's script: $(readlink -- "$home/recover")"
}

# prepare_log: from here on what a command says goes to the log, whose last line is then why it failed. A log that is full stops no rollback.
prepare_log() {
  try_write create_log
  check_run
  follow_log
  try_write add_to_log "deployment $DEPLOYMENT: $COMMAND $SERVICE $VERSION ${GIVEN[image]:-}"
  exec 2>>"$LOG" || exec 2>/dev/null
}

try_write() {
  local problem
  problem=$("$@" 2>&1) || [[ $COMMAND == rollback && $problem == *'No space left'* ]] ||
    reject_command "$(reason_of "$problem")" "this host cannot be written to: ${problem##*$'\n'}"
}

# check_run: systemd does not read units again while /run has less than 16 MB: https://github.com/systemd/systemd/pull/5219
check_run() {
  local free
  free=$(df --block-size=1M --output=avail -- "$ROOT/run" | tail -n 1)
  ((free >= 17)) || reject_command no-space "not enough room: $ROOT/run has $((free)) MB free, systemd needs 16 MB to reload units"
}

# The log may hold what the program has printed, so it is root's alone.
create_log() {
  local size
  mkdir -p "$HOME_OF_SERVICE/releases" "${LOG%/*}" && install -d -m 0700 "$RUN" || return
  size=$(stat -c %s -- "$LOG" 2>/dev/null) || size=0
  ((size < 4 * 1024 * 1024)) || mv -f -- "$LOG" "$LOG.1" || return
  [[ -e $LOG ]] || install -m 0600 /dev/null "$LOG"
}

# reason_of PROBLEM: prints the reason for what a command said.
reason_of() {
  case $1 in
    *'No space left'*) printf no-space ;;
    *) printf script-failed ;;
  esac
}

# follow_log: with --live-log=true, what is added to the log from here on is printed at once. This
# ends with the script, after the last line, and keeps neither standard output nor the host's lock.
follow_log() {
  local size
  [[ ${GIVEN[live-log]:-} == true ]] || return 0
  size=$(stat -c %s -- "$LOG")
  tail --follow --bytes=+$((size + 1)) --sleep-interval=0.2 --pid=$$ -- "$LOG" >&2 2>/dev/null </dev/null &
}

# One deploy at a time on a host. Descriptor 9 holds the lock for as long as this
# process or the release's script lives. A command that came twice waits for its
# first copy, for as long as the agent lets it.
hold_host_lock() {
  exec 9>>"$LOCK"
  flock -n 9 || log_line "waiting for another deploy of $SERVICE, $(cat "$LOCK"), until $(date -u -d "+$LOCK_WAIT seconds" +%FT%TZ)"
  if ! flock -w "$LOCK_WAIT" 9; then
    [[ $(cat "$LOCK") == "$DEPLOYMENT" ]] ||
      abort_command 51 lock busy "another deploy of $SERVICE has held this host's lock for $LOCK_WAIT s: $(cat "$LOCK")"
    flock 9
  fi
  printf '%s\n' "$DEPLOYMENT" >"$LOCK"
}

# A command can reach the agent up to two days after it was sent, and after the
# command of a later run. The generation, when there is one, only rises.
reject_stale_command() {
  local limit=${GIVEN[not-after]} generation=${GIVEN[generation]:-0} now seen
  printf -v now '%(%s)T' -1
  ((now <= limit)) || abort_command 50 lock stale "the command came too late and was not run: not after $(date -u -d "@$limit" +%FT%TZ), and this host's clock says $(date -u -d "@$now" +%FT%TZ)"
  ((generation > 0)) || return 0
  seen=$(seen_generation)
  ((generation >= seen)) || abort_command 50 lock stale "the command is of generation $generation, and this host has seen $seen; it was not run"
  raise_generation "$generation"
}

seen_generation() { cat "$HOME_OF_SERVICE/generation" 2>/dev/null || printf 0; }

# raise_generation NUMBER: never lowers it. A status command does this while a deploy is at work.
raise_generation() {
  local problem
  install -d -m 0700 "$RUN"
  problem=$({ flock 8 && write_generation "$1"; } 2>&1 8>>"$RUN/$SERVICE.generation") && return 0
  reject_command "$(reason_of "$problem")" "the generation cannot be written to $HOME_OF_SERVICE: ${problem##*: }"
}

write_generation() {
  (($1 > $(seen_generation))) || return 0
  printf '%s\n' "$1" >"$HOME_OF_SERVICE/.generation.new" && flush_to_disk "$HOME_OF_SERVICE/.generation.new" &&
    mv -T -- "$HOME_OF_SERVICE/.generation.new" "$HOME_OF_SERVICE/generation" && flush_to_disk "$HOME_OF_SERVICE"
}

# The script of the deploy that was cut off knows how to roll it back.
recover_interrupted_deploy() {
  [[ -L $HOME_OF_SERVICE/recover ]] || return 0
  log_line "the previous deploy was cut off"
  ATTA_LOCK_HELD=yes ATTA_LOG_OPEN=yes "$HOME_OF_SERVICE/recover" recover >>"$LOG" 2>&1 || [[ ! -L $HOME_OF_SERVICE/recover ]] ||
    abort_command 51 lock cut-off "the previous deploy was cut off and cannot be rolled back: $(last_log_line)"
}

# SendCommand has no token against being repeated, so a command can come twice. The
# second one changes nothing, and gets the first one's answer.
# https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_SendCommand.html
repeat_answer() {
  local line
  line=$(find_in_history "$DEPLOYMENT") || return 0
  line=${line##*$'\n'}
  [[ $line == "$(tail -n 1 "$HISTORY")" ]] || abort_command 50 lock stale "this deployment ran before, and others after it"
  trap - EXIT
  log_line "this deployment ran before"
  printf 'ATTA_RESULT %s\n' "${line#* * }"
  [[ $line =~ \"code\":([0-9]+), ]]
  ((BASH_REMATCH[1] == 0)) || exit_with_log "${BASH_REMATCH[1]}"
  exit 0
}

# The most that a bundle may have, packed or unpacked, in bytes.
readonly MAX_BUNDLE=33554432

fetch_bundle() {
  local got free
  free=$(df --block-size=1M --output=avail -- "$HOME_OF_SERVICE" | tail -n 1)
  ((free >= 64)) || abort_command 10 download no-space "not enough room: $HOME_OF_SERVICE has ${free// /} MB free, 64 MB are needed"
  rm -rf -- "$HOME_OF_SERVICE/incoming"
  mkdir -p "$INCOMING/tree"
  (ulimit -f $((MAX_BUNDLE / 1024)) && exec aws s3 cp --region "${GIVEN[region]}" --only-show-errors "$BUNDLE" "$INCOMING/bundle.tar.gz" >>"$LOG" 2>&1) ||
    abort_command 10 download bundle-unavailable "$BUNDLE cannot be downloaded, or has more than $((MAX_BUNDLE >> 20)) MB: $(name_identity "$(last_log_line)" "${GIVEN[region]}")"
  got=$(sha256sum <"$INCOMING/bundle.tar.gz")
  [[ ${got%% *} == "${GIVEN[sha256]}" ]] || abort_command 20 integrity bundle-invalid "$BUNDLE has sha256 ${got%% *}, expected ${GIVEN[sha256]}"
}

# Only regular files and folders, no setuid or setgid, nothing but VERSION and what is
# below deploy/: the host keeps its own marks next to them.
unpack_bundle() {
  local archive=$INCOMING/bundle.tar.gz types names odd
  (($(gzip -dc -- "$archive" 2>>"$LOG" | head -c $((MAX_BUNDLE + 1)) | wc -c) <= MAX_BUNDLE)) ||
    abort_command 20 integrity bundle-invalid "$BUNDLE has more than $((MAX_BUNDLE >> 20)) MB unpacked"
  types=$(tar -tvzf "$archive" 2>>"$LOG") || abort_command 20 integrity bundle-invalid "$BUNDLE is not a readable tar.gz"
  odd=$(printf '%s\n' "$types" | grep -Ev '^(-[rwx-]{9}|d[rwx-]{9}) ') || odd=''
  [[ -z $odd ]] || abort_command 20 integrity bundle-invalid "$BUNDLE holds more than plain files: ${odd%%$'\n'*}"
  names=$(tar -tzf "$archive" 2>>"$LOG") || abort_command 20 integrity bundle-invalid "$BUNDLE is not a readable tar.gz"
  odd=$(printf '%s\n' "$names" | grep -Ev '^(VERSION|deploy(/[A-Za-z0-9._+@ -]+)*/?)$') || odd=''
  [[ -z $odd ]] || abort_command 20 integrity bundle-invalid "$BUNDLE holds more than VERSION and deploy/: ${odd%%$'\n'*}"
  odd=$(printf '%s\n' "$names" | grep -E '/\.\.?(/|$)') || odd=''
  [[ -z $odd ]] || abort_command 20 integrity bundle-invalid "$BUNDLE leaves its folder: ${odd%%$'\n'*}"

  tar -xzf "$archive" --no-same-owner --no-same-permissions -C "$INCOMING/tree" >>"$LOG" 2>&1 || abort_command 10 unpack bundle-unavailable "$BUNDLE cannot be unpacked: $(last_log_line)"
  [[ $(cat "$INCOMING/tree/VERSION" 2>/dev/null) == "$VERSION" ]] || abort_command 20 integrity bundle-invalid "$BUNDLE is not the bundle of $VERSION"
  [[ -x $INCOMING/tree/deploy/ec2_deploy.sh ]] || abort_command 20 integrity bundle-invalid "$BUNDLE holds no executable deploy/ec2_deploy.sh"
}

# The finished tree gets its name by one rename, when all of it is on the disk. A version's
# bytes never change, so a release that is here with the same bundle and image stays as it
# is; its rollout settings may differ each time.
install_release() {
  local tree=$INCOMING/tree kept
  printf '%s\n' "SERVICE=$SERVICE" "VERSION=$VERSION" "IMAGE=${GIVEN[image]}" "IMAGE_TAG=$VERSION" "REGION=${GIVEN[region]}" "BUNDLE_SHA256=${GIVEN[sha256]}" \
    >"$tree/release.env"
  printf '%s\n' "IMAGE_BYTES=${GIVEN[image-bytes]}" "ON_RUNNING=${GIVEN[on-running]}" "DRAIN_TIMEOUT=${GIVEN[drain-timeout]}" \
    "ROLLBACK=${GIVEN[rollback]}" "RUN_ON_DEPLOY=${GIVEN[run-on-deploy]}" "HEALTH_COMMAND=${GIVEN[health-command]:-}" "HEALTH_URL=${GIVEN[health-url]:-}" \
    "HEALTH_TIMEOUT=${GIVEN[health-timeout]}" "MIN_HEALTHY_TIME=${GIVEN[min-healthy-time]}" "KEEP_RELEASES=${GIVEN[keep-releases]}" \
    "SETTINGS_FROM=${SETTINGS_FROM%/}" "ALLOW_ENV_FILE=${GIVEN[allow-env-file]:-true}" >"$tree/rollout.env"
  : >"$tree/settings.env"                             # the release's script writes it
  chmod 0600 "$tree/rollout.env" "$tree/settings.env" # they may hold more than others should read
  find "$tree" -print0 | xargs -0 sync 2>/dev/null || sync
  if [[ -e $RELEASE ]]; then
    cmp -s "$tree/release.env" "$RELEASE/release.env" ||
      abort_command 20 integrity release-changed "$RELEASE was made from another bundle or image; a version is never reused"
    if diff -r --exclude=verified --exclude=installed --exclude=failed --exclude=rollback-failed --exclude=rollout.env --exclude='settings.env*' "$tree" "$RELEASE" >>"$LOG" 2>&1; then
      log_line "$RELEASE is already here"
      keep_rollout
      mv -T -- "$tree/rollout.env" "$RELEASE/rollout.env"
    elif [[ $(readlink -f "$HOME_OF_SERVICE/current") == "$(readlink -f "$RELEASE")" ]]; then
      abort_command 20 integrity release-changed "$RELEASE was changed on this host, and it is what runs: restore it, or deploy the next version"
    else # of the same image, so what was seen of it holds
      keep_rollout
      for kept in verified installed failed rollback-failed settings.env; do
        [[ ! -f $RELEASE/$kept ]] || { cp -p -- "$RELEASE/$kept" "$tree/" && flush_to_disk "$tree/$kept"; }
      done
      rm -rf -- "$HOME_OF_SERVICE/.replaced"
      mv -T -- "$RELEASE" "$HOME_OF_SERVICE/.replaced"
      mv -T -- "$tree" "$RELEASE"
      flush_to_disk "$HOME_OF_SERVICE/releases"
      rm -rf -- "$HOME_OF_SERVICE/.replaced"
    fi
  fi
  [[ -e $RELEASE ]] || mv -T -- "$tree" "$RELEASE"
  flush_to_disk "$HOME_OF_SERVICE/releases"
  rm -rf -- "$HOME_OF_SERVICE/incoming"
}

# keep_rollout: saves the release's rollout settings, by which a rollback is judged, until the deploy succeeds. The file
# survives a kill and a reboot; its first line is DEPLOYMENT VERSION.
keep_rollout() {
  [[ -f $RELEASE/rollout.env ]] || return 0
  (umask 077 && { printf '%s\n' "$DEPLOYMENT $VERSION" && cat "$RELEASE/rollout.env"; } >"$HOME_OF_SERVICE/.rollout.new") &&
    flush_to_disk "$HOME_OF_SERVICE/.rollout.new" && mv -T -- "$HOME_OF_SERVICE/.rollout.new" "$HOME_OF_SERVICE/.rollout.kept"
}

# hand_over SCRIPT ARGUMENT…: the release's own script may print anything and exit with any
# code; only its result line and a known exit code are passed on.
hand_over() {
  local answer code=0 line
  answer=$(mktemp "$RUN/$SERVICE-answer.XXXXXX")
  trap - EXIT
  ATTA_DEPLOYMENT=$DEPLOYMENT ATTA_LOCK_HELD=yes ATTA_LOG_OPEN=yes ATTA_GENERATION=${GIVEN[generation]:-} \
    ATTA_ALLOW_DOWNGRADE=${GIVEN[allow-downgrade]:-false} ATTA_ALLOW_QUARANTINED=${GIVEN[allow-quarantined]:-false} \
    "$@" >"$answer" 2>>"$LOG" || code=$?
  line=$(grep -a -m 1 '^ATTA_RESULT ' "$answer") || line=''
  rm -f -- "$answer"
  if [[ -z $line ]]; then
    log_line "$1 ended with $code and no result line"
    line=$(print_report unknown 30 script-failed hand-over "$1 ended with $code and no result line, so nobody knows how far it got")
    code=30
  fi
  [[ $COMMAND != check && ! $COMMAND:$line =~ ^deploy:.*\"outcome\":\"(refused|roll) ]] || restore_rollout
  [[ ! $COMMAND:$line =~ ^deploy:.*\"outcome\":\"(deployed|unchanged)\" ]] || forget_rollout "$VERSION"
  [[ $COMMAND == check ]] || mark_rollback "$HOME_OF_SERVICE" "$line"
  line=${line:0:2000}
  printf '%s\n' "$line"
  # The result of a deploy that was cut off is recorded by its recovery.
  [[ $COMMAND == check || -L $HOME_OF_SERVICE/recover ]] || append_history "${line#* }"
  ((code == 0)) || exit_with_log "$code"
}
