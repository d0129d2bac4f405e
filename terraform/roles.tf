resource "aws_iam_openid_connect_provider" "github" {
  count          = var.create_oidc_provider ? 1 : 0
  url            = "https://token.actions.githubusercontent.com"
  client_id_list = ["sts.amazonaws.com"]
}

# The roles of GitHub Actions: what an operation needs, and no more.
locals {
  operations = toset(["deploy", "rollback", "status"])
}

resource "aws_iam_role" "operation" {
  for_each           = local.operations
  name               = "${var.service}-${each.key}-${var.environment}"
  description        = "operation: ${each.key} of ${var.service} in ${var.environment}, from ${var.github_repository}"
  assume_role_policy = templatefile("${path.module}/policies/trust.json", local.names)

  depends_on = [aws_iam_openid_connect_provider.github]
}

resource "aws_iam_role_policy" "operation" {
  for_each = local.operations
  name     = each.key
  role     = aws_iam_role.operation[each.key].name
  policy = templatefile("${path.module}/policies/${each.key}.json", merge(local.names, {
    document_name  = local.document_names[each.key]
    document_owner = local.document_owner
  }))
}

# The role of a plan, for jobs without a say in what is deployed, such as those of pull requests.
resource "aws_iam_role" "plan" {
  count              = var.plan_environment == null ? 0 : 1
  name               = "${var.service}-plan-${var.environment}"
  description        = "operation: plan of ${var.service} in ${var.environment}, from ${var.github_repository}"
  assume_role_policy = templatefile("${path.module}/policies/trust.json", merge(local.names, { github_environment = var.plan_environment }))

  depends_on = [aws_iam_openid_connect_provider.github]
}

resource "aws_iam_role_policy" "plan" {
  count = var.plan_environment == null ? 0 : 1
  name  = "plan"
  role  = aws_iam_role.plan[0].name
  policy = templatefile("${path.module}/policies/plan.json", merge(local.names, {
    document_name  = local.document_names["status"]
    document_owner = local.document_owner
  }))
}

resource "aws_iam_role" "instance" {
  name               = "${var.service}-instance-${var.environment}"
  description        = "Instances of ${var.service} in ${var.environment}"
  assume_role_policy = file("${path.module}/policies/instance-trust.json")
}

resource "aws_iam_role_policy" "instance" {
  name   = "instance"
  role   = aws_iam_role.instance.name
  policy = templatefile("${path.module}/policies/instance.json", local.names)
}

resource "aws_iam_role_policy" "settings_key" {
  count  = var.settings_key_arn == null ? 0 : 1
  name   = "settings-key"
  role   = aws_iam_role.instance.name
  policy = templatefile("${path.module}/policies/settings-key.json", merge(local.names, { settings_key = var.settings_key_arn }))
}

resource "aws_iam_role_policy_attachment" "instance" {
  role       = aws_iam_role.instance.name
  policy_arn = "arn:${local.partition}:iam::aws:policy/AmazonSSMManagedInstanceCore"
}

resource "aws_iam_instance_profile" "instance" {
  name = aws_iam_role.instance.name
  role = aws_iam_role.instance.name
}
