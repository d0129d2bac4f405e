# What each role may do, as a complete list: one permission more or less fails.

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

run "defaults" {
  assert {
    condition = alltrue([for role in aws_iam_role.operation : jsondecode(role.assume_role_policy) == {
      Version = "2012-10-17"
      Statement = [{
        Effect    = "Allow"
        Action    = "sts:AssumeRoleWithWebIdentity"
        Principal = { Federated = "arn:aws:iam::123456789012:oidc-provider/token.actions.githubusercontent.com" }
        Condition = { StringEquals = {
          "token.actions.githubusercontent.com:aud" = "sts.amazonaws.com"
          "token.actions.githubusercontent.com:sub" = [
            "repo:Org/atta-jobs:environment:dev",
            "repo:Org@1234567/atta-jobs@987654321:environment:dev",
          ]
        } }
      }]
    }])
    error_message = "A role trusts somebody other than the environment of the repository."
  }
  assert {
    condition     = { for operation, role in aws_iam_role.operation : operation => role.name } == { deploy = "atta-deploy-dev", rollback = "atta-rollback-dev", status = "atta-status-dev" }
    error_message = "There must be one role for each operation."
  }
  assert {
    condition     = { for operation, policy in aws_iam_role_policy.operation : operation => policy.role } == { for operation, role in aws_iam_role.operation : operation => role.name }
    error_message = "A policy belongs to another role."
  }
  assert {
    condition     = aws_iam_openid_connect_provider.github[0].url == "https://token.actions.githubusercontent.com" && toset(aws_iam_openid_connect_provider.github[0].client_id_list) == toset(["sts.amazonaws.com"])
    error_message = "The identity provider is not GitHub's, or accepts tokens for somebody else."
  }

  assert {
    condition = toset(flatten([for s in jsondecode(aws_iam_role_policy.operation["deploy"].policy).Statement : [for action in flatten([s.Action]) : [
      for resource in flatten([s.Resource]) : "${s.Effect} ${action} ${resource}${can(s.Condition) ? " if ${jsonencode(s.Condition)}" : ""}"
      ]]])) == toset([
      "Allow ecr:GetAuthorizationToken *",
      "Allow ecr:BatchCheckLayerAvailability arn:aws:ecr:us-east-1:123456789012:repository/atta-dev",
      "Allow ecr:BatchGetImage arn:aws:ecr:us-east-1:123456789012:repository/atta-dev",
      "Allow ecr:CompleteLayerUpload arn:aws:ecr:us-east-1:123456789012:repository/atta-dev",
      "Allow ecr:GetDownloadUrlForLayer arn:aws:ecr:us-east-1:123456789012:repository/atta-dev",
      "Allow ecr:InitiateLayerUpload arn:aws:ecr:us-east-1:123456789012:repository/atta-dev",
      "Allow ecr:PutImage arn:aws:ecr:us-east-1:123456789012:repository/atta-dev",
      "Allow ecr:UploadLayerPart arn:aws:ecr:us-east-1:123456789012:repository/atta-dev",
      "Allow s3:GetObject arn:aws:s3:::atta-dev-deploy-123456789012/bundles/dev/atta/*",
      "Allow s3:PutObject arn:aws:s3:::atta-dev-deploy-123456789012/bundles/dev/atta/*",
      "Allow s3:GetObject arn:aws:s3:::atta-dev-deploy-123456789012/deployments/dev/atta/*",
      "Allow s3:PutObject arn:aws:s3:::atta-dev-deploy-123456789012/deployments/dev/atta/*",
      "Allow s3:ListBucket arn:aws:s3:::atta-dev-deploy-123456789012",
      "Allow ssm:GetDocument arn:aws:ssm:us-east-1:123456789012:document/deploy-atta-dev",
      "Allow ssm:SendCommand arn:aws:ssm:us-east-1:123456789012:document/deploy-atta-dev",
      "Allow ssm:SendCommand arn:aws:ec2:us-east-1:123456789012:instance/* if {\"StringEquals\":{\"ssm:resourceTag/Environment\":\"dev\",\"ssm:resourceTag/Service\":\"atta\"}}",
      "Allow ssm:DescribeInstanceInformation *",
      "Allow ssm:ListCommands *",
      "Allow ssm:ListCommandInvocations *",
      "Allow ssm:GetCommandInvocation *",
      "Allow ssm:CancelCommand *",
    ])
    error_message = "The deploy role may do something else."
  }

  assert {
    condition = toset(flatten([for s in jsondecode(aws_iam_role_policy.operation["rollback"].policy).Statement : [for action in flatten([s.Action]) : [
      for resource in flatten([s.Resource]) : "${s.Effect} ${action} ${resource}${can(s.Condition) ? " if ${jsonencode(s.Condition)}" : ""}"
      ]]])) == toset([
      "Allow ecr:GetAuthorizationToken *",
      "Allow ecr:BatchGetImage arn:aws:ecr:us-east-1:123456789012:repository/atta-dev",
      "Allow s3:GetObject arn:aws:s3:::atta-dev-deploy-123456789012/bundles/dev/atta/*",
      "Allow s3:GetObject arn:aws:s3:::atta-dev-deploy-123456789012/deployments/dev/atta/lock.json",
      "Allow s3:PutObject arn:aws:s3:::atta-dev-deploy-123456789012/deployments/dev/atta/lock.json",
      "Allow s3:GetObject arn:aws:s3:::atta-dev-deploy-123456789012/deployments/dev/atta/current.json",
      "Allow s3:PutObject arn:aws:s3:::atta-dev-deploy-123456789012/deployments/dev/atta/current.json",
      "Allow s3:GetObject arn:aws:s3:::atta-dev-deploy-123456789012/deployments/dev/atta/history/*",
      "Allow s3:PutObject arn:aws:s3:::atta-dev-deploy-123456789012/deployments/dev/atta/history/*",
      "Allow s3:ListBucket arn:aws:s3:::atta-dev-deploy-123456789012",
      "Allow ssm:GetDocument arn:aws:ssm:us-east-1:123456789012:document/rollback-atta-dev",
      "Allow ssm:SendCommand arn:aws:ssm:us-east-1:123456789012:document/rollback-atta-dev",
      "Allow ssm:SendCommand arn:aws:ec2:us-east-1:123456789012:instance/* if {\"StringEquals\":{\"ssm:resourceTag/Environment\":\"dev\",\"ssm:resourceTag/Service\":\"atta\"}}",
      "Allow ssm:DescribeInstanceInformation *",
      "Allow ssm:ListCommands *",
      "Allow ssm:ListCommandInvocations *",
      "Allow ssm:GetCommandInvocation *",
      "Allow ssm:CancelCommand *",
    ])
    error_message = "The rollback role may do something else."
  }

  assert {
    condition = toset(flatten([for s in jsondecode(aws_iam_role_policy.operation["status"].policy).Statement : [for action in flatten([s.Action]) : [
      for resource in flatten([s.Resource]) : "${s.Effect} ${action} ${resource}${can(s.Condition) ? " if ${jsonencode(s.Condition)}" : ""}"
      ]]])) == toset([
      "Allow s3:GetObject arn:aws:s3:::atta-dev-deploy-123456789012/deployments/dev/atta/lock.json",
      "Allow s3:GetObject arn:aws:s3:::atta-dev-deploy-123456789012/deployments/dev/atta/current.json",
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
    error_message = "The status role may do something else."
  }

  assert {
    condition = toset(flatten([for s in jsondecode(aws_iam_role_policy.instance.policy).Statement : [for action in flatten([s.Action]) : [
      for resource in flatten([s.Resource]) : "${s.Effect} ${action} ${resource}${can(s.Condition) ? " if ${jsonencode(s.Condition)}" : ""}"
      ]]])) == toset([
      "Allow ecr:GetAuthorizationToken *",
      "Allow ecr:BatchGetImage arn:aws:ecr:us-east-1:123456789012:repository/atta-dev",
      "Allow ecr:GetDownloadUrlForLayer arn:aws:ecr:us-east-1:123456789012:repository/atta-dev",
      "Allow s3:GetObject arn:aws:s3:::atta-dev-deploy-123456789012/bundles/dev/atta/*",
      "Allow ssm:GetParametersByPath arn:aws:ssm:us-east-1:123456789012:parameter/atta/dev",
    ])
    error_message = "The instance role may do something else."
  }
  assert {
    condition     = length(aws_iam_role_policy.settings_key) == 0
    error_message = "Without a key, nothing may be decrypted."
  }
  assert {
    condition = jsondecode(aws_iam_role.instance.assume_role_policy) == {
      Version   = "2012-10-17"
      Statement = [{ Effect = "Allow", Principal = { Service = "ec2.amazonaws.com" }, Action = "sts:AssumeRole" }]
    }
    error_message = "Somebody other than EC2 may assume the instance role."
  }
  assert {
    condition     = aws_iam_role_policy.instance.role == aws_iam_role.instance.name && aws_iam_instance_profile.instance.role == aws_iam_role.instance.name
    error_message = "The instance profile must have the role with the policy."
  }
  assert {
    condition     = aws_iam_role_policy_attachment.instance.role == aws_iam_role.instance.name && aws_iam_role_policy_attachment.instance.policy_arn == "arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore"
    error_message = "The SSM agent needs AmazonSSMManagedInstanceCore."
  }
}

run "no_log_group_by_default" {
  assert {
    condition     = length(aws_cloudwatch_log_group.deploys) == 0 && length(aws_iam_role_policy.log_read) == 0 && length(aws_iam_role_policy.log_write) == 0
    error_message = "Without a log group, nobody needs permissions for logs."
  }
}

run "log_group" {
  variables {
    log_group = "/deploy/atta-dev"
  }
  assert {
    condition     = aws_cloudwatch_log_group.deploys[0].name == "/deploy/atta-dev" && aws_cloudwatch_log_group.deploys[0].retention_in_days == 30
    error_message = "The log group must not grow forever."
  }
  assert {
    condition     = { for operation, policy in aws_iam_role_policy.log_read : operation => policy.role } == { deploy = "atta-deploy-dev", rollback = "atta-rollback-dev" } && aws_iam_role_policy.log_write[0].role == "atta-instance-dev"
    error_message = "The deploy and the rollback read the log that the instances write."
  }
  assert {
    condition = alltrue([for policy in aws_iam_role_policy.log_read : jsondecode(policy.policy).Statement == [{
      Sid      = "ReadLog", Effect = "Allow", Action = "logs:FilterLogEvents",
      Resource = ["arn:aws:logs:us-east-1:123456789012:log-group:/deploy/atta-dev", "arn:aws:logs:us-east-1:123456789012:log-group:/deploy/atta-dev:*"]
    }]])
    error_message = "The roles may do something else with logs."
  }
  assert {
    condition = jsondecode(aws_iam_role_policy.log_write[0].policy).Statement == [{
      Sid      = "WriteLog", Effect = "Allow", Action = ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"],
      Resource = ["arn:aws:logs:us-east-1:123456789012:log-group:/deploy/atta-dev", "arn:aws:logs:us-east-1:123456789012:log-group:/deploy/atta-dev:*"]
    }]
    error_message = "The instances may do something else with logs."
  }
  assert {
    condition     = strcontains(output.commands, "gh variable set LOG_GROUP --env dev --repo Org/atta-jobs --body '/deploy/atta-dev'\n")
    error_message = "The commands must name the log group."
  }
}

run "settings_with_a_key" {
  variables {
    settings_path    = "/prod/atta"
    settings_key_arn = "arn:aws:kms:us-east-1:123456789012:key/1234abcd"
  }
  assert {
    condition = [for s in jsondecode(aws_iam_role_policy.instance.policy).Statement : s.Resource if s.Action == "ssm:GetParametersByPath"] == [
      "arn:aws:ssm:us-east-1:123456789012:parameter/prod/atta"
    ]
    error_message = "The instance role may read other parameters."
  }
  assert {
    condition = aws_iam_role_policy.settings_key[0].role == aws_iam_role.instance.name && jsondecode(aws_iam_role_policy.settings_key[0].policy).Statement == [{
      Sid      = "DecryptSettings"
      Effect   = "Allow"
      Action   = "kms:Decrypt"
      Resource = "arn:aws:kms:us-east-1:123456789012:key/1234abcd"
      Condition = { StringLike = {
        "kms:ViaService"                      = "ssm.us-east-1.amazonaws.com*"
        "kms:EncryptionContext:PARAMETER_ARN" = "arn:aws:ssm:us-east-1:123456789012:parameter/prod/atta/*"
      } }
    }]
    error_message = "The instance role may decrypt something else."
  }
}

run "settings_of_every_service" {
  command = plan
  variables {
    settings_path = "/*"
  }
  expect_failures = [var.settings_path]
}

run "existing_provider_and_another_document" {
  variables {
    create_oidc_provider = false
    document_name        = "atta-deploy"
  }
  assert {
    condition     = length(aws_iam_openid_connect_provider.github) == 0 && length(aws_iam_role.operation) == 3
    error_message = "The roles must use the identity provider that exists."
  }
  assert {
    condition = alltrue([for policy in aws_iam_role_policy.operation : [
      for s in jsondecode(policy.policy).Statement : s.Resource if contains(flatten([s.Action]), "ssm:SendCommand") && !can(s.Condition)
    ] == ["arn:aws:ssm:us-east-1:123456789012:document/atta-deploy"]])
    error_message = "The roles must be allowed to send the document of this account, and none other."
  }
  assert {
    condition     = length(aws_ssm_document.operation) == 0
    error_message = "The module must not create documents that nobody sends."
  }
}

run "document_of_aws" {
  variables {
    document_name = "AWS-RunShellScript"
  }
  assert {
    condition = alltrue([for policy in aws_iam_role_policy.operation : [
      for s in jsondecode(policy.policy).Statement : s.Resource if contains(flatten([s.Action]), "ssm:SendCommand") && !can(s.Condition)
    ] == ["arn:aws:ssm:us-east-1::document/AWS-RunShellScript"]])
    error_message = "The roles must be allowed to send the document of AWS, and none other."
  }
  assert {
    condition     = strcontains(output.commands, "gh variable set SSM_DOCUMENT --env dev --repo Org/atta-jobs --body 'AWS-RunShellScript'\n")
    error_message = "The commands must replace the document that was used before."
  }
}
