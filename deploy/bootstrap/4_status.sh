
# --- status

MORE='' INSTALLED='' AT_WORK=no

# look_up_deployment: the result of the deployment that is asked about, from the history, and
# what there is to roll back to. A deploy is under way while somebody holds the host's lock, or
# until one that was cut off is rolled back.
look_up_deployment() {
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
  for version in $(list_verified | head -n 20); do
    releases+="${releases:+,}\"$(json_string "$version")\""
  done
  version=$(readlink -f -- "$home/previous" 2>/dev/null) || version=''
  verified=$(stat -L -c %Y -- "$home/current/verified" 2>/dev/null) || verified=0
  MORE=$(printf ',"about":"%s","previous":"%s","releases":[%s],"since":%d,"time":%d' \
    "$found" "$(json_string "${version##*/}")" "$releases" "$verified" "$(date +%s)")
}

# list_verified: the versions that were seen healthy here, newest first.
list_verified() {
  local mark
  for mark in "$HOME_OF_SERVICE"/releases/*/verified; do
    [[ ! -f $mark ]] || basename -- "${mark%/verified}"
  done | sort -rV
}

# raise_fence: also on a host that has never had the service, since a deploy of an earlier
# run may be on its way to it.
raise_fence() {
  local generation=${GIVEN[generation]:-0}
  [[ $AT_WORK == no ]] || return 0
  GENERATION=$(seen_generation)
  ((generation > GENERATION)) || return 0
  mkdir -p "$HOME_OF_SERVICE"
  store_generation "$generation"
}

# detect_drift: how this host differs from the installed release.
detect_drift() {
  local file unit image drift='' folder=$HOME_OF_SERVICE/current/deploy/systemd
  INSTALLED="no release of $SERVICE is installed"
  [[ -f $HOME_OF_SERVICE/current/release.env ]] || return 0
  INSTALLED="$SERVICE is installed"
  for file in "$folder"/*.service "$folder"/*.timer; do
    unit=${file##*/}
    [[ -f $file ]] || continue
    cmp -s "$file" "$ROOT/etc/systemd/system/$unit" || drift+=',"unit-file"'
    [[ $unit != *.timer || $(query_unit ActiveState "$unit") == active ]] || drift+=',"timer"'
  done
  image=$(sed -n 's/^IMAGE=//p' "$HOME_OF_SERVICE/current/release.env")
  if ! timeout 60 docker image inspect "$image" >/dev/null 2>&1; then
    drift+=',"image"'
  elif [[ $AT_WORK == no && $(query_unit Type "$SERVICE.service") != oneshot ]]; then
    if [[ $(query_unit ActiveState "$SERVICE.service") != active ]]; then
      drift+=',"inactive"'
    elif [[ -z $(timeout 60 docker ps --quiet --filter "ancestor=$image" 2>/dev/null) ]]; then
      drift+=',"container"'
    fi
  fi
  MORE+=",\"drift\":[${drift#,}]"
}

query_unit() { systemctl show --property="$1" "$2" 2>/dev/null | sed "s/^$1=//" || true; }
