#!/usr/bin/env bats
# Tests what deploy.mk pushes, also when others push at the same time.

load deploy_mk

@test "the branch and only the new tag are pushed" {
  git config push.followTags true
  git tag --annotate --message other 0.1.0-prod
  commit . ours
  git tag --annotate --message other 0.1.5-dev
  make deploy-dev YES=1
  [ "$(on_remote)" = 0.1.6-dev ]
  [ "$(git ls-remote origin refs/heads/dev | cut -f 1)" = "$(git rev-parse HEAD)" ]
}

# meanwhile COMMAND: runs after git has read the remote's refs and before it pushes.
meanwhile() {
  printf '%s\n' '#!/bin/sh' 'unset $(git rev-parse --local-env-vars) VERSION YES MAKEFLAGS MAKELEVEL' "cd ../theirs && $1 >&2" >.git/hooks/pre-push
  chmod +x .git/hooks/pre-push
}

@test "when two release the same version, the second is refused and can retry" {
  meanwhile 'make deploy-dev YES=1'
  run make deploy-dev YES=1
  echo "$output"
  [ "$status" -ne 0 ]
  [[ $output == *"somebody else released 0.1.0-dev"*"run: make deploy-dev"* ]]
  [ -z "$(git tag --list)" ]
  [ "$(on_remote)" = 0.1.0-dev ]
  rm .git/hooks/pre-push
  make deploy-dev YES=1
  [ "$(on_remote)" = $'0.1.0-dev\n0.1.1-dev' ]
}

@test "when somebody else pushed to the branch in between, the tag is not pushed either" {
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
  refuses "the push was refused for the reason above, by origin" make deploy-dev YES=1
  [[ $output == *protected* ]]
}

@test "when the connection is lost during the push, the tag is kept, since it may have arrived" {
  printf '%s\n' '#!/bin/sh' 'mv "$PWD" "$PWD/../gone.git"' 'exit 1' >../origin.git/hooks/pre-receive
  chmod +x ../origin.git/hooks/pre-receive
  run make deploy-dev YES=1
  mv ../gone.git ../origin.git
  echo "$output"
  [ "$status" -ne 0 ]
  [[ $output == *"may or may not have been pushed"* ]]
  [ "$(git tag --list)" = 0.1.0-dev ]
}

@test "a push that arrived but was reported as failed succeeds" {
  meanwhile "git -C ../mine push --quiet --no-verify origin refs/tags/0.1.0-dev"
  run make deploy-dev YES=1
  echo "$output"
  [ "$status" -eq 0 ]
  [[ $output == *"0.1.0-dev was pushed despite the error"* ]]
  [ "$(git tag --list)" = 0.1.0-dev ]
}

@test "ten at once release as many versions as report success" {
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
