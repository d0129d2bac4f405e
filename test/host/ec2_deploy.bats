#!/usr/bin/env bats
# The functions of ec2_deploy.sh that decide something on their own. What the script
# does to a host is in the Go tests next to this file.

setup() {
  source "$BATS_TEST_DIRNAME/../../deploy/ec2_deploy.sh"
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
  json_string 'a "b" \ c'
  [ "$REPLY" = 'a \"b\" \\ c' ]
  json_string $'one\ntwo\tthree\033[0m'
  [ "$REPLY" = 'one two three [0m' ]
  json_string 'x & y'
  [ "$REPLY" = 'x & y' ]
}

@test "text in the result line is cut before it is escaped" {
  json_string "$(printf '"%.0s' {1..700})"
  [ "${#REPLY}" -eq 1000 ] # no escape is cut in half
  json_string "a$(printf '"%.0s' {1..700})"
  [ "${#REPLY}" -eq 999 ]
}

@test "what is not a number is replaced" {
  local number
  for number in 17 0; do
    number_or "$number" 5
    [ "$REPLY" = "$number" ]
  done
  for number in '' 08 '[not set]'; do
    number_or "$number" 5
    [ "$REPLY" = 5 ]
  done
}

@test "an entry is everything after its first equals sign" {
  local file=$BATS_TEST_TMPDIR/release.env
  printf '%s\n' 'A=1' 'AB=x=y z ' '' '=none' '# A=3' 'A=2' >"$file"
  printf 'LAST=no newline' >>"$file"
  printf '%s\n' 'A=4' 'C=5' >"$file.more"
  read_entries "$file.missing" "$file" "$file.more"
  [ "${#ENTRY[@]}" = 3 ]
  [ "${ENTRY[A]}/${ENTRY[AB]}/${ENTRY[C]}" = '1/x=y z /5' ]
  read_entries "$file.missing"
  [ "${#ENTRY[@]}" = 0 ]
}

@test "a line of the history is described in words" {
  run describe_entry '2026-11-23T09:00:00Z deploy {"v":1,"deployment":"d","service":"atta","outcome":"rolled-back","code":40,"reason":"unhealthy","phase":"health","wanted":"0.1.2-dev","version":"0.1.1-dev","digest":"","verified":true,"before":"0.1.1-dev","generation":0,"unit":"inactive","message":"it failed"}'
  [ "$output" = '2026-11-23T09:00:00Z deploy 0.1.1-dev -> 0.1.2-dev: rolled-back (40) in health: it failed' ]
  run describe_entry 'torn line {"v":1'
  [ -z "$output" ]
}

# release VERSION [verified]: a release folder of the service atta.
release() {
  SERVICE=atta BASE=$BATS_TEST_TMPDIR TO=$1
  mkdir -p "$BASE/releases/$1/deploy/systemd"
  printf 'IMAGE=host/atta@sha256:%s\n' "$1" >"$BASE/releases/$1/release.env"
  [[ -z ${2:-} ]] || touch "$BASE/releases/$1/verified"
}

@test "settings must have every key of the example, and a value where it has none" {
  refuse() { printf '%s\n' "$1: $2" && exit 10; }; docker_reads_settings() { false; }
  release 1.0.0-dev
  printf '%s\n' '# OPTIONAL=1' 'PORT=8080' 'SALT=YWJj=' 'TOKEN=' 'NAME=' >"$BASE/releases/1.0.0-dev/deploy/.env.example"
  printf '%s\n' 'TOKEN=' '#NAME=x' 'PORT=' 'SALT=' >"$BASE/.env"
  run check_settings
  [ "$status" -eq 10 ]
  [ "$output" = "settings-missing: /opt/atta/.env lacks TOKEN NAME, which 1.0.0-dev needs: add them on the host and deploy again" ]
  printf '%s\n' 'TOKEN=a=b' 'NAME=x' 'PORT=' 'SALT=' >"$BASE/.env"
  check_settings
}

@test "settings are read as docker reads them" {
  printf '\xef\xbb\xbfBOM=1\r\n \t INDENTED= a \nTWICE=1\nTWICE=\n#COMMENT=1\n\nALONE\nmy.key-2=x=y\nLAST=end' >"$BATS_TEST_TMPDIR/env"
  ROOT=$BATS_TEST_TMPDIR SERVICE=atta BASE=$BATS_TEST_TMPDIR UNIT=atta.service read_settings "$BATS_TEST_TMPDIR/env"
  [ "${NAMES[*]}" = 'BOM INDENTED TWICE my.key-2 LAST' ]
  [ "${SETTING[BOM]}${SETTING[INDENTED]}${SETTING[TWICE]}${SETTING[my.key-2]}${SETTING[LAST]}" = '1 a x=yend' ]
  [ "$INVALID:$SUSPECT" = 0:7 ]
}

@test "of several files of settings the last one wins, and one may be missing" {
  printf 'A=1\nB=1\n' >"$BATS_TEST_TMPDIR/one"
  printf 'B=2\nC=' >"$BATS_TEST_TMPDIR/two"
  read_settings "$BATS_TEST_TMPDIR/one" "$BATS_TEST_TMPDIR/none" "$BATS_TEST_TMPDIR/two"
  [ "${NAMES[*]}" = 'A B C' ]
  [ "${SETTING[A]}${SETTING[B]}${SETTING[C]}" = 12 ]
}

@test "a unit has to read the file that settings-from fills" {
  refuse() { printf '%s\n' "$1" && exit 10; }
  local unit=$BATS_TEST_TMPDIR/unit SERVICE=atta UNIT=atta.service line
  for line in 'ExecStart=/usr/bin/docker run --env-file /opt/%N/current/settings.env' 'EnvironmentFile=/opt/atta/current/settings.env' 'ExecStart=/opt/%p/current/deploy/run.sh'; do
    printf '[Service]\n%s\n' "$line" >"$unit"
    check_settings_reach "$unit"
  done
  for line in '# ExecStart=/usr/bin/docker run --env-file /opt/%N/current/settings.env' 'EnvironmentFile=/opt/other/current/settings.env' 'EnvironmentFile=/opt/atta/current/deploy/docker.env'; do
    printf '[Service]\n%s\n' "$line" >"$unit"
    run check_settings_reach "$unit"
    [ "$output" = unit-invalid ]
  done
}

@test "the first line that docker would not take is found" {
  local line
  for line in 'export A=1' 'A =1' '=1' $'A\tB' $'\f\vA B=1'; do
    printf 'FIRST=1\n%s\nA B=2' "$line" >"$BATS_TEST_TMPDIR/env"
    read_settings "$BATS_TEST_TMPDIR/env"
    [ "$INVALID" -eq 2 ]
  done
}

@test "what docker says of a line of the settings is not passed on" {
  local said
  said=$(printf '%s\n' 'docker: invalid env file (.env): invalid utf8 bytes at line 3: [115 101 99]' '' "Run 'docker create --help' for more information" | last_engine_error)
  [ "$said" = 'docker: invalid env file (.env): invalid utf8 bytes at line 3' ]
  said=$(printf '%s\n' 'docker: env file .env contains invalid utf8 bytes at line 2: [66 61 254 253].' "See 'docker create --help'." | last_engine_error)
  [ "$said" = 'docker: env file .env contains invalid utf8 bytes at line 2' ]
  said=$(printf '%s\n' "docker: invalid env file (.env): no variable name on line '=secret'" "See 'docker create --help'." | last_engine_error)
  [ "$said" = 'docker: invalid env file (.env): no variable name' ]
  [ "$(echo 'something else' | last_engine_error)" = 'something else' ]
}

@test "Docker from a snap is refused" {
  mkdir -p "$BATS_TEST_TMPDIR/snap/bin"
  printf '#!/bin/sh\necho /var/lib/docker\n' >"$BATS_TEST_TMPDIR/snap/bin/docker"
  chmod +x "$BATS_TEST_TMPDIR/snap/bin/docker"
  PATH=$BATS_TEST_TMPDIR/snap/bin:$PATH SERVICE=atta
  systemctl() { echo LoadState=loaded; }
  refuse() { printf '%s\n' "$1: $2" && exit 10; }
  run check_tools
  [ "$status" -eq 10 ]
  [[ $output == 'engine-unfit: Docker is a snap here'* ]]
}

@test "the image store of a containerd with a custom root is found" {
  ROOT=$BATS_TEST_TMPDIR ENGINE="$BATS_TEST_TMPDIR [] [[driver-type io.containerd.snapshotter.v1]]"
  mkdir -p "$ROOT/etc/containerd" "$ROOT/data/containerd"
  find_image_store
  [ "$REPLY" = "$ROOT" ] # Docker's own containerd
  printf 'version = 2\n#root = "/x"\nroot = "/data/containerd"\n' >"$ROOT/etc/containerd/config.toml"
  find_image_store
  [ "$REPLY" = "$ROOT/data/containerd" ]
  ENGINE="$BATS_TEST_TMPDIR [] [[Backing Filesystem extfs]]"
  find_image_store
  [ "$REPLY" = "$ROOT" ]
}

@test "units of several releases are named once each" {
  release 1.0.0-dev
  release 1.1.0-dev
  touch "$BASE/releases/1.0.0-dev/deploy/systemd/"{atta.service,atta.timer,notes.txt} "$BASE/releases/1.1.0-dev/deploy/systemd/"{atta.service,atta-x.timer}
  list_units 1.0.0-dev '' 1.1.0-dev
  [ "$REPLY" = 'atta.service atta.timer atta-x.timer' ]
  list_units ''
  [ -z "$REPLY" ]
}

@test "releases seen healthy are sorted by their numbers" {
  release 0.9.0-dev verified
  release 0.10.0-dev verified
  release 0.11.0-dev
  [ "$(list_verified | paste -s -d ' ')" = '0.10.0-dev 0.9.0-dev' ]
}

@test "after a deploy the release that ran before is the previous one, after a rollback the next older one" {
  local version
  for version in 0.1.0-dev 0.2.0-dev 0.3.0-dev; do release "$version" verified; done
  ACTION=deploy FROM=0.2.0-dev TO=0.3.0-dev
  set_previous
  [ "$(readlink "$BASE/previous")" = releases/0.2.0-dev ]
  ACTION=rollback FROM=0.3.0-dev TO=0.2.0-dev
  set_previous
  [ "$(readlink "$BASE/previous")" = releases/0.1.0-dev ]
  ACTION=rollback FROM=0.2.0-dev TO=0.1.0-dev
  set_previous
  [ ! -e "$BASE/previous" ]
}

@test "a release that was never seen healthy is never the previous one" {
  release 0.1.0-dev
  release 0.2.0-dev
  ACTION=deploy FROM=0.1.0-dev TO=0.2.0-dev
  set_previous
  [ ! -e "$BASE/previous" ]
}

@test "an image is quarantined once, with its reason, until it was seen healthy" {
  release 0.1.0-dev
  WHY=$'it\nfell over'
  quarantine_image
  quarantine_image
  [ "$(wc -l <"$BASE/quarantine")" -eq 1 ]
  [[ $(cat "$BASE/quarantine") == 'sha256:0.1.0-dev 0.1.0-dev was found unhealthy at '*' (it fell over)' ]]
  release 0.2.0-dev
  quarantine_image
  lift_quarantine
  [[ $(cat "$BASE/quarantine") == sha256:0.1.0-dev\ * && $(wc -l <"$BASE/quarantine") -eq 1 ]]
}

@test "an image that was seen healthy is not quarantined" {
  release 0.1.0-dev verified
  WHY=broken
  quarantine_image
  [ ! -e "$BASE/quarantine" ]
}

@test "the journal returns what was written, on one line each" {
  release 0.2.0-dev
  DEPLOYMENT=d-1 ACTION=deploy FROM=0.1.0-dev UP='atta.service atta-x.service' ENABLED=atta.service OUTCOME='' CODE=40 REASON=unhealthy WHY=$'a=b\nc'
  write_journal switch
  DEPLOYMENT='' ACTION='' FROM='' TO='' UP='' ENABLED='' CODE='' REASON='' WHY='' REACHED=''
  read_journal
  [ "$DEPLOYMENT/$ACTION/$FROM/$TO/$UP/$ENABLED/$REACHED/$OUTCOME/$CODE/$REASON/$WHY" = 'd-1/deploy/0.1.0-dev/0.2.0-dev/atta.service atta-x.service/atta.service/switch//40/unhealthy/a=b c' ]
}

@test "a link is replaced in one step" {
  release 0.1.0-dev
  point_link current 0.1.0-dev
  point_link current 0.2.0-dev
  [ "$(readlink "$BASE/current")" = releases/0.2.0-dev ]
  [ ! -e "$BASE/.current.new" ]
}

@test "a service that was started again did not stay up, and an unknown run is no other run" {
  HEALTH_COMMAND='' HEALTH_URL='' UNIT=atta.service MIN_HEALTHY_TIME=0 HEALTH_TIMEOUT=9 DEADLINE=$((SECONDS + 9))
  sleep() { :; }
  is_evident() { :; }; observe_container() { :; }
  passes_checks() { :; }

  query_properties() { PROPERTY=([ActiveState]=active [InvocationID]=another); }
  ! stays_up first || false
  [[ $UNWELL == 'atta.service did not stay up: it was started again, '* ]]

  query_properties() { PROPERTY=([ActiveState]=active [InvocationID]=first); }
  stays_up first

  local queries=0
  query_properties() {
    queries=$((queries + 1)) PROPERTY=()
    ((queries > 1)) && PROPERTY=([ActiveState]=active [InvocationID]=first)
  }
  stays_up first
  [ "$queries" = 2 ]
}

@test "a service that is up for too short a time is polled again" {
  HEALTH_COMMAND='' HEALTH_URL='' UNIT=atta.service MIN_HEALTHY_TIME=9 HEALTH_TIMEOUT=9 DEADLINE=$((SECONDS + 9)) LOOKED=0
  is_evident() { :; }
  query_properties() { PROPERTY=([ActiveState]=active [InvocationID]=first); }
  sleep() { LOOKED=$((LOOKED + 1)); ((LOOKED < 3)) || DEADLINE=0; }
  ! stays_up first || false
  [ "$LOOKED" = 3 ]
}

@test "a removal that hangs is not tried for longer than half a minute" {
  local SERVICE=atta tries=0
  log_note() { :; }
  query_docker() { [[ $1 == container ]] || { tries=$((tries + 1)) SECONDS=$((SECONDS + 65)); false; }; }
  forget_container
  [ "$tries" = 1 ]
}

@test "a trap runs a hundred times of a hundred while systemd is asked again and again" {
  local script=$BATS_TEST_TMPDIR/asks.sh try pid line
  printf '%s\n' "source $BATS_TEST_DIRNAME/../../deploy/ec2_deploy.sh" 'systemctl() { sleep 0.01; echo running; }' \
    "trap 'echo trapped' TERM" 'echo ready' 'while :; do yield_to_shutdown; done' >"$script"
  coproc asks { exec bash "$script" 2>&1; }
  pid=$!
  read -r -u "${asks[0]}" line
  for try in {1..100}; do
    sleep "0.00$((try % 10))"
    kill -TERM "$pid"
    read -r -t 300 -u "${asks[0]}" line
    [ "$line" = trapped ] || { printf "got %s\n" "$line" && false; }
  done
  kill -KILL "$pid"
}
