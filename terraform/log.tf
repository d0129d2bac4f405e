# The log group of the input log-group, if there is one: the instances write to it, and the roles that change something read it.
resource "aws_cloudwatch_log_group" "deploys" {
  count             = var.log_group == null ? 0 : 1
  name              = var.log_group
  retention_in_days = 30
}

locals {
  log_names = merge(local.names, { log_group = coalesce(var.log_group, "-") })
}

resource "aws_iam_role_policy" "log_read" {
  for_each = toset(var.log_group == null ? [] : ["deploy", "rollback"])
  name     = "log-read"
  role     = aws_iam_role.operation[each.key].name
  policy   = templatefile("${path.module}/policies/log-read.json", local.log_names)
}

resource "aws_iam_role_policy" "log_write" {
  count  = var.log_group == null ? 0 : 1
  name   = "log-write"
  role   = aws_iam_role.instance.name
  policy = templatefile("${path.module}/policies/log-write.json", local.log_names)
}
