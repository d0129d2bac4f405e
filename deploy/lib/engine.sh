# shellcheck shell=bash
# engine.sh: whether the engine can run a unit's containers. Part of ec2_deploy.sh and of bootstrap.sh.

# describe_unfit_engine INFO: sets REPLY to why the engine cannot run the service's container at boot, as root and with folders of
# /opt; empty: it can. INFO is what `docker info` says of Docker, and not of podman, which needs no unit. Fails if systemd does not answer.
describe_unfit_engine() {
  local unit
  REPLY=''
  unit=$(systemctl show --property=LoadState docker.service) || return
  if [[ $(command -v docker) == */snap/bin/docker ]]; then
    REPLY="Docker is a snap here, whose containers cannot use /opt/$SERVICE: remove it (snap remove docker) and install a package of the system"
  elif [[ $1 == *name=rootless* ]]; then
    REPLY="the Docker engine runs without root here, and units of the system cannot use it: install it for the system"
  elif [[ $1 == /* && $unit == *=not-found ]]; then
    REPLY="docker.service is not installed here, so $SERVICE.service would not start at boot: install Docker as a package of the system"
  fi
}
