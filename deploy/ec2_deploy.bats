#!/usr/bin/env bats
# The functions of ec2_deploy.sh that decide something by themselves. What the
# script does to a host is in the Go tests beside this file.

setup() {
  source "$BATS_TEST_DIRNAME/ec2_deploy.sh"
}

@test "a version is older by its first number that differs, as a number" {
  is_older 0.1.9-dev 0.1.10-dev
  is_older 0.9.9-dev 0.10.0-dev
  is_older 9.0.0-dev 10.0.0-dev
  is_older 1.9.9-dev 2.0.0-dev
  is_older 0.0.1-dev 0.0.999999999999999999-dev
}

@test "a version is not older than itself or an earlier one" {
  ! is_older 0.1.10-dev 0.1.9-dev || false
  ! is_older 0.1.10-dev 0.1.10-dev || false
  ! is_older 1.0.0-dev 0.99.99-dev || false
  ! is_older 0.2.0-dev 0.1.99-dev || false
}

@test "a version of an environment with dashes is compared by its numbers" {
  is_older 0.1.9-pre-1-live 0.1.10-pre-1-live
  ! is_older 0.1.10-pre-1-live 0.1.9-pre-1-live || false
}

@test "text in the result line can not end its string" {
  [ "$(json 'a "b" \ c')" = 'a \"b\" \\ c' ]
  [ "$(json $'one\ntwo\tthree\033[0m')" = 'one two three [0m' ]
  [ "$(json 'x & y')" = 'x & y' ]
}

@test "text in the result line is cut before it is escaped" {
  local quotes
  quotes=$(json "$(printf '"%.0s' {1..700})")
  [ "${#quotes}" -eq 1200 ]
}

@test "what is no number is 0 in the result line" {
  [ "$(number 17)" = 17 ]
  [ "$(number '')" = 0 ]
  [ "$(number '[not set]')" = 0 ]
}
