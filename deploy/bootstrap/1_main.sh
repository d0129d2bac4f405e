# shellcheck shell=bash
#
# bootstrap.sh: the part of a deploy that travels in the SSM command itself. The files of
# this folder are joined in the order of their names, with those of lib/ that both scripts have before the last.
#
#   bootstrap.sh deploy --service=NAME --version=V --deployment=ID …      see FORMS
#   bootstrap.sh check --service=NAME …                                   its preflight alone
#   bootstrap.sh rollback --service=NAME --deployment=ID [--version=V] …  to a release that is here
#   bootstrap.sh status --service=NAME [--about=ID] …                     changes nothing that runs
#   bootstrap.sh doctor --service=NAME --region=REGION …                  whether the host is ready for a deploy
#
# It downloads the release's bundle, checks that it is the right one, and hands over to the
# release's own deploy/ec2_deploy.sh. Its text is constant: the caller only puts validated,
# quoted parameters in front of it.
#
# The agent runs it as root with no HOME, in /usr/bin, and may end it at any time
# with SIGKILL, so nothing here relies on a trap to tidy up. Only the first 24,000 characters
# of standard output reach the caller: the result line is therefore printed first, and after
# a failure the end of the log. Everything else goes to the log and, with --live-log=true,
# at the same time to standard error.
# https://docs.aws.amazon.com/systems-manager/latest/userguide/ssm-rc-setting-up-logging.html
#
# Needs bash 4.2, coreutils 8.22, GNU tar 1.26, gzip, findutils, diffutils, util-linux flock,
# the AWS CLI (1 or 2).
# ATTA_ROOT, when set, is put before every path of the host (as DESTDIR is).
# ATTA_LOCK_WAIT is how many seconds to wait for another deploy to end (60).

set -euo pipefail
umask 022

main() {
  ignore_ambient_settings
  read_parameters "$@"
  "run_$COMMAND"
}

run_deploy() {
  begin_command
  repeat_answer
  bring_release
  hand_over "$RELEASE/deploy/ec2_deploy.sh" "$VERSION" "$VERSION"
}

# The preflight of a deploy, and nothing of what comes after it. A script that does not know the
# command would deploy, so it is not started: its preflight is in its deploy.
run_check() {
  begin_command
  bring_release
  if ! grep -q '^ *check)' "$RELEASE/deploy/ec2_deploy.sh"; then
    restore_rollout
    trap - EXIT
    print_report ready 0 "" preflight "the script of $VERSION has no check, so its deploy will find out"
    return
  fi
  hand_over "$RELEASE/deploy/ec2_deploy.sh" check "$VERSION" "$VERSION"
}

# To VERSION, or without one to the previous release. It needs neither the bundle
# nor the registry.
run_rollback() {
  [[ -f $HOME_OF_SERVICE/current/release.env || -L $HOME_OF_SERVICE/recover ]] || reject_command not-installed "no release of $SERVICE is installed here"
  begin_command
  repeat_answer
  reject_stale_command
  [[ -f $HOME_OF_SERVICE/current/release.env ]] || abort_command 10 preflight not-installed "no release of $SERVICE is installed here"
  hand_over "$HOME_OF_SERVICE/current/deploy/ec2_deploy.sh" rollback ${VERSION:+"$VERSION"}
}

# What a deploy needs of this host, whichever its release. Changes nothing.
run_doctor() {
  local folder=$ROOT/opt free engine identity settings=''
  trap reject_early_exit EXIT
  require_tools
  check_folders
  timeout 15 docker ps --quiet >/dev/null 2>&1 || reject_command engine-unavailable "the Docker engine does not answer"
  engine=$(timeout 15 docker info --format "$OPEN.DockerRootDir}} $OPEN.SecurityOptions}}" 2>/dev/null) || engine=''
  describe_unfit_engine "$engine" || reject_command engine-unavailable "systemd does not answer"
  [[ -z $REPLY ]] || reject_command engine-unfit "$REPLY"
  [[ -d $folder ]] || folder=${ROOT:-/}
  free=$(df --block-size=1M --output=avail -- "$folder" | tail -n 1)
  ((free >= 64)) || reject_command no-space "not enough room: $folder has ${free// /} MB free, a bundle needs 64 MB, and the image its own size"
  check_run
  [[ -w $folder && -w ${LOG%/*} ]] || reject_command script-failed "this host cannot be written to: $folder or ${LOG%/*} is read-only"
  identity=$(timeout -k 5 20 aws sts get-caller-identity --region "${GIVEN[region]}" --query Arn --output text 2>&1) || {
    [[ ! ${identity##*$'\n'} =~ $INVALID_CREDENTIALS ]] || reject_command bundle-unavailable "$(explain_refusal "${identity##*$'\n'}" '')"
    [[ ! ${identity##*$'\n'} =~ [Cc]redentials ]] || reject_command bundle-unavailable "this host has no credentials to download with: ${identity##*$'\n'}"
    identity='a role that STS was not reached to name' # a deploy does not need STS
  }
  identity=${identity##*$'\n'} # after warnings of the CLI: https://github.com/aws/aws-cli/issues/8547
  [[ -f $HOME_OF_SERVICE/.env ]] || settings=", no $HOME_OF_SERVICE/.env"
  [[ -z $SETTINGS_FROM ]] || count_parameters
  trap - EXIT
  print_report ready 0 "" preflight "ready for a deploy: ${free// /} MB free in $folder, credentials of $identity$settings"
}

# count_parameters: names alone are printed, and decrypting the values proves that the role may.
count_parameters() {
  local names
  names=$(timeout -k 5 20 aws ssm get-parameters-by-path --region "${GIVEN[region]}" --path "${SETTINGS_FROM%/}" --with-decryption --output text --query 'Parameters[].[Name]' 2>&1) ||
    reject_command settings-unavailable "the parameters in $SETTINGS_FROM cannot be read: ${names##*$'\n'}"
  names=$(grep "^${SETTINGS_FROM%/}/" <<<"$names") || reject_command settings-missing "there is no parameter directly below $SETTINGS_FROM in ${GIVEN[region]}"
  settings+=", $(wc -l <<<"$names") parameters in $SETTINGS_FROM"
}

begin_command() {
  trap reject_early_exit EXIT
  require_tools
  check_folders
  prepare_log
  hold_host_lock
  recover_interrupted_deploy
  settle_killed_command
}

bring_release() {
  reject_stale_command
  fetch_bundle
  unpack_bundle
  install_release
  [[ -z $SETTINGS_FROM ]] || grep -q -e 'lib/parameters\.sh' -e SETTINGS_FROM "$RELEASE/deploy/ec2_deploy.sh" || {
    restore_rollout
    abort_command 10 preflight bad-parameter "the script of $VERSION does not know settings-from, so the release would lack its settings"
  }
}

# What runs here, and with --about the result of that deployment, with the end of its log unless
# that is good. With --generation, every command of an earlier generation is refused from now on.
run_status() {
  local outcome=absent
  trap reject_early_exit EXIT
  look_up_deployment
  [[ $BUSY == true ]] || put_back_release
  raise_fence
  observe_container
  confirm_release
  exec 9>&-
  list_releases
  describe_held
  detect_drift
  [[ ! -f $HOME_OF_SERVICE/current/release.env ]] || outcome=status
  trap - EXIT
  print_report "$outcome" 0 "" status "$INSTALLED"
  [[ -z $ABOUT || $ABOUT =~ ^(none|(deployed|unchanged):.*)$ ]] || print_log_end "${GIVEN[about]}"
}
