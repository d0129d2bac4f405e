#!/usr/bin/env bash
#
# build_bundle.sh: makes the deploy bundle of a version, byte for byte the file
# that the action makes from the same folder.
#
#   deploy/build_bundle.sh VERSION [--service=NAME] [--mode=job|service] [--path=FOLDER] [--allow=FILE] [--output=FOLDER]
#
# --service is the service's name (atta), --mode what it is when --path brings no unit
# (job), --path the repository's own deploy folder (deploy), --allow a file in it
# that is named like one of secrets and holds none (may be repeated), --output where
# deploy-bundle-VERSION.tar.gz is written (the working folder). The defaults of a
# bundle are the files next to this script; the files of --path replace them.
#
# The same tree gives the same bytes everywhere: regular files only, sorted by
# name, mode 0755 or 0644, no owner, no time, and the gzip stream holds the tar
# uncompressed (RFC 1951, section 3.2.4), so no compressor's version shows in it.
#
# Needs bash, GNU tar (gtar on macOS), gzip and the usual POSIX tools.

set -euo pipefail
umask 077
export LC_ALL=C

main() {
  read_arguments "$@"
  STAGE=$(mktemp -d)
  trap 'rm -rf -- "$STAGE"' EXIT
  mkdir -p "$STAGE/tree/deploy" "$STAGE/own"
  put_defaults
  put_own_files
  check_units
  must_hold deploy/ec2_deploy.sh "deploy/systemd/$SERVICE.service"
  printf '%s\n' "$VERSION" >"$STAGE/tree/VERSION"
  set_modes
  write_tar
  write_gzip
}

read_arguments() {
  VERSION='' SERVICE=atta MODE='' OWN=deploy OUTPUT=. ALLOWED=()
  local argument
  for argument; do
    case $argument in
      -h | --help)
        sed -n '3,/^$/{/^#/!q;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}"
        exit 0
        ;;
      --service=*) SERVICE=${argument#*=} ;;
      --mode=*) MODE=${argument#*=} ;;
      --path=*) OWN=${argument#*=} ;;
      --allow=*) ALLOWED+=("${argument#*=}") ;;
      --output=*) OUTPUT=${argument#*=} ;;
      -*) die "unknown option: $argument" ;;
      *)
        [[ -z $VERSION ]] || die "one version, please: $VERSION or $argument"
        VERSION=$argument
        ;;
    esac
  done
  local name='[a-z][a-z0-9]*(-[a-z0-9]+)*'
  [[ $SERVICE =~ ^$name$ ]] || die "not a service name: $SERVICE"
  [[ $VERSION =~ ^(0|[1-9][0-9]*)(\.(0|[1-9][0-9]*)){2}-$name$ ]] || die "not a version like 0.1.30-dev: ${VERSION:-none given}"
  [[ $MODE =~ ^(job|service)?$ ]] || die "not a mode, job or service: $MODE"
  DEFAULTS=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
  TAR=$(command -v gtar || command -v tar)
  "$TAR" --version | grep -q 'GNU tar' || die "GNU tar is needed; on macOS: brew install gnu-tar"
  readonly VERSION SERVICE MODE OWN ALLOWED OUTPUT DEFAULTS TAR
}

put_defaults() {
  mkdir -p "$STAGE/tree/deploy/systemd"
  local file unit=atta
  [[ $MODE != service ]] || unit=daemon
  for file in ec2_deploy.sh .env.example; do
    [[ ! -f $DEFAULTS/$file ]] || cp -p -- "$DEFAULTS/$file" "$STAGE/tree/deploy/$file"
  done
  # A script of the repository never meets a lib of another version.
  if [[ -d $DEFAULTS/lib && ! -f $OWN/ec2_deploy.sh ]]; then
    mkdir -p "$STAGE/tree/deploy/lib"
    cp -p -- "$DEFAULTS"/lib/*.sh "$STAGE/tree/deploy/lib/"
  fi
  [[ ! -f $DEFAULTS/systemd/$unit.service ]] || cp -p -- "$DEFAULTS/systemd/$unit.service" "$STAGE/tree/deploy/systemd/$SERVICE.service"
}

# The conventional folder may be absent; one that was named on purpose may not.
put_own_files() {
  [[ $OWN != deploy || -e deploy ]] || return 0
  [[ -d $OWN ]] || die "no such folder: $OWN"
  local odd
  # deploy.mk serves a laptop, and is a link in the repository that it comes from.
  odd=$(find "$OWN" ! -type f ! -type d ! -path "$OWN/deploy.mk")
  [[ -z $odd ]] || die "only regular files go into a bundle: $odd"
  odd=$(find "$OWN" -type f \( -perm -4000 -o -perm -2000 \))
  [[ -z $odd ]] || die "a setuid or setgid file does not go into a bundle: $odd"
  odd=$(find "$OWN" -type f -name .env)
  [[ -z $odd ]] || die "settings and secrets stay on the host, take them out of the bundle: $odd"
  refuse_secrets
  odd=$(cd "$OWN" && find . -name '*[!A-Za-z0-9._+@ -]*')
  [[ -z $odd ]] || die "a name in a bundle has only letters, digits, spaces and . _ + @ -: $odd"
  cp -Rp -- "$OWN/." "$STAGE/own/"
  rm -f -- "$STAGE/own/deploy.mk"
  # A copy of a default unit does not count as the repository's.
  for odd in systemd/atta.service systemd/daemon.service; do
    ! cmp -s -- "$DEFAULTS/$odd" "$STAGE/own/$odd" || rm -- "$STAGE/own/$odd"
  done
  cp -Rp -- "$STAGE/own/." "$STAGE/tree/deploy/"
}

# Files named like keys, passwords or the settings of one environment, but for examples and public keys.
refuse_secrets() {
  local name allowed
  while IFS= read -r name; do
    for allowed in ${ALLOWED[@]+"${ALLOWED[@]}"}; do
      [[ $name != "$allowed" ]] || continue 2
    done
    die "named like a file of secrets, which must not be in a bundle; if it holds none, add --allow='$name'"
  done < <(cd "$OWN" && find . -type f \( -name '.env.*' -o -name '*.pem' -o -name '*.key' -o -name '*.p12' -o -name '*.pfx' -o -name '*.jks' \
    -o -name 'id_*' -o -name .netrc -o -name .pgpass -o -name .git-credentials \) ! -name .env.example ! -name .env.sample \
    ! -name .env.template ! -name .env.dist ! -name '*.pub' | sed 's|^\./||')
}

# Units that would not be installed, a unit of another mode, a timer without what it starts.
check_units() {
  local units=$STAGE/tree/deploy/systemd unit=$SERVICE.service name starts is=service
  while IFS= read -r name; do
    [[ $name != "$SERVICE-recover.service" ]] || die "a name that the deploy itself takes: systemd/$name"
    [[ $name =~ ^$SERVICE(-[A-Za-z0-9_.-]+)?\.(service|timer)$ ]] ||
      [[ ! $name =~ \.(service|socket|device|mount|automount|swap|target|path|timer|slice|scope)$ ]] ||
      die "this unit would not be installed, name it $SERVICE.service, $SERVICE.timer, $SERVICE-SOMETHING.service or $SERVICE-SOMETHING.timer: systemd/$name"
  done < <(cd "$units" && find . -type f | sed 's|^\./||')
  if [[ -n $MODE && -f $STAGE/own/systemd/$unit ]]; then
    [[ $(setting Type "$units/$unit") != oneshot ]] || is=job
    [[ $is == "$MODE" ]] || die "--mode is $MODE and systemd/$unit is a $is; a job has Type=oneshot"
  fi
  for name in "$units"/*.timer; do
    [[ -f $name ]] || continue
    starts=$(setting Unit "$name")
    : "${starts:=$(basename -- "$name" .timer).service}"
    [[ -f $units/$starts ]] || die "systemd/${name##*/} starts $starts, which the bundle does not hold"
  done
}

# setting KEY FILE: the last value that a unit gives a key.
setting() {
  sed -n "s/^[[:blank:]]*$1[[:blank:]]*=//p" "$2" | tail -n 1 | sed 's/^[[:space:]]*//;s/[[:space:]]*$//'
}

must_hold() {
  local file
  for file; do
    [[ -f $STAGE/tree/$file ]] || die "the bundle would hold no $file: keep the defaults next to this script"
  done
}

set_modes() {
  find "$STAGE/tree" -type f -perm -100 -exec chmod 0755 {} +
  find "$STAGE/tree" -type f ! -perm -100 -exec chmod 0644 {} +
}

write_tar() {
  (cd "$STAGE/tree" && find VERSION deploy -type f | sort) >"$STAGE/names"
  "$TAR" -C "$STAGE/tree" --format=ustar --no-recursion --verbatim-files-from --files-from="$STAGE/names" \
    --mtime=@0 --owner=0 --group=0 --numeric-owner --blocking-factor=1 -cf "$STAGE/bundle.tar"
}

# A gzip file by hand: header, the tar in stored blocks of at most 65,535 bytes
# (last flag, length, its complement), and gzip's own checksum and size.
write_gzip() {
  local bundle=$OUTPUT/deploy-bundle-$VERSION.tar.gz size blocks block length
  size=$(wc -c <"$STAGE/bundle.tar")
  blocks=$(((size + 65534) / 65535))
  {
    bytes 31 139 8 0 0 0 0 0 0 255
    for ((block = 0; block < blocks; block++)); do
      length=$((block < blocks - 1 ? 65535 : size - block * 65535))
      bytes $((block == blocks - 1)) $((length & 255)) $((length >> 8)) $((~length & 255)) $((~length >> 8 & 255))
      dd if="$STAGE/bundle.tar" bs=65535 skip="$block" count=1 2>/dev/null
    done
    gzip -c "$STAGE/bundle.tar" | tail -c 8
  } >"$STAGE/bundle.tar.gz"
  chmod 0644 "$STAGE/bundle.tar.gz"
  mv -- "$STAGE/bundle.tar.gz" "$bundle"
  printf '%s\n' "$bundle"
}

bytes() {
  local byte
  for byte; do
    printf '%b' "\\0$(printf %o "$byte")"
  done
}

die() {
  printf 'build_bundle.sh: %s\n' "$1" >&2
  exit 2
}

main "$@"
