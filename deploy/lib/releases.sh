# shellcheck shell=bash
# releases.sh: the releases on this host, and the space for the next one. Part of ec2_deploy.sh.

# list_verified: the releases seen healthy here, the newest version first.
list_verified() {
  local mark
  for mark in "$BASE"/releases/*/verified; do
    mark=${mark%/verified}
    [[ ! -f $mark/verified ]] || printf '%s\n' "${mark##*/}"
  done | sort -rV
}

# Removes old releases of this service before the next one is installed: never the
# current or the previous one, or one of the KEEP_RELEASES newest verified ones.
free_space() {
  local version keep
  finish_removal || log_note "the files of a release that was removed remain"
  keep=$(list_verified | sed -n "1,${KEEP_RELEASES}p")
  read_linked_version previous
  keep=$'\n'$keep$'\n'$TO$'\n'$OWN$'\n'$FROM$'\n'$REPLY$'\n'
  for version in "$BASE"/releases/*; do
    version=${version##*/}
    [[ $keep == *$'\n'"$version"$'\n'* ]] || remove_release "$version" || log_note "$version could not be removed"
  done
  if ! has_image; then
    find_image_store
    # Packed and unpacked for a while, and three times as large unpacked.
    require_space "$REPLY" $((IMAGE_BYTES * 4 / 1024 + 64 * 1024)) "the image"
  fi
  require_space "$BASE" $((16 * 1024)) "the release"
  require_space "$RUN" $((17 * 1024)) "systemd, which reloads no unit below 16 MB, and the files of a deploy"
}

# find_image_store: sets REPLY to the folder below which the engine keeps images: Docker's own,
# podman's or containerd's. A containerd that Docker starts keeps them below Docker's.
# https://docs.docker.com/engine/storage/containerd/
find_image_store() {
  local store
  REPLY=${STORE:-${ENGINE%% *}}
  if [[ $ENGINE == *io.containerd.snapshotter* ]]; then
    store=$(sed -n "s/^root *= *[\"']\(.*\)[\"'].*/\1/p" "$ROOT/etc/containerd/config.toml" 2>/dev/null) || store=''
    store=$ROOT${store:-/var/lib/containerd}
    [[ ! -d $store ]] || REPLY=$store
  fi
  [[ -d $REPLY ]] || REPLY=$ROOT/var/lib
}

# remove_release VERSION: the folder is renamed first, so that no half of a release can be rolled back to.
remove_release() {
  mv -T -- "$BASE/releases/$1" "$BASE/.dropped" || return
  log_note "removed the release $1"
  finish_removal
}

# finish_removal: removes the image, and then the folder, of a release that was moved to .dropped, perhaps by a deploy that was killed right after.
finish_removal() {
  local image
  [[ -e $BASE/.dropped ]] || return 0
  read_entries "$BASE/.dropped/release.env"
  image=${ENTRY[IMAGE]:-}
  docker rm --volumes "$SERVICE-${ENTRY[VERSION]:-}" >&2 || true
  if [[ -n $image ]]; then
    docker image rm "${image%@*}:${ENTRY[IMAGE_TAG]:-}" >&2 || true
    # Podman keeps what still has its digest, and an image that was refused before it had a tag has nothing else.
    ! query_docker image inspect "$image" >/dev/null 2>&1 || grep -qsxF "IMAGE=$image" "$ROOT"/opt/*/releases/*/release.env || docker image rm "$image" >&2 || true
  fi
  rm -rf -- "$BASE/.dropped"
}

# require_space FOLDER KIB WHAT
require_space() {
  local free
  free=$(df --block-size=1K --output=avail -- "$1" | tail -n 1)
  ((free >= $2)) || refuse no-space "not enough room for $3: $1 has $((free / 1024)) MB free, $(($2 / 1024)) MB are needed"
}
