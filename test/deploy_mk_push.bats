#!/usr/bin/env bats
# deploy.mk as people use it: what arrives on the remote, also when others push.

load deploy_mk

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
