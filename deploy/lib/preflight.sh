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

check_rollback() {
  read_linked_version previous
  TO=${1:-$REPLY}
  [[ $TO != */* ]] || refuse bad-parameter "$TO is not a version"
  [[ -n $FROM ]] || refuse not-installed "no release of $SERVICE is installed here"
  [[ -n $TO ]] || refuse no-previous "nothing to roll back to: there is no verified release before $FROM; seen healthy here: $(list_verified | paste -s -d ' ')"
  [[ $TO != "$FROM" ]] || refuse already-current "$TO is what runs here"
  [[ ! -f $BASE/releases/$TO/installed ]] || log_note "$TO is installed here, and was never seen to run"
  [[ -f $BASE/releases/$TO/verified || -f $BASE/releases/$TO/installed ]] || refuse not-verified "$TO was never seen healthy here; those that were: $(list_verified | paste -s -d ' ')"
  load_release "$TO"
  check_tools
  check_units
  check_container
  check_settings
}

check_tools() {
  query_docker ps --quiet >/dev/null || refuse engine-unavailable "the Docker engine does not answer"
  systemctl show --property=LoadState "$UNIT" >/dev/null || refuse engine-unavailable "systemd does not answer"
}

# The unit, its timers and what they start: all that a release may install.
check_units() {
  local folder=$BASE/releases/$TO/deploy/systemd unit units type path files=()
  [[ -f $folder/$UNIT ]] || refuse unit-invalid "the bundle holds no deploy/systemd/$UNIT"
  list_units "$TO"
  units=$REPLY
  for unit in $units; do
    [[ $unit =~ ^$SERVICE(-[A-Za-z0-9_.-]+)?\.(service|timer)$ && $unit != "$RECOVERY" ]] ||
      refuse unit-invalid "deploy/systemd/$unit must be called $SERVICE.timer, $SERVICE-SOMETHING.service or $SERVICE-SOMETHING.timer"
    owns_unit "$unit" || refuse foreign-unit "${PROPERTY[FragmentPath]:-} was here before any release of $SERVICE; remove it first, or choose another service name"
  done
  query_properties "$RECOVERY" || true
  path=${PROPERTY[FragmentPath]:-}
  [[ ! -f $UNITS/$RECOVERY ]] || path=/etc/systemd/system/$RECOVERY
  [[ ! -f $ROOT/$path ]] || grep -qxF "ConditionPathExists=/opt/$SERVICE/recover" "$ROOT/$path" ||
    refuse foreign-unit "$path is in the way: a deploy of $SERVICE makes and removes a unit of that name"
  type=$(sed -n 's/^[[:blank:]]*Type[[:blank:]]*=[[:blank:]]*//p' "$folder/$UNIT" | tail -n 1)
  [[ $RUN_ON_DEPLOY != false || $type == oneshot ]] || refuse unit-invalid "run-on-deploy: false is for jobs, and deploy/systemd/$UNIT is not Type=oneshot"
  for unit in $units; do
    files+=("$folder/$unit")
  done
  systemd-analyze verify "${files[@]}" >&2 || refuse unit-invalid "systemd does not accept the unit files: $(last_log_line)"
  check_observable "$folder/$UNIT"
}

# owns_unit UNIT: there is no such unit, or a release of this service installed it.
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
  [[ -s $BASE/quarantine ]] || return 0
  found=$(grep -F -m 1 "${IMAGE##*@} " "$BASE/quarantine") || return 0
  [[ ${ATTA_ALLOW_QUARANTINED:-false} == true ]] || refuse quarantined "this image is quarantined: ${found#* }; allow-quarantined is not set"
}

# The operator's settings must have what .env.example asks for: KEY=value a line of
# that name, KEY= without a value a line with one.
check_settings() {
  local example=$BASE/releases/$TO/deploy/.env.example line key missing=()
  local -A have=()
  if [[ ! -e $BASE/.env ]]; then
    [[ -f $example ]] || example=/dev/null
    install -m 0600 -- "$example" "$BASE/.env.new"
    mv -T -- "$BASE/.env.new" "$BASE/.env"
    log_note "made $BASE/.env from .env.example"
  fi
  [[ -f $example ]] || return 0
  while IFS= read -r line || [[ -n $line ]]; do
    key=${line%%=*}
    [[ $line != [A-Za-z_]*=* || -n ${have[$key]:-} ]] || have[$key]=$line
  done <"$BASE/.env"
  while IFS= read -r line || [[ -n $line ]]; do
    key=${line%%=*}
    [[ $line == *=* && $key =~ ^[A-Za-z_][A-Za-z0-9_]*$ ]] || continue
    [[ -n ${have[$key]:-} && ($line != "$key=" || ${have[$key]} != "$key=") ]] || missing+=("$key")
  done <"$example"
  ((${#missing[@]} == 0)) || refuse settings-missing "/opt/$SERVICE/.env lacks ${missing[*]}, which $TO needs: add them on the host and deploy again"
}

is_running_already() {
  local unit
  [[ $FROM == "$TO" ]] && has_image || return 1
  list_units "$TO"
  for unit in $REPLY; do
    cmp -s "$BASE/releases/$TO/deploy/systemd/$unit" "$UNITS/$unit" || return 1
    [[ $unit != *.timer ]] || unit_is ActiveState active "$unit" || return 1
  done
  query_properties || return 1
  observe_container
  is_marked || [[ $EVIDENCE == at-work ]] || return 1
  case ${PROPERTY[Type]:-}:${PROPERTY[RemainAfterExit]:-}:${PROPERTY[ActiveState]:-} in
    oneshot:yes:inactive) [[ $RUN_ON_DEPLOY == false ]] ;;
    oneshot:*:failed) return 1 ;;
    oneshot:yes:active) [[ $EVIDENCE == running || $EVIDENCE:$(<"$BASE/releases/$TO/verified") == succeeded:succeeded* ]] ;;
    oneshot:*) [[ $EVIDENCE == succeeded || $EVIDENCE == at-work || $EVIDENCE == not-run ]] ;;
    *:active) [[ $EVIDENCE == running ]] ;;
    *) return 1 ;;
  esac
}

# A release is verified when the engine has shown its image in the unit's container, running or
# ended with success, and is installed until then.
is_marked() {
  [[ -f $BASE/releases/$TO/verified ]] || { [[ -f $BASE/releases/$TO/installed && $RUN_ON_DEPLOY == false ]]; }
}
