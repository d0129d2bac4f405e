# shellcheck shell=bash
# unit_name.sh: the units that a release may install, and what a timer starts. Part of
# ec2_deploy.sh and of build_bundle.sh, which also runs in bash 3.2, after unit_file.sh.

# may_install UNIT: it is named like the service, and is not the unit that a deploy makes to recover.
may_install() {
  [[ $1 =~ ^$SERVICE(-[A-Za-z0-9_.-]+)?\.(service|timer)$ && $1 != "$SERVICE-recover.service" ]]
}

# timer_unit FILE: sets REPLY to the unit that the timer starts.
timer_unit() {
  local name=${1##*/}
  last_unit_value Timer.Unit "$1"
  REPLY=${REPLY:-${name%.timer}.service}
}
