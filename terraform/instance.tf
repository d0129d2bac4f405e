# https://docs.aws.amazon.com/linux/al2023/ug/ec2.html
data "aws_ssm_parameter" "image" {
  count = var.create_instance ? 1 : 0
  name  = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64"
}

resource "aws_instance" "ready" {
  count                  = var.create_instance ? 1 : 0
  ami                    = data.aws_ssm_parameter.image[0].insecure_value
  instance_type          = var.instance_type
  subnet_id              = var.subnet_id
  vpc_security_group_ids = var.security_group_ids
  iam_instance_profile   = aws_iam_instance_profile.instance.name
  user_data              = file("${path.module}/user_data.sh")
  tags                   = merge(local.tags, { Name = local.repository })

  metadata_options {
    http_tokens                 = "required"
    http_put_response_hop_limit = var.metadata_hop_limit
  }

  root_block_device {
    encrypted   = true
    volume_size = 30 # GiB: several releases of an image
  }

  lifecycle {
    ignore_changes = [ami, user_data] # a newer image must not replace an instance in use
  }

  depends_on = [aws_iam_role_policy.instance, aws_iam_role_policy_attachment.instance] # the agent registers at the first boot
}
