#!/usr/bin/env bats
# Tests make rollback and make status, which start GitHub workflows.

load deploy_mk

# with_gh EXIT: installs a gh that records its arguments and exits with EXIT.
with_gh() {
  mkdir ../bin
  printf '%s\n' '#!/bin/sh' 'printf "<%s>" "$@" >>../arguments' "exit $1" >../bin/gh
  chmod +x ../bin/gh
  PATH=$PWD/../bin:$PATH
}

# without_gh: makes ../bin, a PATH with only the programs that deploy.mk needs.
without_gh() {
  local program
  mkdir ../bin
  for program in make sh git sed grep; do ln -s "$(command -v "$program")" ../bin/; done
}

@test "rollback and status start their workflows with gh" {
  with_gh 0
  git remote set-url origin git@github.com:org/atta.git
  run make rollback ENV=dev
  [ "$status" -eq 0 ]
  [[ $output == *https://github.com/org/atta/actions/workflows/rollback.yml* ]]
  [ "$(cat ../arguments)" = '<workflow><run><rollback.yml><--repo><github.com/org/atta><-f><environment=dev>' ]
  rm ../arguments
  make rollback ENV=dev VERSION=0.1.29-dev
  [ "$(cat ../arguments)" = '<workflow><run><rollback.yml><--repo><github.com/org/atta><-f><environment=dev><-f><version=0.1.29-dev>' ]
  rm ../arguments
  make status ENV=dev
  [ "$(cat ../arguments)" = '<workflow><run><status.yml><--repo><github.com/org/atta><-f><environment=dev>' ]
}

@test "with several remotes, gh is told which repository, also behind an alias of ssh" {
  with_gh 0
  printf '%s\n' 'Host github-work' '  HostName ssh.github.com' '  Port 443' >../ssh_config
  printf '%s\n' '#!/bin/sh' "exec $(command -v ssh) -F $PWD/../ssh_config \"\$@\"" >../bin/ssh # ssh does not read $HOME
  chmod +x ../bin/ssh
  git remote set-url origin https://github.com/ada/atta
  git remote add upstream git@github-work:org/atta.git
  run make rollback ENV=dev REMOTE=upstream
  echo "$output"
  [ "$status" -eq 0 ]
  [[ $output == *https://github.com/org/atta/actions/workflows/rollback.yml* ]]
  [ "$(cat ../arguments)" = '<workflow><run><rollback.yml><--repo><github.com/org/atta><-f><environment=dev>' ]
}

@test "rollback refuses a version of another environment" {
  with_gh 0
  run make rollback ENV=dev VERSION=0.1.29-prod
  [ "$status" -ne 0 ]
  [[ $output == *"not a version of dev: '0.1.29-prod'"* ]]
  [ ! -e ../arguments ]
}

@test "a failure of gh is reported" {
  with_gh 4
  git remote set-url origin git@github.com:org/atta.git
  run make status ENV=dev
  [ "$status" -ne 0 ]
  [[ $output == *"press Run workflow at https://github.com/org/atta/actions/workflows/status.yml"* ]]
}

@test "without gh, the page to open is printed for every form of the remote's URL, without its secrets" {
  without_gh
  local url
  for url in git@github.com:org/atta.git https://github.com/org/atta https://ada:SECRET@github.com/org/atta.git/ ssh://git@github.com:22/org/atta.git github.com:org/atta; do
    git remote set-url origin "$url"
    PATH=$PWD/../bin run make rollback ENV=dev VERSION=0.1.29-dev
    echo "$output"
    [ "$status" -eq 0 ]
    [[ $output == *"environment dev and version 0.1.29-dev"* ]]
    [ "${lines[1]}" = https://github.com/org/atta/actions/workflows/rollback.yml ]
  done
  PATH=$PWD/../bin run make status ENV=dev
  [ "${lines[1]}" = https://github.com/org/atta/actions/workflows/status.yml ]
}
