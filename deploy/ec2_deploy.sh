#!/usr/bin/env bash
#
# ec2_deploy.sh: makes this host run a release, and rolls back when it is not healthy.
#
#   ec2_deploy.sh VERSION IMAGE_TAG    deploy the release that this script belongs to
#   ec2_deploy.sh check VERSION IMAGE_TAG   whether it could be deployed, as `ready`; a script
#                                      with a line "check)" is asked so before a fleet changes
#   ec2_deploy.sh rollback [VERSION]   roll back to the previous release, or to VERSION
#   ec2_deploy.sh status [--json]      what runs here, and how the last deploy ended
#   ec2_deploy.sh history [COUNT]      the last deploys, newest last (20)
#   ec2_deploy.sh logs [LINES]         the last deploy's log and the unit's journal (100)
#   ec2_deploy.sh recover              roll back a deploy that was cut off; it happens
#                                      automatically: at once, at boot, before the next deploy
#
# Run as root, from /opt/SERVICE/current/deploy. Files:
#
#   /opt/SERVICE/.env                settings and secrets, yours; no deploy changes it
#   /opt/SERVICE/releases/VERSION    a release: its files, its image by digest, and in settings.env
#                                    what settings-from read for it
#   /opt/SERVICE/current             the release that runs
#   /opt/SERVICE/previous            the release to roll back to: the verified one before it
#   /opt/SERVICE/state               the last change, phase by phase
#   /opt/SERVICE/history             how every deploy ended
#   /opt/SERVICE/quarantine          images that were found unhealthy here
#   /var/log/SERVICE-deploy.log      the deploys; what the program prints is in the journal
#
# A deploy ends with one line, ATTA_RESULT {…}, on standard output. Exit codes:
#
#    0  the release runs and was seen healthy (or already did), or is installed as asked for
#   10  refused in the preflight: nothing was changed
#   30  not started or not seen, stopped, or cut off: rolled back
#   40  started and found unhealthy: rolled back
#   41  unhealthy, and the rollback failed as well
#   51  a job or another deploy did not end in time: nothing was changed
#
# ATTA_ALLOW_DOWNGRADE=true deploys a version older than the one that runs,
# ATTA_ALLOW_QUARANTINED=true an image that was found unhealthy here.

# The exit code of a container is never passed on: some codes mean something to the SSM
# agent, and 194 would reboot the host.
# https://docs.aws.amazon.com/systems-manager/latest/userguide/send-commands-reboot.html
#
# Crash safety. Between the phases open and close the link /opt/SERVICE/recover leads to
# this script. Whoever finds it while no deploy is at work - the process that waits for the
# deploy to end, a unit at boot, the next deploy - runs `recover`. It reads `state` and
# rolls back to FROM, or, when `state` says that the deploy succeeded, does what is left to
# do. Every step of that can be repeated. No trap is needed for it: SIGKILL and a power cut
# end a deploy as well as anything.
#
# Needs bash 4.2, coreutils 8.22, GNU sed and grep, findutils, diffutils, util-linux (flock, setsid), systemd
# 219 or later, Docker 20.10 or later or podman-docker, the AWS CLI 1 or 2. Amazon Linux 2
# or bash 4.2 lacks "${empty[@]}" under set -u, ${x@Q}, local -n, systemctl --value and the
# options of sync; a host need not have curl, jq or python.
# ATTA_ROOT, when set, is put before every path of the host.
#
# A function that returns text sets REPLY: a $(…) costs a process each time.

# shellcheck source-path=SCRIPTDIR
set -euo pipefail
umask 077

SCRIPT=$(readlink -f -- "${BASH_SOURCE[0]}")
readonly SCRIPT

main() {
  case ${1:-} in
    '' | -h | --help) print_usage ;;
    status | history | logs) load_context && "show_$1" "${2:-}" ;;
    rollback) load_context && rollback_release "${2:-}" ;;
    recover) load_context && recover "${@:2}" ;;
    watch) load_context && watch_deploy ;;
    check) load_context && check_release "${@:2}" ;;
    request) http_get "$2" "$3" "$4" ;;
    *) load_context && deploy_release "$@" ;;
  esac
}

# What happens to the host, in order. Up to `open` nothing that runs is touched.
deploy_release() {
  begin_change deploy
  run_phase preflight check_deploy "$@"
  end_if_running_already
  run_phase room free_space
  run_phase pull ensure_image
  change_release
}

# Reports whether the release could be deployed, so that no other host has changed when this one
# cannot follow.
check_release() {
  begin_change check
  run_phase preflight check_deploy "$@"
  run_phase room free_space
  end_check "$TO can be deployed$IGNORED"
}

# The same steps, to a release that is here and was seen healthy.
rollback_release() {
  begin_change rollback
  run_phase preflight check_rollback "$1"
  end_if_running_already
  run_phase pull ensure_image
  change_release
}

change_release() {
  run_phase open open_change
  run_phase drain drain_jobs
  run_phase stop stop_units
  run_phase switch switch_release "$TO" forward
  run_phase start start_release
  run_phase health check_health
  run_phase timers start_other_units "$TO" forward
  run_phase close mark_release
  describe_success
  end_change deployed 0 "" "$TO $REPLY$IGNORED"
}

# shellcheck source=lib/context.sh
source "${SCRIPT%/*}/lib/context.sh"
# shellcheck source=lib/ambient.sh
source "${SCRIPT%/*}/lib/ambient.sh"
# shellcheck source=lib/unit_file.sh
source "${SCRIPT%/*}/lib/unit_file.sh"
# shellcheck source=lib/unit_name.sh
source "${SCRIPT%/*}/lib/unit_name.sh"
# shellcheck source=lib/settings.sh
source "${SCRIPT%/*}/lib/settings.sh"
# shellcheck source=lib/parameters.sh
source "${SCRIPT%/*}/lib/parameters.sh"
# shellcheck source=lib/preflight.sh
source "${SCRIPT%/*}/lib/preflight.sh"
# shellcheck source=lib/releases.sh
source "${SCRIPT%/*}/lib/releases.sh"
# shellcheck source=lib/engine.sh
source "${SCRIPT%/*}/lib/engine.sh"
# shellcheck source=lib/identity.sh
source "${SCRIPT%/*}/lib/identity.sh"
# shellcheck source=lib/image.sh
source "${SCRIPT%/*}/lib/image.sh"
# shellcheck source=lib/history.sh
source "${SCRIPT%/*}/lib/history.sh"
# shellcheck source=lib/killed.sh
source "${SCRIPT%/*}/lib/killed.sh"
# shellcheck source=lib/journal.sh
source "${SCRIPT%/*}/lib/journal.sh"
# shellcheck source=lib/judge.sh
source "${SCRIPT%/*}/lib/judge.sh"
# shellcheck source=lib/evidence.sh
source "${SCRIPT%/*}/lib/evidence.sh"
# shellcheck source=lib/units.sh
source "${SCRIPT%/*}/lib/units.sh"
# shellcheck source=lib/blame.sh
source "${SCRIPT%/*}/lib/blame.sh"
# shellcheck source=lib/health.sh
source "${SCRIPT%/*}/lib/health.sh"
# shellcheck source=lib/rollback.sh
source "${SCRIPT%/*}/lib/rollback.sh"
# shellcheck source=lib/report.sh
source "${SCRIPT%/*}/lib/report.sh"
# shellcheck source=lib/operator.sh
source "${SCRIPT%/*}/lib/operator.sh"

ignore_ambient_settings
if [[ ${BASH_SOURCE[0]} == "$0" ]]; then
  main "$@"
fi
