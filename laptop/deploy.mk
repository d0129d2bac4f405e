# deploy.mk: deploy, roll back and show the status, from a laptop with git and make.
#
#   make deploy-dev              tag the next version of dev and push it with its branch
#   make tag SUFFIX=dev          create the tag only, without pushing it
#   make rollback ENV=dev        start rollback.yml; VERSION=0.1.29-dev rolls back to that version
#   make status ENV=dev          start status.yml
#
# VERSION=0.2.0-dev sets the version and YES=1 accepts the proposed one, both without
# a prompt; FORCE=1 allows a version that is lower than the last. An environment is
# deployed from the branch of the same name, or from BRANCH_<environment>. REMOTE is
# the git remote, origin by default.
#
# To use it in another repository, copy this file and include it:
#
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
  VERSION=${VERSION:-} YES=${YES:-} FORCE=${FORCE:-}
  case $command in
    tag) example="SUFFIX=dev" retry="make tag SUFFIX=$suffix" ;;
    deploy) example="make deploy-dev" retry="make deploy-$suffix" ;;
    *) example="ENV=dev" ;;
  esac
  matches "$suffix" "$name" || die "not an environment: '$suffix'; name one, as in $example"
  case $command in
    tag)
      tag
      echo "tagged $version locally; to deploy it, run: $push"
      ;;
    deploy)
      tag
      push
      ;;
    rollback)
      [ -z "$VERSION" ] || check_form "$VERSION"
      start rollback.yml
      ;;
    status)
      VERSION=''
      start status.yml
      ;;
  esac
}

tag() {
  check_head
  check_tree
  check_branch_of_remote
  fetch_tags
  propose
  choose
  check_version
  git tag --annotate --message "Deploy $version" "$version" || die "the tag $version could not be created"
}

check_head() {
  on=$(git symbolic-ref --quiet --short HEAD) ||
    die "HEAD is detached, and $suffix is deployed from the branch $branch; run: git checkout $branch"
  [ "$on" = "$branch" ] ||
    die "this is the branch $on, and $suffix is deployed from $branch; run: git checkout $branch"
}

check_tree() {
  changes=$(git status --porcelain) || die "could not run git status"
  [ -z "$changes" ] ||
    die "there are uncommitted changes; commit them, or run: git stash --include-untracked" "$changes"
}

# Asks the remote, because a single-branch clone has no other remote-tracking branch.
check_branch_of_remote() {
  theirs=$(git ls-remote "$remote" "refs/heads/$branch") ||
    die "$remote does not answer; to see why, run: git ls-remote $remote"
  [ -n "$theirs" ] || return 0
  git fetch --quiet --no-tags "$remote" "refs/heads/$branch" || die "$branch could not be fetched from $remote"
  theirs=$(git rev-parse FETCH_HEAD)
  if git merge-base --is-ancestor "$theirs" HEAD; then
    return 0
  elif git merge-base --is-ancestor HEAD "$theirs"; then
    die "$branch is behind $remote; run: git pull --ff-only $remote $branch"
  fi
  die "$branch has diverged from $remote; run: git pull --rebase $remote $branch"
}

# Fetches only tags with this suffix, because others, such as v1, may move. Without a plus,
# git does not replace an existing tag: https://git-scm.com/docs/git-fetch
fetch_tags() {
  fetched=$(git fetch --no-tags "$remote" "refs/tags/*-$suffix:refs/tags/*-$suffix" 2>&1) && return 0
  differs=$(printf '%s\n' "$fetched" | sed -n 's/.*\[rejected\] *\([^ ]*\) .*/\1/p' | head -n 1)
  [ -z "$differs" ] || die "the local tag $differs differs from the one on $remote; to replace yours, run: git fetch $remote +refs/tags/$differs:refs/tags/$differs"
  die "the tags could not be fetched from $remote" "$fetched"
}

# versions: prints the versions with the suffix, without the suffix, highest last.
versions() {
  git tag --list | grep -E "^$number\.$number\.$number-$suffix\$" | sed "s/-$suffix\$//" | sort_versions
}

sort_versions() {
  sort -t . -k 1,1n -k 2,2n -k 3,3n
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
  version=$VERSION
  [ -z "$version" ] || return 0
  version=$proposed
  [ -z "$YES" ] || return 0
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
  push="git push --atomic --no-follow-tags $remote refs/heads/$branch refs/tags/$version"
  if git show-ref --verify --quiet "refs/tags/$version"; then
    released=$(git ls-remote "$remote" "refs/tags/$version") || die "$remote does not answer"
    [ -n "$released" ] || die "the tag $version exists locally, but not on $remote; to create it again, first run: git tag --delete $version"
    die "the tag $version exists on $remote, and a version is released once; to use the next one, run: $retry VERSION=$proposed"
  fi
  if [ -n "$last" ] && [ -z "$FORCE" ]; then
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
# push.followTags is. A push that fails may still have arrived, so the remote's tag is
# compared with ours: the id of an annotated tag depends on its author and time.
push() {
  if $push; then
    echo "$version is pushed; its deploy is at $(page)"
    return
  fi
  mine=$(git rev-parse "refs/tags/$version")
  theirs=$(git ls-remote "$remote" "refs/tags/$version") ||
    die "$remote does not answer, so $version may or may not have been pushed; to push it, run: $push"
  theirs=$(printf '%s' "$theirs" | cut -f 1)
  if [ "$theirs" = "$mine" ]; then
    echo "$version was pushed despite the error; its deploy is at $(page)"
    return
  fi
  git tag --delete "$version" >&2
  [ -z "$theirs" ] || die "somebody else released $version in the meantime, and nothing of yours was pushed; to use the next version, run: $retry"
  check_branch_of_remote
  die "$remote refused the push for the reason above, and nothing was pushed; once it is fixed, run: $retry"
}

# Starts a workflow, because pushing an existing tag again is not an event on GitHub.
start() {
  if ! command -v gh >/dev/null 2>&1; then
    echo "gh is not installed; press Run workflow, with environment $suffix${VERSION:+ and version $VERSION}, at"
    echo "$(page)/workflows/$1"
    return
  fi
  gh workflow run "$1" -f "environment=$suffix" ${VERSION:+-f "version=$VERSION"} ||
    die "gh did not start $1; press Run workflow at $(page)/workflows/$1"
  echo "started $1 for $suffix: $(page)/workflows/$1"
}

# page: prints the URL of the repository's workflows, from git@host:owner/name.git,
# ssh://git@host:22/owner/name.git or https://user:secret@host/owner/name.git.
page() {
  url=$(git remote get-url "$remote")
  case $url in
    https://* | http://*) path=$(printf '%s\n' "$url" | sed -E 's|^https?://([^/@]*@)?||') ;;
    ssh://*) path=$(printf '%s\n' "$url" | sed -E 's|^ssh://([^/@]*@)?([^/:]*)(:[0-9]*)?/|\2/|') ;;
    [!/.]*:*) path=$(printf '%s\n' "$url" | sed -E 's|^([^/@:]*@)?([^/:]*):/?|\2/|') ;;
    file://*) path=${url#file://} ;;
    *) path=$url ;;
  esac
  path=${path%/}
  case $path in
    /* | .*) echo "$path" ;;
    *) echo "https://${path%.git}/actions" ;;
  esac
}

die() {
  echo "deploy.mk: $1" >&2
  [ $# -lt 2 ] || printf '%s\n' "$2" >&2
  exit 1
}

main "$@"
endef
export DEPLOY_MK := $(value deploy_mk)

# Restored below, so that the makefile that includes this file keeps its default goal.
deploy_mk_goal := $(.DEFAULT_GOAL)

.PHONY: tag rollback status deploy-always

# A pattern rule cannot be phony, but one that depends on a phony target always runs.
deploy-%: deploy-always ## Deploy to an environment: tag its next version and push it with its branch
	@sh -c "$$DEPLOY_MK" deploy.mk '$(REMOTE)' deploy '$*' '$(or $(BRANCH_$*),$*)'

deploy-always:

tag: ## Tag the next version, without pushing it (SUFFIX=dev)
	@sh -c "$$DEPLOY_MK" deploy.mk '$(REMOTE)' tag '$(SUFFIX)' '$(or $(BRANCH_$(SUFFIX)),$(SUFFIX))'

rollback: ## Roll back to the previous version, or to VERSION (ENV=dev)
	@sh -c "$$DEPLOY_MK" deploy.mk '$(REMOTE)' rollback '$(ENV)' ''

status: ## Show what the instances run (ENV=dev)
	@sh -c "$$DEPLOY_MK" deploy.mk '$(REMOTE)' status '$(ENV)' ''

.DEFAULT_GOAL := $(deploy_mk_goal)
