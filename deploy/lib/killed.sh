# shellcheck shell=bash
# killed.sh: what a command leaves that was killed before it changed what runs. Part of ec2_deploy.sh and of
# bootstrap.sh, which saves in .rollout.kept the rollout settings that a release had before a deploy or a check of it, and in
# .replaced a release whose files it replaces by those of the same bundle.

settle_killed_command() {
  put_back_release
  settle_rollout
}

put_back_release() {
  local base=$ROOT/opt/$SERVICE version
  [[ -f $base/.replaced/release.env ]] || return 0
  version=$(sed -n 's/^VERSION=//p' "$base/.replaced/release.env")
  # Another status may do the same.
  [[ -e $base/releases/$version ]] || mv -T -- "$base/.replaced" "$base/releases/$version" 2>/dev/null || [[ -e $base/releases/$version ]]
  rm -rf -- "$base/.replaced"
}

# restore_rollout: puts the saved settings back.
restore_rollout() {
  local base=$ROOT/opt/$SERVICE version
  [[ -f $base/.rollout.kept ]] || return 0
  read -r _ version <"$base/.rollout.kept" || return 0
  [[ ! -d $base/releases/$version ]] ||
    { (umask 077 && sed 1d "$base/.rollout.kept" >"$base/.rollout.new") && flush_to_disk "$base/.rollout.new" &&
      mv -T -- "$base/.rollout.new" "$base/releases/$version/rollout.env"; } ||
    { printf 'the previous rollout settings of %s cannot be restored\n' "$version" >>"$LOG" || true && return 0; }
  rm -f -- "$base/.rollout.kept"
}

# settle_rollout: restores what a killed command has saved, unless its deploy succeeded.
settle_rollout() {
  local base=$ROOT/opt/$SERVICE deployment
  [[ -f $base/.rollout.kept ]] || return 0
  read -r deployment _ <"$base/.rollout.kept" || return 0
  if [[ $(find_in_history "$deployment") =~ \"outcome\":\"(deployed|unchanged)\" ]] ||
    { grep -qsxF "DEPLOYMENT=$deployment" "$base/state" && grep -qsxF OUTCOME=deployed "$base/state"; }; then
    rm -f -- "$base/.rollout.kept"
  else
    restore_rollout
  fi
}

# forget_rollout VERSION: the settings of its new deploy are those of the release.
forget_rollout() {
  local version
  read -r _ version 2>/dev/null <"$ROOT/opt/$SERVICE/.rollout.kept" || return 0
  [[ $version != "$1" ]] || rm -f -- "$ROOT/opt/$SERVICE/.rollout.kept"
}
