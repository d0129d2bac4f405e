#!/usr/bin/env bats
# Tests deploy.mk under the user's settings of git, in every kind of clone, and with other shells and tools.

load deploy_mk

# with_settings KEY=VALUE...: runs make tag and make deploy-dev with these settings, in a
# repository with tags that are not pushed, and checks that they are all there afterwards.
with_settings() {
  local setting want=$'0.1.0-dev\n0.1.1-dev\n0.1.2-dev\nreview-dev'
  echo "with $*"
  rm -rf ../with
  git clone --quiet ../origin.git ../with
  cd ../with
  git tag --annotate --message 'note to myself' review-dev
  git tag --annotate --message 'not pushed' 0.1.0-dev
  for setting; do git config --add "${setting%%=*}" "${setting#*=}"; done
  make tag SUFFIX=dev YES=1
  commit . second
  make deploy-dev YES=1
  [ "$(git for-each-ref --format='%(refname:strip=2)' refs/tags)" = "$want" ]
  [ "$(git rev-parse '0.1.1-dev^{commit}')" = "$(git rev-parse HEAD~)" ]
  [ "$(git for-each-ref --format='%(contents:subject)' refs/tags/0.1.2-dev)" = "Deploy 0.1.2-dev" ]
  [ "$(on_remote)" = 0.1.2-dev ]
  cd ../mine
  git push --quiet --delete origin 0.1.2-dev
}

@test "no setting of fetch deletes a local tag" {
  with_settings fetch.prune=true
  with_settings fetch.pruneTags=true fetch.prune=true
  with_settings remote.origin.prune=true
  with_settings remote.origin.pruneTags=true remote.origin.prune=true
  with_settings remote.origin.fetch='+refs/tags/*:refs/tags/*' fetch.prune=true
  with_settings remote.origin.tagOpt=--tags fetch.prune=true
  with_settings fetch.recurseSubmodules=true fetch.all=true
}

@test "no setting changes what is proposed, tagged and pushed" {
  with_settings column.ui=always color.ui=always
  with_settings tag.sort=-creatordate versionsort.suffix=-dev
  with_settings core.commentChar=D
  with_settings push.followTags=true push.default=nothing push.autoSetupRemote=true
  with_settings remote.origin.push='+refs/*:refs/*'
  with_settings remote.pushDefault=elsewhere branch.dev.pushRemote=elsewhere
  with_settings status.branch=true status.short=true status.showStash=true
}

@test "a fetch writes no branch, whatever is configured for it" {
  commit . ours
  commit ../theirs theirs
  git -C ../theirs push --quiet
  git config remote.origin.fetch '+refs/heads/*:refs/heads/other/*'
  refuses "run: git pull --rebase origin dev" make deploy-dev YES=1
  [ "$(git for-each-ref --format='%(refname)' refs/heads)" = refs/heads/dev ]
}

@test "a tag is signed when git is told to sign tags" {
  ssh-keygen -q -t ed25519 -N '' -f ../key
  git config gpg.format ssh
  git config user.signingKey ../key.pub
  git config tag.gpgSign true
  make deploy-dev YES=1
  printf 'ada@example.com %s\n' "$(cat ../key.pub)" >../signers
  git -c gpg.ssh.allowedSignersFile=../signers verify-tag 0.1.0-dev
}

@test "a tag that cannot be signed is not created, and the setting is named" {
  git config gpg.program false
  git config tag.gpgSign true
  refuses "run: git config tag.gpgSign false" make deploy-dev YES=1
  git config tag.gpgSign false
  make deploy-dev YES=1
}

@test "git's hooks see the environment of a plain git push" {
  mkdir ../hooks
  printf '%s\n' '#!/bin/sh' 'env >../seen' 'make' >../hooks/pre-push
  chmod +x ../hooks/pre-push
  git config --global core.hooksPath "$PWD/../hooks"
  run make --no-print-directory deploy-dev VERSION=0.2.0-dev REMOTE=origin
  echo "$output"
  [ "$status" -eq 0 ]
  [[ $output == *"nothing to do"* ]]
  ! grep -E '^(VERSION|YES|FORCE|REMOTE|MAKEFLAGS|MFLAGS|MAKELEVEL|DEPLOY_MK)=' ../seen
}

@test "a hook of the user that refuses a push is not taken for the remote" {
  mkdir ../hooks
  printf '%s\n' '#!/bin/sh' 'echo the tests fail' 'exit 1' >../hooks/pre-push
  chmod +x ../hooks/pre-push
  git config --global core.hooksPath "$PWD/../hooks"
  refuses "by origin or by a hook of yours" make deploy-dev YES=1
  [[ $output == *"the tests fail"* ]]
}

@test "only a tag that is still as this run made it is removed after a refused push" {
  printf '%s\n' '#!/bin/sh' 'git tag --force 0.1.0-dev HEAD >/dev/null' 'exit 1' >.git/hooks/pre-push
  chmod +x .git/hooks/pre-push
  run make deploy-dev YES=1
  echo "$output"
  [ "$status" -ne 0 ]
  [ "$(git rev-parse 0.1.0-dev)" = "$(git rev-parse HEAD)" ]
}

@test "with several remotes, every command that is shown names the one that was meant" {
  git init --quiet --bare ../upstream.git
  git remote add upstream ../upstream.git
  git push --quiet upstream dev
  run make deploy-dev REMOTE=upstream </dev/null
  echo "$output"
  [[ $output == *"run: make deploy-dev REMOTE=upstream YES=1"* ]]
  make deploy-dev REMOTE=upstream YES=1
  [ -z "$(on_remote)" ]
  [ "$(git ls-remote --tags --refs upstream | wc -l)" -eq 1 ]
}

@test "a remote that does not exist is named, with those that do" {
  git remote rename origin github
  run make deploy-dev YES=1
  echo "$output"
  [ "$status" -ne 0 ]
  [[ $output == *"the remote origin does not exist"*REMOTE=*github* ]]
  make deploy-dev YES=1 REMOTE=github
  git remote remove github
  run make deploy-dev YES=1
  echo "$output"
  [ "$status" -ne 0 ]
  [[ $output == *"run: git remote add origin <URL>"* ]]
}

@test "a shallow clone deploys, and one that cannot be compared is told so" {
  commit . second
  git push --quiet
  git clone --quiet --depth 1 "file://$PWD/../origin.git" ../shallow
  cd ../shallow
  make deploy-dev YES=1
  git checkout --quiet -b main
  git push --quiet origin HEAD~0:refs/heads/main 'refs/tags/0.1.0-dev:refs/tags/kept'
  git -C ../mine push --quiet --force origin dev~1:main
  refuses "run: git fetch --unshallow origin" make deploy-prod YES=1
  git fetch --quiet --unshallow origin
  make deploy-prod YES=1
}

@test "a worktree deploys its branch, and the worktree that has the branch is named" {
  git worktree add --quiet -b main '../second tree'
  cd '../second tree'
  cp ../mine/deploy.mk ../mine/Makefile .
  make deploy-prod YES=1
  refuses "it is checked out in $(readlink -f ../mine), so run make there" make deploy-dev YES=1
  git -C ../mine checkout --quiet --detach
  refuses "run: git checkout dev" make deploy-dev YES=1
}

@test "paths may have spaces" {
  mv ../origin.git "../the origin.git"
  git clone --quiet "../the origin.git" "../my clone"
  cd "../my clone"
  make deploy-dev YES=1
  [ "$(on_remote)" = 0.1.0-dev ]
}

@test "a tag and a remote with the name of the branch do not matter" {
  git tag dev
  git remote add dev ../origin.git
  git fetch --quiet dev
  make deploy-dev YES=1
  [ "$(on_remote)" = 0.1.0-dev ]
}

@test "a comment after BRANCH_<environment> does not matter" {
  printf '%s\n' 'BRANCH_prod := main # of the last release' 'include deploy.mk' >Makefile
  git commit --quiet --all --message comment
  git checkout --quiet -b main
  make deploy-prod YES=1
}

@test "a folder that git cannot use is not called a detached HEAD" {
  rm -r .git/objects
  run make deploy-dev YES=1
  echo "$output"
  [ "$status" -ne 0 ]
  [[ $output == *"git cannot use this repository, for the reason above"* ]]
}

@test "a backslash in a message is printed as it is" {
  refuses "not a version of dev: '1.2.3\\c'; use MAJOR.MINOR.PATCH-dev" make deploy-dev 'VERSION=1.2.3\c'
}

@test "the settings of the makefile that includes it do not matter" {
  printf '%s\n' 'SHELL := /bin/bash' '.SHELLFLAGS := -eu -o pipefail -c' '.ONESHELL:' 'export' 'MAKEFLAGS += --jobs=4 --no-builtin-rules' 'include deploy.mk' >Makefile
  git commit --quiet --all --message settings
  make deploy-dev YES=1
  refuses "run: make deploy-dev YES=1" make deploy-dev
}

@test "a submodule that is not pushed is named, also when pushes are to include it" {
  git config --global protocol.file.allow always
  git init --quiet --bare ../part.git
  git clone --quiet ../part.git ../part
  commit ../part first
  git -C ../part push --quiet
  git submodule --quiet add ../part.git part
  git commit --quiet --message part
  git push --quiet
  commit part second
  git commit --quiet --all --message 'newer part'
  git config push.recurseSubmodules on-demand
  refuses "by a hook of yours" make deploy-dev YES=1
  [[ $output == *"can"*"not be found on any remote"*part* ]]
  git -C part push --quiet
  make deploy-dev YES=1
}

# deploys_with SHELL [TOOLS [AWK]]: deploys with this shell as sh, with the tools of one program, and with no others but git.
deploys_with() {
  local program shell=$1 tools=${2:-} awk=${3:-${2:-}}
  mkdir "../bin $shell"
  for program in make git ssh; do ln -s "$(command -v "$program")" "../bin $shell/"; done
  ln -s "$(command -v "$shell")" "../bin $shell/sh"
  ln -s "$(command -v "${awk:-awk}")" "../bin $shell/awk"
  for program in cut grep head sed sort tail; do
    ln -s "$(command -v "${tools:-$program}")" "../bin $shell/$program"
  done
  PATH="$PWD/../bin $shell" run make deploy-dev YES=1
  echo "$output"
  [ "$status" -eq 0 ]
  PATH="$PWD/../bin $shell" run make deploy-dev 'VERSION=1.2.3\c'
  echo "$output"
  [[ $output == *"'1.2.3\\c'; use MAJOR"* ]]
}

# original-awk is that of BSD and macOS: https://github.com/onetrueawk/awk
@test "sh may be dash, bash or busybox, and the tools need not be GNU's" {
  deploys_with dash '' original-awk
  deploys_with bash
  deploys_with busybox busybox
  [ "$(on_remote)" = $'0.1.0-dev\n0.1.1-dev\n0.1.2-dev' ]
}

# https://github.com/release-it/release-it/issues/36
@test "case: versions are looked up where they are pushed, when that is another URL" {
  git clone --quiet --bare ../origin.git ../pushed.git
  git remote set-url --push origin "$PWD/../pushed.git"
  make deploy-dev YES=1
  git tag --delete 0.1.0-dev
  run make deploy-dev YES=1
  echo "$output"
  [ "$status" -eq 0 ]
  [[ $output == *"0.1.1-dev is pushed; its deploy is at $PWD/../pushed.git"* ]]
  [ "$(git ls-remote --tags --refs ../pushed.git | sed 's|.*refs/tags/||')" = $'0.1.0-dev\n0.1.1-dev' ]
  [ -z "$(on_remote)" ]
  git -C ../theirs remote set-url origin ../pushed.git
  commit ../theirs theirs
  git -C ../theirs push --quiet
  refuses "run: git pull --ff-only $PWD/../pushed.git dev" make deploy-dev YES=1
}

# A checkout of Windows, used from WSL: https://github.com/AcademySoftwareFoundation/OpenColorIO/pull/1139
@test "case: the line ends of Windows do not matter" {
  sed 's/$/\r/' deploy.mk >crlf && mv crlf deploy.mk
  git commit --quiet --all --message "a checkout of Windows"
  run make deploy-dev YES=1
  [ "$status" -eq 0 ]
  [[ $output == *"0.1.0-dev is pushed"* ]]
}
