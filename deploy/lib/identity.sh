# shellcheck shell=bash
# identity.sh: whose credentials this host has. Part of ec2_deploy.sh and of bootstrap.sh.

# name_identity PROBLEM REGION: prints PROBLEM, and if AWS denied access without a name, whose credentials this host has: they
# need not be those of its instance profile.
# https://docs.aws.amazon.com/systems-manager/latest/userguide/fleet-manager-default-host-management-configuration.html
name_identity() {
  local identity
  printf '%s' "$1"
  [[ ($1 == *[Dd]enied* || $1 == *Forbidden*) && $1 != *'User: arn:'* ]] || return 0
  identity=$(timeout --foreground -k 5 20 aws sts get-caller-identity --region "$2" --query Arn --output text 2>>"$LOG") || return 0
  printf '%s' "; the credentials of this host are those of $identity"
}
