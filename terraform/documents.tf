# The document of each operation: the only thing that the operation's role may send to the instances. docs/permissions.md
# says what each allows. The action refuses a document that another version of this module has created.
locals {
  document_names = { for operation in local.operations : operation => coalesce(var.document_name, "${operation}-${var.service}-${var.environment}") }

  # Documents of AWS, whose names alone may begin with AWS, belong to no account.
  document_owner = startswith(coalesce(var.document_name, "-"), "AWS-") ? "" : local.account

  # What differs between the documents: the commands, and how many characters of a health command and how many
  # generations there may be.
  document_limits = {
    deploy   = { commands = "deploy|check|rollback|status|doctor", health_command = "*", generation = "?" }
    rollback = { commands = "deploy|rollback|status|doctor", health_command = "{0}", generation = "?" }
    status   = { commands = "status|doctor", health_command = "{0}", generation = "{0}" }
  }
}

resource "aws_ssm_document" "operation" {
  for_each        = var.document_name == null ? local.document_limits : {}
  name            = local.document_names[each.key]
  document_type   = "Command"
  document_format = "JSON"

  # templatefile would take the script's own $${NAME} for placeholders.
  content = replace(replace(replace(replace(file("${path.module}/document.json"),
    "$${service}", var.service), "$${commands}", each.value.commands), "$${health_command}", each.value.health_command),
  "$${generation}", each.value.generation)
}
