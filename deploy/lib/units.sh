# shellcheck shell=bash
# units.sh: systemd units: drain, stop, switch, start. Part of ec2_deploy.sh.

# list_units VERSION…: sets REPLY to the names of their unit files, each once, services first.
list_units() {
  local type version file
  REPLY=''
  for type in service timer; do
    for version; do
      for file in "$BASE/releases/$version/deploy/systemd/"*."$type"; do
        [[ -z $version || ! -f $file || " $REPLY " == *" ${file##*/} "* ]] || REPLY+="${REPLY:+ }${file##*/}"
      done
    done
  done
}

# query_properties [UNIT]: sets PROPERTY to what systemd has of the unit at this moment. A query that
# is not answered says nothing about a release, so it is repeated.
declare -gA PROPERTY=()
readonly PROPERTIES=Type,RemainAfterExit,ActiveState,SubState,Result,ExecMainStatus,InvocationID,ExecMainStartTimestampMonotonic,ExecMainExitTimestampMonotonic,UnitFileState,FragmentPath
query_properties() {
  local text wait
  PROPERTY=()
  for wait in 0.5 1 0; do
    if text=$(systemctl show --property="$PROPERTIES" "${1:-$UNIT}"); then
      read_properties <<<"$text"
      return 0
    fi
    sleep "$wait"
  done
  return 1
}

# unit_is PROPERTY VALUE [UNIT]
unit_is() { query_properties "${3:-}" && [[ ${PROPERTY[$1]:-} == "$2" ]]; }

# systemctl, without the host's lock: what it starts may live longer.
run_systemctl() {
  DOING="systemctl $*"
  systemctl "$@" >&2 8>&- 9>&-
}

# No timer starts a job from here on, and a job in flight is waited for. That can take long
# enough for a later run to begin, and it is the last moment at which nothing has changed.
drain_jobs() {
  local unit
  list_units "$FROM"
  for unit in $REPLY; do
    [[ $unit != *.timer ]] || ! unit_is ActiveState active "$unit" || run_systemctl stop "$unit"
  done
  [[ $ON_RUNNING == kill ]] || wait_for_jobs
  note_late_start
  read_generation
  ((REPLY <= GENERATION)) || roll_back 50 stale "a later run, of generation $REPLY, has started since"
}

# note_late_start: what was being started or stopped when the change was opened may be up by now, a job that stays up or
# a service that somebody restarts. A rollback starts it again.
note_late_start() {
  if unit_is ActiveState deactivating; then
    while unit_is ActiveState deactivating; do
      sleep 0.2
    done
    sleep 0.2 # until the second half of a restart
    query_properties
  fi
  case ${PROPERTY[Type]:-}:${PROPERTY[ActiveState]:-} in
    oneshot:activating) ;;
    *:active | *:activating) was_up "$UNIT" || UP+="${UP:+ }$UNIT" ;;
  esac
}

wait_for_jobs() {
  local unit waited=0
  list_units "$FROM" "$TO"
  for unit in $REPLY; do
    while job_is_running "$unit"; do
      ((waited > 0)) || log_wait "a run of $unit to end" "$DRAIN_TIMEOUT"
      ((waited < DRAIN_TIMEOUT)) || roll_back 51 job-running "a run of $unit has not ended within $DRAIN_TIMEOUT s"
      sleep 1
      waited=$((waited + 1))
    done
  done
}

# job_is_running UNIT: a job that waits for systemd to try it again is not in flight.
job_is_running() {
  [[ $1 == *.service ]] && query_properties "$1" &&
    [[ ${PROPERTY[Type]:-}:${PROPERTY[ActiveState]:-} == oneshot:activating && ${PROPERTY[SubState]:-} != auto-restart ]]
}

# At boot a unit that is not up has its start waiting in systemd's queue, and a stop
# would take it out.
stop_units() {
  local unit
  list_units "$FROM" "$TO"
  for unit in $REPLY; do
    query_properties "$unit" || true
    case $unit:${PROPERTY[ActiveState]:-} in
      *.timer:active | *.service:active | *.service:*ing) run_systemctl stop "$unit" ;;
    esac
  done
}

# switch_release VERSION forward|back: settings, units, enablement and `current` become those of the
# release, or of no release. It needs no network and can be done twice.
switch_release() {
  local unit gone='' folder=$BASE/releases/$1/deploy/systemd
  [[ -z $1 || -f $folder/$UNIT ]] || { log_note "the files of $1 are not on this host" && return 1; }
  [[ -d $BASE/output ]] || make_output
  forget_container
  if [[ $2 == forward ]]; then install_settings; else restore_settings; fi
  list_units "$FROM" "$TO"
  for unit in $REPLY; do
    if [[ -n $1 && -f $folder/$unit ]]; then
      install -T -m 0644 "$folder/$unit" "$UNITS/$unit.new"
      flush_to_disk "$UNITS/$unit.new"
      mv -T -- "$UNITS/$unit.new" "$UNITS/$unit"
    elif [[ -e $UNITS/$unit ]]; then
      run_systemctl disable "$unit"
      rm -f -- "$UNITS/$unit"
      gone+=" $unit"
    fi
    [[ ! -e $UNITS/$unit.new ]] || rm -rf -- "$UNITS/$unit.new"
  done
  if [[ -n $1 ]]; then
    point_link current "$1"
  else
    rm -f -- "$BASE/current"
  fi
  flush_to_disk "$UNITS" "$BASE"
  run_systemctl daemon-reload
  for unit in $gone; do # at boot, systemd may have started it since
    ! unit_is ActiveState active "$unit" || run_systemctl stop "$unit"
  done
  [[ -z $1 ]] || enable_units "$1" "$2"
}

# make_output: the folder belongs to the user that the image names, with its group, so that a program
# that is not root can write there. With userns-remap, Docker's folder is named after root's IDs, and all others are
# counted from there: https://docs.docker.com/engine/security/userns-remap/
make_output() {
  local user group='' entry
  user=$(query_docker image inspect --format '{{.Config.User}}' "$IMAGE" 2>/dev/null) || user=''
  [[ $user != *:* ]] || group=${user#*:} user=${user%%:*}
  if [[ -n $user && ! $user =~ ^[0-9]+$ ]] || [[ -n $user && -z $group ]]; then
    entry=$(read_from_image passwd | grep -aE "^($user:|[^:]*:[^:]*:$user:)" | head -n 1) || entry=''
    IFS=: read -r _ _ user entry _ <<<"${entry:-::$user:0}"
    group=${group:-$entry}
  fi
  if [[ -n $group && ! $group =~ ^[0-9]+$ ]]; then
    group=$(read_from_image group | grep -aE "^$group:" | cut -d : -f 3) || group=0
  fi
  if [[ ${user:-0}:${group:-0} =~ ^[0-9]+:[0-9]+$ && ${ENGINE:-} =~ /([0-9]+)\.([0-9]+)\ .*name=userns ]]; then
    user=$((user + BASH_REMATCH[1])) group=$((group + BASH_REMATCH[2]))
  fi
  install -d -m 0750 "$BASE/.output.new" # the name comes last, so no deploy that is cut off leaves it to root
  [[ ! $user:$group =~ ^[0-9]+:[0-9]+$ ]] || chown "$user:$group" "$BASE/.output.new" || [[ -n $ROOT ]]
  mv -T -- "$BASE/.output.new" "$BASE/output"
}

# read_from_image FILE: prints /etc/FILE of the image, from the container that keeps it.
read_from_image() {
  { query_docker cp --follow-link "$SERVICE-$TO:/etc/$1" - || query_docker cp "$SERVICE-$TO:/etc/$1" -; } 2>/dev/null | tar -xO 2>/dev/null || true
}

# enable_units VERSION forward|back: a job that has a timer is started by that, and not at boot
# as well. A unit that something wants stays loaded when it has ended, and with it the
# result of its run. Other services start at boot when the operator has said so.
enable_units() {
  local unit want
  list_units "$1"
  for unit in $REPLY; do
    want=disabled
    if [[ $2 == back ]]; then
      [[ " $ENABLED " != *" $unit "* ]] || want=enabled
    elif [[ $unit != "$UNIT" && " $ENABLED " == *" $unit "* ]]; then
      want=enabled
    elif starts_at_boot "$BASE/releases/$1/deploy/systemd" "$unit"; then
      want=enabled
    fi
    if grep -q '^\[Install\]' "$UNITS/$unit" && ! unit_is UnitFileState "$want" "$unit"; then
      run_systemctl "${want%d}" "$unit"
    fi
  done
}

# point_link LINK VERSION: a rename replaces the link in one step.
point_link() {
  ln -sfn -- "releases/$2" "$BASE/.$1.new" && mv -T -- "$BASE/.$1.new" "$BASE/$1"
}

# start_other_units VERSION forward|back [--no-block]: timers, and units that were up next
# to the main unit. In a rollback a timer that somebody had stopped stays stopped.
start_other_units() {
  local unit
  list_units "$1"
  for unit in $REPLY; do
    if [[ $unit != "$UNIT" ]] && { was_up "$unit" || [[ $2 == forward && $unit == *.timer ]]; }; then
      run_systemctl start ${3:+"$3"} "$unit"
    fi
  done
}

was_up() { [[ " $UP " == *" $1 "* ]]; }
