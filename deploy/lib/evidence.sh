# shellcheck shell=bash
# evidence.sh: what the engine shows of the unit's container. Part of ec2_deploy.sh.
#
# No file that a deploy has written is evidence. The container of a unit has the unit's name,
# so it can be told from those of other services that run the same image.

EVIDENCE=none SEEN='' CONTAINER='' CONTAINER_BEFORE='' OTHER_NAME='' STARTED_AT=''

# observe_container: sets EVIDENCE to what is seen of the release's image in the unit's
# container, SEEN to that in words, and CONTAINER to its id and when it was started. PROPERTY
# must be about the unit.
observe_container() {
  local answer id image state status name unseen=none
  [[ ${PROPERTY[Type]:-} != oneshot ]] || unseen=not-run
  EVIDENCE=$unseen SEEN="no container is named $SERVICE" CONTAINER=''
  if ! answer=$(query_docker container inspect --format '{{.Id}} {{.Image}} {{.State.Status}} {{.State.ExitCode}} {{.Config.Image}} {{json .State.StartedAt}}' "$SERVICE" 2>/dev/null); then
    if ! query_docker ps --quiet >/dev/null 2>&1; then
      SEEN="the Docker engine does not answer"
    elif [[ -n $STARTED_AT ]]; then
      observe_events
    fi
    return 0
  fi
  read -r id image state status name CONTAINER <<<"$answer"
  CONTAINER="$id $CONTAINER"
  if [[ $id == "$CONTAINER_BEFORE" ]]; then
    SEEN="the container $SERVICE was there before $UNIT was started"
  elif ! { [[ -n $IMAGE_ID ]] || has_image; }; then
    SEEN="the engine does not know $IMAGE"
  elif [[ $image != "$IMAGE_ID" ]]; then
    EVIDENCE=other-image SEEN="the container $SERVICE has the image $name ($image), not $IMAGE"
  else
    judge_container "$state" "$status" "$unseen"
  fi
}

# observe_release VERSION: the same, but a run that was stopped in the meantime does not count as a success.
observe_release() {
  observe_container
  disregard_stopped_run "$BASE/releases/$1"
}

# observe_events: the same of a container that was removed when it had ended, from the engine's
# events since the start. They name the image as the unit did: sets OTHER_NAME to another name.
observe_events() {
  local container name status
  OTHER_NAME=''
  while read -r container name status; do
    if [[ $container != "$SERVICE" ]]; then
      continue
    elif [[ $name != "$IMAGE" ]]; then
      EVIDENCE=other-image OTHER_NAME=$name SEEN="the container $SERVICE had the image $name, not $IMAGE"
    else
      judge_container exited "$status" not-run
    fi
  done < <(list_events '{{.Actor.Attributes.name}} {{.Actor.Attributes.image}} {{.Actor.Attributes.exitCode}}' '{{.Name}} {{.Image}} {{.ContainerExitCode}}' die died)
}

# list_events FORMAT PODMAN_FORMAT EVENT…: prints the engine's events from the start until UNTIL, or now, whose container has a name
# that begins with that of the unit's, in the words of Docker or podman.
# https://docs.docker.com/reference/cli/docker/system/events/
# https://docs.podman.io/en/latest/markdown/podman-events.1.html
list_events() {
  local docker=$1 podman=$2 event
  local -a which=(--since "$STARTED_AT" --until "${UNTIL:-$(date +%s.%N)}" --filter "container=$SERVICE")
  shift 2
  for event; do
    which+=(--filter "event=$event")
  done
  query_docker events "${which[@]}" --format "$docker" 2>/dev/null || query_docker events "${which[@]}" --format "$podman" 2>/dev/null
}

# is_evident WORD…: the engine shows one of these of the unit's container. What it does not show
# says nothing about the image, which is then not quarantined.
is_evident() {
  observe_container
  [[ " $* " == *" $EVIDENCE "* ]] && return 0
  case $EVIDENCE in
    failed) find_ended "$UNIT: $SEEN" ;;
    at-work) find_ended "$UNIT: $SEEN" 30 not-seen ;;
    *) find_unwell 30 not-seen "$UNIT: $SEEN" ;;
  esac
}

# is_soon_evident WORD…: the same, and an engine that does not answer once condemns nothing.
is_soon_evident() {
  local wait
  for wait in 0.5 1 0; do
    is_evident "$@" && return 0
    [[ $EVIDENCE != failed ]] || return 1
    sleep "$wait"
  done
  return 1
}

# forget_container: what runs from here on is evidence of the next release. While docker still removes a container in
# the background, rm fails at once, and the name is taken: https://github.com/moby/moby/issues/37698
forget_container() {
  local end=$((SECONDS + 30)) waits=no
  until query_docker rm --force --volumes "$SERVICE" >/dev/null 2>&1; do
    query_docker container inspect "$SERVICE" >/dev/null 2>&1 || return 0
    ((SECONDS < end)) || return 0
    [[ $waits == yes ]] || log_note "waiting for the container $SERVICE to be removed"
    waits=yes
    sleep 0.5
  done
}

# check_container: the unit's container is removed and looked at by its name, so it must be this
# service's: made by a built-in unit, or with the image of a release that is here.
check_container() {
  local answer image label release
  answer=$(query_docker container inspect --format '{{.Image}} {{index .Config.Labels "service"}}' "$SERVICE" 2>/dev/null) || return 0
  read -r image label <<<"$answer"
  [[ $label != "$SERVICE" ]] || return 0
  for release in "$BASE"/releases/*; do
    read_entries "$release/release.env"
    [[ $(query_docker image inspect --format '{{.Id}}' "${ENTRY[IMAGE]:-none}" 2>/dev/null) != "$image" ]] || return 0
  done
  refuse foreign-container "a container named $SERVICE is here that no release of $SERVICE has made; remove it (docker rm --force $SERVICE), or choose another service name"
}

# check_observable FILE: a deploy can see what the unit runs, and docker takes its options for logs.
check_observable() {
  local exec settings=${1%/systemd/*}/docker.env
  unit_setting Service.ExecStart "$1"
  exec=" ${REPLY//[\"\'$'\n']/ } "
  [[ $exec =~ \$(\{IMAGE\}|IMAGE[^A-Za-z0-9_]) ]] || leaves_run_to_release "$exec" ||
    refuse unit-invalid "deploy/systemd/$UNIT does not run \${IMAGE}, so a deploy could not see what it runs: ExecStart=/usr/bin/docker run … --name=%N … \${IMAGE}"
  [[ $exec != *IMAGE* ]] || leaves_run_to_release "$exec" || names_container "$exec" ||
    refuse unit-invalid "deploy/systemd/$UNIT gives its container no name by which a deploy can see it: add --name=%N to its docker run"
  [[ $exec != *LOG_ARGS* ]] || ! grep -qs '^[[:blank:]]*DOCKER_ARGS=.*--log-driver' "$settings" || grep -qs '^[[:blank:]]*LOG_ARGS=' "$settings" ||
    refuse unit-invalid "deploy/docker.env chooses a log driver in DOCKER_ARGS: set it in LOG_ARGS=, whose options it would clash with"
  # systemd ignores such a line: https://github.com/systemd/systemd/issues/2836
  unit_setting Service.EnvironmentFile "$1"
  is_rollback || [[ $REPLY != */deploy/docker.env* ]] || ! exec=$(grep -nE -m 1 '^[[:blank:]]*export[[:blank:]]' "$settings" 2>/dev/null) ||
    refuse unit-invalid "deploy/docker.env, line ${exec%%:*}: systemd takes only KEY=value: remove export"
}

# leaves_run_to_release COMMAND: it starts a script or a compose file of the release, which names the container and its image.
leaves_run_to_release() {
  [[ $1 =~ /opt/($SERVICE|%N|%p)/current/deploy/ ]] && [[ $1 =~ [[:blank:]]compose[[:blank:]] || ! $1 =~ (docker|podman)[[:blank:]].*(run|create)[[:blank:]] ]]
}

# names_container COMMAND: it gives its container the unit's name.
names_container() { [[ "$1 " =~ --name[=[:blank:]]+[\"\']?($SERVICE|%N|%p|\$\{SERVICE\}|\$SERVICE)[\"\']?[[:space:]] ]]; }

# check_docker_options FILE: systemd alone starts the unit's container, and its image is here already.
check_docker_options() {
  local line policy
  docker_options "$1"
  # Docker would start the container in addition to systemd, also after the unit was stopped or disabled:
  # https://github.com/fedora-cloud/Fedora-Dockerfiles/pull/180
  if [[ $REPLY =~ --restart[=[:blank:]]+[\"\']?([^[:blank:]\"\']+) ]]; then
    policy=${BASH_REMATCH[1]}
    [[ $policy != '$'* ]] || { [[ $REPLY =~ (always|unless-stopped|on-failure) ]] && policy=${BASH_REMATCH[1]}; } || policy=no
    [[ $policy == no ]] ||
      refuse unit-invalid "the container of deploy/systemd/${1##*/} has the restart policy $policy: remove --restart, as systemd alone starts it (Restart= in the unit)"
  fi
  # When it is started, nobody has logged in to the registry: https://github.com/aws/amazon-vpc-cni-k8s/issues/1217
  [[ ${1##*/} == "$UNIT" ]] || return 0
  [[ ! $REPLY =~ --pull[=[:blank:]]+[\"\']?always ]] || refuse_pull
  ! is_detached "$1" ||
    refuse unit-invalid "the container of deploy/systemd/$UNIT runs in the background, so systemd would take it for ended at once: remove --detach"
  unit_setting Service.ExecStartPre "$1"
  while IFS= read -r line; do
    [[ $line =~ ^[@:+!|]*- || ! $line =~ (docker|podman)\ +(image\ +)?pull\ .*\$\{?IMAGE([^A-Za-z0-9_]|$) ]] || refuse_pull
  done <<<"$REPLY"
}

# note_unlabeled FILE: where SELinux is enforced, and the engine uses it, a container may not use a folder of the host that is not
# labeled for containers: https://docs.docker.com/engine/storage/bind-mounts/#configure-the-selinux-label
note_unlabeled() {
  local word words=()
  [[ ($ENGINE == *name=selinux* || -n $STORE) && $(getenforce 2>/dev/null) == Enforcing ]] || return 0
  docker_options "$1"
  read -ra words <<<"${REPLY//[=\"\']/ }"
  for word in ${words[@]+"${words[@]}"}; do
    [[ ! $word =~ ^/opt/[^:]*:/[^:]*(:(.*))?$ || ,${BASH_REMATCH[2]}, =~ ,[zZ], ]] ||
      IGNORED+="; warning: SELinux is enforced here, and deploy/systemd/${1##*/} mounts ${word%%:*} without the option z, so its container may not be allowed to use it"
  done
}

refuse_pull() {
  refuse unit-invalid "deploy/systemd/$UNIT pulls its image, and nobody is logged in to the registry when it starts: remove that, as the deploy has pulled the image (--pull=never)"
}

# is_detached FILE: the unit's one command is the client of a container that it plainly starts in the background: the client ends at
# once, and the unit with it, unless that needs no process. What is written in another way shows when it is started.
is_detached() {
  local word words=() options='' text value
  last_unit_value Service.Type "$1"
  [[ ! $REPLY =~ ^(forking|notify) ]] || return 1
  last_unit_value Service.RemainAfterExit "$1"
  [[ ! ${REPLY,,} =~ ^(1|yes|y|true|t|on)$ ]] || return 1
  unit_setting Service.ExecStart "$1"
  [[ $REPLY =~ ^[^[:space:]]*(docker|podman)[[:blank:]] && ! $REPLY =~ ^[^[:space:]]*[[:blank:]]+compose[[:blank:]] && $REPLY != *$'\n'* ]] && names_container "$REPLY" || return 1
  text=$(list_variables "$1")
  read -ra words <<<"${REPLY%%\$\{IMAGE\}*}"
  for word in ${words[@]+"${words[@]}"}; do # only a variable that is a word is several options
    [[ ! $word =~ ^[\"\']?\$IMAGE[\"\']?$ ]] || break
    options+=" $word"
    [[ $word =~ ^\$([A-Za-z_][A-Za-z0-9_]*)$ ]] || continue
    value=$(sed -n "s/^${BASH_REMATCH[1]}=//p" <<<"$text" | tail -n 1)
    options+=" $value"
  done
  options=$(sed "s/\"[^\"]*\"//g; s/'[^']*'//g" <<<"$options")
  [[ "$options " =~ [[:blank:]](-d|--detach|--detach=true)[[:blank:]] ]]
}

# docker_options FILE: sets REPLY to what the unit's commands give to docker run before the image, and to the values of the variables
# that they name there, which come from the unit or from the files that it reads.
docker_options() {
  local line name options='' text
  unit_setting Service.ExecStart "$1"
  while IFS= read -r line; do
    [[ $line =~ (docker|podman)[[:blank:]].*(run|create)[[:blank:]] ]] || continue
    if [[ $line =~ [[:blank:]\"\'](\$\{IMAGE\}|\$IMAGE)([[:blank:]\"\'].*|$) ]]; then
      line=${line%"${BASH_REMATCH[0]}"}
    else
      before_image "$line"
      line=$REPLY
    fi
    options+=" $line "
  done <<<"$REPLY"
  options=$(remove_variables <<<"$options")
  text=$(list_variables "$1")
  while IFS= read -r line; do
    name=${line%%=*}
    [[ -z $name || ! $options =~ \$\{?$name([^A-Za-z0-9_]|$) ]] || options+=" ${line#*=} "
  done <<<"$text"
  REPLY=$(remove_variables <<<"$options")
}

# remove_variables: prints the options without those that set a variable or a label, whose text may look like an option.
remove_variables() {
  local in_quotes='"([^"\\]|\\.)*"|'"'[^']*'"
  sed -E "s/\"(--env|--label)=([^\"\\]|\\\\.)*\"|'(--env|--label)=[^']*'//g; s/(^|[[:blank:]])(-e|--env|-l|--label)[=[:blank:]]+($in_quotes|[^[:blank:]\"'])+/\1/g"
}

# list_variables FILE: prints what Environment= and the release's files of EnvironmentFile= set, NAME=VALUE a line each.
list_variables() {
  local line file quote name value
  unit_setting Service.Environment "$1"
  while [[ $REPLY =~ ([\"\']?)([A-Za-z_][A-Za-z0-9_]*)=([\"\']?)(.*) ]]; do
    quote=${BASH_REMATCH[1]}${BASH_REMATCH[3]} name=${BASH_REMATCH[2]} line=${BASH_REMATCH[4]}
    value=${line%%["${quote:-$' \t\n'}"]*}
    printf '%s=%s\n' "$name" "$value"
    REPLY=${line#"$value"}
  done
  unit_setting Service.EnvironmentFile "$1"
  while IFS= read -r line; do
    file=${1%/systemd/*}/${line##*/}
    [[ $line != */deploy/*.env || ! -f $file ]] || sed -e 's/\r$//' -e ':a' -e '/\\$/{N;s/\\\n/ /;ba' -e '}' -e 's/^[[:blank:]]*//' -- "$file" | grep '^[A-Za-z_][A-Za-z0-9_]*=' || true
  done <<<"$REPLY"
}

# before_image COMMAND: sets REPLY to the command up to its first argument that is neither an option of docker run nor the value of
# one. These options take no value: https://docs.docker.com/reference/cli/docker/container/run/
before_image() {
  local word words=() state=command
  read -ra words <<<"$1"
  REPLY=''
  for word in ${words[@]+"${words[@]}"}; do
    case $state:$word in
      command:run | command:create) state=options ;;
      command:* | options:--*=*) ;;
      value:*) state=options ;;
      options:--rm | options:--detach | options:--init | options:--privileged | options:--read-only | options:--interactive | options:--tty | options:--publish-all | options:--no-healthcheck | options:--oom-kill-disable | options:--sig-proxy) ;;
      options:-[ditPq]*) ;;
      options:-*) state=value ;;
      *) return 0 ;;
    esac
    REPLY+=" $word"
  done
}
