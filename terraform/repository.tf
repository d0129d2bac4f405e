# A CloudFormation stack, because only version 6 of the AWS provider knows IMMUTABLE_WITH_EXCLUSION.
resource "aws_cloudformation_stack" "repository" {
  name          = "${local.repository}-repository"
  template_body = file("${path.module}/repository.json")
  parameters    = { Name = local.repository }
}
