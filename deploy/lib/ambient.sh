# shellcheck shell=bash
# ambient.sh: what the caller's environment may not change. Part of ec2_deploy.sh, and of
# bootstrap.sh, which embeds its text.

# ignore_ambient_settings: units run without the settings that an agent or an operator may have for
# other tools, so a deploy does too. Proxies and AWS_… are the host's way to AWS, and stay.
# The agent's PATH lacks /usr/local/bin, where AWS CLI 2 is installed, and that of Debian the folder of snaps.
# https://docs.aws.amazon.com/cli/latest/userguide/getting-started-install.html
# https://github.com/aws/aws-cli/issues/9765
# Before 5.1, bash writes here-documents to files: not to /tmp, which others may have filled.
# https://github.com/SUSE/SAPHanaSR-ScaleOut/pull/96
ignore_ambient_settings() {
  set +o noclobber
  export LC_ALL=C DOCKER_CONTEXT=default
  unset DOCKER_HOST DOCKER_DEFAULT_PLATFORM CONTAINER_HOST GREP_OPTIONS TAR_OPTIONS GZIP POSIXLY_CORRECT CDPATH TMPDIR
  TMPDIR=${ATTA_ROOT:-}/run # of this shell alone, since it is not exported
  [[ -n ${ATTA_ROOT:-} ]] || PATH+=:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/snap/bin
}
