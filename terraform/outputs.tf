output "role_arns" {
  description = "Roles of GitHub Actions, by operation."
  value       = merge({ for operation, role in aws_iam_role.operation : operation => role.arn }, { for role in aws_iam_role.plan : "plan" => role.arn })
}

output "document_names" {
  description = "SSM documents that the roles may send, by operation: the action's input document-name."
  value       = local.document_names

  depends_on = [aws_ssm_document.operation]
}

output "repository" {
  description = "The action's input ecr-repository."
  value       = local.repository

  depends_on = [aws_cloudformation_stack.repository]
}

output "bucket" {
  description = "The action's input deploy-bucket."
  value       = aws_s3_bucket.deploy.bucket
}

output "target_tags" {
  description = "Tags that an instance must have to be deployed to; as Key=value, the action's input target-tags."
  value       = local.tags
}

output "instance_profile" {
  description = "Instance profile for the instances."
  value       = aws_iam_instance_profile.instance.name
}

output "instance_id" {
  description = "ID of the instance, if it was created."
  value       = one(aws_instance.ready[*].id)
}

output "commands" {
  description = "Commands that create the GitHub environments and set their variables."
  value = join("", flatten([for environment, variables in local.variables : [
    # The variables of an environment are those of one service.
    "case $(gh variable get ECR_REPOSITORY --env ${environment} --repo ${var.github_repository} 2>/dev/null) in '' | ${variables.ECR_REPOSITORY}) ;;",
    " *) echo 'the environment ${environment} has the ECR_REPOSITORY of another service: set up another environment, or delete that variable first' >&2; exit 1 ;; esac\n",
    # Only if it does not exist: PUT would remove its protection rules.
    "if ! gh api --silent ${local.environments}/${environment} 2>/dev/null; then\n",
    environment == var.environment ? local.create_limited : ["  gh api --silent --method PUT ${local.environments}/${environment}\n"],
    environment == var.environment ? local.warn_unlimited : [],
    "fi\n",
    [for name, value in variables : join("", [
      # Somebody may have set a list, or left the instance out.
      name == "EC2_INSTANCE_ID" ? "gh variable get ${name} --env ${environment} --repo ${var.github_repository} >/dev/null 2>&1 || " : "",
      "gh variable set ${name} --env ${environment} --repo ${var.github_repository} --body '${value}'\n",
    ]) if value != null],
  ]]))
}

locals {
  environments = "repos/${var.github_repository}/environments"

  # What tags start is deployed, and workflows of the default branch roll back and show the status
  # (https://docs.github.com/en/rest/deployments/branch-policies). A plan runs for every pull request.
  limited = "${local.environments}/${var.environment}"
  create_limited = [
    "  gh api --silent --method PUT ${local.limited} -F 'deployment_branch_policy[protected_branches]=false' -F 'deployment_branch_policy[custom_branch_policies]=true'\n",
    "  gh api --silent ${local.limited}/deployment-branch-policies -f type=tag -f 'name=*-${var.environment}'\n",
    "  gh api --silent ${local.limited}/deployment-branch-policies -f type=branch -f \"name=$(gh api repos/${var.github_repository} --jq .default_branch)\"\n",
  ]
  warn_unlimited = [
    "elif [ \"$(gh api ${local.limited} --jq '.deployment_branch_policy == null')\" = true ]; then\n",
    "  echo 'the environment ${var.environment} existed and has no rules, so each branch and tag may deploy to it: limit its deployment branches and tags' >&2\n",
  ]

  # docs/workflows.md lists which input each of them sets.
  variables = merge({
    (var.environment) = {
      AWS_REGION            = local.region
      AWS_ROLE_ARN          = aws_iam_role.operation["deploy"].arn
      AWS_ROLLBACK_ROLE_ARN = aws_iam_role.operation["rollback"].arn
      AWS_STATUS_ROLE_ARN   = aws_iam_role.operation["status"].arn
      DEPLOY_BUCKET         = local.bucket
      EC2_INSTANCE_ID       = one(aws_instance.ready[*].id)
      ECR_REPOSITORY        = local.repository
      LOG_GROUP             = one(aws_cloudwatch_log_group.deploys[*].name)
      SSM_DOCUMENT          = local.document_names["deploy"]
      SSM_ROLLBACK_DOCUMENT = local.document_names["rollback"]
      SSM_STATUS_DOCUMENT   = local.document_names["status"]
    }
    }, { for role in aws_iam_role.plan : var.plan_environment => {
      AWS_REGION      = local.region
      AWS_ROLE_ARN    = role.arn
      DEPLOY_BUCKET   = local.bucket
      EC2_INSTANCE_ID = one(aws_instance.ready[*].id)
      ECR_REPOSITORY  = local.repository
      SSM_DOCUMENT    = local.document_names["status"]
  } })
}
