# deploy.mk: deploy, go back and look, from a laptop with git and make.
#
#   make deploy-dev              tag the next version of dev, push it with its branch
#   make tag SUFFIX=dev          the tag alone, not pushed
#   make rollback ENV=dev        start rollback.yml; VERSION=0.1.29-dev goes to that one
#   make status ENV=dev          start status.yml
#
# VERSION=0.2.0-dev is that version, YES=1 the proposed one, without a question;
# FORCE=1 allows one that is not higher than the last. An environment is deployed
# from the branch of its own name, or from BRANCH_<environment>; REMOTE is origin.
#
# Another repository copies this one file and includes it:
#
#   BRANCH_prod := main
#   include deploy.mk
#
# That it is one file is why the shell text is in here and not beside it. It is
# shell as it is written: $(value) hands it to sh unexpanded, so no $ is doubled.
# Needs GNU make 3.81, git 2.20 and what POSIX and macOS have: no sort -V, and no
# line ends in a backslash, which make 3.81 would join to the next.

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
    tag) say="SUFFIX=dev" again="make tag SUFFIX=$suffix" ;;
    deploy) say="make deploy-dev" again="make deploy-$suffix" ;;
    *) say="ENV=dev" ;;
  esac
  matches "$suffix" "$name" || die "no environment's name: '$suffix'; say which, as in $say"
  case $command in
    tag)
      tag
      echo "tagged $version, here only; to deploy it, run: $push"
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
  git tag --annotate --message "Deploy $version" "$version" || die "the tag $version could not be made"
}

check_head() {
  on=$(git symbolic-ref --quiet --short HEAD) ||
    die "the head is detached, and $suffix is deployed from the branch $branch; run: git checkout $branch"
  [ "$on" = "$branch" ] ||
    die "this is the branch $on, and $suffix is deployed from $branch; run: git checkout $branch"
}

check_tree() {
  changes=$(git status --porcelain) || die "the state of the tree is not known"
  [ -z "$changes" ] ||
    die "there are changes that are not committed; commit them, or run: git stash --include-untracked" "$changes"
}

# Asks the remote itself: a clone of one branch has no other to compare with.
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
  die "$branch and $remote's have gone different ways; run: git pull --rebase $remote $branch"
}

# Only the tags of this suffix, because others, such as v1, may move. Without a plus
# git replaces no tag that is here: https://git-scm.com/docs/git-fetch
fetch_tags() {
  fetched=$(git fetch --no-tags "$remote" "refs/tags/*-$suffix:refs/tags/*-$suffix" 2>&1) && return 0
  differs=$(printf '%s\n' "$fetched" | sed -n 's/.*\[rejected\] *\([^ ]*\) .*/\1/p' | head -n 1)
  [ -z "$differs" ] || die "the tag $differs is another one here than on $remote; to take theirs, run: git fetch $remote +refs/tags/$differs:refs/tags/$differs"
  die "the tags could not be fetched from $remote" "$fetched"
}

# versions: those of the suffix, without it, the highest last.
versions() {
  git tag --list | grep -E "^$number\.$number\.$number-$suffix\$" | sed "s/-$suffix\$//" | in_order
}

in_order() {
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
  read -r answer || die "no answer; to take $proposed, run: $again YES=1"
  version=${answer:-$proposed}
}

check_version() {
  check_form "$version"
  push="git push --atomic --no-follow-tags $remote refs/heads/$branch refs/tags/$version"
  if git show-ref --verify --quiet "refs/tags/$version"; then
    released=$(git ls-remote "$remote" "refs/tags/$version") || die "$remote does not answer"
    [ -n "$released" ] || die "the tag $version exists here, though not on $remote; to make it anew, run: git tag --delete $version"
    die "the tag $version exists on $remote, and a version is released once; to take the next one, run: $again VERSION=$proposed"
  fi
  if [ -n "$last" ] && [ -z "$FORCE" ]; then
    highest=$(printf '%s\n' "$last" "${version%-"$suffix"}" | in_order | tail -n 1)
    [ "$highest-$suffix" = "$version" ] ||
      die "$version is lower than the last, $last-$suffix; if it has to be, run: $again VERSION=$version FORCE=1"
  fi
}

check_form() {
  matches "$1" "$number\.$number\.$number-$suffix" ||
    die "no version of $suffix: '$1'; it is MAJOR.MINOR.PATCH-$suffix without leading zeros, as in 0.1.30-$suffix"
}

# Whole, because grep looks at each line by itself.
matches() {
  case $1 in *[!A-Za-z0-9.-]*) return 1 ;; esac
  printf '%s\n' "$1" | grep -Eqx -- "$2"
}

# The branch and the tag arrive together or not at all, and no other tag does,
# whatever push.followTags says. A push may arrive and its answer not, so after one
# that fails the remote is asked for the very tag, whose id says by whom and when.
push() {
  if $push; then
    echo "$version is pushed; its deploy is at $(page)"
    return
  fi
  mine=$(git rev-parse "refs/tags/$version")
  theirs=$(git ls-remote "$remote" "refs/tags/$version") ||
    die "$remote does not answer, so $version may be there or not; to push it, run: $push"
  theirs=$(printf '%s' "$theirs" | cut -f 1)
  if [ "$theirs" = "$mine" ]; then
    echo "$version is on $remote all the same; its deploy is at $(page)"
    return
  fi
  git tag --delete "$version" >&2
  [ -z "$theirs" ] || die "somebody else has released $version in the meantime, nothing of yours was pushed; to take the next one, run: $again"
  check_branch_of_remote
  die "$remote has refused the push, for the reason above, and nothing was pushed; then run: $again"
}

# Pushing a tag again that is there is no event on GitHub, so a workflow is started.
start() {
  if ! command -v gh >/dev/null 2>&1; then
    echo "there is no gh here; press Run workflow, with environment $suffix${VERSION:+ and version $VERSION}, at"
    echo "$(page)/workflows/$1"
    return
  fi
  gh workflow run "$1" -f "environment=$suffix" ${VERSION:+-f "version=$VERSION"} ||
    die "gh has not started $1; press Run workflow at $(page)/workflows/$1"
  echo "$1 is started for $suffix; it is at $(page)/workflows/$1"
}

# page: that of the repository's workflows, from git@host:owner/name.git,
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

# Included first, it leaves the default goal to the makefile that includes it.
deploy_mk_goal := $(.DEFAULT_GOAL)

.PHONY: tag rollback status deploy-always

# A pattern cannot be phony; one that needs a phony target is always made.
deploy-%: deploy-always ## Tag the next version of an environment and push it with its branch: this deploys it
	@sh -c "$$DEPLOY_MK" deploy.mk '$(REMOTE)' deploy '$*' '$(or $(BRANCH_$*),$*)'

deploy-always:

tag: ## Tag the next version, without pushing it (SUFFIX=dev)
	@sh -c "$$DEPLOY_MK" deploy.mk '$(REMOTE)' tag '$(SUFFIX)' '$(or $(BRANCH_$(SUFFIX)),$(SUFFIX))'

rollback: ## Go back to the version before, or to VERSION (ENV=dev)
	@sh -c "$$DEPLOY_MK" deploy.mk '$(REMOTE)' rollback '$(ENV)' ''

status: ## Ask the instances what they run (ENV=dev)
	@sh -c "$$DEPLOY_MK" deploy.mk '$(REMOTE)' status '$(ENV)' ''

.DEFAULT_GOAL := $(deploy_mk_goal)
