# shellcheck shell=bash
# image.sh: the image, by digest. Part of ec2_deploy.sh.

# query_docker COMMAND…: a query that has to be answered soon. With --foreground a command
# is in this script's process group and ends with it. Else it would hold the lock for longer.
query_docker() { timeout --foreground -k 5 60 docker "$@"; }

# ask_aws COMMAND…: prints the answer of AWS. Without one, the last line of the log says why.
ask_aws() {
  local code=0
  PYTHONIOENCODING=utf-8 AWS_MAX_ATTEMPTS=${AWS_MAX_ATTEMPTS:-10} timeout --foreground -k 5 120 aws "$@" || code=$?
  ((code != 124 && code != 137)) || log_note "aws did not answer within 120 s"
  return "$code"
}

# has_image: reports whether the image is on this host, and sets IMAGE_ID and ARCHITECTURE to its own.
has_image() {
  local answer
  IMAGE_ID='' ARCHITECTURE=''
  answer=$(query_docker image inspect --format '{{.Id}} {{.Architecture}}' "$IMAGE" 2>/dev/null) && read -r IMAGE_ID ARCHITECTURE <<<"$answer"
}

# The image is pulled by digest and gets two things: a local tag, since `docker image
# prune` takes what has only a digest, and a container that is never started, since
# `docker image prune --all` takes what no container uses.
# https://docs.docker.com/reference/cli/docker/image/prune/
ensure_image() {
  local host
  if ! has_image; then
    pull_image
    has_image
  fi
  host=$(uname -m)
  case $host in
    x86_64) host=amd64 ;;
    aarch64) host=arm64 ;;
  esac
  [[ $ARCHITECTURE == "$host" ]] || refuse architecture "the image is for $ARCHITECTURE, this host is $host"
  docker tag "$IMAGE" "${IMAGE%@*}:$IMAGE_TAG"
  keep_image
}

# keep_image: the container that keeps the image has no settings, since it would keep old secrets.
keep_image() {
  local label
  if label=$(docker container inspect --format '{{index .Config.Labels "keeps-image-of"}} {{.Image}}' "$SERVICE-$TO" 2>/dev/null); then
    [[ $label == "$SERVICE $IMAGE_ID" ]] ||
      refuse foreign-container "a container named $SERVICE-$TO is here that no deploy of this release has made; remove it (docker rm --force $SERVICE-$TO)"
  elif ! create_keeper "$SERVICE-$TO"; then
    refuse image-unavailable "the image of $TO cannot be kept: $(last_engine_error <<<"$REPLY")"
  fi
}

# create_keeper NAME: creates a container that keeps the image, or sets REPLY to the message of docker. After a power failure containerd
# may list an image of which it has lost a part, which a pull restores.
# https://github.com/moby/moby/issues/46077
create_keeper() {
  local try
  for try in 1 2; do
    REPLY=$(docker create --pull=never --network=none --name="$1" --label="keeps-image-of=$SERVICE" "$IMAGE" never-started 2>&1) && return 0
    [[ $try == 1 && $REPLY == *'content digest '*': not found'* ]] || return 1
    log_note "a part of the image is not on this host any more, and it is pulled again"
    pull_image
  done
}

# is_ecr_host HOST ENDPOINT: it is the registry that AWS names, or another one of ECR, and so may get this
# instance's password.
is_ecr_host() {
  local suffixes='amazonaws\.com|amazonaws\.com\.cn|amazonaws\.eu|on\.aws|on\.amazonwebservices\.com\.cn|on\.amazonwebservices\.eu|c2s\.ic\.gov|sc2s\.sgov\.gov|csp\.hci\.ic\.gov|cloud\.adc-e\.uk'
  [[ $1 == "${2#*://}" || $1 =~ ^[0-9]{12}\.dkr[.-]ecr(-fips)?\.[a-z0-9-]+\.($suffixes)$ ]]
}

# The registry's password is valid for 12 hours and in the registry's region, which its host names; the file that
# holds it is removed after the pull. Docker reads DOCKER_CONFIG, podman REGISTRY_AUTH_FILE. Without an entry for
# the registry docker gives the password to whatever credential helper is installed.
# https://docs.docker.com/reference/cli/docker/login/#default-behavior
pull_image() {
  local problem='' registry=${IMAGE%%/*} region=$REGION answer endpoint token
  [[ ! $registry =~ ^[0-9]{12}\.dkr[.-]ecr(-fips)?\.([a-z0-9-]+)\. ]] || region=${BASH_REMATCH[2]}
  install -d -m 0700 "$RUN"
  rm -rf -- "$RUN/$SERVICE:docker."*
  DOCKER_CONFIG=$(mktemp -d "$RUN/$SERVICE:docker.XXXXXX")
  REGISTRY_AUTH_FILE=$DOCKER_CONFIG/config.json
  export DOCKER_CONFIG REGISTRY_AUTH_FILE
  printf '{"%s":{"%s":{}}}\n' auths "$registry" >"$REGISTRY_AUTH_FILE"
  answer=$(ask_aws ecr get-authorization-token --region "$region" --query 'authorizationData[0].[proxyEndpoint,authorizationToken]' --output text) || answer=''
  endpoint=${answer%%[[:space:]]*} token=${answer##*[[:space:]]} # a here-string would be a file for a moment
  if [[ -z $answer ]]; then
    problem=$(last_log_line)
    problem=$(name_identity "get a password for $registry: $problem" "$region")
  elif ! is_ecr_host "$registry" "$endpoint"; then
    problem="$registry is not an ECR registry, so it does not get the password for ECR; AWS names $endpoint"
  elif ! printf '%s' "$token" | base64 -d | sed 's/^AWS://' | docker login --username AWS --password-stdin "$registry" >&2; then
    problem="log in to $registry: $(print_log | last_engine_error)"
  elif ! pull_with_retries; then
    problem="pull $IMAGE: $(print_log | last_engine_error)"
    if [[ $problem =~ starport-layer-bucket|'HTTP 403 response body: invalid character' ]]; then
      problem+="; the layers are in S3, and this host has to reach s3://prod-$region-starport-layer-bucket: allow it in the policy of the VPC endpoint for S3, or in the proxy"
    else
      problem=$(name_identity "$problem" "$region")
    fi
  fi
  rm -rf -- "$DOCKER_CONFIG"
  unset DOCKER_CONFIG REGISTRY_AUTH_FILE
  [[ -z $problem ]] || refuse image-unavailable "$problem"
}

# pull_with_retries: ECR throttles when many instances pull at once, and docker tries again only while it downloads a
# layer. Whoever has the URL of a layer, which docker prints if that fails, can read the layer.
# https://docs.aws.amazon.com/AmazonECR/latest/userguide/common-errors.html
pull_with_retries() {
  local try said
  for try in 1 2 3 4; do
    if docker pull --quiet "$IMAGE" 2>&1 | sed -u 's/?[^" ]*X-Amz-[^" ]*//g' >&2; then
      return 0
    fi
    said=$(print_log | last_engine_error)
    [[ $said =~ toomanyrequests|'Rate exceeded'|EOF|'reset by peer'|'TLS handshake timeout'|' '50[0234]' ' ]] || return 1
    ((try < 4)) || return 1
    log_note "the pull is tried again: $said"
    sleep $((2 ** try + RANDOM % 3))
  done
}
