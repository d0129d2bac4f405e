# deploy.mk: deploy, roll back and show the status, from a laptop with git and make.
#
#   make deploy-dev              tag the next version of dev and push it with its branch
#   make tag SUFFIX=dev          create the tag only, without pushing it
#   make next-version ENV=dev    print the next version, which deploy-dev would propose
#   make rollback ENV=dev        start rollback.yml; VERSION=0.1.29-dev rolls back to that version
#   make status ENV=dev          start status.yml
#
# VERSION=0.2.0-dev sets the version and YES=1 accepts the proposed one, both without
# a prompt; FORCE=1 allows a version that is lower than the last. An environment is
# deployed from the branch of the same name, or from BRANCH_<environment>. REMOTE is
# the git remote, origin by default.
#
# To use it in another repository, copy this file and include it:
#   BRANCH_prod := main
#   include deploy.mk
#
# The shell script is part of this file so that there is only one to copy. $(value)
# passes it to sh unexpanded, so no $ is doubled.
# Needs GNU make 3.81, git 2.20 and the tools of POSIX and macOS: there is no sort -V,
# and no line may end with a backslash, because make 3.81 would join it to the next.

REMOTE ?= origin

define deploy_mk
set -eu
LC_ALL=C
export LC_ALL

number='(0|[1-9][0-9]*)'
name='[a-z][a-z0-9]*(-[a-z0-9]+)*'

main() {
  remote=$1 command=$2 suffix=$3 branch=$4
  wanted=${VERSION:-} yes=${YES:-} force=${FORCE:-}
  # So that git's hooks, which may run make, see what they see in a plain git push.
  unset VERSION YES FORCE ENV SUFFIX REMOTE MAKEFLAGS MFLAGS MAKELEVEL DEPLOY_MK
  case $command in
    tag) example="SUFFIX=dev" retry="make tag SUFFIX=$suffix" ;;
    deploy) example="make deploy-dev" retry="make deploy-$suffix" ;;
    *) example="ENV=dev" retry="make $command ENV=$suffix" ;;
  esac
  [ "$remote" = origin ] || retry="$retry REMOTE=$remote"
  matches "$suffix" "$name" || die "not an environment: '$suffix'; name one, as in $example"
  check_remote
  case $command in
    tag)
      tag
      echo "tagged $version locally; to deploy it, run: $push"
      ;;
    deploy)
      tag
      push
      ;;
    next-version) read_remote && propose && echo "$proposed" ;;
    rollback)
      [ -z "$wanted" ] || check_form "$wanted"
      start rollback.yml
      ;;
    status)
      wanted=''
      start status.yml
      ;;
  esac
}

check_remote() {
  git rev-parse --git-dir >/dev/null || die "git cannot use this repository, for the reason above"
  git remote get-url "$remote" >/dev/null 2>&1 ||
    die "the remote $remote does not exist; run: git remote add $remote <URL>, or add REMOTE=<name> to use one of these:" "$(git remote)"
  # What is pushed to another URL than the remote's is looked up there as well: https://github.com/release-it/release-it/issues/36
  url=$(git remote get-url --push "$remote") from=$remote
  [ "$(git remote get-url "$remote")" = "$url" ] || from=$url
}

tag() {
  check_head
  check_tree
  read_remote
  check_branch_of_remote
  propose
  choose
  check_version
  git tag --annotate --cleanup=whitespace --message "Deploy $version" "$version" || explain_tag
  made=$(git rev-parse "refs/tags/$version")
}

explain_tag() {
  [ "$(git config --type=bool tag.gpgSign)" != true ] ||
    die "git did not create the tag $version, for the reason above; tag.gpgSign is set, and to tag without a signature here, run: git config tag.gpgSign false"
  die "git did not create the tag $version, for the reason above"
}

# Compares full names, because git shortens dev to heads/dev when a tag or a remote has that name.
check_head() {
  on=$(git symbolic-ref --quiet HEAD) ||
    die "HEAD is detached, and $suffix is deployed from the branch $branch; $(show_checkout)"
  [ "$on" = "refs/heads/$branch" ] ||
    die "this is the branch ${on#refs/heads/}, and $suffix is deployed from $branch; $(show_checkout)"
}

# Git refuses to check out a branch in two worktrees, or one that does not exist.
show_checkout() {
  checkout="-b $branch, or set BRANCH_$suffix in your Makefile"
  [ -z "$(git for-each-ref "refs/heads/$branch" "refs/remotes/$remote/$branch")" ] || checkout=$branch
  git worktree list --porcelain | awk -v branch="$branch" -v checkout="$checkout" '
    $1 == "worktree" { path = substr($0, 10) }
    $0 == "branch refs/heads/" branch { there = path }
    END { print there == "" ? "run: git checkout " checkout : "it is checked out in " there ", so run make there" }'
}

check_tree() {
  changes=$(git status --porcelain) || die "could not run git status"
  [ -z "$changes" ] ||
    die "there are uncommitted changes; commit them, or run: git stash --include-untracked" "$changes"
}

# Lists the remote's branch and versions. Fetching the tags would follow the user's settings:
# with fetch.prune, git deletes those that are not pushed: https://git-scm.com/docs/git-fetch#_pruning
list_remote() {
  refs=$(git ls-remote --refs "$from" "refs/heads/$branch" "refs/tags/*-$suffix")
}

read_remote() { list_remote || die "$remote does not answer; to see why, run: git ls-remote $from"; }

remote_id() { printf '%s\n' "$refs" | awk -v ref="$1" '$2 == ref { print $1 }'; }

# Fetches the commits only: whatever the settings are, no ref and no tag is written or deleted.
check_branch_of_remote() {
  [ -n "$(remote_id "refs/heads/$branch")" ] || return 0
  git fetch --quiet --no-tags --no-prune --refmap= --no-recurse-submodules "$from" "refs/heads/$branch" ||
    die "$branch could not be fetched from $remote"
  theirs=$(git rev-parse FETCH_HEAD)
  if git merge-base --is-ancestor "$theirs" HEAD; then
    return 0
  elif git merge-base --is-ancestor HEAD "$theirs"; then
    die "$branch is behind $remote; run: git pull --ff-only $from $branch"
  elif [ "$(git rev-parse --is-shallow-repository)" = true ]; then
    die "this clone is shallow, so it cannot be compared with $branch on $remote; run: git fetch --unshallow $from"
  fi
  die "$branch has diverged from $remote; run: git pull --rebase $from $branch"
}

# versions: prints the versions with the suffix, here or on the remote, without the suffix, highest last.
versions() {
  { git for-each-ref --format='%(refname)' refs/tags; printf '%s\n' "$refs"; } | sed -n 's|.*refs/tags/||p' |
    grep -E "^$number\.$number\.$number-$suffix\$" | sed "s/-$suffix\$//" | sort_versions
}

sort_versions() {
  sort -u -t . -k 1,1n -k 2,2n -k 3,3n
}

propose() {
  last=$(versions | tail -n 1)
  if [ -z "$last" ]; then
    proposed=0.1.0-$suffix
    return
  fi
  proposed=${last%.*}.$((${last##*.} + 1))-$suffix
}

choose() {
  version=$wanted
  [ -z "$version" ] || return 0
  version=$proposed
  [ -z "$yes" ] || return 0
  if [ -n "$last" ]; then
    echo "the last versions of $suffix:"
    versions | tail -n 5 | sed "s/.*/  &-$suffix/"
  fi
  printf 'next version [%s]: ' "$proposed"
  read -r answer || die "no answer; to accept $proposed, run: $retry YES=1"
  version=${answer:-$proposed}
}

check_version() {
  check_form "$version"
  push="git push --atomic --no-follow-tags --recurse-submodules=check $remote refs/heads/$branch refs/tags/$version"
  [ -z "$(remote_id "refs/tags/$version")" ] ||
    die "the tag $version exists on $remote, and a version is released once; to use the next one, run: $retry VERSION=$proposed"
  if here=$(git rev-parse --quiet --verify "refs/tags/$version^{commit}"); then
    [ "$here" != "$(git rev-parse HEAD)" ] || die "the tag $version of this commit exists, but not on $remote; to deploy it, run: $push"
    die "the tag $version exists for another commit, but not on $remote; to use the next version, run: $retry VERSION=$proposed"
  fi
  if [ -n "$last" ] && [ -z "$force" ]; then
    highest=$(printf '%s\n' "$last" "${version%-"$suffix"}" | sort_versions | tail -n 1)
    [ "$highest-$suffix" = "$version" ] ||
      die "$version is lower than the last version, $last-$suffix; to release it anyway, run: $retry VERSION=$version FORCE=1"
  fi
}

check_form() {
  matches "$1" "$number\.$number\.$number-$suffix" ||
    die "not a version of $suffix: '$1'; use MAJOR.MINOR.PATCH-$suffix without leading zeros, as in 0.1.30-$suffix"
}

# Checks the characters of the whole text first, because grep matches each line separately.
matches() {
  case $1 in *[!A-Za-z0-9.-]*) return 1 ;; esac
  printf '%s\n' "$1" | grep -Eqx -- "$2"
}

# Pushes the branch and the tag together or not at all, and no other tag, whatever
# push.followTags is. A submodule is not pushed, but has to be. A push that fails may still have arrived, so the remote's tag is
# compared with ours: the id of an annotated tag depends on its author and time.
push() {
  if $push; then
    echo "$version is pushed; its deploy is at $(page)"
    return
  fi
  list_remote || die "$remote does not answer, so $version may or may not have been pushed; to push it, run: $push"
  theirs=$(remote_id "refs/tags/$version")
  if [ "$theirs" = "$made" ]; then
    echo "$version was pushed despite the error; its deploy is at $(page)"
    return
  fi
  # Removes the tag of this run, and only while it is what this run has made.
  git update-ref -d "refs/tags/$version" "$made" || true
  [ -z "$theirs" ] || die "somebody else released $version in the meantime, and nothing of yours was pushed; to use the next version, run: $retry"
  check_branch_of_remote
  die "the push was refused for the reason above, by $remote or by a hook of yours, and nothing was pushed; once it is fixed, run: $retry"
}

# Starts a workflow, because pushing an existing tag again is not an event on GitHub. Names the
# repository, because gh would choose another remote when there are several.
start() {
  if ! command -v gh >/dev/null 2>&1; then
    echo "gh is not installed; press Run workflow, with environment $suffix${wanted:+ and version $wanted}, at"
    echo "$(page)/workflows/$1"
    return
  fi
  in=$(repository)
  gh workflow run "$1" ${in:+--repo "$in"} -f "environment=$suffix" ${wanted:+-f "version=$wanted"} ||
    die "gh did not start $1; press Run workflow at $(page)/workflows/$1"
  echo "started $1 for $suffix: $(page)/workflows/$1"
}

# page: prints the URL of the repository's workflows, or the URL of a remote that is a folder.
page() {
  in=$(repository)
  if [ -n "$in" ]; then echo "https://$in/actions"; else echo "$url"; fi
}

# repository: prints host/owner/name, from git@host:owner/name.git, ssh://git@host:22/owner/name.git
# or https://user:secret@host/owner/name.git, and nothing for a folder.
repository() {
  case $url in
    https://* | http://*) path=$(printf '%s\n' "$url" | sed -E 's|^https?://([^/@]*@)?||') host=${path%%/*} ;;
    file://* | [/.]*) return ;;
    ssh://*) path=$(printf '%s\n' "$url" | sed -E 's|^ssh://([^/@]*@)?([^/:]*)(:[0-9]*)?/|\2/|') host=$(ssh_host "${path%%/*}") ;;
    *:*) path=$(printf '%s\n' "$url" | sed -E 's|^([^/@:]*@)?([^/:]*):/?|\2/|') host=$(ssh_host "${path%%/*}") ;;
    *) return ;;
  esac
  path=${path#*/} path=${path%/}
  echo "$host/${path%.git}"
}

# ssh_host ALIAS: prints the host that ALIAS stands for in ~/.ssh/config.
# GitHub has port 443 at ssh.github.com: https://docs.github.com/en/authentication/troubleshooting-ssh/using-ssh-over-the-https-port
ssh_host() {
  host=$(ssh -G -- "$1" 2>/dev/null | sed -n 's/^hostname //p')
  [ "$host" != ssh.github.com ] || host=github.com
  echo "${host:-$1}"
}

die() {
  printf 'deploy.mk: %s\n' "$1" >&2 # dash's echo would interpret a backslash
  [ $# -lt 2 ] || printf '%s\n' "$2" >&2
  exit 1
}

main "$@"
endef
export DEPLOY_MK := $(value deploy_mk)

# Restored below, so that the makefile that includes this file keeps its default goal.
deploy_mk_goal := $(.DEFAULT_GOAL)

.PHONY: tag next-version rollback status deploy-always

# A pattern rule cannot be phony, but one that depends on a phony target always runs.
deploy-%: deploy-always ## Deploy to an environment: tag its next version and push it with its branch
	@sh -c "$$DEPLOY_MK" deploy.mk '$(strip $(REMOTE))' deploy '$*' '$(strip $(or $(BRANCH_$*),$*))'

deploy-always:

tag: ## Tag the next version, without pushing it (SUFFIX=dev)
	@sh -c "$$DEPLOY_MK" deploy.mk '$(strip $(REMOTE))' tag '$(strip $(SUFFIX))' '$(strip $(or $(BRANCH_$(SUFFIX)),$(SUFFIX)))'

next-version: ## Print the next version, which a deploy would propose (ENV=dev)
	@sh -c "$$DEPLOY_MK" deploy.mk '$(strip $(REMOTE))' next-version '$(strip $(ENV))' ''

rollback: ## Roll back to the previous version, or to VERSION (ENV=dev)
	@sh -c "$$DEPLOY_MK" deploy.mk '$(strip $(REMOTE))' rollback '$(strip $(ENV))' ''

status: ## Show what the instances run (ENV=dev)
	@sh -c "$$DEPLOY_MK" deploy.mk '$(strip $(REMOTE))' status '$(strip $(ENV))' ''

.DEFAULT_GOAL := $(deploy_mk_goal)
