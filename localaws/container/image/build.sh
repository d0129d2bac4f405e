#!/usr/bin/env bash
#
# build.sh TAG SUITE PACKAGE…: makes the Docker image of an instance: a Debian with
# systemd as PID 1, the AWS CLI, the packages of a container engine and, if there is a
# folder programs next to this script, an engine that Debian does not package. Needs
# root, debootstrap and a Docker engine.

set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(mktemp -d)
trap 'rm -rf -- "$root"' EXIT

debootstrap --variant=minbase --include=systemd,systemd-sysv,dbus,ca-certificates,iproute2,iptables,procps "$2" "$root" >&2
chroot "$root" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends awscli "${@:3}" >&2
rm -rf "$root"/var/cache/apt/archives/*.deb

install -m 0755 "$here/boot" "$root/sbin/boot"
install -m 0755 "$here/agent" "$root/usr/local/sbin/agent"
# Another address range than the outer engine's; the registry of the local AWS is plain HTTP.
mkdir -p "$root/etc/docker" "$root/etc/containers"
features=
if [[ -d $here/programs ]]; then
  features=',"features":{"time-namespaces":false}' # which Debian's runc does not know
  install -m 0755 "$here"/programs/* "$root/usr/bin/"
  install -D -m 0644 "$here/containerd.toml" "$root/etc/containerd/config.toml"
  install -m 0644 "$here/containerd.service" "$here/docker.service" "$root/etc/systemd/system/"
  chroot "$root" systemctl enable containerd docker >&2
fi
printf '{"bip":"192.168.213.1/24","insecure-registries":["172.16.0.0/12"],"log-driver":"json-file"%s}\n' "$features" >"$root/etc/docker/daemon.json"

tar -C "$root" -c . | docker import --change 'CMD ["/sbin/boot"]' - "$1"
