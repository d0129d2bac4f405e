# shellcheck shell=bash
# preflight.sh: checks before anything that runs is touched. Part of ec2_deploy.sh.

check_deploy() {
  [[ ${1:-} == "$OWN" && ${2:-} == "$IMAGE_TAG" && $# -eq 2 ]] ||
    refuse bad-parameter "this is the release $OWN with image tag $IMAGE_TAG; usage: ec2_deploy.sh $OWN $IMAGE_TAG"
  check_tools
  check_units
  check_container
  [[ -z $FROM || ${FROM#*-} == "${TO#*-}" ]] || refuse other-environment "$FROM runs here, which belongs to another environment"
  if [[ -n $FROM && ${ATTA_ALLOW_DOWNGRADE:-false} != true ]] && is_older "$TO" "$FROM"; then
    refuse downgrade "$TO is older than $FROM, which runs here; allow-downgrade is not set"
  fi
  check_quarantine
  check_settings
}

# is_rollback: also where the release has to be brought to this host for it.
is_rollback() { [[ $ACTION == rollback || $ROLLBACK == true ]]; }

check_rollback() {
  read_linked_version previous
  TO=${1:-$REPLY}
  [[ -n ${1:-} || $TO != "$FROM" ]] || TO=''
  [[ $TO != */* ]] || refuse bad-parameter "$TO is not a version"
  [[ -n $FROM ]] || refuse not-installed "no release of $SERVICE is installed here"
  [[ -n $TO ]] || refuse no-previous "nothing to roll back to: there is no verified release before $FROM; seen healthy here: $(list_verified | paste -s -d ' ')"
  [[ ! -f $BASE/releases/$TO/installed ]] || log_note "$TO is installed here, and was never seen to run"
  [[ -f $BASE/releases/$TO/verified || -f $BASE/releases/$TO/installed ]] || refuse not-verified "$TO was never seen healthy here; those that were: $(list_verified | paste -s -d ' ')"
  load_release "$TO"
  check_tools
  check_units
  check_container
  check_settings
}

# check_tools: the engine and systemd answer, and the engine is fit. Sets ENGINE to what docker says of itself, and STORE to the
# folder in which podman, which says it in another form, keeps images.
# https://docs.podman.io/en/latest/markdown/podman-info.1.html
check_tools() {
  ENGINE=$(query_docker info --format '{{.DockerRootDir}} {{.SecurityOptions}} {{.DriverStatus}}' 2>/dev/null) || ENGINE=''
  STORE=''
  [[ $ENGINE == /* ]] || STORE=$(query_docker info --format '{{.Store.GraphRoot}}' 2>/dev/null) || STORE=''
  [[ $ENGINE == /* ]] || query_docker ps --quiet >/dev/null || refuse engine-unavailable "the Docker engine does not answer: $(print_log | last_engine_error)"
  describe_unfit_engine "$ENGINE" || refuse engine-unavailable "systemd does not answer"
  [[ -z $REPLY ]] || refuse engine-unfit "$REPLY"
}

# The unit, its timers and what they start: all that a release may install.
check_units() {
  local folder=$BASE/releases/$TO/deploy/systemd unit units path
  [[ -f $folder/$UNIT ]] || refuse unit-invalid "the bundle holds no deploy/systemd/$UNIT"
  list_units "$TO"
  units=$REPLY
  for unit in $units; do
    may_install "$unit" ||
      refuse unit-invalid "deploy/systemd/$unit must be called $SERVICE.timer, $SERVICE-SOMETHING.service or $SERVICE-SOMETHING.timer"
    owns_unit "$unit" || refuse foreign-unit "${PROPERTY[FragmentPath]:-} was here before any release of $SERVICE; remove it first, or choose another service name"
  done
  query_properties "$RECOVERY" || true
  path=${PROPERTY[FragmentPath]:-}
  [[ ! -f $UNITS/$RECOVERY ]] || path=/etc/systemd/system/$RECOVERY
  [[ ! -f $ROOT/$path ]] || grep -qxF "ConditionPathExists=/opt/$SERVICE/recover" "$ROOT/$path" ||
    refuse foreign-unit "$path is in the way: a deploy of $SERVICE makes and removes a unit of that name"
  last_unit_value Service.Type "$folder/$UNIT"
  [[ $RUN_ON_DEPLOY != false || $REPLY == oneshot ]] || refuse unit-invalid "run-on-deploy: false is for jobs, and deploy/systemd/$UNIT is not Type=oneshot"
  verify_units "$folder" "$units"
  check_observable "$folder/$UNIT"
  ! is_rollback || return 0
  for unit in $units; do
    [[ $unit != *.service ]] || { check_docker_options "$folder/$unit" && note_unlabeled "$folder/$unit"; }
  done
  check_boot "$folder" "$units"
}

# check_boot FOLDER NAMES: after a boot something starts the service, or else the message says so, and each timer. Of a timer that
# elapses only relative to an earlier run, something makes that run; else it is active and never elapses:
# https://github.com/systemd/systemd/issues/3570
check_boot() {
  local timer started=''
  last_unit_value Service.Type "$1/$UNIT"
  [[ $REPLY == oneshot || -f $1/$SERVICE.timer ]] || is_wanted "$1" "$UNIT" ||
    IGNORED+="; nothing seems to start $UNIT after a boot: it has no [Install] section with WantedBy=multi-user.target"
  for timer in $2; do
    [[ $timer == *.timer ]] || continue
    is_wanted "$1" "$timer" || refuse unit-invalid "nothing starts deploy/systemd/$timer after a boot: it has no [Install] section with WantedBy=timers.target"
    ! elapses_alone "$1/$timer" || { timer_unit "$1/$timer" && started+=" $REPLY "; }
  done
  for timer in $2; do
    [[ $timer == *.timer ]] && ! elapses_alone "$1/$timer" || continue
    timer_unit "$1/$timer"
    [[ $started != *" $REPLY "* ]] || continue
    # What a boot starts is an earlier run.
    if [[ $REPLY == "$UNIT" ]]; then
      [[ -f $1/$SERVICE.timer ]] || continue
    elif unit_is UnitFileState enabled "$REPLY"; then
      continue
    fi
    refuse unit-invalid "deploy/systemd/$timer elapses only relative to an earlier run, so it never elapses after a boot: add OnBootSec= or OnCalendar="
  done
}

# is_wanted FOLDER UNIT: the unit can be enabled, or something of this release or of this instance starts it. The unit
# files of the release that runs do not count, since the switch removes them.
is_wanted() {
  local key unit file name others=()
  for key in WantedBy RequiredBy UpheldBy Alias; do
    unit_setting "Install.$key" "$1/$2"
    [[ -z $REPLY ]] || return 0
  done
  [[ ! -e $UNITS/${2%.*}.socket && ! -e $UNITS/${2%.*}.path ]] && ! compgen -G "$UNITS/*.wants/$2" >/dev/null && ! compgen -G "$UNITS/*.requires/$2" >/dev/null || return 0
  list_units "$FROM" "$TO"
  for unit in $REPLY; do
    others+=(! -name "$unit")
  done
  while IFS= read -r file; do
    name=${file##*/}
    [[ $file != *.d/*.conf ]] || name=${file%.d/*} name=${name##*/}
    name=${name%.*}
    for key in Unit.{Wants,Requires,BindsTo,Upholds} Install.Also {Timer,Path}.Unit Socket.Service; do
      unit_setting "$key" "$file"
      REPLY=${REPLY//%[Np]/$name}
      [[ " ${REPLY//[[:space:]]/ } " != *" $2 "* ]] || return 0
    done
  done < <(find -L "$1" -type f 2>/dev/null && find -L "$UNITS" -type f "${others[@]}" -exec grep -lE -- "($SERVICE|%[Np])${2#"$SERVICE"}" {} + 2>/dev/null)
  return 1
}

# elapses_alone FILE: the timer elapses without an earlier run of its unit. An empty value of any of its times resets them all.
# https://www.freedesktop.org/software/systemd/man/latest/systemd.timer.html
elapses_alone() {
  unit_setting 'Timer.On*' "$1"
  grep -qE '^(OnCalendar|OnActiveSec|OnBootSec|OnStartupSec)=|^On(Clock|Timezone)Change=(1|yes|y|true|t|on)$' <<<"$REPLY"
}

# verify_units FOLDER NAMES: systemd would start them, once `current` leads to this release.
verify_units() {
  local unit folder=$1 files=() said
  if grep -hv '^[[:blank:]]*EnvironmentFile' "$1"/* | grep -qE '/opt/[^ ]+/current/deploy/'; then
    folder=$RUN/$SERVICE.units
    rm -rf -- "$folder"
    install -d -m 0700 "$folder"
    for unit in $2; do
      sed "s|/opt/$SERVICE/current/|/opt/$SERVICE/releases/$TO/|g" "$1/$unit" >"$folder/$unit"
    done
    sed -i "s|/opt/%[Np]/current/|/opt/$SERVICE/releases/$TO/|g" "$folder/$UNIT"
    chmod 0644 "$folder"/* # systemd remarks on others
  fi
  for unit in $2; do
    files+=("$folder/$unit")
  done
  list_commands "$folder" "$2"
  if ! said=$(systemd-analyze verify --man=no "${files[@]}" 2>&1); then
    printf '%s\n' "$said" >&2
    said=$(tail -n 2 <<<"$said" | paste -s -d ' ' | sed 's/-command-[0-9]*\.service/.service/g')
    refuse unit-invalid "systemd does not accept the unit files: $said"
  fi
  printf '%s' "${said:+$said$'\n'}" >&2
  # Of the built-in units, systemd 219 does not know these settings.
  said=$(grep -F -- "$folder/" <<<"$said" | grep -vE 'LockPersonality|RestrictRealtime|LogRateLimitIntervalSec' | sed "s|^\\[\{0,1\}$folder/||" | head -n 3 | paste -s -d ';') || true
  IGNORED=${said:+; systemd warnings: $said}
}

# list_commands FOLDER NAMES: adds to files a unit for each further command of theirs, since systemd 252 and earlier look at the first of each kind only:
# https://github.com/systemd/systemd/blob/main/src/analyze/analyze-verify-util.c (verify_executables)
list_commands() {
  local unit key line name commands=$RUN/$SERVICE.commands
  rm -rf -- "$commands"
  for unit in $2; do
    [[ $unit == *.service ]] || continue
    for key in ExecCondition ExecStartPre ExecStart ExecStartPost ExecReload ExecStop ExecStopPost; do
      unit_setting "Service.$key" "$1/$unit"
      while IFS= read -r line; do
        install -d -m 0700 "$commands"
        name=${unit%.service}-command-$((${#files[@]} + 1)).service
        (umask 022 && printf '[Service]\nType=oneshot\nExecStart=%s\n' "${line//%[Np]/${unit%.service}}" >"$commands/$name")
        files+=("$commands/$name")
      done < <(sed 1d <<<"$REPLY")
    done
  done
}

# owns_unit UNIT: the unit does not exist, or a release of this service installed it.
owns_unit() {
  local path release
  [[ ! -f $BASE/releases/$FROM/deploy/systemd/$1 ]] || return 0
  query_properties "$1" || true
  path=${PROPERTY[FragmentPath]:-}
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
  [[ -s $BASE/quarantine && ! -f $BASE/releases/$TO/verified ]] || return 0
  found=$(grep -F -m 1 "${IMAGE##*@} " "$BASE/quarantine") || return 0
  [[ ${ATTA_ALLOW_QUARANTINED:-false} == true ]] || refuse quarantined "this image is quarantined: ${found#* }; allow-quarantined is not set"
}

# end_if_running_already: what runs the release with its settings, and is healthy now, is not touched.
end_if_running_already() {
  local healthy="$TO runs already and was seen healthy"
  is_running_already || return 0
  if ! is_still_healthy; then
    log_note "$TO runs, but is not healthy, and is deployed again: $UNWELL"
    return 0
  fi
  [[ ! $EVIDENCE =~ ^(running|succeeded)$ ]] || rm -f -- "$BASE/releases/$TO/rollback-failed"
  [[ -f $BASE/releases/$TO/verified ]] || healthy="$TO is installed already, and no run of it has succeeded yet"
  [[ $EVIDENCE != at-work ]] || healthy="$TO is at work already; whether this run succeeds is not known yet"
  end_unchanged unchanged 0 "" "$healthy"
}

is_running_already() {
  local unit
  [[ $FROM == "$TO" && -z $STAGED && ! -f $BASE/releases/$TO/failed ]] && has_image || return 1
  list_units "$TO"
  for unit in $REPLY; do
    cmp -s "$BASE/releases/$TO/deploy/systemd/$unit" "$UNITS/$unit" || return 1
    ! starts_at_boot "$BASE/releases/$TO/deploy/systemd" "$unit" || ! unit_is UnitFileState disabled "$unit" || return 1
    [[ $unit != *.timer ]] || unit_is ActiveState active "$unit" || return 1
  done
  query_properties || return 1
  observe_release "$TO"
  is_marked || [[ $EVIDENCE == at-work ]] || return 1
  [[ $EVIDENCE != not-run || ! -f $BASE/releases/$TO/rollback-failed ]] || return 1
  case ${PROPERTY[Type]:-}:${PROPERTY[RemainAfterExit]:-}:${PROPERTY[ActiveState]:-} in
    oneshot:yes:inactive) [[ $RUN_ON_DEPLOY == false ]] ;;
    oneshot:*:failed) return 1 ;;
    oneshot:yes:active) [[ $EVIDENCE == running || $EVIDENCE:$(<"$BASE/releases/$TO/verified") == succeeded:succeeded* ]] ;;
    oneshot:*) [[ $EVIDENCE == succeeded || $EVIDENCE == at-work || $EVIDENCE == not-run ]] ;;
    *:active) [[ $EVIDENCE == running ]] ;;
    *) return 1 ;;
  esac
}

# is_still_healthy: a service has been up for long enough, or stays up until then, and passes the
# checks; so does a job that is at work.
is_still_healthy() {
  local run since now started
  case $EVIDENCE in
    at-work) passes_checks ;;
    running)
      invocation_id && run=$REPLY
      printf -v now '%(%s)T' -1
      started=${CONTAINER#* }
      started=$(date -d "${started//\"/}" +%s 2>/dev/null) || started=$now
      uptime_centiseconds && since=$((REPLY - (now - started) * 100))
      local HEALTH_TIMEOUT=$((MIN_HEALTHY_TIME + 5))
      DEADLINE=$((SECONDS + HEALTH_TIMEOUT))
      stays_up "$run" "$since"
      ;;
  esac
}

# A release is verified when the engine has shown its image in the unit's container, running or
# ended with success, and is installed until then.
is_marked() {
  [[ -f $BASE/releases/$TO/verified ]] || { [[ -f $BASE/releases/$TO/installed && $RUN_ON_DEPLOY == false ]]; }
}
