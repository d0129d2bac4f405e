# What one service needs in one environment: a repository, a bucket, roles for GitHub Actions and one for the
# instances. docs/setup.md uses it; docs/permissions.md explains each permission.

data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}
data "aws_region" "current" {}

locals {
  account    = data.aws_caller_identity.current.account_id
  partition  = data.aws_partition.current.partition
  region     = data.aws_region.current.id
  repository = "${var.service}-${var.environment}"
  bucket     = "${var.service}-${var.environment}-deploy-${local.account}"

  # How the action and the policies select instances.
  tags = { Environment = var.environment, Service = var.service }

  # What the policies name.
  names = {
    account              = local.account
    bucket               = local.bucket
    environment          = var.environment
    github_environment   = var.environment
    github_owner         = split("/", var.github_repository)[0]
    github_owner_id      = var.github_owner_id
    github_name          = split("/", var.github_repository)[1]
    github_repository_id = var.github_repository_id
    partition            = local.partition
    region               = local.region
    repository           = local.repository
    service              = var.service
    settings_path        = coalesce(var.settings_path, "/${var.service}/${var.environment}")
  }
}
