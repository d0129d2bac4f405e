//go:build e2e

package container_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"al.essio.dev/pkg/shellescape"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/org/atta-deploy-action/deploy"
	"github.com/org/atta-deploy-action/internal/bundle"
	"github.com/org/atta-deploy-action/internal/release"
	"github.com/org/atta-deploy-action/localaws"
	"github.com/org/atta-deploy-action/localaws/container"
	"github.com/org/atta-deploy-action/localaws/sample"
)

// counter makes names and ids that are used once.
var counter atomic.Int64

// machine is an instance, seen as the host of one service. Its repository and its
// bucket have its own name.
type machine struct {
	*container.Container
	t       *testing.T
	name    string
	service string
}

var images = map[container.Recipe]func() (string, error){
	container.Bookworm: sync.OnceValues(func() (string, error) { return container.Build(context.Background(), container.Bookworm) }),
	container.Bullseye: sync.OnceValues(func() (string, error) { return container.Build(context.Background(), container.Bullseye) }),
}

// boot starts an instance of Debian bookworm.
func boot(t *testing.T) machine {
	t.Helper()
	return bootOf(t, container.Bookworm)
}

// onEach runs a test on an instance of each recipe.
func onEach(t *testing.T, test func(t *testing.T, m machine)) {
	for recipe := range images {
		t.Run(recipe.Suite, func(t *testing.T) {
			t.Parallel()
			test(t, bootOf(t, recipe))
		})
	}
}

func bootOf(t *testing.T, recipe container.Recipe) machine {
	t.Helper()
	image, err := images[recipe]()
	if err != nil {
		t.Fatal(err)
	}
	key, err := cloud.Config().Credentials.Retrieve(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	m := machine{t: t, name: fmt.Sprintf("atta-e2e-%d-%d", os.Getpid(), counter.Add(1)), service: "atta"}
	m.Container, err = container.Start(t.Context(), image, container.Options{
		Name: m.name, Endpoint: cloud.URL(), AccessKeyID: key.AccessKeyID, SecretAccessKey: key.SecretAccessKey,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("log of the instance:\n%s", m.run("tail -n 60 /var/log/*-deploy.log; journalctl --no-pager --lines=60 _PID=1; ps axf; systemctl list-jobs").Stdout)
		}
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	cloud.CreateRepository(m.name, "IMMUTABLE_WITH_EXCLUSION")
	cloud.CreateBucket(m.name)
	m.sh(hooks)
	return m
}

// of is the same instance as the host of another service.
func (m machine) of(service string) machine {
	m.service = service
	return m
}

// --- deploys ----------------------------------------------------------------

// attempt is everything that makes a deploy, before it is sent.
type attempt struct {
	image      []sample.Option
	own        map[string]string          // files of the repository's own folder
	program    string                     // in the image
	mode       string                     // job or service
	bundle     func(bundle.Bundle) []byte // what lies in the bucket instead
	sha256     func([]byte) string        // what the command says of it instead
	parameters map[string]string          // of bootstrap.sh, by name
}

type change func(*attempt)

func image(opts ...sample.Option) change {
	return func(a *attempt) { a.image = append(a.image, opts...) }
}

func own(file, text string) change { return func(a *attempt) { a.own[file] = text } }

func parameter(name, value string) change { return func(a *attempt) { a.parameters[name] = value } }

// serving makes the release a long-lived service that answers on a port of the host.
func serving(port string, opts ...sample.Option) change {
	return func(a *attempt) {
		a.mode = "service"
		a.own["docker.env"] = "DOCKER_ARGS=--network=host\n"
		a.parameters["health-url"] = "http://127.0.0.1:" + port + "/health"
		a.image = append(append(a.image, sample.WithCmd("-serve"), sample.WithEnv("PORT", port)), opts...)
	}
}

// answer is what comes back from a command.
type answer struct {
	deploy.Report
	localaws.Exit
}

// command is the script of the SSM command that deploys a version.
func (m machine) command(version string, changes ...change) string {
	m.t.Helper()
	a := &attempt{own: map[string]string{}, program: program, mode: "job", parameters: map[string]string{}, image: []sample.Option{sample.WithVersion(version)}}
	for _, change := range changes {
		change(a)
	}
	b := m.build(version, a)
	if a.bundle != nil {
		b.Content = a.bundle(b)
	}
	if a.sha256 != nil {
		b.SHA256 = a.sha256(b.Content)
	}
	key := "bundles/" + m.service + "/deploy-bundle-" + version + ".tar.gz"
	m.put(key, b.Content)
	parameters := map[string]string{
		"service": m.service, "version": version, "region": "us-east-1", "deployment": fmt.Sprintf("run-%d", counter.Add(1)),
		"bundle": "s3://" + m.name + "/" + key, "sha256": b.SHA256, "image": m.push(a.program, a.image...),
		"not-after": fmt.Sprint(time.Now().Add(time.Hour).Unix()), "health-timeout": "30", "allow-downgrade": "false",
		"image-bytes": "0", "allow-quarantined": "false", "on-running": "wait", "drain-timeout": "20", "run-on-deploy": "true",
		"min-healthy-time": "1", "keep-releases": "5",
	}
	maps.Copy(parameters, a.parameters)
	args := []string{"deploy"}
	for _, name := range slices.Sorted(maps.Keys(parameters)) {
		args = append(args, "--"+name+"="+parameters[name])
	}
	return strings.Join([]string{"#!/bin/bash", "set -- " + shellescape.QuoteCommand(args), deploy.Bootstrap}, "\n")
}

// deploy sends the command and waits for its answer.
func (m machine) deploy(version string, changes ...change) answer {
	m.t.Helper()
	return m.read(m.command(version, changes...))
}

// byHand runs the installed release's own script as an operator does.
func (m machine) byHand(arguments string) answer {
	m.t.Helper()
	return m.read("/opt/" + m.service + "/current/deploy/ec2_deploy.sh " + arguments)
}

// read runs a script whose first line of output is a result.
func (m machine) read(script string) answer {
	m.t.Helper()
	a := answer{Exit: m.run(script)}
	first, _, _ := strings.Cut(string(a.Stdout), "\n")
	text, ok := strings.CutPrefix(first, "ATTA_RESULT ")
	if !ok || json.Unmarshal([]byte(text), &a.Report) != nil {
		m.t.Fatalf("no result line first, exit %d\n--- stdout\n%.3000s\n--- stderr\n%.3000s", a.Exit.Code, a.Stdout, a.Stderr)
	}
	if int(a.Report.Code) != a.Exit.Code {
		m.t.Errorf("the line says %d, the exit status is %d", a.Report.Code, a.Exit.Code)
	}
	return a
}

// expect fails the test unless the answer is this one, with a message that holds part.
func (m machine) expect(a answer, outcome deploy.Outcome, code int, part string) {
	m.t.Helper()
	if a.Outcome != outcome || a.Exit.Code != code || !strings.Contains(a.Message, part) {
		m.t.Fatalf("got %s %d %q\nwant %s %d …%s…\n--- stderr\n%s", a.Outcome, a.Exit.Code, a.Message, outcome, code, part, a.Stderr)
	}
}

// deployed deploys a version that must be healthy.
func (m machine) deployed(version string, changes ...change) answer {
	m.t.Helper()
	a := m.deploy(version, changes...)
	m.expect(a, "deployed", 0, version)
	return a
}

func (m machine) build(version string, a *attempt) bundle.Bundle {
	m.t.Helper()
	folder := m.t.TempDir()
	for file, text := range a.own {
		path := filepath.Join(folder, file)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			m.t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			m.t.Fatal(err)
		}
	}
	rel, err := release.New(m.service, "dev", version)
	if err != nil {
		m.t.Fatal(err)
	}
	b, err := bundle.Build(folder, rel, a.mode)
	if err != nil {
		m.t.Fatal(err)
	}
	return b
}

func (m machine) put(key string, content []byte) {
	m.t.Helper()
	client := s3.NewFromConfig(cloud.Config(), func(o *s3.Options) { o.UsePathStyle = true })
	if _, err := client.PutObject(m.t.Context(), &s3.PutObjectInput{Bucket: &m.name, Key: &key, Body: bytes.NewReader(content)}); err != nil {
		m.t.Fatal(err)
	}
}

// push puts a sample image into the repository and returns it by digest.
func (m machine) push(program string, opts ...sample.Option) string {
	m.t.Helper()
	img, err := sample.NewImage(program, opts...)
	if err != nil {
		m.t.Fatal(err)
	}
	digest, err := img.Digest()
	if err != nil {
		m.t.Fatal(err)
	}
	ref, err := name.NewDigest(cloud.RegistryHost() + "/" + m.name + "@" + digest.String())
	if err != nil {
		m.t.Fatal(err)
	}
	if err := remote.Write(ref, img, remote.WithAuth(registry)); err != nil {
		m.t.Fatal(err)
	}
	return ref.String()
}

// --- the host ---------------------------------------------------------------

// run executes a script, in which $s is the service.
func (m machine) run(script string) localaws.Exit {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(m.t.Context()), 2*time.Minute)
	defer cancel()
	if !strings.HasPrefix(script, "#!") {
		script = "#!/bin/bash\n" + script
	}
	return m.Run(ctx, script, []string{"s=" + m.service})
}

// sh runs a command that must end well and returns what it prints.
func (m machine) sh(command string) string {
	m.t.Helper()
	exit := m.run(command)
	if exit.Code != 0 {
		m.t.Fatalf("%s: exit %d\n%s%s", command, exit.Code, exit.Stdout, exit.Stderr)
	}
	return string(bytes.TrimSpace(exit.Stdout))
}

// want fails the test unless the command prints this.
func (m machine) want(command, want string) {
	m.t.Helper()
	if got := m.sh(command); got != want {
		m.t.Errorf("%s: got %q, want %q", command, got, want)
	}
}

func (m machine) same(before, after string) {
	m.t.Helper()
	if diff := cmp.Diff(before, after); diff != "" {
		m.t.Errorf("the host has changed (-before +after):\n%s", diff)
	}
}

// live is all that decides what runs: units, enablement, links, settings, the files
// of the installed release and its image.
func (m machine) live() string {
	m.t.Helper()
	return m.sh(`
find /etc/systemd/system /opt/$s/current /opt/$s/previous /opt/$s/.env /opt/$s/current/ \
  '(' -type l -printf '%p -> %l\n' ')' -o '(' -type f -printf '%m ' -exec sha256sum {} ';' ')' 2>/dev/null | sort
image=$(sed -n s/^IMAGE=//p /opt/$s/current/release.env 2>/dev/null) || exit 0
docker image inspect --format '{{.Id}} {{.RepoTags}} {{.RepoDigests}}' "$image"
docker inspect --format '{{.Name}} {{.Image}}' "$s-$(cat /opt/$s/current/VERSION)"`)
}

// id is which run of the unit this is.
func (m machine) id() string {
	m.t.Helper()
	return m.sh("systemctl show --property=InvocationID $s")
}

// settled waits until no change is under way and fails the test if something of it
// is left.
func (m machine) settled() {
	m.t.Helper()
	m.sh(`for i in {1..200}; do [[ -L /opt/$s/recover ]] || exit 0; sleep 0.1; done; exit 1`)
	if left := m.sh("find /etc/systemd/system /opt/$s -name '*recover*' -o -name '*.new' -o -name .dropped"); left != "" {
		m.t.Errorf("left behind:\n%s", left)
	}
}

// concluded fails the test unless this is the last line of the service's history.
func (m machine) concluded(outcome deploy.Outcome, code int, version string) {
	m.t.Helper()
	want := fmt.Sprintf(`"outcome":"%s","code":%d,`, outcome, code)
	if last := m.sh("tail -n 1 /opt/$s/history"); !strings.Contains(last, want) || !strings.Contains(last, `"wanted":"`+version+`"`) {
		m.t.Errorf("the history ends with %s", last)
	}
}

// hooks are wrappers that stop, or do something else, once, before the command that
// /root/hook names in its first line.
const hooks = `
cat >/usr/local/sbin/hook <<'END'
#!/bin/sh
if [ -f /root/hook ]; then
  read -r at </root/hook
  case "${0##*/} $*" in
    $at) /usr/bin/mv /root/hook /run/hook && /usr/bin/sh -c "$(/usr/bin/sed 1d /run/hook)" ;;
  esac
fi
exec "/usr/bin/${0##*/}" "$@"
END
chmod 0755 /usr/local/sbin/hook
for command in systemctl docker mv ln tar; do
  ln -s hook /usr/local/sbin/$command
done`

// before has the script run, once, before the command that matches the pattern at.
func (m machine) before(at, script string) {
	m.t.Helper()
	m.sh("printf '%s\\n' " + shellescape.QuoteCommand([]string{m.named(at), m.named(script)}) + " >/root/hook")
}

// held starts a deploy, waits until it is about to run the command that matches the
// pattern at, and returns its cancel function, which waits for its end.
func (m machine) held(at, version string, changes ...change) (cancel func()) {
	m.t.Helper()
	m.before(at, "touch /run/held; sleep 1000")
	script := m.command(version, changes...)
	ctx, stop := context.WithCancel(m.t.Context())
	ended := make(chan localaws.Exit, 1)
	go func() { ended <- m.Run(ctx, script, nil) }()
	waiting := make(chan struct{})
	go func() {
		defer close(waiting)
		m.run("for i in {1..400}; do [[ ! -e /run/held ]] || exit 0; sleep 0.1; done")
	}()
	select {
	case exit := <-ended:
		stop()
		m.t.Fatalf("%s was never reached: exit %d\n%s%s", at, exit.Code, exit.Stdout, exit.Stderr)
	case <-waiting:
	}
	m.sh("test -e /run/held && rm /run/held")
	return func() {
		stop()
		<-ended
	}
}

// named puts the service's name for SERVICE.
func (m machine) named(text string) string { return strings.ReplaceAll(text, "SERVICE", m.service) }
