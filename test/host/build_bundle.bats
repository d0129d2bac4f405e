#!/usr/bin/env bats
# What a person sees of build_bundle.sh. That its file is the action's own, byte
# for byte, is in the tests of internal/bundle.

setup() {
  cd "$BATS_TEST_TMPDIR"
}

build() { "$BATS_TEST_DIRNAME/../../deploy/build_bundle.sh" "$@"; }

@test "prints the name of the file it has made" {
  run build 0.1.30-dev
  [ "$status" -eq 0 ]
  [ "$output" = ./deploy-bundle-0.1.30-dev.tar.gz ]
  [ "$(tar -tzf "$output" | head -n 1)" = VERSION ]
}

@test "puts the working folder's own files over the defaults" {
  mkdir -p deploy/systemd
  echo ours >deploy/systemd/web.service
  build 0.1.30-dev --service=web
  [ "$(tar -xzOf deploy-bundle-0.1.30-dev.tar.gz deploy/systemd/web.service)" = ours ]
}

@test "packs a job or a service" {
  build 0.1.30-dev --service=web
  tar -xzOf deploy-bundle-0.1.30-dev.tar.gz deploy/systemd/web.service | grep -qx Type=oneshot
  build 0.1.30-dev --service=web --mode=service
  tar -xzOf deploy-bundle-0.1.30-dev.tar.gz deploy/systemd/web.service | grep -qx Restart=always
}

@test "skips deploy.mk, which serves a laptop" {
  mkdir deploy
  ln -s ../laptop/deploy.mk deploy/deploy.mk
  build 0.1.30-dev
  ! tar -tzf deploy-bundle-0.1.30-dev.tar.gz | grep -F deploy.mk
}

@test "leaves nothing behind when it refuses" {
  mkdir deploy
  echo SECRET=1 >deploy/.env
  TMPDIR=$PWD run build 0.1.30-dev
  [ "$status" -eq 2 ]
  [[ $output == *"settings and secrets stay on the host"* ]]
  [ "$(ls)" = deploy ]
}

@test "refuses to make a bundle that no host could use" {
  cp "$BATS_TEST_DIRNAME/../../deploy/build_bundle.sh" .
  mkdir deploy
  run ./build_bundle.sh 0.1.30-dev
  [ "$status" -eq 2 ]
  [[ $output == *"keep the built-in files next to this script"* ]]
  cp -r "$BATS_TEST_DIRNAME/../../deploy/lib" .
  run ./build_bundle.sh 0.1.30-dev
  [ "$status" -eq 2 ]
  [[ $output == *"the bundle would lack deploy/ec2_deploy.sh"* ]]
  [ ! -e deploy-bundle-0.1.30-dev.tar.gz ]
}

@test "explains itself" {
  run build --help
  [ "$status" -eq 0 ]
  [[ ${lines[0]} == build_bundle.sh:* ]]
}
