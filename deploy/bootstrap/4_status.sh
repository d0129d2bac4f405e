
# --- status

MORE='' ABOUT='' INSTALLED='' BUSY=false CUT_OFF=false EVIDENCE='' SEEN='' IMAGE_ID='' RESTARTS=0 STARTED=0
declare -A PROPERTY=()
readonly OPEN='{''{' # which SSM would take for a parameter of its document

# look_up_deployment: sets ABOUT to the result of the deployment that is asked about, from the history or, of the
# last change, from its journal. A deploy is under way while somebody holds the host's lock, or waits to roll back one
# that was cut off. Status commands share the lock, so that nothing changes while they look.
look_up_deployment() {
  local about=${GIVEN[about]:-} line found='' watched=0 home=$HOME_OF_SERVICE
  if [[ -e $LOCK ]]; then
    exec 9>>"$LOCK"
    flock -s -w 1 9 || BUSY=true
  fi
  if [[ -L $home/recover && $BUSY == false ]]; then
    [[ ! -e $RUN/$SERVICE.watch ]] || flock --shared --nonblock "$RUN/$SERVICE.watch" true || watched=$?
    if ((watched == 1)); then BUSY=true; else CUT_OFF=true; fi
  fi
  if [[ -n $about ]]; then
    line=$(find_in_history "$about") || line=''
    if [[ -z $line && $BUSY == false && $CUT_OFF == false ]] && grep -qsxF "DEPLOYMENT=$about" "$home/state"; then # the history could not be written
      line=$(sed -n -e 's/^OUTCOME=\(..*\)/"outcome":"\1"/p' -e 's/^CODE=\(..*\)/"code":\1, /p' "$home/state")
    fi
    found=none
    ! grep -qsF " bootstrap: deployment $about: " "$LOG" "$LOG.1" || found=begun
    [[ $BUSY == false ]] || found=under-way
    [[ $CUT_OFF == false ]] || ! grep -qsxF "DEPLOYMENT=$about" "$home/state" || found=cut-off
    [[ ! $line =~ \"outcome\":\"([a-z-]+)\" ]] || found=${BASH_REMATCH[1]}
    [[ ! $line =~ \"code\":([0-9]+), ]] || found+=":${BASH_REMATCH[1]}"
  fi
  ABOUT=$found
  MORE=$(printf ',"about":"%s","busy":%s,"time":%d' "$found" "$BUSY" "$(date +%s)")
}

# list_releases: what there is to roll back to, the verified releases before those that were
# only installed.
list_releases() {
  local version releases='' verified home=$HOME_OF_SERVICE
  for version in $({ list_marked verified && list_marked installed; } | head -n 20); do
    releases+="${releases:+,}\"$(json_string "$version")\""
  done
  version=$(readlink -e -- "$home/previous" 2>/dev/null) || version=''
  verified=$(stat -L -c %Y -- "$home/current/verified" 2>/dev/null) || verified=0
  MORE+=$(printf ',"previous":"%s","releases":[%s],"since":%d' "$(json_string "${version##*/}")" "$releases" "$verified")
}

# describe_held: the release that is asked about, or the previous one, by the checksum of its bundle
# and the digest of its image: what a host that lacks it has to get.
describe_held() {
  local version=$VERSION file bundle image proved=false
  [[ -n $version ]] || version=$(readlink -e -- "$HOME_OF_SERVICE/previous" 2>/dev/null) || version=''
  version=${version##*/}
  file=$HOME_OF_SERVICE/releases/$version/release.env
  [[ -n $version && -f $file ]] || return 0
  bundle=$(sed -n 's/^BUNDLE_SHA256=//p' "$file")
  image=$(sed -n 's/^IMAGE=.*@//p' "$file")
  [[ ! -f ${file%/*}/verified ]] || proved=true
  MORE+=$(printf ',"held":"%s","bundle":"%s","image":"%s","proved":%s' "$(json_string "$version")" "$(json_string "$bundle")" "$(json_string "$image")" "$proved")
}

# list_marked MARK: the versions with this mark, newest first.
list_marked() {
  local mark
  for mark in "$HOME_OF_SERVICE"/releases/*/"$1"; do
    [[ ! -f $mark ]] || basename -- "${mark%/*}"
  done | sort -rV
}

# raise_fence: also on a host that has never had the service, since a deploy of an earlier
# run may be on its way to it, and while one is at work, since it may be waiting for a job.
raise_fence() {
  local generation=${GIVEN[generation]:-0}
  GENERATION=$(seen_generation)
  ((generation > GENERATION)) || return 0
  mkdir -p "$HOME_OF_SERVICE"
  raise_generation "$generation"
}

# observe_container: sets EVIDENCE and SEEN to what the engine shows of the unit's container, and
# IMAGE_ID to the id of the release's image.
observe_container() {
  local answer image state status started unseen=none IMAGE
  [[ -f $HOME_OF_SERVICE/current/release.env ]] || return 0
  read_properties < <(systemctl show --property=Type,RemainAfterExit,ActiveState,Result,NRestarts,InvocationID,ExecMainStartTimestampMonotonic "$SERVICE.service" 2>/dev/null)
  [[ ${PROPERTY[Type]:-} != oneshot ]] || unseen=not-run
  EVIDENCE=$unseen SEEN="no container is named $SERVICE"
  IMAGE=$(sed -n 's/^IMAGE=//p' "$HOME_OF_SERVICE/current/release.env")
  IMAGE_ID=$(timeout 15 docker image inspect --format "$OPEN.Id}}" "$IMAGE" 2>/dev/null) || { IMAGE_ID='' SEEN="the engine does not know $IMAGE" && observe_engine && return 0; }
  answer=$(timeout 15 docker container inspect --format "$OPEN.Image}} $OPEN.State.Status}} $OPEN.State.ExitCode}} $OPEN.RestartCount}} ${OPEN}json .State.StartedAt}}" "$SERVICE" 2>/dev/null) ||
    { observe_engine && return 0; }
  read -r image state status RESTARTS started <<<"$answer"
  STARTED=$(date -d "${started//\"/}" +%s 2>/dev/null) || STARTED=0
  if [[ $image == "$IMAGE_ID" ]]; then
    judge_container "$state" "$status" "$unseen"
    disregard_stopped_run "$HOME_OF_SERVICE/current"
  else
    EVIDENCE=other-image SEEN="the container $SERVICE has another image ($image)"
  fi
}

# observe_engine: an engine that does not answer is evidence of nothing.
observe_engine() {
  timeout 15 docker ps --quiet >/dev/null 2>&1 || EVIDENCE='' SEEN="the Docker engine does not answer"
}

confirm_release() {
  local release
  release=$(readlink -e -- "$HOME_OF_SERVICE/current") || return 0
  [[ $BUSY == true ]] || confirm_marks "$release"
}

# is_restarting: systemd or the engine has started the container again within the last minute.
is_restarting() { ((RESTARTS + ${PROPERTY[NRestarts]:-0} > 0 && $(date +%s) - STARTED < 60)); }

# detect_drift: how this host differs from the installed release.
detect_drift() {
  local file unit proved drift='' folder=$HOME_OF_SERVICE/current/deploy/systemd
  INSTALLED="no release of $SERVICE is installed"
  [[ -f $HOME_OF_SERVICE/current/release.env ]] || return 0
  INSTALLED="$SERVICE is installed; $SEEN"
  if [[ $CUT_OFF == true ]]; then
    drift+=',"cut-off"' INSTALLED+="; a deploy was cut off, and nobody waits to roll it back"
  fi
  for file in "$folder"/*.service "$folder"/*.timer; do
    unit=${file##*/}
    [[ -f $file ]] || continue
    cmp -s "$file" "$ROOT/etc/systemd/system/$unit" || drift+=',"unit-file"'
    [[ $unit != *.timer || $(query_unit ActiveState "$unit") == active ]] || drift+=',"timer"'
    ! starts_at_boot "$folder" "$unit" || [[ $(query_unit UnitFileState "$unit") != disabled ]] || drift+=',"disabled"'
  done
  if [[ -z $EVIDENCE ]]; then
    drift+=',"engine"'
  elif [[ -z $IMAGE_ID ]]; then
    drift+=',"image"'
  elif [[ $BUSY == false ]]; then
    [[ ! -f $HOME_OF_SERVICE/current/failed || $EVIDENCE == running ]] || drift+=',"last-run"'
    # What is up may fail its health checks, which a status and a rollback at boot do not run.
    [[ ! -f $HOME_OF_SERVICE/current/rollback-failed ]] || drift+=',"last-deploy"'
    { read -r proved <"$HOME_OF_SERVICE/current/verified"; } 2>/dev/null || proved=''
    case ${PROPERTY[Type]:-}:${PROPERTY[RemainAfterExit]:-}:${PROPERTY[ActiveState]:-}:$proved:$EVIDENCE in
      oneshot:*:other-image | oneshot:yes:*:failed) drift+=',"container"' ;;
      oneshot:*:failed) [[ $drift == *'"last-run"'* ]] || drift+=',"last-run"' ;;
      oneshot:yes:active:*:running | oneshot:yes:active:succeeded*:succeeded) ;;
      oneshot:yes:active:*) drift+=',"container"' ;;
      oneshot:yes:inactive:running:* | oneshot:yes:inactive:succeeded:*) drift+=',"inactive"' ;;
      oneshot:*) ;;
      *:active:*:running) ! is_restarting || drift+=',"restarts"' ;;
      *:active:*) drift+=',"container"' ;;
      *) drift+=',"inactive"' ;;
    esac
  fi
  MORE+=",\"evidence\":\"$EVIDENCE\",\"drift\":[${drift#,}]"
}

query_unit() { systemctl show --property="$1" "$2" 2>/dev/null | sed "s/^$1=//" || true; }
