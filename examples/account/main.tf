# From an empty account to the first deploy: docs/setup.md. In a folder of your own, the module's source is
# github.com/org/atta-deploy-action//terraform?ref=v1

terraform {
  required_version = ">= 1.9"
}

provider "aws" {
  region = var.region
}

# Keeps the state for the service and the environment that it was created for: another one would replace its resources.
resource "terraform_data" "owner" {
  input = "${var.service} in ${var.environment}"

  lifecycle {
    ignore_changes = [input]

    precondition {
      condition     = terraform.workspace == "default" || terraform.workspace == var.environment || endswith(terraform.workspace, "-${var.environment}") || startswith(var.environment, "${terraform.workspace}-")
      error_message = "The workspace ${terraform.workspace} is not for ${var.environment}: add -var-file=${terraform.workspace}.tfvars, or run terraform workspace select default."
    }
    postcondition {
      condition     = self.input == "${var.service} in ${var.environment}"
      error_message = "This state is that of ${self.input}. Another repository needs another clone, another environment a workspace: see docs/setup.md."
    }
  }
}

module "deploy" {
  source = "../../terraform"

  service              = var.service
  environment          = var.environment
  github_repository    = var.github_repository
  github_owner_id      = var.github_owner_id
  github_repository_id = var.github_repository_id
  create_oidc_provider = var.create_oidc_provider
  create_instance      = var.create_instance
  instance_type        = var.instance_type
  subnet_id            = var.subnet_id
  security_group_ids   = var.security_group_ids
  log_group            = var.log_group
  plan_environment     = var.plan_environment
}

output "commands" {
  description = "Commands that create the GitHub environments and set their variables: terraform output -raw commands | sh"
  value       = module.deploy.commands
}

output "target_tags" {
  description = "Tags for instances of yours."
  value       = module.deploy.target_tags
}

output "instance_profile" {
  description = "Instance profile for instances of yours."
  value       = module.deploy.instance_profile
}
