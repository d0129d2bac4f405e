# shellcheck shell=bash
# evidence.sh: what the engine shows of the unit's container. Part of ec2_deploy.sh.
#
# No file that a deploy has written is evidence. The container of a unit has the unit's name,
# so it can be told from those of other services that run the same image.

EVIDENCE=none SEEN='' CONTAINER='' CONTAINER_BEFORE='' STARTED_AT=''

# observe_container: sets EVIDENCE to what is seen of the release's image in the unit's
# container, and SEEN to that in words. PROPERTY must be about the unit.
#
#   not-run      no container has the unit's name, and the unit is a job
#   none         no container has the unit's name
#   other-image  it has another image
#   running      it runs, and is meant to
#   at-work      it runs a job that has not ended
#   succeeded    it has ended, with exit status 0
#   failed       it has ended, with another one
observe_container() {
  local answer image running status name
  EVIDENCE=none SEEN="no container is named $SERVICE"
  [[ ${PROPERTY[Type]:-} != oneshot ]] || EVIDENCE=not-run
  if ! answer=$(query_docker container inspect --format '{{.Id}} {{.Image}} {{.State.Running}} {{.State.ExitCode}} {{.Config.Image}}' "$SERVICE" 2>/dev/null); then
    CONTAINER=''
    [[ -z $STARTED_AT ]] || observe_events
    return 0
  fi
  read -r CONTAINER image running status name <<<"$answer"
  if [[ $CONTAINER == "$CONTAINER_BEFORE" ]]; then
    SEEN="the container $SERVICE was there before $UNIT was started"
  elif ! { [[ -n $IMAGE_ID ]] || has_image; } || [[ $image != "$IMAGE_ID" ]]; then
    EVIDENCE=other-image SEEN="the container $SERVICE has the image $name ($image), not $IMAGE"
  elif [[ $running == true ]]; then
    EVIDENCE=running SEEN="the container $SERVICE runs $IMAGE"
    case ${PROPERTY[Type]:-}:${PROPERTY[RemainAfterExit]:-}:${PROPERTY[ActiveState]:-} in
      oneshot:no:* | oneshot:*:activating) EVIDENCE=at-work SEEN="the container $SERVICE still runs $IMAGE" ;;
    esac
  elif [[ $status == 0 ]]; then
    EVIDENCE=succeeded SEEN="the container $SERVICE ran $IMAGE and ended with exit status 0"
  else
    EVIDENCE=failed SEEN="the container $SERVICE ran $IMAGE and ended with exit status $status"
  fi
}

# observe_events: the same of a container that removed itself when it ended, from the engine's
# events since the start. They name the image as the unit did.
# https://docs.docker.com/reference/cli/docker/system/events/
observe_events() {
  local answer name status
  answer=$(query_docker events --since "$STARTED_AT" --until "$(date +%s.%N)" --filter "container=$SERVICE" --filter event=die \
    --format '{{.Actor.Attributes.image}} {{.Actor.Attributes.exitCode}}' 2>/dev/null) || answer=''
  read -r name status <<<"${answer##*$'\n'}"
  if [[ -z $name ]]; then
    EVIDENCE=none SEEN="no container named $SERVICE was seen; one that removes itself (--rm) is seen by Docker's events only"
  elif [[ $name != "$IMAGE" ]]; then
    EVIDENCE=other-image SEEN="the container $SERVICE had the image $name, not $IMAGE"
  elif [[ $status == 0 ]]; then
    EVIDENCE=succeeded SEEN="the container $SERVICE ran $IMAGE and ended with exit status 0"
  else
    EVIDENCE=failed SEEN="the container $SERVICE ran $IMAGE and ended with exit status $status"
  fi
}

# is_evident WORD…: the engine shows one of these of the unit's container.
is_evident() {
  observe_container
  [[ " $* " == *" $EVIDENCE "* ]] && return 0
  UNWELL="$UNIT: $SEEN"
  return 1
}

# forget_container: what runs from here on is evidence of the next release.
forget_container() { query_docker rm --force "$SERVICE" >/dev/null 2>&1 || true; }

# check_container: the unit's container is removed and looked at by its name, so it must be this
# service's.
check_container() {
  local answer image label
  if answer=$(query_docker container inspect --format '{{.Image}} {{index .Config.Labels "service"}}' "$SERVICE" 2>/dev/null); then
    read -r image label <<<"$answer"
    [[ $label == "$SERVICE" ]] || is_image_of_release "$image" ||
      refuse foreign-container "a container named $SERVICE is here that no release of $SERVICE has made; remove it (docker rm --force $SERVICE), or choose another service name"
  fi
}

# is_image_of_release ID: of one that is on this host.
is_image_of_release() {
  local release
  for release in "$BASE"/releases/*; do
    read_entries "$release/release.env"
    [[ $(query_docker image inspect --format '{{.Id}}' "${ENTRY[IMAGE]:-none}" 2>/dev/null) != "$1" ]] || return 0
  done
  return 1
}

# check_observable: a deploy can see what the unit FILE runs.
check_observable() {
  local line exec='' more=no
  while IFS= read -r line || [[ -n $line ]]; do
    if [[ $more == yes || $line =~ ^[[:blank:]]*ExecStart[[:blank:]]*= ]]; then
      more=no
      [[ $line != *\\ ]] || more=yes
      exec+=" ${line%\\} "
    fi
  done <"$1"
  [[ $exec =~ \$(\{IMAGE\}|IMAGE[^A-Za-z0-9_]) || $exec =~ /opt/($SERVICE|%N|%p)/current/deploy/ ]] ||
    refuse unit-invalid "deploy/systemd/$UNIT does not run \${IMAGE}, so a deploy could not see what it runs: ExecStart=/usr/bin/docker run … --name=%N … \${IMAGE}"
  [[ $exec != *IMAGE* || $exec =~ --name[=\ ]+($SERVICE|%N|%p)[[:space:]] ]] ||
    refuse unit-invalid "deploy/systemd/$UNIT gives its container no name by which a deploy can see it: add --name=%N to its docker run"
}
