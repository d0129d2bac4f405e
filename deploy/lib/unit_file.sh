# shellcheck shell=bash
# unit_file.sh: what a unit's file says, as systemd reads it. Part of ec2_deploy.sh, of
# build_bundle.sh, which also runs in bash 3.2, and of bootstrap.sh, which embeds its text.
# https://www.freedesktop.org/software/systemd/man/latest/systemd.syntax.html

# unit_setting SECTION.KEY FILE: sets REPLY to the values that the file assigns, a line each, or, for a KEY that ends
# with *, to such lines KEY=value. An empty value takes back the earlier ones of a list, and is ignored for what has
# one value.
unit_setting() {
  local line text='' section='' continues='(^|[^\\])(\\\\)*\\$'
  REPLY=''
  while IFS= read -r line || [[ -n $line ]]; do
    line=${line%$'\r'}
    if [[ $line =~ ^[[:blank:]]*([#\;]|$) ]]; then
      continue # also within a line that continues
    elif [[ $line =~ $continues ]]; then
      text+="${line%?} "
    else
      add_unit_value "$1" "$text$line"
      text=''
    fi
  done <"$2"
  [[ -z $text ]] || add_unit_value "$1" "$text"
  REPLY=${REPLY#$'\n'}
}

# add_unit_value SECTION.KEY LINE: adds the value to REPLY if the line is of that key.
add_unit_value() {
  local text=${2#"${2%%[![:blank:]]*}"} key value
  text=${text%"${text##*[![:blank:]]}"}
  key=${text%%=*} value=${text#*=}
  key=${key%"${key##*[![:blank:]]}"} value=${value#"${value%%[![:blank:]]*}"}
  if [[ $text == '['*']' ]]; then
    section=${text#'['}
    section=${section%']'}
  elif [[ $text != *=* || $section.$key != "${1%'*'}"* || ($1 != *'*' && $section.$key != "$1") ]]; then
    return 0
  elif [[ -n $value ]]; then
    [[ $1 != *'*' ]] || value=$key=$value
    REPLY+=$'\n'$value
  elif [[ $1 != *.Type && $1 != *.Unit ]]; then
    REPLY=''
  fi
}

# last_unit_value SECTION.KEY FILE: sets REPLY to the last of them, which counts where a setting has
# one value.
last_unit_value() {
  unit_setting "$1" "$2"
  REPLY=${REPLY##*$'\n'}
}

# starts_at_boot FOLDER UNIT: a deploy enables it: a timer, and the service's unit unless a timer of its name starts it.
starts_at_boot() {
  [[ $2 == *.timer || ($2 == "$SERVICE.service" && ! -f $1/$SERVICE.timer) ]] && grep -q '^\[Install\]' "$1/$2"
}
