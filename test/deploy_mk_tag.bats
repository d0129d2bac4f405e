#!/usr/bin/env bats
# Tests which versions deploy.mk proposes, tags and refuses.

load deploy_mk

@test "shellcheck finds nothing in the shell script" {
  sed -n '/^define deploy_mk/,/^endef/{//!p;}' "$BATS_TEST_DIRNAME/../laptop/deploy.mk" >text.sh
  [ "$(wc -l <text.sh)" -gt 50 ]
  shellcheck --shell=sh text.sh
  # make 3.81 would join such a line to the next.
  ! grep -n '\\$' text.sh
}

@test "the makefile that includes it keeps its own default goal" {
  [ "$(make)" = "nothing to do" ]
}

@test "the first version is 0.1.0" {
  make deploy-dev YES=1
  [ "$(on_remote)" = 0.1.0-dev ]
}

@test "the next version is chosen numerically and from its own suffix only" {
  released 0.1.9-dev 0.1.10-dev 0.0.99-dev 0.7.0-prod 3.0.0-eu-dev 9.9.9-devel 1.0-dev 01.0.0-dev
  make tag SUFFIX=dev YES=1
  git rev-parse --verify refs/tags/0.1.11-dev
}

@test "make next-version prints the next version, in a shallow checkout without a branch too" {
  released 0.1.9-dev
  git tag 0.1.10-dev
  [ "$(make --no-print-directory next-version ENV=dev)" = 0.1.11-dev ]
  git clone --quiet --depth 1 "file://$PWD/../origin.git" ../shallow
  cd ../shallow
  git checkout --quiet --detach
  [ "$(make --no-print-directory next-version ENV=dev)" = 0.1.10-dev ]
}

@test "it shows the last five versions in order and asks for the next" {
  released 0.1.8-dev 0.1.10-dev 0.1.9-dev 0.1.7-dev 0.1.11-dev 0.1.6-dev
  run make deploy-dev <<<''
  [ "$status" -eq 0 ]
  [[ $output == *$'  0.1.7-dev\n  0.1.8-dev\n  0.1.9-dev\n  0.1.10-dev\n  0.1.11-dev\nnext version [0.1.12-dev]: '* ]]
  [[ $output != *0.1.6-dev* ]]
  on_remote | grep -qx 0.1.12-dev
}

@test "an answer other than the proposal is accepted" {
  run make deploy-dev <<<0.2.0-dev
  [ "$status" -eq 0 ]
  [ "$(on_remote)" = 0.2.0-dev ]
}

@test "VERSION asks nothing, and YES accepts the proposal" {
  run make deploy-dev VERSION=0.2.0-dev </dev/null
  [ "$status" -eq 0 ]
  [[ $output != *"next version"* ]]
  run make deploy-dev YES=1 </dev/null
  [ "$status" -eq 0 ]
  [[ $output != *"next version"* ]]
  [ "$(on_remote)" = $'0.2.0-dev\n0.2.1-dev' ]
}

@test "without an answer, nothing is tagged" {
  refuses "run: make deploy-dev YES=1" make deploy-dev
}

@test "a version that does not match the suffix is refused" {
  local version
  for version in 1.2-dev 1.2.3 1.2.3-prod v1.2.3-dev 01.2.3-dev 1.02.3-dev 1.2.03-dev 1.2.3.4-dev -1.2.3-dev '1.2.3-dev x' 1.2.3-dev,1; do
    refuses "not a version of dev: '$version'" make deploy-dev "VERSION=$version"
  done
  VERSION=$'1.2.3-dev\n1.2.4-dev' refuses "not a version of dev" make deploy-dev
}

@test "a name that is not an environment is refused" {
  refuses "name one, as in SUFFIX=dev" make tag
  refuses "name one, as in ENV=dev" make status
  refuses "not an environment: 'Dev'" make deploy-Dev
}

@test "make tag creates an annotated tag and does not push it" {
  run make tag SUFFIX=dev YES=1
  [ "$status" -eq 0 ]
  [ "$(git cat-file -t 0.1.0-dev)" = tag ]
  [ -z "$(on_remote)" ]
  ${output#*run: }
  [ "$(on_remote)" = 0.1.0-dev ]
}

@test "a tag that exists locally is refused, with the command that goes on" {
  git tag 0.3.0-dev
  refuses "0.3.0-dev of this commit exists, but not on origin; to deploy it, run: git push" make deploy-dev VERSION=0.3.0-dev
  commit . second
  refuses "run: make deploy-dev VERSION=0.3.1-dev" make deploy-dev VERSION=0.3.0-dev
}

@test "a tag that exists only on the remote is refused, and not fetched" {
  git -C ../theirs tag 0.3.0-dev
  git -C ../theirs push --quiet origin 0.3.0-dev
  refuses "0.3.0-dev exists on origin, and a version is released once; to use the next one, run: make deploy-dev VERSION=0.3.1-dev" make deploy-dev VERSION=0.3.0-dev
  [ -z "$(git tag --list)" ]
}

@test "a tag that differs from the remote's is not replaced, and the next version is released" {
  git -C ../theirs tag --annotate --message theirs 0.3.0-dev
  git -C ../theirs push --quiet origin 0.3.0-dev
  git tag 0.3.0-dev
  make deploy-dev YES=1
  [ "$(git rev-parse 0.3.0-dev)" = "$(git rev-parse HEAD)" ]
  [ "$(on_remote)" = $'0.3.0-dev\n0.3.1-dev' ]
}

@test "a tag without the suffix that moved on the remote does not matter" {
  released v1
  commit ../theirs moved
  git -C ../theirs tag v1
  git -C ../theirs push --quiet --force origin v1
  make deploy-dev YES=1
  on_remote | grep -qx 0.1.0-dev
}

@test "a version that is lower than the last needs FORCE" {
  released 0.1.10-dev
  refuses "make deploy-dev VERSION=0.1.9-dev FORCE=1" make deploy-dev VERSION=0.1.9-dev
  make deploy-dev VERSION=0.1.9-dev FORCE=1
  on_remote | grep -qx 0.1.9-dev
}

@test "a dirty tree is refused" {
  echo more >new
  refuses "git stash --include-untracked" make deploy-dev YES=1
  git stash --quiet --include-untracked
  make deploy-dev YES=1
}

@test "the branch of an environment has its name or is BRANCH_<environment>" {
  refuses "prod is deployed from main; run: git checkout -b main, or set BRANCH_prod in your Makefile" make deploy-prod YES=1
  git checkout --quiet -b main
  make deploy-prod YES=1
  [ "$(git ls-remote origin main | cut -f 1)" = "$(git rev-parse main)" ]
  refuses "dev is deployed from dev; run: git checkout dev" make deploy-dev YES=1
  make deploy-dev YES=1 BRANCH_dev=main
  [ "$(on_remote)" = $'0.1.0-dev\n0.1.0-prod' ]
}

@test "a detached HEAD is refused" {
  git checkout --quiet --detach
  refuses "run: git checkout dev" make deploy-dev YES=1
}

@test "a branch behind the remote is refused" {
  commit ../theirs theirs
  git -C ../theirs push --quiet
  refuses "run: git pull --ff-only origin dev" make deploy-dev YES=1
  git pull --quiet --ff-only origin dev
  make deploy-dev YES=1
}

@test "a branch that has diverged from the remote's is refused" {
  commit ../theirs theirs
  git -C ../theirs push --quiet
  commit . ours
  refuses "run: git pull --rebase origin dev" make deploy-dev YES=1
  git pull --quiet --rebase origin dev
  make deploy-dev YES=1
}

@test "a remote that does not answer is named" {
  git remote add gone ../gone.git
  run make deploy-dev YES=1 REMOTE=gone
  [ "$status" -ne 0 ]
  [[ $output == *"run: git ls-remote gone"* ]]
  [ -z "$(git tag --list)" ]
}
