#!/usr/bin/env bash
#
# build_bundle.sh: builds the deploy bundle of a version, byte for byte the file
# that the action builds from the same folder.
#
#   deploy/build_bundle.sh VERSION [--service=NAME] [--mode=job|service] [--path=FOLDER] [--allow=FILE] [--output=FOLDER]
#
#   --service  name of the service (default atta)
#   --mode     kind of service, for the built-in unit (default job)
#   --path     folder of the repository's own deploy files (default deploy)
#   --allow    file in it to pack although it is named like a secret; may be repeated
#   --output   folder to write deploy-bundle-VERSION.tar.gz to (default .)
#
# A bundle contains the files next to this script; the files of --path replace
# those of the same name.
#
# The same files give the same bytes everywhere: regular files only, sorted by
# name, mode 0755 or 0644, no owners or times, and a gzip stream of stored blocks
# (RFC 1951, section 3.2.4), which does not depend on a compressor's version.
#
# Needs bash, GNU tar (gtar on macOS), gzip and the usual POSIX tools.

# shellcheck source-path=SCRIPTDIR
set -euo pipefail
umask 077
export LC_ALL=C

main() {
  read_arguments "$@"
  STAGE=$(mktemp -d)
  trap 'rm -rf -- "$STAGE"' EXIT
  mkdir -p "$STAGE/tree/deploy" "$STAGE/own"
  copy_defaults
  copy_own_files
  check_units
  require_files deploy/ec2_deploy.sh "deploy/systemd/$SERVICE.service"
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
        [[ -z $VERSION ]] || die "give one version, not two: $VERSION and $argument"
        VERSION=$argument
        ;;
    esac
  done
  local name='[a-z][a-z0-9]*(-[a-z0-9]+)*'
  [[ $SERVICE =~ ^$name$ ]] || die "not a service name: $SERVICE"
  [[ ! $SERVICE =~ ^[0-9a-f]+$ ]] || die "docker would take the service name $SERVICE for the beginning of a container ID: add a dash, or a letter after f"
  [[ $VERSION =~ ^(0|[1-9][0-9]*)(\.(0|[1-9][0-9]*)){2}-$name$ ]] || die "not a version like 0.1.30-dev: ${VERSION:-none given}"
  [[ $MODE =~ ^(job|service)?$ ]] || die "not a mode, job or service: $MODE"
  DEFAULTS=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
  [[ -f $DEFAULTS/lib/unit_file.sh ]] || die "keep the built-in files next to this script: $DEFAULTS/lib is missing"
  # shellcheck source=lib/unit_file.sh
  source "$DEFAULTS/lib/unit_file.sh"
  # shellcheck source=lib/unit_name.sh
  source "$DEFAULTS/lib/unit_name.sh"
  TAR=$(command -v gtar || command -v tar)
  "$TAR" --version | grep -q 'GNU tar' || die "GNU tar is needed; on macOS: brew install gnu-tar"
  readonly VERSION SERVICE MODE OWN ALLOWED OUTPUT DEFAULTS TAR
}

copy_defaults() {
  mkdir -p "$STAGE/tree/deploy/systemd"
  local file unit=atta
  [[ $MODE != service ]] || unit=daemon
  for file in ec2_deploy.sh .env.example; do
    [[ ! -f $DEFAULTS/$file ]] || cp -p -- "$DEFAULTS/$file" "$STAGE/tree/deploy/$file"
  done
  # The repository's own script must not source libraries of another version.
  if [[ -d $DEFAULTS/lib && ! -f $OWN/ec2_deploy.sh ]]; then
    mkdir -p "$STAGE/tree/deploy/lib"
    cp -p -- "$DEFAULTS"/lib/*.sh "$STAGE/tree/deploy/lib/"
  fi
  [[ ! -f $DEFAULTS/systemd/$unit.service ]] || cp -p -- "$DEFAULTS/systemd/$unit.service" "$STAGE/tree/deploy/systemd/$SERVICE.service"
}

# The default folder may be missing, any other must exist.
copy_own_files() {
  [[ $OWN != deploy || -e deploy ]] || return 0
  [[ -d $OWN ]] || die "no such folder: $OWN"
  local unfit
  # deploy.mk is for developers, not for hosts; in the action's own repository it is a link.
  unfit=$(find "$OWN" ! -type f ! -type d ! -path "$OWN/deploy.mk")
  [[ -z $unfit ]] || die "only regular files go into a bundle: $unfit"
  unfit=$(find "$OWN" -type f \( -perm -4000 -o -perm -2000 \))
  [[ -z $unfit ]] || die "a setuid or setgid file does not go into a bundle: $unfit"
  unfit=$(find "$OWN" -type f -name .env)
  [[ -z $unfit ]] || die "settings and secrets stay on the host, remove them from the bundle: $unfit"
  refuse_secrets
  unfit=$(cd "$OWN" && find . -name '*[!A-Za-z0-9._+@ -]*')
  [[ -z $unfit ]] || die "a file name in a bundle may contain only letters, digits, spaces and . _ + @ -: $unfit"
  cp -Rp -- "$OWN/." "$STAGE/own/"
  rm -f -- "$STAGE/own/deploy.mk"
  prepare_scripts
  # An unchanged copy of a built-in unit is not the repository's own.
  local unit
  for unit in systemd/atta.service systemd/daemon.service; do
    ! cmp -s -- "$DEFAULTS/$unit" "$STAGE/own/$unit" || rm -- "$STAGE/own/$unit"
  done
  cp -Rp -- "$STAGE/own/." "$STAGE/tree/deploy/"
}

# Makes files that begin with #! executable, since workflow artifacts lose the bit, and refuses scripts with CR LF.
prepare_scripts() {
  local file start
  while IFS= read -r file; do
    IFS= read -r -n 2 start <"$file" || true
    [[ $start != '#!' ]] || chmod u+x -- "$file"
    [[ $start == '#!' || $file == *.sh ]] || continue
    # An archive behind a script may have a CR that ends no line.
    (($(tr -dc '\000' <"$file" | wc -c) > 0)) || ! grep -q $'\r$' -- "$file" ||
      die "line ends of Windows (CR LF), with which a script does not run; put '*.sh text eol=lf' into .gitattributes: ${file#"$STAGE/own/"}"
  done < <(find "$STAGE/own" -type f)
}

# Refuses files named like keys, passwords or the settings of one environment, except examples and public keys.
refuse_secrets() {
  local name allowed
  while IFS= read -r name; do
    for allowed in ${ALLOWED[@]+"${ALLOWED[@]}"}; do
      [[ $name != "$allowed" ]] || continue 2
    done
    die "named like a secret, which must not be in a bundle; if it is not one, add --allow='$name'"
  done < <(cd "$OWN" && find . -type f \( -name '.env.*' -o -name '*.pem' -o -name '*.key' -o -name '*.p12' -o -name '*.pfx' -o -name '*.jks' \
    -o -name 'id_*' -o -name .netrc -o -name .pgpass -o -name .git-credentials \) ! -name .env.example ! -name .env.sample \
    ! -name .env.template ! -name .env.dist ! -name '*.pub' | sed 's|^\./||')
}

# Refuses units that would not be installed, a unit of another mode, and a timer whose unit is missing.
check_units() {
  local units=$STAGE/tree/deploy/systemd unit=$SERVICE.service name is=service
  while IFS= read -r name; do
    [[ $name != "$SERVICE-recover.service" ]] || die "a name that is reserved for the deploy: systemd/$name"
    may_install "$name" ||
      [[ ! $name =~ \.(service|socket|device|mount|automount|swap|target|path|timer|slice|scope)(\.d/.*)?$ ]] ||
      die "this unit would not be installed, name it $SERVICE.service, $SERVICE.timer, $SERVICE-SOMETHING.service or $SERVICE-SOMETHING.timer: systemd/$name"
  done < <(cd "$units" && find . -type f | sed 's|^\./||')
  if [[ -n $MODE && -f $STAGE/own/systemd/$unit ]]; then
    last_unit_value Service.Type "$units/$unit"
    [[ $REPLY != oneshot ]] || is=job
    [[ $is == "$MODE" ]] || die "--mode is $MODE, but systemd/$unit is a $is; a job has Type=oneshot"
  fi
  for name in "$units"/*.timer; do
    [[ -f $name ]] || continue
    timer_unit "$name"
    [[ -f $units/$REPLY ]] || die "systemd/${name##*/} starts $REPLY, which is not in the bundle"
  done
}

require_files() {
  local file
  for file; do
    [[ -f $STAGE/tree/$file ]] || die "the bundle would lack $file: keep the built-in files next to this script"
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

# Writes the gzip file: header, the tar in stored blocks of at most 65,535 bytes
# (final flag, length, its complement), then the checksum and size as gzip writes them.
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
