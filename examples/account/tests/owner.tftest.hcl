# A state belongs to one service in one environment.

mock_provider "aws" {
  source = "../../terraform/tests/mocks"
}

variables {
  region               = "us-east-1"
  service              = "atta"
  environment          = "dev"
  github_repository    = "Org/atta-jobs"
  github_owner_id      = "1234567"
  github_repository_id = "987654321"
}

run "first_apply" {
  assert {
    condition     = terraform_data.owner.input == "atta in dev"
    error_message = "The state must record what it is for."
  }
}

run "apply_again" {
  variables {
    github_repository    = "Org/renamed"
    create_oidc_provider = false
  }
}

run "another_service" {
  command = plan
  variables {
    service = "web"
  }
  expect_failures = [terraform_data.owner]
}

run "another_environment" {
  command = plan
  variables {
    environment = "prod"
  }
  expect_failures = [terraform_data.owner]
}
