#!/usr/bin/env bats
# deploy.mk as people use it: a repository that includes it, a colleague's clone of
# it, and the bare remote of both.

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

# released VERSION...: tags that are here and on the remote.
released() {
  local version
  for version; do git tag --annotate --message "$version" "$version"; done
  git push --quiet origin --tags
}

on_remote() { git ls-remote --tags --refs origin | sed 's|.*refs/tags/||'; }

commit() { git -C "$1" commit --quiet --allow-empty --message "$2"; }

# refuses SAYING COMMAND...: it fails, says so, and leaves the tags as they were.
refuses() {
  local saying=$1 before
  shift
  before=$(git show-ref --tags || true; git ls-remote origin)
  run "$@" </dev/null
  echo "$output"
  [ "$status" -ne 0 ]
  [[ $output == *"$saying"* ]]
  [ "$(git show-ref --tags || true; git ls-remote origin)" = "$before" ]
}

@test "the shell text is shell that shellcheck has nothing to say about" {
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

@test "the next version counts as numbers do, and only its own suffix" {
  released 0.1.9-dev 0.1.10-dev 0.0.99-dev 0.7.0-prod 3.0.0-eu-dev 9.9.9-devel 1.0-dev 01.0.0-dev
  make tag SUFFIX=dev YES=1
  git rev-parse --verify refs/tags/0.1.11-dev
}

@test "it shows the last five versions in order and asks for the next" {
  released 0.1.8-dev 0.1.10-dev 0.1.9-dev 0.1.7-dev 0.1.11-dev 0.1.6-dev
  run make deploy-dev <<<''
  [ "$status" -eq 0 ]
  [[ $output == *$'  0.1.7-dev\n  0.1.8-dev\n  0.1.9-dev\n  0.1.10-dev\n  0.1.11-dev\nnext version [0.1.12-dev]: '* ]]
  [[ $output != *0.1.6-dev* ]]
  on_remote | grep -qx 0.1.12-dev
}

@test "an answer other than the proposal is taken" {
  run make deploy-dev <<<0.2.0-dev
  [ "$status" -eq 0 ]
  [ "$(on_remote)" = 0.2.0-dev ]
}

@test "VERSION asks nothing, and YES takes the proposal" {
  run make deploy-dev VERSION=0.2.0-dev </dev/null
  [ "$status" -eq 0 ]
  [[ $output != *"next version"* ]]
  run make deploy-dev YES=1 </dev/null
  [ "$status" -eq 0 ]
  [[ $output != *"next version"* ]]
  [ "$(on_remote)" = $'0.2.0-dev\n0.2.1-dev' ]
}

@test "where nobody answers nothing is tagged" {
  refuses "run: make deploy-dev YES=1" make deploy-dev
}

@test "what is no version of the suffix is refused" {
  local version
  for version in 1.2-dev 1.2.3 1.2.3-prod v1.2.3-dev 01.2.3-dev 1.02.3-dev 1.2.03-dev 1.2.3.4-dev -1.2.3-dev '1.2.3-dev x' 1.2.3-dev,1; do
    refuses "no version of dev: '$version'" make deploy-dev "VERSION=$version"
  done
  VERSION=$'1.2.3-dev\n1.2.4-dev' refuses "no version of dev" make deploy-dev
}

@test "what is no environment is refused" {
  refuses "say which, as in SUFFIX=dev" make tag
  refuses "say which, as in ENV=dev" make status
  refuses "no environment's name: 'Dev'" make deploy-Dev
}

@test "the tag is annotated, and alone it stays here" {
  run make tag SUFFIX=dev YES=1
  [ "$status" -eq 0 ]
  [ "$(git cat-file -t 0.1.0-dev)" = tag ]
  [ -z "$(on_remote)" ]
  ${output#*run: }
  [ "$(on_remote)" = 0.1.0-dev ]
}

@test "a tag that exists here is refused" {
  git tag 0.3.0-dev
  refuses "run: git tag --delete 0.3.0-dev" make deploy-dev VERSION=0.3.0-dev
}

@test "a tag that exists only on the remote is fetched and refused" {
  git -C ../theirs tag 0.3.0-dev
  git -C ../theirs push --quiet origin 0.3.0-dev
  run make deploy-dev VERSION=0.3.0-dev
  [ "$status" -ne 0 ]
  [[ $output == *"exists on origin"*"run: make deploy-dev VERSION=0.3.1-dev"* ]]
  [ "$(git tag --list)" = 0.3.0-dev ]
}

@test "a tag that is another one on the remote is not replaced" {
  git -C ../theirs tag --annotate --message theirs 0.3.0-dev
  git -C ../theirs push --quiet origin 0.3.0-dev
  git tag 0.3.0-dev
  refuses "run: git fetch origin +refs/tags/0.3.0-dev:refs/tags/0.3.0-dev" make deploy-dev YES=1
}

@test "a tag of another kind that has moved on the remote is in nobody's way" {
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

@test "the branch of an environment is its own name or BRANCH_<environment>" {
  refuses "prod is deployed from main; run: git checkout main" make deploy-prod YES=1
  git checkout --quiet -b main
  make deploy-prod YES=1
  [ "$(git ls-remote origin main | cut -f 1)" = "$(git rev-parse main)" ]
  refuses "dev is deployed from dev; run: git checkout dev" make deploy-dev YES=1
  make deploy-dev YES=1 BRANCH_dev=main
  [ "$(on_remote)" = $'0.1.0-dev\n0.1.0-prod' ]
}

@test "a detached head is refused" {
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

@test "a branch that has gone another way than the remote is refused" {
  commit ../theirs theirs
  git -C ../theirs push --quiet
  commit . ours
  refuses "run: git pull --rebase origin dev" make deploy-dev YES=1
  git pull --quiet --rebase origin dev
  make deploy-dev YES=1
}

@test "a remote that does not answer is named" {
  run make deploy-dev YES=1 REMOTE=nowhere
  [ "$status" -ne 0 ]
  [[ $output == *"run: git ls-remote nowhere"* ]]
  [ -z "$(git tag --list)" ]
}

@test "the branch is pushed, and of the tags only that one" {
  git config push.followTags true
  git tag --annotate --message other 0.1.0-prod
  commit . ours
  git tag --annotate --message other 0.1.5-dev
  make deploy-dev YES=1
  [ "$(on_remote)" = 0.1.6-dev ]
  [ "$(git ls-remote origin refs/heads/dev | cut -f 1)" = "$(git rev-parse HEAD)" ]
}

# meanwhile COMMAND: happens after git has asked the remote what it has, and before it pushes.
meanwhile() {
  printf '%s\n' '#!/bin/sh' 'unset $(git rev-parse --local-env-vars) VERSION YES MAKEFLAGS MAKELEVEL' "cd ../theirs && $1 >&2" >.git/hooks/pre-push
  chmod +x .git/hooks/pre-push
}

@test "of two who take the same version the second loses, and can go on" {
  meanwhile 'make deploy-dev YES=1'
  run make deploy-dev YES=1
  echo "$output"
  [ "$status" -ne 0 ]
  [[ $output == *"somebody else has released 0.1.0-dev"*"run: make deploy-dev"* ]]
  [ -z "$(git tag --list)" ]
  [ "$(on_remote)" = 0.1.0-dev ]
  rm .git/hooks/pre-push
  make deploy-dev YES=1
  [ "$(on_remote)" = $'0.1.0-dev\n0.1.1-dev' ]
}

@test "when somebody else has pushed to the branch in between, the tag does not arrive either" {
  commit . ours
  meanwhile 'git commit --quiet --allow-empty --message theirs && git push --quiet'
  run make deploy-dev YES=1
  echo "$output"
  [ "$status" -ne 0 ]
  [[ $output == *"run: git pull --rebase origin dev"* ]]
  [ -z "$(git tag --list)" ]
  [ -z "$(on_remote)" ]
}

@test "a push that the remote refuses leaves no tag" {
  printf '%s\n' '#!/bin/sh' 'echo protected' 'exit 1' >../origin.git/hooks/pre-receive
  chmod +x ../origin.git/hooks/pre-receive
  refuses "origin has refused the push" make deploy-dev YES=1
  [[ $output == *protected* ]]
}

@test "when the remote is lost in the push the tag stays, since it may have arrived" {
  printf '%s\n' '#!/bin/sh' 'mv "$PWD" "$PWD/../gone.git"' 'exit 1' >../origin.git/hooks/pre-receive
  chmod +x ../origin.git/hooks/pre-receive
  run make deploy-dev YES=1
  mv ../gone.git ../origin.git
  echo "$output"
  [ "$status" -ne 0 ]
  [[ $output == *"may be there or not"* ]]
  [ "$(git tag --list)" = 0.1.0-dev ]
}

@test "a push that arrived though it was reported as failed is told as one that arrived" {
  meanwhile "git -C ../mine push --quiet --no-verify origin refs/tags/0.1.0-dev"
  run make deploy-dev YES=1
  echo "$output"
  [ "$status" -eq 0 ]
  [[ $output == *"0.1.0-dev is on origin all the same"* ]]
  [ "$(git tag --list)" = 0.1.0-dev ]
}

@test "ten at once release as many versions as were told they did" {
  local n won=0 pids=()
  for n in 0 1 2 3 4 5 6 7 8 9; do
    git clone --quiet ../origin.git "../clone$n"
    git -C "../clone$n" config user.name "Ada $n"
  done
  for n in 0 1 2 3 4 5 6 7 8 9; do
    make -C "../clone$n" deploy-dev YES=1 >"../out$n" 2>&1 3>&- &
    pids+=($!)
  done
  for n in "${pids[@]}"; do if wait "$n"; then won=$((won + 1)); fi; done
  [ "$won" -ge 1 ]
  [ "$(on_remote | wc -l)" -eq "$won" ]
  for n in 0 1 2 3 4 5 6 7 8 9; do
    grep -q 'is pushed' "../out$n" || grep -q 'run: ' "../out$n"
  done
}

# with_gh EXIT: a gh that writes down what it was asked.
with_gh() {
  mkdir ../bin
  printf '%s\n' '#!/bin/sh' 'printf "<%s>" "$@" >>../asked' "exit $1" >../bin/gh
  chmod +x ../bin/gh
  PATH=$PWD/../bin:$PATH
}

# without_gh: a PATH of links to what deploy.mk needs.
without_gh() {
  local program
  mkdir ../bin
  for program in make sh git sed grep; do ln -s "$(command -v "$program")" ../bin/; done
}

@test "rollback and status start their workflows by gh" {
  with_gh 0
  git remote set-url origin git@github.com:org/atta.git
  run make rollback ENV=dev
  [ "$status" -eq 0 ]
  [[ $output == *https://github.com/org/atta/actions/workflows/rollback.yml* ]]
  [ "$(cat ../asked)" = '<workflow><run><rollback.yml><-f><environment=dev>' ]
  rm ../asked
  make rollback ENV=dev VERSION=0.1.29-dev
  [ "$(cat ../asked)" = '<workflow><run><rollback.yml><-f><environment=dev><-f><version=0.1.29-dev>' ]
  rm ../asked
  make status ENV=dev
  [ "$(cat ../asked)" = '<workflow><run><status.yml><-f><environment=dev>' ]
}

@test "rollback refuses a version of another environment" {
  with_gh 0
  run make rollback ENV=dev VERSION=0.1.29-prod
  [ "$status" -ne 0 ]
  [[ $output == *"no version of dev: '0.1.29-prod'"* ]]
  [ ! -e ../asked ]
}

@test "a gh that fails is not believed" {
  with_gh 4
  git remote set-url origin git@github.com:org/atta.git
  run make status ENV=dev
  [ "$status" -ne 0 ]
  [[ $output == *"press Run workflow at https://github.com/org/atta/actions/workflows/status.yml"* ]]
}

@test "without gh the page to open is shown, whatever the remote's address, and no secret of it" {
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
