# The documents that the roles may send.

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

run "one_document_for_each_operation" {
  assert {
    condition     = { for operation, document in aws_ssm_document.operation : operation => document.name } == output.document_names && output.document_names == { deploy = "deploy-atta-dev", rollback = "rollback-atta-dev", status = "status-atta-dev" }
    error_message = "There must be one document for each operation, with the name that its role may send."
  }
  assert {
    condition     = alltrue([for document in aws_ssm_document.operation : document.document_type == "Command" && document.document_format == "JSON"])
    error_message = "The documents must be for Run Command."
  }
  assert {
    condition     = { for operation, document in aws_ssm_document.operation : operation => jsondecode(document.content).parameters.command.allowedPattern } == { deploy = "^(deploy|check|rollback|status|doctor)$", rollback = "^(deploy|rollback|status|doctor)$", status = "^(status|doctor)$" }
    error_message = "A document allows other commands than those of its operation."
  }
  assert {
    condition     = { for operation, document in aws_ssm_document.operation : operation => jsondecode(document.content).parameters.healthCommand.allowedPattern } == { deploy = "^[A-Za-z0-9+/=]*$", rollback = "^[A-Za-z0-9+/=]{0}$", status = "^[A-Za-z0-9+/=]{0}$" }
    error_message = "Only a deploy may have a health command, which instances run as root."
  }
  assert {
    condition     = alltrue([for document in aws_ssm_document.operation : jsondecode(document.content).parameters.service.allowedPattern == "^(atta)$"])
    error_message = "A document must be for one service."
  }
  assert {
    condition     = alltrue([for document in aws_ssm_document.operation : jsondecode(document.content).mainSteps == jsondecode(file("document.json")).mainSteps])
    error_message = "The placeholders must not occur in the script."
  }
}
