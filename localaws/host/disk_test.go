package host_test

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/org/atta-deploy-action/localaws/sample"
)

func TestACreatedContainerKeepsItsImage(t *testing.T) {
	t.Parallel()
	m, r := boot(t), serve(t)
	r.login(m)
	image := r.push("1")
	m.sh(0, "docker pull -q "+image+"; docker tag "+image+" "+r.host+"/atta:1; docker create --pull=never --name keep --label atta.service=atta --label atta.version=1 "+image+" --exit 3")
	m.want(0, "docker inspect --format '{{.Image}}' keep", m.sh(0, "docker image inspect --format '{{.Id}}' "+image))
	m.sh(0, "docker image prune -af")
	m.want(0, "docker image inspect --format '{{.Architecture}}' "+image+" "+r.host+"/atta:1 | uniq", runtime.GOARCH)
	m.wantPart(1, "docker rmi "+image, "is using its referenced image")
	m.wantPart(1, "docker image rm "+r.host+"/atta:1", "is using its referenced image")
	m.wantPart(1, "docker rmi $(docker inspect --format '{{.Image}}' keep)", "is being used by stopped container")
	for _, filter := range []string{"ancestor=" + image, "ancestor=" + r.host + "/atta:1", "ancestor=$(docker images -q)", "label=atta.version=1", "name=^keep$", "status=created"} {
		m.want(0, "docker ps -aq --filter "+filter+" | wc -l; docker container ls -q --filter label=atta.service | wc -l", "1\n0")
	}
	m.want(0, "docker ps -aq --filter label=atta.version=2 --filter name=^keep$; docker ps -aq --filter name=^kee$; docker ps -aq --filter ancestor=none", "")
	m.wantPart(125, "docker create --no-such-option "+image, "unknown flag")
	m.want(0, "docker rm keep", "keep")
	m.wantPart(0, "docker image rm "+r.host+"/atta:1", "Deleted: sha256:")
}

func TestSystemPruneRemovesStoppedContainersThenTheirImages(t *testing.T) {
	t.Parallel()
	m, r := boot(t), serve(t)
	r.login(m)
	kept, gone := r.push("1", sample.WithVersion("1")), r.push("2", sample.WithVersion("2"))
	m.sh(0, "docker pull -q "+kept+"; docker pull -q "+gone+"; docker create --name keep "+gone+"; docker run -d --name web "+kept+" --sleep 60s")
	m.sh(1, "docker system prune -a")
	m.sh(0, "docker system prune -af")
	m.want(0, "docker ps -a --format '{{.Names}}'; docker image inspect --format ok "+kept, "web\nok")
	m.sh(1, "docker image inspect "+gone)
}

// Docker 20.10 does the same: the digest is the last to go, but another repository's
// tag costs it.
func TestImagePruneUntagsAnImageInUse(t *testing.T) {
	t.Parallel()
	m, r := boot(t), serve(t)
	r.login(m)
	image := r.push("1")
	m.sh(0, "docker pull -q "+image+"; docker tag "+image+" "+r.host+"/atta:1; docker tag "+image+" "+r.host+"/atta:2; docker create --name keep "+image)
	m.sh(0, "docker image prune -af")
	m.want(0, "docker image inspect --format '{{.RepoTags}} {{.RepoDigests}}' $(docker images -q)", "["+r.host+"/atta:2] ["+image+"]")
	m.sh(0, "docker rmi "+r.host+"/atta:2 || docker tag "+image+" other:1; docker image prune -af")
	m.want(0, "docker image inspect --format '{{.RepoTags}} {{.RepoDigests}}' $(docker images -q)", "[other:1] []")
}

func TestDockerRmiNeedsForceForAnImageOfSeveralRepositories(t *testing.T) {
	t.Parallel()
	m, r := boot(t), serve(t)
	r.login(m)
	image := r.push("1")
	m.sh(0, "docker pull -q "+image+"; docker tag "+image+" other:1")
	m.wantPart(1, "docker rmi $(docker images -q | head -1)", "referenced in multiple repositories")
	m.want(0, "docker rmi "+image, "Untagged: "+image)
	m.sh(0, "docker run -d --name web other:1 --sleep 60s")
	m.wantPart(1, "docker rmi -f $(docker images -q)", "cannot be forced")
	m.want(0, "docker rmi -f other:1; docker images -q | wc -l", "Untagged: other:1\n1")
}

func TestFullDiskFailsPullLoadAndCreate(t *testing.T) {
	t.Parallel()
	m, r := boot(t), serve(t)
	r.login(m)
	image, next := r.push("1", sample.WithVersion("1")), r.push("2", sample.WithVersion("2"))
	archive, img := filepath.Join(t.TempDir(), "image.tar"), sample.WithVersion("3")
	third, err := sample.NewImage(program, img)
	if err != nil {
		t.Fatal(err)
	}
	if err := sample.SaveDockerArchive(archive, third, "atta:3"); err != nil {
		t.Fatal(err)
	}
	m.sh(0, "docker pull -q "+image)
	m.write("/var/lib/docker/full", "")
	m.wantPart(1, "docker pull "+next, "no space left on device")
	m.wantPart(1, "docker load < "+archive, "no space left on device")
	m.wantPart(1, "docker create --name keep "+image, "no space left on device")
	m.want(0, "docker images -q | wc -l; docker ps -aq", "1")
	for _, dir := range []string{"images", "containers"} {
		left, err := os.ReadDir(m.Path("var/lib/docker", dir))
		if err != nil && !os.IsNotExist(err) || len(left) != strings.Count(dir, "image") {
			t.Errorf("in %s: %v %v", dir, left, err)
		}
	}
	m.sh(0, "rm $ATTA_ROOT/var/lib/docker/full; docker pull -q "+next+"; docker create --name keep "+image)
	m.want(0, "docker load < "+archive+"; docker run --rm atta:3", "Loaded image: atta:3\nsample 3\ndone, exit 0")
}

func TestDockerExecRunsInARunningContainer(t *testing.T) {
	t.Parallel()
	m, r := boot(t), serve(t)
	r.login(m)
	m.sh(0, "docker pull -q "+r.push("1")+" && docker tag $(docker images -q) atta; docker run -d --name web -e GREETING=hello atta --sleep 60s")
	m.wantPart(0, "docker exec -e GREETING=bye web /app/app >/dev/null && cat $ATTA_ROOT/var/lib/docker/containers/*/rootfs/app/output/greeting.txt", "bye from")
	m.sh(7, "docker exec -e EXIT_CODE=7 web /app/app")
	m.wantPart(127, "docker exec web nothing", "OCI runtime exec failed")
	m.wantPart(126, "docker exec web /app/output", "permission denied")
	m.wantPart(125, "docker exec --no-such-option web /app", "unknown flag")
	m.wantPart(1, "docker exec none /app", "No such container: none")
	m.want(0, "docker exec -e GREETING=again web /app/app --sleep 60s >/dev/null & until grep -qs again $ATTA_ROOT/var/lib/docker/containers/*/rootfs/app/output/greeting.txt; do sleep .02; done; docker kill web; wait $! || echo $?", "web\n137")
	m.wantPart(1, "docker exec web /app", "is not running")
}

func TestDockerReportsItsFolderAndVersion(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.sh(0, "test -d \"$(docker info --format '{{.DockerRootDir}}')\"")
	m.want(0, "docker version --format '{{.Server.Version}}'", "28.2.2")
}
