# shellcheck shell=bash
# history.sh: how every deploy ended, a line each. Part of ec2_deploy.sh and of bootstrap.sh.

# find_in_history DEPLOYMENT: prints the line of its result. One that a full disk has cut has no end, and is none.
find_in_history() { grep -sF "\"deployment\":\"$1\"" "$ROOT/opt/$SERVICE/history" | grep '"}$' | tail -n 1; }

# add_to_history ACTION LINE: the result of a deployment is recorded once.
add_to_history() {
  local file=$ROOT/opt/$SERVICE/history
  [[ -z $(find_in_history "$DEPLOYMENT") ]] || return 0
  [[ -z $(tail -c 1 -- "$file" 2>/dev/null) ]] || printf '\n' >>"$file" || return
  (umask 077 && TZ=UTC printf '%(%FT%TZ)T %s %s\n' -1 "$1" "$2" >>"$file") && flush_to_disk "$file"
}

# print_log [DEPLOYMENT]: the log, from where the deployment, this one by default, began. The last line of an earlier one would be no cause.
print_log() { sed -n "/ bootstrap: deployment ${1:-$DEPLOYMENT}:/,\$p" "$LOG" 2>/dev/null || true; }
