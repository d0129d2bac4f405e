# The role of a plan, which jobs get that have no say in what is deployed.

mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  service              = "atta"
  environment          = "dev"
  github_repository    = "Org/atta-jobs"
  github_owner_id      = "1234567"
  github_repository_id = "987654321"
}

override_resource {
  target = aws_iam_role.plan[0]
  values = { arn = "arn:aws:iam::123456789012:role/atta-plan-dev" }
}

run "no_role_by_default" {
  assert {
    condition     = length(aws_iam_role.plan) == 0 && length(aws_iam_role_policy.plan) == 0 && !contains(keys(output.role_arns), "plan")
    error_message = "Nobody but the environment gets a role unless it is asked for."
  }
}

run "role" {
  variables {
    plan_environment = "dev-plan"
  }
  assert {
    condition = jsondecode(aws_iam_role.plan[0].assume_role_policy).Statement[0].Condition.StringEquals["token.actions.githubusercontent.com:sub"] == [
      "repo:Org/atta-jobs:environment:dev-plan", "repo:Org@1234567/atta-jobs@987654321:environment:dev-plan",
    ]
    error_message = "The role must be for the jobs of its environment."
  }
  assert {
    condition     = aws_iam_role.plan[0].name == "atta-plan-dev" && aws_iam_role_policy.plan[0].role == "atta-plan-dev" && output.role_arns["plan"] == "arn:aws:iam::123456789012:role/atta-plan-dev"
    error_message = "The role must have its policy."
  }
  assert {
    condition = toset(flatten([for s in jsondecode(aws_iam_role_policy.plan[0].policy).Statement : [for action in flatten([s.Action]) : [
      for resource in flatten([s.Resource]) : "${s.Effect} ${action} ${resource}${can(s.Condition) ? " if ${jsonencode(s.Condition)}" : ""}"
      ]]])) == toset([
      "Allow ecr:GetAuthorizationToken *",
      "Allow ecr:BatchGetImage arn:aws:ecr:us-east-1:123456789012:repository/atta-dev",
      "Allow s3:GetObject arn:aws:s3:::atta-dev-deploy-123456789012/bundles/dev/atta/*",
      "Allow s3:GetObject arn:aws:s3:::atta-dev-deploy-123456789012/deployments/dev/atta/lock.json",
      "Allow s3:GetObject arn:aws:s3:::atta-dev-deploy-123456789012/deployments/dev/atta/current.json",
      "Allow s3:GetObject arn:aws:s3:::atta-dev-deploy-123456789012/deployments/dev/atta/images/*",
      "Allow s3:ListBucket arn:aws:s3:::atta-dev-deploy-123456789012",
      "Allow ssm:GetDocument arn:aws:ssm:us-east-1:123456789012:document/status-atta-dev",
      "Allow ssm:SendCommand arn:aws:ssm:us-east-1:123456789012:document/status-atta-dev",
      "Allow ssm:SendCommand arn:aws:ec2:us-east-1:123456789012:instance/* if {\"StringEquals\":{\"ssm:resourceTag/Environment\":\"dev\",\"ssm:resourceTag/Service\":\"atta\"}}",
      "Allow ssm:DescribeInstanceInformation *",
      "Allow ssm:ListCommands *",
      "Allow ssm:ListCommandInvocations *",
      "Allow ssm:GetCommandInvocation *",
      "Allow ssm:CancelCommand *",
    ])
    error_message = "The plan role may do something else."
  }
  assert {
    condition = endswith(output.commands, <<-EOT
      case $(gh variable get ECR_REPOSITORY --env dev-plan --repo Org/atta-jobs 2>/dev/null) in '' | atta-dev) ;; *) echo 'the environment dev-plan has the ECR_REPOSITORY of another service: set up another environment, or delete that variable first' >&2; exit 1 ;; esac
      if ! gh api --silent repos/Org/atta-jobs/environments/dev-plan 2>/dev/null; then
        gh api --silent --method PUT repos/Org/atta-jobs/environments/dev-plan
      fi
      gh variable set AWS_REGION --env dev-plan --repo Org/atta-jobs --body 'us-east-1'
      gh variable set AWS_ROLE_ARN --env dev-plan --repo Org/atta-jobs --body 'arn:aws:iam::123456789012:role/atta-plan-dev'
      gh variable set DEPLOY_BUCKET --env dev-plan --repo Org/atta-jobs --body 'atta-dev-deploy-123456789012'
      gh variable set ECR_REPOSITORY --env dev-plan --repo Org/atta-jobs --body 'atta-dev'
      gh variable set SSM_DOCUMENT --env dev-plan --repo Org/atta-jobs --body 'status-atta-dev'
    EOT
    )
    error_message = "The commands must set the variables of the plan's environment."
  }
}

run "an_environment_that_deploys" {
  command = plan
  variables {
    plan_environment = "dev"
  }
  expect_failures = [var.plan_environment]
}

run "a_wildcard" {
  command = plan
  variables {
    plan_environment = "*"
  }
  expect_failures = [var.plan_environment]
}
