# shellcheck shell=bash
# identity.sh: whose credentials this host has. Part of ec2_deploy.sh and of bootstrap.sh.

# name_identity PROBLEM REGION: prints PROBLEM, and if AWS denied access without a name, whose credentials this host has: they
# need not be those of its instance profile. S3 does not say in a HEAD what it denies or that they are not valid, and root's file of
# credentials, which the agent of a hybrid machine writes, comes before the profile.
# A command has the environment of the agent's unit, and that is not a login's: https://github.com/aws/amazon-ssm-agent/issues/427
# https://docs.aws.amazon.com/systems-manager/latest/userguide/configure-proxy-ssm-agent.html
# https://docs.aws.amazon.com/systems-manager/latest/userguide/fleet-manager-default-host-management-configuration.html
# https://docs.aws.amazon.com/cli/latest/userguide/cli-chap-authentication.html
name_identity() {
  local identity file='' need=''
  printf '%s' "$1"
  if [[ $1 == *'endpoint URL'* && -z ${https_proxy:-}${HTTPS_PROXY:-} ]] && grep -qsiE '^[^#]*https_proxy=' "$ROOT/etc/environment"; then
    printf '%s' "; a command of SSM does not see the proxy in /etc/environment: set it in drop-ins of the units of the agent and of Docker"
  fi
  [[ $1 =~ [Dd]enied|Forbidden|'Bad Request'|$INVALID_CREDENTIALS && $1 != *'User: arn:'* ]] || return 0
  [[ ! -f $ROOT/root/.aws/credentials ]] || file=" (/root/.aws/credentials comes before the instance's role)"
  [[ $1 != *HeadObject*Forbidden* ]] || need=", which need s3:GetObject there"
  if identity=$(timeout --foreground -k 5 20 aws sts get-caller-identity --region "$2" --query Arn --output text 2>&1); then
    printf '%s' "; the credentials of this host are those of ${identity##*$'\n'}$file$need"
  elif [[ $identity == *'An error occurred'* ]]; then
    printf '; '
    explain_refusal "${identity##*$'\n'}" "$file"
  fi
}

# The codes with which AWS answers credentials that are not valid, or a request of a host whose clock is wrong.
# https://docs.aws.amazon.com/IAM/latest/APIReference/CommonErrors.html
readonly INVALID_CREDENTIALS='InvalidClientTokenId|InvalidAccessKeyId|InvalidToken|ExpiredToken|UnrecognizedClient|SignatureDoesNotMatch|InvalidSignature|RequestExpired|RequestTimeTooSkewed'

# explain_refusal MESSAGE FILE: prints why AWS refuses the credentials.
explain_refusal() {
  if [[ $1 =~ 'Signature expired'|'not yet current'|RequestExpired|RequestTimeTooSkewed ]]; then
    TZ=UTC printf 'the clock of this host is wrong, it says %(%FT%TZ)T: %s' -1 "$1"
  else
    printf '%s' "the credentials of this host are not valid$2: $1"
  fi
}
