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

@test "what is no number is replaced" {
  [ "$(number 17 5)" = 17 ]
  [ "$(number 0 5)" = 0 ]
  [ "$(number '' 5)" = 5 ]
  [ "$(number 08 5)" = 5 ]
  [ "$(number '[not set]' 5)" = 5 ]
}

@test "an entry is all that stands after its first equals sign" {
  local file=$BATS_TEST_TMPDIR/release.env
  printf '%s\n' 'A=1' 'AB=x=y z ' 'A=2' >"$file"
  printf 'LAST=no newline' >>"$file"
  [ "$(entry A "$file")" = 1 ]
  [ "$(entry AB "$file")" = 'x=y z ' ]
  [ -z "$(entry B "$file")" ]
  [ -z "$(entry A "$file.missing")" ]
}

@test "a line of the history is told in words" {
  run describe '2026-11-23T09:00:00Z deploy {"v":1,"deployment":"d","service":"atta","outcome":"rolled-back","code":40,"phase":"health","wanted":"0.1.2-dev","version":"0.1.1-dev","digest":"","verified":true,"before":"0.1.1-dev","generation":0,"unit":"inactive","message":"it failed"}'
  [ "$output" = '2026-11-23T09:00:00Z deploy 0.1.1-dev -> 0.1.2-dev: rolled-back (40) in health: it failed' ]
  run describe 'torn line {"v":1'
  [ -z "$output" ]
}
