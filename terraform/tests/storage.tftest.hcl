# What the repository and the bucket enforce, whoever asks.

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
    condition     = jsondecode(aws_cloudformation_stack.repository.template_body).Resources.Repository.Type == "AWS::ECR::Repository" && length(jsondecode(aws_cloudformation_stack.repository.template_body).Resources) == 1
    error_message = "The stack must be the repository alone."
  }
  assert {
    condition     = jsondecode(aws_cloudformation_stack.repository.template_body).Resources.Repository.Properties.RepositoryName == { Ref = "Name" } && aws_cloudformation_stack.repository.parameters == tomap({ Name = "atta-dev" })
    error_message = "The repository must have the name that the roles are allowed to use."
  }
  assert {
    condition     = jsondecode(aws_cloudformation_stack.repository.template_body).Resources.Repository.Properties.ImageTagMutability == "IMMUTABLE_WITH_EXCLUSION"
    error_message = "The tag of a version must not move."
  }
  assert {
    condition = jsondecode(aws_cloudformation_stack.repository.template_body).Resources.Repository.Properties.ImageTagMutabilityExclusionFilters == [
      { ImageTagMutabilityExclusionFilterType = "WILDCARD", ImageTagMutabilityExclusionFilterValue = "latest-*" }
    ]
    error_message = "latest-* alone may move."
  }
  assert {
    condition     = jsondecode(aws_cloudformation_stack.repository.template_body).Resources.Repository.Properties.ImageScanningConfiguration.ScanOnPush
    error_message = "Images must be scanned when they are pushed."
  }
  assert {
    condition = [for rule in jsondecode(jsondecode(aws_cloudformation_stack.repository.template_body).Resources.Repository.Properties.LifecyclePolicy.LifecyclePolicyText).rules : "${rule.action.type} ${rule.selection.tagStatus} after ${rule.selection.countNumber} ${rule.selection.countUnit} ${rule.selection.countType}"] == [
      "expire untagged after 14 days sinceImagePushed"
    ]
    error_message = "An image with a tag must never expire: an instance may run it, or roll back to it."
  }

  assert {
    condition = jsondecode(aws_s3_bucket_policy.deploy.policy) == {
      Version = "2012-10-17"
      Statement = [
        {
          Sid       = "DenyWithoutTLS"
          Effect    = "Deny"
          Principal = "*"
          Action    = "s3:*"
          Resource  = ["arn:aws:s3:::atta-dev-deploy-123456789012", "arn:aws:s3:::atta-dev-deploy-123456789012/*"]
          Condition = { Bool = { "aws:SecureTransport" = "false" } }
        },
        {
          Sid       = "DenyOverwritingBundles"
          Effect    = "Deny"
          Principal = "*"
          Action    = "s3:PutObject"
          Resource  = "arn:aws:s3:::atta-dev-deploy-123456789012/bundles/*"
          Condition = { Null = { "s3:if-none-match" = "true" } }
        },
      ]
    }
    error_message = "The bucket must refuse requests without TLS and any write that could replace a bundle."
  }
  assert {
    condition     = aws_s3_bucket.deploy.bucket == "atta-dev-deploy-123456789012" && aws_s3_bucket_policy.deploy.bucket == aws_s3_bucket.deploy.id
    error_message = "The policy must be that of the bucket that the roles are allowed to use."
  }

  assert {
    condition = aws_s3_bucket_public_access_block.deploy.bucket == aws_s3_bucket.deploy.id && alltrue([
      aws_s3_bucket_public_access_block.deploy.block_public_acls,
      aws_s3_bucket_public_access_block.deploy.block_public_policy,
      aws_s3_bucket_public_access_block.deploy.ignore_public_acls,
      aws_s3_bucket_public_access_block.deploy.restrict_public_buckets,
    ])
    error_message = "The bucket must be private."
  }
  assert {
    condition     = aws_s3_bucket_ownership_controls.deploy.bucket == aws_s3_bucket.deploy.id && one(aws_s3_bucket_ownership_controls.deploy.rule).object_ownership == "BucketOwnerEnforced"
    error_message = "The bucket must have no ACLs."
  }
  assert {
    condition     = aws_s3_bucket_server_side_encryption_configuration.deploy.bucket == aws_s3_bucket.deploy.id && one(one(aws_s3_bucket_server_side_encryption_configuration.deploy.rule).apply_server_side_encryption_by_default).sse_algorithm == "AES256"
    error_message = "The bucket must be encrypted."
  }
  assert {
    condition     = aws_s3_bucket_versioning.deploy.bucket == aws_s3_bucket.deploy.id && one(aws_s3_bucket_versioning.deploy.versioning_configuration).status == "Enabled"
    error_message = "The bucket must keep versions."
  }
  assert {
    condition = aws_s3_bucket_lifecycle_configuration.deploy.bucket == aws_s3_bucket.deploy.id && [
      for rule in aws_s3_bucket_lifecycle_configuration.deploy.rule : "${rule.status} ${one(rule.filter).prefix} ${one(rule.noncurrent_version_expiration).noncurrent_days} ${one(rule.noncurrent_version_expiration).newer_noncurrent_versions} ${length(rule.expiration)}"
    ] == ["Enabled deployments/ 1 10 0"]
    error_message = "Old versions below deployments/ must expire, except the ten newest, and nothing else."
  }
}
