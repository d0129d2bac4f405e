# The optional instance, the outputs, and values that the module refuses.

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
  target = aws_iam_role.operation["deploy"]
  values = { arn = "arn:aws:iam::123456789012:role/atta-deploy-dev" }
}

override_resource {
  target = aws_iam_role.operation["rollback"]
  values = { arn = "arn:aws:iam::123456789012:role/atta-rollback-dev" }
}

override_resource {
  target = aws_iam_role.operation["status"]
  values = { arn = "arn:aws:iam::123456789012:role/atta-status-dev" }
}

override_resource {
  target = aws_instance.ready
  values = { id = "i-0123456789abcdef0" }
}

run "no_instance_by_default" {
  assert {
    condition     = length(aws_instance.ready) == 0 && output.instance_id == null
    error_message = "An instance costs money, so it must be asked for."
  }
  assert {
    condition     = output.commands == <<-EOT
      case $(gh variable get ECR_REPOSITORY --env dev --repo Org/atta-jobs 2>/dev/null) in '' | atta-dev) ;; *) echo 'the environment dev has the ECR_REPOSITORY of another service: set up another environment, or delete that variable first' >&2; exit 1 ;; esac
      if ! gh api --silent repos/Org/atta-jobs/environments/dev 2>/dev/null; then
        gh api --silent --method PUT repos/Org/atta-jobs/environments/dev -F 'deployment_branch_policy[protected_branches]=false' -F 'deployment_branch_policy[custom_branch_policies]=true'
        gh api --silent repos/Org/atta-jobs/environments/dev/deployment-branch-policies -f type=tag -f 'name=*-dev'
        gh api --silent repos/Org/atta-jobs/environments/dev/deployment-branch-policies -f type=branch -f "name=$(gh api repos/Org/atta-jobs --jq .default_branch)"
      elif [ "$(gh api repos/Org/atta-jobs/environments/dev --jq '.deployment_branch_policy == null')" = true ]; then
        echo 'the environment dev existed and has no rules, so each branch and tag may deploy to it: limit its deployment branches and tags' >&2
      fi
      gh variable set AWS_REGION --env dev --repo Org/atta-jobs --body 'us-east-1'
      gh variable set AWS_ROLE_ARN --env dev --repo Org/atta-jobs --body 'arn:aws:iam::123456789012:role/atta-deploy-dev'
      gh variable set AWS_ROLLBACK_ROLE_ARN --env dev --repo Org/atta-jobs --body 'arn:aws:iam::123456789012:role/atta-rollback-dev'
      gh variable set AWS_STATUS_ROLE_ARN --env dev --repo Org/atta-jobs --body 'arn:aws:iam::123456789012:role/atta-status-dev'
      gh variable set DEPLOY_BUCKET --env dev --repo Org/atta-jobs --body 'atta-dev-deploy-123456789012'
      gh variable set ECR_REPOSITORY --env dev --repo Org/atta-jobs --body 'atta-dev'
      gh variable set SSM_DOCUMENT --env dev --repo Org/atta-jobs --body 'deploy-atta-dev'
      gh variable set SSM_ROLLBACK_DOCUMENT --env dev --repo Org/atta-jobs --body 'rollback-atta-dev'
      gh variable set SSM_STATUS_DOCUMENT --env dev --repo Org/atta-jobs --body 'status-atta-dev'
    EOT
    error_message = "The commands must set the variables that the workflows use."
  }
  assert {
    condition     = output.repository == "atta-dev" && output.bucket == "atta-dev-deploy-123456789012" && output.role_arns["status"] == "arn:aws:iam::123456789012:role/atta-status-dev" && output.instance_profile == "atta-instance-dev"
    error_message = "The outputs must name what was created."
  }
}

run "instance" {
  variables {
    create_instance = true
  }
  assert {
    condition     = aws_instance.ready[0].iam_instance_profile == "atta-instance-dev" && aws_instance.ready[0].ami == "ami-0123456789abcdef0"
    error_message = "The instance must run Amazon Linux 2023 with the instance role."
  }
  assert {
    condition     = data.aws_ssm_parameter.image[0].name == "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64"
    error_message = "The image must be Amazon Linux 2023."
  }
  assert {
    condition     = aws_instance.ready[0].tags == tomap({ Environment = "dev", Service = "atta", Name = "atta-dev" }) && output.target_tags == { Environment = "dev", Service = "atta" }
    error_message = "The roles may send commands only to instances with these tags."
  }
  assert {
    condition     = one(aws_instance.ready[0].metadata_options).http_tokens == "required" && one(aws_instance.ready[0].metadata_options).http_put_response_hop_limit == 1
    error_message = "A container must not get the credentials of the instance."
  }
  assert {
    condition     = one(aws_instance.ready[0].root_block_device).encrypted
    error_message = "The disk holds settings and secrets, so it must be encrypted."
  }
  assert {
    condition     = aws_instance.ready[0].user_data == file("user_data.sh")
    error_message = "The instance must be prepared by user_data.sh."
  }
  assert {
    condition     = strcontains(output.commands, "\ngh variable get EC2_INSTANCE_ID --env dev --repo Org/atta-jobs >/dev/null 2>&1 || gh variable set EC2_INSTANCE_ID --env dev --repo Org/atta-jobs --body 'i-0123456789abcdef0'\n")
    error_message = "The commands must name the instance, and keep a list that has it."
  }
}

run "an_instance_in_a_group_of_its_own" {
  command = plan
  variables {
    create_instance    = true
    security_group_ids = ["sg-0123456789abcdef0"]
  }
  assert {
    condition     = aws_instance.ready[0].vpc_security_group_ids == toset(["sg-0123456789abcdef0"])
    error_message = "security_group_ids must reach the instance."
  }
}

run "containers_with_the_role_of_the_instance" {
  command = plan
  variables {
    create_instance    = true
    metadata_hop_limit = 2
  }
  assert {
    condition     = one(aws_instance.ready[0].metadata_options).http_put_response_hop_limit == 2
    error_message = "metadata_hop_limit must reach the instance."
  }
}

run "wildcards_and_wrong_names" {
  command = plan
  variables {
    environment          = "Dev"
    github_repository    = "org/*"
    github_owner_id      = "*"
    github_repository_id = "org"
    document_name        = "AWS-*"
    log_group            = "*"
  }
  expect_failures = [
    var.environment, var.github_repository, var.github_owner_id, var.github_repository_id, var.document_name, var.log_group,
  ]
}

run "names_that_are_too_long" {
  command = plan
  variables {
    service     = "a-service-with-a-name-of-thirty-eight1"
    environment = "staging"
  }
  expect_failures = [var.service]
}

run "wildcard_in_the_service" {
  command = plan
  variables {
    service = "atta*"
  }
  expect_failures = [var.service]
}
