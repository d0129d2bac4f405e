# Loaded by the tests of deploy.mk: creates a repository that includes it, a colleague's clone
# of that repository, and the bare remote of both.
# shellcheck shell=bash

setup() {
  cd "$BATS_TEST_TMPDIR"
  export HOME=$PWD GIT_CONFIG_NOSYSTEM=1
  unset VERSION YES FORCE ENV SUFFIX REMOTE MAKEFLAGS MAKELEVEL
  git config --global user.name Ada
  git config --global user.email ada@example.com
  git config --global init.defaultBranch dev
  git config --global advice.detachedHead false
  git init --quiet --bare origin.git
  git init --quiet mine
  cp "$BATS_TEST_DIRNAME/../laptop/deploy.mk" mine/
  printf '%s\n' 'BRANCH_prod := main' 'include deploy.mk' 'all: ; @echo nothing to do' >mine/Makefile
  cd mine
  git add .
  git commit --quiet --message first
  git remote add origin ../origin.git
  git push --quiet --set-upstream origin dev
  git clone --quiet ../origin.git ../theirs
  git -C ../theirs config user.name Grace
}

# released VERSION...: creates tags locally and on the remote.
released() {
  local version
  for version; do git tag --annotate --message "$version" "$version"; done
  git push --quiet origin --tags
}

on_remote() { git ls-remote --tags --refs origin | sed 's|.*refs/tags/||'; }

commit() { git -C "$1" commit --quiet --allow-empty --message "$2"; }

# refuses MESSAGE COMMAND...: checks that COMMAND fails with MESSAGE and leaves the tags unchanged.
refuses() {
  local message=$1 before
  shift
  before=$(git show-ref --tags || true; git ls-remote origin)
  run "$@" </dev/null
  echo "$output"
  [ "$status" -ne 0 ]
  [[ $output == *"$message"* ]]
  [ "$(git show-ref --tags || true; git ls-remote origin)" = "$before" ]
}
