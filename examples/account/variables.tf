variable "region" {
  description = "Region of the repository, the bucket and the instances, such as us-east-1."
  type        = string
}

variable "service" {
  description = "Name of the service, such as atta."
  type        = string
}

variable "environment" {
  description = "Name of the GitHub environment."
  type        = string
  default     = "dev"
}

variable "github_repository" {
  description = "Repository whose workflows deploy, ORG/REPO."
  type        = string
}

variable "github_owner_id" {
  description = "Number of the repository's owner."
  type        = string
}

variable "github_repository_id" {
  description = "Number of the repository."
  type        = string
}

variable "create_oidc_provider" {
  description = "false if the account has an identity provider for GitHub."
  type        = bool
  default     = true
}

variable "plan_environment" {
  description = "GitHub environment of workflows that show a plan on pull requests, such as dev-plan. null: none."
  type        = string
  default     = null
}

variable "create_instance" {
  description = "false if you deploy to instances of your own."
  type        = bool
  default     = true
}

variable "log_group" {
  description = "Log group to create for the live log, such as /deploy/atta-dev; it costs money. null: none."
  type        = string
  default     = null
}

variable "instance_type" {
  description = "Type of the instance that is created."
  type        = string
  default     = "t3.micro"
}

variable "subnet_id" {
  description = "Subnet of that instance. null: one of the default VPC."
  type        = string
  default     = null
}

variable "security_group_ids" {
  description = "Security groups of that instance. null: the default group of its VPC."
  type        = list(string)
  default     = null
}
