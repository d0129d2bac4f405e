package host_test

import (
	"bytes"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/mutate"

	"github.com/org/atta-deploy-action/localaws/sample"
)

func TestDockerRunsAPulledImage(t *testing.T) {
	t.Parallel()
	m, r := boot(t), serve(t)
	image := r.push("1", sample.WithVersion("0.1.30-dev"))
	r.login(m)
	m.wantPart(0, "docker pull "+image, "Downloaded newer image for "+image)
	m.wantPart(0, "docker pull "+image, "Image is up to date for "+image)
	m.write("/opt/atta/.env", "# settings\nGREETING=good \"day\"\n")
	m.want(0, "docker tag "+image+" atta:current; docker run --rm --pull=never --name atta --env-file /opt/atta/.env -v /opt/atta/output:/app/output --network host --log-driver=none atta:current",
		"sample 0.1.30-dev\ndone, exit 0")
	m.want(0, "cat $ATTA_ROOT/opt/atta/output/greeting.txt; docker ps -aq", "good \"day\" from 0.1.30-dev")
}

func TestDockerRefusesAWrongPassword(t *testing.T) {
	t.Parallel()
	m, r := boot(t), serve(t)
	image := r.push("1")
	m.wantPart(1, "echo wrong | docker login --username AWS --password-stdin "+r.host, "unauthorized")
	m.wantPart(1, "docker pull "+image, "no basic auth credentials")
}

func TestDockerConfigHoldsTheLogin(t *testing.T) {
	t.Parallel()
	m, r := boot(t), serve(t)
	image := r.push("1")
	m.sh(0, "export DOCKER_CONFIG=$ATTA_ROOT/tmp/login; echo '"+password+"' | docker login --username AWS --password-stdin "+r.host+"; docker pull -q "+image)
	m.sh(0, "docker rmi "+image)
	m.wantPart(1, "docker pull "+image, "no basic auth credentials")
	m.sh(0, "export DOCKER_CONFIG=$ATTA_ROOT/tmp/login; docker pull -q "+image+" && docker logout "+r.host)
	m.wantPart(1, "DOCKER_CONFIG=$ATTA_ROOT/tmp/login docker pull "+image, "no basic auth credentials")
}

func TestDockerPullsThisPlatformFromAnIndex(t *testing.T) {
	t.Parallel()
	m, r := boot(t), serve(t)
	mine, err := sample.NewImage(program, sample.WithVersion("mine"))
	if err != nil {
		t.Fatal(err)
	}
	other, err := sample.NewImage(program, sample.WithVersion("other"), sample.WithArchitecture("s390x"))
	if err != nil {
		t.Fatal(err)
	}
	both, err := sample.NewIndex(other, mine)
	if err != nil {
		t.Fatal(err)
	}
	image := r.pushContent("1", both)
	config, err := mine.ConfigName()
	if err != nil {
		t.Fatal(err)
	}
	r.login(m)
	m.sh(0, "docker pull -q "+image)
	m.want(0, "docker image inspect --format '{{.Id}} {{index .RepoDigests 0}}' "+image, config.String()+" "+image)
	only, err := sample.NewIndex(other)
	if err != nil {
		t.Fatal(err)
	}
	m.wantPart(1, "docker pull "+r.pushContent("2", only), "no matching manifest for linux/")
}

func TestDockerStoresNothingOfACorruptImage(t *testing.T) {
	t.Parallel()
	m, r := boot(t), serve(t)
	image := r.push("1")
	r.login(m)
	r.edit = func(req *http.Request, body []byte) []byte {
		if strings.Contains(req.URL.Path, "/blobs/") && len(body) > 10_000 {
			body[len(body)/2] ^= 1
		}
		return body
	}
	m.sh(1, "docker pull "+image)
	m.want(0, "docker images -aq", "")
	left, err := os.ReadDir(m.Path("var/lib/docker/images"))
	if err != nil || len(left) != 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
}

func TestDockerRefusesLayersThatDifferFromTheConfig(t *testing.T) {
	t.Parallel()
	m, r := boot(t), serve(t)
	img, err := sample.NewImage(program)
	if err != nil {
		t.Fatal(err)
	}
	config, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	config = config.DeepCopy()
	config.RootFS.DiffIDs[0].Hex = strings.Repeat("0", 64)
	if img, err = mutate.ConfigFile(img, config); err != nil {
		t.Fatal(err)
	}
	r.login(m)
	m.wantPart(1, "docker pull "+r.pushContent("1", img), "layer verification failed")
	m.want(0, "docker images -aq", "")
}

func TestDockerReportsMissingObjects(t *testing.T) {
	t.Parallel()
	m, r := boot(t), serve(t)
	r.login(m)
	m.wantPart(1, "docker pull "+r.host+"/atta:none", "manifest unknown")
	m.wantPart(125, "docker run --pull=never nothing:1", "No such image: nothing:1")
	m.wantPart(125, "docker run --no-such-option nothing:1", "unknown flag: --no-such-option")
	m.wantPart(1, "docker image inspect nothing:1", "No such image: nothing:1")
	m.wantPart(1, "docker stop nothing", "No such container: nothing")
	m.wantPart(0, "docker rm -f nothing", "No such container: nothing")
}

func TestDockerRunReturnsTheProgramsExitStatus(t *testing.T) {
	t.Parallel()
	m, r := boot(t), serve(t)
	r.login(m)
	m.sh(0, "docker pull -q "+r.push("1")+"; docker tag "+r.host+"/atta:1 atta || docker tag $(docker images -q) atta")
	for _, code := range []string{"0", "3", "137", "168", "169", "194"} {
		m.want(0, "docker run --rm atta --exit "+code+" >/dev/null; echo $?", code)
	}
	m.want(0, "docker run --rm -e EXIT_CODE=4 atta >/dev/null; echo $?", "4")
	m.wantPart(127, "docker run --rm --entrypoint /none atta", "no such file or directory")
	m.wantPart(126, "docker run --rm --entrypoint /app atta", "permission denied")
	m.want(0, "docker ps -aq", "")
}

func TestAKilledDockerRunLeavesItsContainer(t *testing.T) {
	t.Parallel()
	m, r := boot(t), serve(t)
	r.login(m)
	m.sh(0, "docker pull -q "+r.push("1")+" && docker tag $(docker images -q) atta")
	m.sh(0, `docker run --name job atta --sleep 60s & until docker ps --format '{{.State}}' | grep -q running; do sleep .02; done; kill -KILL $!; wait $! || true`)
	m.want(0, "docker inspect --format '{{.State.Status}} {{.Name}}' job", "running /job")
	m.wantPart(125, "docker run --name job atta", `The container name "/job" is already in use`)
	m.wantPart(1, "docker rm job", "container is running")
	m.want(0, "docker rm -f job; docker ps -aq", "job")
}

func TestDockerRunForwardsSignals(t *testing.T) {
	t.Parallel()
	m, r := boot(t), serve(t)
	r.login(m)
	m.sh(0, "docker pull -q "+r.push("1")+" && docker tag $(docker images -q) atta")
	m.wantPart(0, `docker run --name web -e PORT=0 atta --serve > $ATTA_ROOT/log & until grep -q serving $ATTA_ROOT/log; do sleep .02; done; kill -TERM $!; wait $!; cat $ATTA_ROOT/log`, "stopped")
	m.want(0, "docker inspect --format '{{.State.Status}} {{.State.ExitCode}}' web; docker logs --tail 1 web", "exited 0\nstopped")
	m.sh(0, "docker run -d --name job atta --sleep 60s; docker kill job; docker wait job > $ATTA_ROOT/code")
	m.want(0, "cat $ATTA_ROOT/code; docker ps -a --filter name=^job$ --format '{{.Status}}'", "137\nExited (137)")
	m.want(0, "docker run -d --rm --name gone atta --sleep 60s >/dev/null; docker stop -t 5 gone; docker ps -a -q -f name=gone", "gone")
}

func TestImagePruneRemovesUntaggedImages(t *testing.T) {
	t.Parallel()
	m, r := boot(t), serve(t)
	r.login(m)
	tagged, bare, used := r.push("1", sample.WithVersion("1")), r.push("2", sample.WithVersion("2")), r.push("3", sample.WithVersion("3"))
	m.sh(0, "for i in "+tagged+" "+bare+" "+used+"; do docker pull -q $i; done; docker tag "+tagged+" atta:kept; docker run --name ended "+used)
	m.wantPart(0, "docker image prune -f", "Untagged: "+bare)
	m.want(0, "docker image inspect --format ok "+tagged+" "+used, "ok\nok")
	m.sh(1, "docker image inspect "+bare)
	m.sh(0, "docker image prune -a -f")
	m.sh(1, "docker image inspect "+tagged)
	m.wantPart(1, "docker rmi "+used, "is using its referenced image")
	m.sh(0, "docker rm ended; docker rmi "+used)
	m.want(0, "docker images -q", "")
}

func TestRemovingTheLastTagRemovesTheImage(t *testing.T) {
	t.Parallel()
	m, r := boot(t), serve(t)
	r.login(m)
	image := r.push("1")
	m.sh(0, "docker pull -q "+r.host+"/atta:1; docker tag "+image+" "+r.host+"/atta:2; docker rmi "+r.host+"/atta:1")
	m.want(0, "docker images --format '{{.Repository}}:{{.Tag}}'", r.host+"/atta:2")
	m.wantPart(0, "docker rmi "+r.host+"/atta:2", "Deleted: sha256:")
	m.want(0, "docker images -aq", "")
}

func TestAPullKilledAnywhereLeavesNoImage(t *testing.T) {
	t.Parallel()
	m, r := boot(t), serve(t)
	r.login(m)
	image := r.push("1")
	half := make(chan struct{})
	r.edit = func(req *http.Request, body []byte) []byte {
		if strings.Contains(req.URL.Path, "/blobs/") && len(body) > 10_000 {
			close(half)
			<-req.Context().Done()
		}
		return body
	}
	go func() {
		<-half
		m.Run(t.Context(), "kill -KILL $(cat $ATTA_ROOT/pid)", nil)
	}()
	m.sh(137, "docker pull "+image+" & echo $! > $ATTA_ROOT/pid; wait $!")
	m.want(0, "docker images -aq", "")
	r.edit = func(_ *http.Request, body []byte) []byte { return bytes.Clone(body) }
	m.sh(0, "docker pull -q "+image)
}
