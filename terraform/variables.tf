variable "service" {
  description = "Name of the service on the instances: the action's input service, by default the name of the GitHub repository."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9]*(-[a-z0-9]+)*$", var.service))
    error_message = "service must be lower-case letters, digits and single dashes, starting with a letter, such as atta."
  }
  validation {
    condition     = !can(regex("^[0-9a-f]*$", var.service))
    error_message = "docker would take service for the beginning of a container ID: add a dash, or a letter after f."
  }
  validation {
    # The longest name that contains both is the bucket's, which may have 63 characters.
    condition     = length(var.service) + length(var.environment) <= 42
    error_message = "service and environment together may have 42 characters."
  }
}

variable "environment" {
  description = "Name of the GitHub environment, the action's input environment and the suffix of its versions."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9]*(-[a-z0-9]+)*$", var.environment)) && length(var.environment) <= 32
    error_message = "environment must be at most 32 lower-case letters, digits and single dashes, starting with a letter, such as dev."
  }
}

variable "github_repository" {
  description = "Repository whose workflows deploy, ORG/REPO, spelled as GitHub spells it."
  type        = string

  validation {
    # A character that means something in a policy, such as *, would widen whom the roles trust.
    condition     = can(regex("^[A-Za-z0-9-]+/[A-Za-z0-9._-]+$", var.github_repository))
    error_message = "github_repository must be ORG/REPO, such as org/atta."
  }
}

variable "github_owner_id" {
  description = "Number of the repository's owner: gh api repos/ORG/REPO --jq .owner.id"
  type        = string

  validation {
    condition     = can(regex("^[0-9]+$", var.github_owner_id))
    error_message = "github_owner_id must be a number: gh api repos/ORG/REPO --jq .owner.id"
  }
}

variable "github_repository_id" {
  description = "Number of the repository: gh api repos/ORG/REPO --jq .id"
  type        = string

  validation {
    condition     = can(regex("^[0-9]+$", var.github_repository_id))
    error_message = "github_repository_id must be a number: gh api repos/ORG/REPO --jq .id"
  }
}

variable "create_oidc_provider" {
  description = "Whether to create the account's identity provider for GitHub. An account can have only one: false if it exists."
  type        = bool
  default     = true
}

variable "plan_environment" {
  description = "GitHub environment whose jobs, such as those of pull requests, get a role for operation: plan, such as dev-plan. null: none."
  type        = string
  default     = null

  validation {
    condition     = var.plan_environment == null || can(regex("^[a-z][a-z0-9]*(-[a-z0-9]+)*$", var.plan_environment)) && var.plan_environment != var.environment
    error_message = "plan_environment must be lower-case letters, digits and single dashes, starting with a letter, such as dev-plan, and not the environment itself."
  }
}

variable "document_name" {
  description = "SSM document that the roles may send to the instances instead of those that the module creates: AWS-RunShellScript, or one of this account."
  type        = string
  default     = null

  validation {
    condition     = var.document_name == null || can(regex("^[A-Za-z0-9_.-]{3,128}$", var.document_name))
    error_message = "document_name must be the name of an SSM document, such as AWS-RunShellScript."
  }
}

variable "log_group" {
  description = "Log group of CloudWatch Logs to create for the action's input log-group, such as /deploy/atta-dev. null: none."
  type        = string
  default     = null

  validation {
    condition     = var.log_group == null || can(regex("^[A-Za-z0-9_./#-]{1,512}$", var.log_group))
    error_message = "log_group must be the name of a log group, such as /deploy/atta-dev."
  }
}

variable "settings_path" {
  description = "Path in Parameter Store that the instances may read, the action's input settings-from. null: /SERVICE/ENVIRONMENT"
  type        = string
  default     = null

  validation {
    condition     = var.settings_path == null || can(regex("^(/[A-Za-z0-9_.-]+){1,14}$", var.settings_path))
    error_message = "settings_path must be a path without a slash at its end, such as /atta/dev."
  }
}

variable "settings_key_arn" {
  description = "ARN of your KMS key that encrypts the parameters. null: they are encrypted with aws/ssm, which needs no permission."
  type        = string
  default     = null

  validation {
    condition     = var.settings_key_arn == null || can(regex("^arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+$", var.settings_key_arn))
    error_message = "settings_key_arn must be the ARN of a KMS key, such as arn:aws:kms:us-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab."
  }
}

variable "create_instance" {
  description = "Whether to create one instance that is ready for deploys."
  type        = bool
  default     = false
}

variable "instance_type" {
  description = "Type of that instance, x86-64."
  type        = string
  default     = "t3.micro"
}

variable "subnet_id" {
  description = "Subnet of that instance, from which it reaches SSM, ECR and S3. null: one of the default VPC."
  type        = string
  default     = null
}

variable "security_group_ids" {
  description = "Security groups of that instance. null: the default group of its VPC."
  type        = list(string)
  default     = null
}

variable "metadata_hop_limit" {
  description = "Hop limit of that instance's metadata service. 1 keeps the instance's role from its containers; 2 lets them use it."
  type        = number
  default     = 1
}
