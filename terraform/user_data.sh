#!/usr/bin/env bash
#
# Prepares Amazon Linux 2023, which contains the SSM agent, for deploys. Runs as root at the first boot.

set -euo pipefail

dnf install -y docker awscli-2 tar gzip findutils diffutils util-linux
systemctl enable --now docker
