#!/usr/bin/env bash
#
# Creates with the AWS CLI what terraform/ creates, from the same policies, except an instance:
#
#   ./setup.sh SERVICE ENVIRONMENT ORG/REPO OWNER_ID REPOSITORY_ID
#
# in the account and the region of your AWS credentials, with the log group LOG_GROUP if that is set, and a role for plans
# in the GitHub environment PLAN_ENVIRONMENT if that is set. It can be repeated. docs/setup.md explains it.
# The instances may read parameters below SETTINGS_PATH (/SERVICE/ENVIRONMENT); SETTINGS_KEY_ARN is your KMS key, if
# these are encrypted with one.

set -euo pipefail
export AWS_PAGER=''

die() {
  printf '%s\n' "$*" >&2
  exit 2
}

((BASH_VERSINFO[0] * 100 + BASH_VERSINFO[1] >= 404)) || die "bash $BASH_VERSION is too old: use 4.4 or later"
(($# == 5)) || die "usage: $0 SERVICE ENVIRONMENT ORG/REPO OWNER_ID REPOSITORY_ID"
[[ $1 =~ ^[a-z][a-z0-9]*(-[a-z0-9]+)*$ ]] || die "SERVICE must be lower-case letters, digits and single dashes, starting with a letter"
[[ ! $1 =~ ^[0-9a-f]+$ ]] || die "docker would take SERVICE for the beginning of a container ID: add a dash, or a letter after f"
[[ $2 =~ ^[a-z][a-z0-9]*(-[a-z0-9]+)*$ ]] || die "ENVIRONMENT must be lower-case letters, digits and single dashes, starting with a letter"
((${#1} + ${#2} <= 42)) || die "SERVICE and ENVIRONMENT together may have 42 characters"
[[ $3 =~ ^[A-Za-z0-9-]+/[A-Za-z0-9._-]+$ ]] || die "ORG/REPO must name a repository"
[[ $4 =~ ^[0-9]+$ ]] || die "OWNER_ID must be a number: gh api repos/$3 --jq .owner.id"
[[ ${LOG_GROUP:--} =~ ^[A-Za-z0-9_./#-]{1,512}$ ]] || die "LOG_GROUP must be the name of a log group, such as /deploy/$1-$2"
plan_environment=${PLAN_ENVIRONMENT:-}
[[ -z $plan_environment || $plan_environment =~ ^[a-z][a-z0-9]*(-[a-z0-9]+)*$ && $plan_environment != "$2" ]] ||
  die "PLAN_ENVIRONMENT must be another GitHub environment than ENVIRONMENT, such as $2-plan"
[[ $5 =~ ^[0-9]+$ ]] || die "REPOSITORY_ID must be a number: gh api repos/$3 --jq .id"
settings_path=${SETTINGS_PATH:-/$1/$2} settings_key=${SETTINGS_KEY_ARN:-}
[[ $settings_path =~ ^(/[A-Za-z0-9_.-]+){1,14}$ ]] || die "SETTINGS_PATH must be a path without a slash at its end, such as /atta/dev"
[[ -z $settings_key || $settings_key =~ ^arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+$ ]] || die "SETTINGS_KEY_ARN must be the ARN of a KMS key"

module=$(cd "$(dirname "${BASH_SOURCE[0]}")/../../terraform" && pwd)
caller=$(aws sts get-caller-identity --query Arn --output text)
region=${AWS_REGION:-$(aws configure get region)} || die "set AWS_REGION"
partition=$(cut -d : -f 2 <<<"$caller")
account=$(cut -d : -f 5 <<<"$caller")

# The placeholders of the policies.
declare -A names=(
  [account]=$account [partition]=$partition [region]=$region
  [service]=$1 [environment]=$2 [repository]=$1-$2 [bucket]=$1-$2-deploy-$account
  [document_owner]=$account [log_group]=${LOG_GROUP:-} [settings_path]=$settings_path [settings_key]=$settings_key
  [github_environment]=$2 [github_owner]=${3%/*} [github_name]=${3#*/} [github_owner_id]=$4 [github_repository_id]=$5
)

# render FILE: prints a file of the module, relative to its policies, with these names.
render() {
  local text name
  text=$(<"$module/policies/$1")
  for name in "${!names[@]}"; do
    text=${text//"\${$name}"/"${names[$name]}"}
  done
  printf '%s\n' "$text"
}

create_repository() {
  aws cloudformation deploy --stack-name "${names[repository]}-repository" --template-file "$module/repository.json" \
    --parameter-overrides "Name=${names[repository]}" --no-fail-on-empty-changeset --region "$region"
}

create_bucket() {
  local bucket=${names[bucket]} place=()
  [[ $region == us-east-1 ]] || place=(--create-bucket-configuration "LocationConstraint=$region")
  aws s3api head-bucket --bucket "$bucket" >/dev/null 2>&1 || aws s3api create-bucket --bucket "$bucket" --region "$region" "${place[@]}"
  aws s3api put-public-access-block --bucket "$bucket" --public-access-block-configuration \
    BlockPublicAcls=true,BlockPublicPolicy=true,IgnorePublicAcls=true,RestrictPublicBuckets=true
  aws s3api put-bucket-ownership-controls --bucket "$bucket" --ownership-controls 'Rules=[{ObjectOwnership=BucketOwnerEnforced}]'
  aws s3api put-bucket-encryption --bucket "$bucket" --server-side-encryption-configuration \
    '{"Rules":[{"ApplyServerSideEncryptionByDefault":{"SSEAlgorithm":"AES256"}}]}'
  aws s3api put-bucket-versioning --bucket "$bucket" --versioning-configuration Status=Enabled
  aws s3api put-bucket-lifecycle-configuration --bucket "$bucket" --lifecycle-configuration \
    '{"Rules":[{"ID":"old-versions-of-deployments","Status":"Enabled","Filter":{"Prefix":"deployments/"},"NoncurrentVersionExpiration":{"NoncurrentDays":1,"NewerNoncurrentVersions":10}}]}'
  aws s3api put-bucket-policy --bucket "$bucket" --policy "$(render bucket.json)"
}

create_oidc_provider() {
  local arn=arn:$partition:iam::$account:oidc-provider/token.actions.githubusercontent.com
  aws iam get-open-id-connect-provider --open-id-connect-provider-arn "$arn" >/dev/null 2>&1 ||
    aws iam create-open-id-connect-provider --url https://token.actions.githubusercontent.com --client-id-list sts.amazonaws.com
}

# create_role NAME TRUST POLICY: TRUST is the text of a policy, POLICY is also the name of the role's policy.
create_role() {
  aws iam get-role --role-name "$1" >/dev/null 2>&1 || aws iam create-role --role-name "$1" --assume-role-policy-document "$2"
  aws iam update-assume-role-policy --role-name "$1" --policy-document "$2"
  put_policy "$1" "$3"
}

# put_policy ROLE POLICY
put_policy() { aws iam put-role-policy --role-name "$1" --policy-name "${2%.json}" --policy-document "$(render "$2")"; }

# create_log_group: of the action's input log-group, and who reads and writes it.
create_log_group() {
  local group=${names[log_group]} operation
  [[ -n $group ]] || return 0
  [[ $(aws logs describe-log-groups --log-group-name-prefix "$group" --query "logGroups[?logGroupName=='$group'].logGroupName" --output text --region "$region") == "$group" ]] ||
    aws logs create-log-group --log-group-name "$group" --region "$region"
  aws logs put-retention-policy --log-group-name "$group" --retention-in-days 30 --region "$region"
  for operation in deploy rollback; do
    put_policy "${names[service]}-$operation-${names[environment]}" log-read.json
  done
  put_policy "${names[service]}-instance-${names[environment]}" log-write.json
}

# create_document: the document of names, or a new version of it.
create_document() {
  local text problem version name=${names[document_name]}
  text=$(render ../document.json)
  if ! aws ssm describe-document --name "$name" --region "$region" >/dev/null 2>&1; then
    aws ssm create-document --name "$name" --document-type Command --document-format JSON --content "$text" --region "$region"
    return
  fi
  problem=$(aws ssm update-document --name "$name" --document-version "\$LATEST" --content "$text" --region "$region" 2>&1) ||
    [[ $problem == *DuplicateDocumentContent* ]] || die "$problem"
  version=$(aws ssm describe-document --name "$name" --query Document.LatestVersion --output text --region "$region")
  aws ssm update-document-default-version --name "$name" --document-version "$version" --region "$region"
}

create_roles() {
  local operation instance=${names[service]}-instance-${names[environment]}
  for operation in deploy rollback status; do
    names[document_name]=$operation-${names[service]}-${names[environment]}
    case $operation in # as in documents.tf of the module
      deploy) names[commands]='deploy|check|rollback|status|doctor' names[health_command]='*' names[generation]='?' ;;
      rollback) names[commands]='deploy|rollback|status|doctor' names[health_command]='{0}' names[generation]='?' ;;
      status) names[commands]='status|doctor' names[health_command]='{0}' names[generation]='{0}' ;;
    esac
    create_document
    create_role "${names[service]}-$operation-${names[environment]}" "$(render trust.json)" "$operation.json"
  done
  # A plan sends the last document, that of a status.
  names[github_environment]=$plan_environment
  [[ -z $plan_environment ]] ||
    create_role "${names[service]}-plan-${names[environment]}" "$(render trust.json)" plan.json
  create_role "$instance" "$(render instance-trust.json)" instance.json
  [[ -z $settings_key ]] || aws iam put-role-policy --role-name "$instance" --policy-name settings-key --policy-document "$(render settings-key.json)"
  aws iam attach-role-policy --role-name "$instance" --policy-arn "arn:$partition:iam::aws:policy/AmazonSSMManagedInstanceCore"
  if ! aws iam get-instance-profile --instance-profile-name "$instance" >/dev/null 2>&1; then
    aws iam create-instance-profile --instance-profile-name "$instance"
    aws iam add-role-to-instance-profile --instance-profile-name "$instance" --role-name "$instance"
  fi
}

# print_commands: the same as the module's output commands.
print_commands() {
  local role=arn:$partition:iam::$account:role/${names[service]} documents=${names[service]}-${names[environment]}
  print_environment "${names[environment]}" \
    AWS_REGION "$region" AWS_ROLE_ARN "$role-deploy-${names[environment]}" AWS_ROLLBACK_ROLE_ARN "$role-rollback-${names[environment]}" \
    AWS_STATUS_ROLE_ARN "$role-status-${names[environment]}" DEPLOY_BUCKET "${names[bucket]}" ECR_REPOSITORY "${names[repository]}" ${names[log_group]:+LOG_GROUP "${names[log_group]}"} \
    SSM_DOCUMENT "deploy-$documents" SSM_ROLLBACK_DOCUMENT "rollback-$documents" SSM_STATUS_DOCUMENT "status-$documents"
  [[ -z $plan_environment ]] || print_environment "$plan_environment" \
    AWS_REGION "$region" AWS_ROLE_ARN "$role-plan-${names[environment]}" DEPLOY_BUCKET "${names[bucket]}" ECR_REPOSITORY "${names[repository]}" SSM_DOCUMENT "status-$documents"
}

# print_environment ENVIRONMENT VARIABLE VALUE...
print_environment() {
  local environment=$1 repository=${names[github_owner]}/${names[github_name]}
  local path=repos/$repository/environments/$environment
  shift
  # The variables of an environment are those of one service.
  printf '%s\n' "case \$(gh variable get ECR_REPOSITORY --env $environment --repo $repository 2>/dev/null) in '' | ${names[repository]}) ;; *) echo 'the environment $environment has the ECR_REPOSITORY of another service: set up another environment, or delete that variable first' >&2; exit 1 ;; esac"
  printf '%s\n' "if ! gh api --silent $path 2>/dev/null; then"
  if [[ $environment == "$plan_environment" ]]; then
    printf '  %s\n' "gh api --silent --method PUT $path"
  else # only these tags and the default branch may deploy
    printf '  %s\n' "gh api --silent --method PUT $path -F 'deployment_branch_policy[protected_branches]=false' -F 'deployment_branch_policy[custom_branch_policies]=true'" \
      "gh api --silent $path/deployment-branch-policies -f type=tag -f 'name=*-$environment'" \
      "gh api --silent $path/deployment-branch-policies -f type=branch -f \"name=\$(gh api repos/$repository --jq .default_branch)\""
    printf '%s\n' "elif [ \"\$(gh api $path --jq '.deployment_branch_policy == null')\" = true ]; then"
    printf '  %s\n' "echo 'the environment $environment existed and has no rules, so each branch and tag may deploy to it: limit its deployment branches and tags' >&2"
  fi
  printf 'fi\n'
  printf "gh variable set %s --env $environment --repo $repository --body '%s'\n" "$@"
}

{
  create_repository
  create_bucket
  create_oidc_provider
  create_roles
  create_log_group
} >&2
print_commands
