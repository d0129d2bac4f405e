# shellcheck shell=bash
# parameters.sh: the settings of a release from Parameter Store. Part of ec2_deploy.sh.
#
# A deploy reads them before anything changes, and switch_release installs them as settings.env in the
# release's folder, so a rollback starts a release with its own. No value is an argument of a command
# or in a log: what has one here is a builtin of bash.

# SETTINGS is the file with the settings that the release is started with, apart from the operator's;
# STAGED is that file while the release has other ones.
SETTINGS='' STAGED='' SETTINGS_FROM='' ALLOW_ENV_FILE=''

# stage_settings: sets SETTINGS and STAGED. With settings-from, the values that .env.example names are
# defaults.
stage_settings() {
  local own=$BASE/releases/$TO/settings.env text='' present name
  [[ -e $own ]] || : >"$own"
  STAGED=''
  if [[ -n $SETTINGS_FROM ]]; then
    check_settings_reach "$BASE/releases/$TO/deploy/systemd/$UNIT"
    read_settings "$BASE/releases/$TO/deploy/.env.example"
    refuse_invalid_line "deploy/.env.example of $TO"
    fetch_parameters
    text="# from $SETTINGS_FROM"
    for name in "${NAMES[@]}"; do
      [[ -z ${SETTING[$name]} ]] || text+=$'\n'$name=${SETTING[$name]}
    done
  fi
  present=$(<"$own")
  [[ $text != "$present" ]] || return 0
  log_note "$TO gets other settings than it has"
  STAGED=$RUN/$SERVICE.settings SETTINGS=$RUN/$SERVICE.settings
  install -d -m 0700 "$RUN"
  rm -f -- "$STAGED"
  printf '%s' "${text:+$text$'\n'}" >"$STAGED"
}

# check_settings_reach UNIT_FILE: what is read has to reach the container.
check_settings_reach() {
  local files
  unit_setting Service.EnvironmentFile "$1"
  files=$REPLY
  unit_setting Service.ExecStart "$1"
  [[ "$files $REPLY" =~ /opt/($SERVICE|%N|%p)/current/settings\.env || $REPLY =~ /opt/($SERVICE|%N|%p)/current/deploy/ ]] ||
    refuse unit-invalid "deploy/systemd/$UNIT does not give its container what settings-from reads: add --env-file=/opt/%N/current/settings.env before that of /opt/%N/.env"
}

# fetch_parameters: adds the parameters directly below SETTINGS_FROM to SETTING and, sorted, to NAMES. The
# CLI reads every page. A line tells first whether its value has several, since what follows would then
# look like separate lines. A value that ends with CR would lose it, as in a file from Windows.
fetch_parameters() {
  local answer line name value found=no invalid=() row=$'^(True|False)\t'"$SETTINGS_FROM"$'/[A-Za-z0-9_.-]+\t'
  if ! answer=$(ask_aws ssm get-parameters-by-path --region "$REGION" --path "$SETTINGS_FROM" --with-decryption --output text \
    --query "Parameters[].[contains(Value, \`\"\\n\"\`), Name, Value]"); then
    answer=$(last_log_line)
    answer=$(name_identity "$answer" "$REGION")
    refuse settings-unavailable "the parameters in $SETTINGS_FROM cannot be read: $answer"
  fi
  while IFS= read -r line; do
    [[ $line =~ $row ]] || continue
    found=yes value=${line#*$'\t'*$'\t'} name=${line%"$value"}
    name=${name##*/} name=${name%$'\t'}
    if [[ $line == True* ]]; then
      invalid+=("the value of $name contains a newline")
    elif [[ $value == *$'\r' ]]; then
      invalid+=("the value of $name ends with a carriage return")
    elif [[ ! $name =~ ^[A-Za-z_] ]]; then
      invalid+=("$name does not begin with a letter or _")
    else
      SETTING[$name]=$value NAMES+=("$name")
    fi
  done < <(printf '%s\n' "$answer")
  [[ $found == yes ]] || refuse settings-missing "there is no parameter directly below $SETTINGS_FROM in $REGION"
  ((${#invalid[@]} == 0)) || { printf -v line '%s; ' "${invalid[@]}" && refuse settings-invalid "docker does not take these parameters in $SETTINGS_FROM as settings: ${line%; }"; }
  mapfile -t NAMES < <(printf '%s\n' "${NAMES[@]}" | sort -u)
}

# install_settings: those that the release had are kept until the change has ended.
install_settings() {
  local own=$BASE/releases/$TO/settings.env
  [[ -n $STAGED ]] || return 0
  [[ -e $own.before ]] || ln -- "$own" "$own.before"
  install -T -m 0600 "$STAGED" "$own.new"
  flush_to_disk "$own.new"
  mv -T -- "$own.new" "$own"
  flush_to_disk "${own%/*}"
}

# restore_settings: those that the release had before the change. They are kept until it has ended, so this can be
# done twice. Neither mv nor ln takes two names of one file.
restore_settings() {
  local own=$BASE/releases/$TO/settings.env
  [[ -e $own.before && ! $own.before -ef $own ]] || return 0
  rm -f -- "$own.new" && ln -- "$own.before" "$own.new" && mv -T -- "$own.new" "$own"
}
