# shellcheck shell=bash
# settings.sh: what a release is started with: its settings.env, then the operator's /opt/SERVICE/.env.
# Part of ec2_deploy.sh.

# read_settings FILE…: reads them as docker does, those that are there. Sets SETTING to the values by name, of two of a name
# the last, NAMES to the names in order, and to the number of the first line, or 0: INVALID, which docker does not take, and
# SUSPECT, which is probably the rest of a value of several lines. Docker gives a name alone the value that the variable has for docker, and
# ignores it if there is none.
# https://github.com/docker/cli/blob/master/pkg/kvfile/kvfile.go
declare -gA SETTING=()
NAMES=() INVALID=0 SUSPECT=0
read_settings() {
  local file line name number value=''
  SETTING=() NAMES=() INVALID=0 SUSPECT=0
  for file; do
    number=0
    [[ -e $file ]] || continue
    while IFS= read -r line || [[ -n $line ]]; do
      number=$((number + 1))
      if ((number == 1)) && [[ $line == $'\xef\xbb\xbf'* ]]; then
        line=${line#$'\xef\xbb\xbf'}
        [[ -z ${STORE:-} ]] || INVALID=1 # podman takes it for a part of the name
      fi
      line=${line%$'\r'}
      line=${line#"${line%%[![:space:]]*}"}
      [[ -n $line && $line != '#'* ]] || continue
      name=${line%%=*}
      if [[ -z $name || $name == *[[:space:]]* ]]; then
        ((INVALID > 0)) || INVALID=$number
      elif [[ $line != *=* ]] && ! is_name_alone "$line" || continues_base64 "$value" "$line"; then
        ((SUSPECT > 0)) || SUSPECT=$number
      elif [[ $line == *=* && $name =~ ^[A-Za-z_][A-Za-z0-9_.-]*$ ]]; then
        [[ -n ${SETTING[$name]+set} ]] || NAMES+=("$name")
        SETTING[$name]=${line#*=}
      fi
      value=${line#*=}
    done <"$file"
  done
}

# continues_base64 VALUE LINE: the line looks like the next one of a value in base64, which is wrapped after 64 (PEM) or 76 (GNU)
# characters and has a multiple of four, and not like a variable in capitals or an empty one in lower case.
continues_base64() {
  local value=${1#[\"\']} line=${2%[\"\']}
  [[ $value =~ ^[A-Za-z0-9+/]{60,}$ && $value == *[g-zG-Z+/]* && $line =~ ^[A-Za-z0-9+/]+={0,2}$ && ! $line =~ ^([A-Z][A-Z0-9]{0,40}=?|[a-z]{7,40}=)$ ]] && ((${#line} % 4 == 0 && ${#line} <= ${#value}))
}

# is_name_alone LINE: it is a line of the release's example, or docker, the unit's command, has a variable of this name: from the
# unit, its drop-ins or a file that they name, or from systemd.
# https://www.freedesktop.org/software/systemd/man/latest/systemd.exec.html#Environment%20variables%20in%20spawned%20processes
is_name_alone() {
  local release=$BASE/releases/$TO text file files
  text=$(sed -e 's/\r$//' -e 's/^[[:space:]]*//' "$release/deploy/.env.example" 2>/dev/null) || text=''
  ! grep -qxF -- "$1" <<<"$text" || return 0
  [[ $1 =~ ^[A-Za-z_][A-Za-z0-9_]*$ ]] || return 1
  [[ ! $1 =~ ^(INVOCATION_ID|JOURNAL_STREAM|SYSTEMD_EXEC_PID|MAINPID|MANAGERPID|USER|LOGNAME|HOME|SHELL|NOTIFY_SOCKET|(LISTEN|WATCHDOG)_[A-Z]+|(RUNTIME|STATE|CACHE|LOGS|CONFIGURATION|CREDENTIALS)_DIRECTORY)$ ]] || return 0
  text=$(systemctl show-environment 2>/dev/null) || text=''
  [[ $'\n'$text != *$'\n'"$1="* ]] || return 0
  text=$(grep -h '' -- "$release/deploy/systemd/$UNIT" "$ROOT"/{etc,run,usr/local/lib,usr/lib,lib}/systemd/system{,.control}/{service,"$UNIT"}.d/*.conf 2>/dev/null) || true
  unit_setting Service.PassEnvironment /dev/stdin <<<"$text"
  [[ " ${REPLY//$'\n'/ } " != *[[:blank:]]"$1"[[:blank:]]* ]] || return 0
  unit_setting Service.Environment /dev/stdin <<<"$text"
  [[ ! $REPLY =~ (^|[[:space:]\"\'])$1= ]] || return 0
  unit_setting Service.EnvironmentFile /dev/stdin <<<"$text"
  while IFS= read -r file; do
    file=${file#-}
    file=${file//%[Np]/$SERVICE}
    [[ $file != "/opt/$SERVICE/current/"* ]] || file=/opt/$SERVICE/releases/$TO/${file#"/opt/$SERVICE/current/"}
    mapfile -t files < <(compgen -G "$ROOT$file") # systemd takes a pattern as well
    ((${#files[@]} == 0)) || ! grep -qsE "^[[:blank:]]*$1[[:blank:]]*=" -- "${files[@]}" || return 0
  done <<<"$REPLY"
  return 1
}

# docker_reads_settings FILE: the release's unit hands /opt/SERVICE/FILE to docker, which has to understand
# it. A unit that reads it in another way may need another form.
docker_reads_settings() {
  unit_setting Service.ExecStart "$BASE/releases/$TO/deploy/systemd/$UNIT"
  [[ $REPLY =~ --env-file[=[:blank:]]+[\"\']?/opt/($SERVICE|%N|%p)/${1//./\\.} ]]
}

# check_settings: the settings must have what .env.example asks for: for KEY=value a line of that name,
# for KEY= one with a value. A rollback reads no parameters: the release has its own.
check_settings() {
  local release=$BASE/releases/$TO example name found needed=() missing=() place=/opt/$SERVICE/.env
  SETTINGS=$release/settings.env
  [[ $ACTION == rollback ]] || stage_settings
  example=$release/deploy/.env.example
  [[ -f $example ]] || example=/dev/null
  read_settings "$example"
  for name in ${NAMES[@]+"${NAMES[@]}"}; do
    needed+=("$name=${SETTING[$name]}")
  done
  [[ -e $BASE/.env ]] && is_rollback || refuse_invalid_line "deploy/.env.example of $TO"
  if [[ ! -e $BASE/.env ]]; then
    [[ -z $SETTINGS_FROM ]] || example=/dev/null # its values are in settings.env, and these would win
    install -m 0600 -- "$example" "$BASE/.env.new"
    mv -T -- "$BASE/.env.new" "$BASE/.env"
    log_note "made $BASE/.env from $example"
  fi
  read_settings "$BASE/.env"
  refuse_invalid_line "$place"
  if [[ $ALLOW_ENV_FILE == false && $ACTION != rollback ]] && grep -q '^[^#]*=' "$BASE/.env"; then
    found="sets ${NAMES[*]-}"
    ((INVALID == 0 && ${#NAMES[@]} > 0)) || found="has settings" # a name may be a line of a secret
    refuse settings-forbidden "$place $found, and allow-env-file is false: remove these lines on the host and deploy again"
  fi
  read_settings "$SETTINGS" "$BASE/.env"
  for name in ${needed[@]+"${needed[@]}"}; do
    [[ -n ${SETTING[${name%%=*}]:-} || (-n ${name#*=} && -n ${SETTING[${name%%=*}]+set}) ]] || missing+=("${name%%=*}")
  done
  if ((${#missing[@]} == 0)); then
    ask_docker_for_settings
    return
  fi
  [[ -z $SETTINGS_FROM ]] || refuse settings-missing "$SETTINGS_FROM lacks ${missing[*]}, which $TO needs, or $place sets them to nothing: add them to Parameter Store and deploy again"
  refuse settings-missing "$place lacks ${missing[*]}, which $TO needs: add them on the host and deploy again"
}

# ask_docker_for_settings: docker's client reads the files before it asks for the image, which need not be here yet. Podman reads them later.
# Only the error of an answer counts, since each can begin with warnings that have the time: https://github.com/containers/podman/issues/12983
# https://github.com/docker/cli/blob/v27.0.0/cli/command/container/create.go (runCreate)
ask_docker_for_settings() {
  local none said try files=()
  ! docker_reads_settings current/settings.env || files+=(--env-file="$SETTINGS")
  ! docker_reads_settings .env || files+=(--env-file="$BASE/.env")
  ((${#files[@]} > 0)) || return 0
  none=localhost/none@sha256:$(printf '0%.0s' {1..64})
  for try in 1 2; do # an engine that fails once says nothing
    said=$(query_docker create --pull=never "${files[@]}" "$none" 2>&1 | last_engine_error) || true
    [[ $said != "$(query_docker create --pull=never "$none" 2>&1 | last_engine_error)" ]] || return 0
  done
  query_docker ps --quiet >/dev/null 2>&1 || refuse engine-unavailable "the Docker engine does not answer"
  refuse settings-invalid "docker does not take /opt/$SERVICE/.env: $said"
}

# refuse_invalid_line FILE: the line itself may be a secret.
refuse_invalid_line() {
  ((INVALID + SUSPECT > 0)) && docker_reads_settings .env || return 0
  ((INVALID == 0)) ||
    refuse settings-invalid "$1, line $INVALID: docker takes KEY=value only, without export, blanks around the name, a value of several lines or, on podman, a byte order mark"
  ((SUSPECT == 0)) || is_rollback ||
    refuse settings-invalid "$1, line $SUSPECT: it is not KEY=value; if it continues the value above, put that on one line, as base64 -w0 prints it"
}
