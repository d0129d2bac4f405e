# In the workspace prod: TF_WORKSPACE=prod terraform test -test-directory=tests/prod

mock_provider "aws" {
  source = "../../terraform/tests/mocks"
}

variables {
  region               = "us-east-1"
  service              = "atta"
  github_repository    = "Org/atta-jobs"
  github_owner_id      = "1234567"
  github_repository_id = "987654321"
}

run "environment_of_another_workspace" {
  command = plan
  variables {
    environment = "dev"
  }
  expect_failures = [terraform_data.owner]
}

run "environment_of_one_of_several_services" {
  command = plan
  variables {
    environment        = "prod-web"
    security_group_ids = ["sg-0123456789abcdef0"]
  }
}

run "environment_of_the_workspace" {
  variables {
    environment = "prod"
  }
}
