//go:build !e2e

package host_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/org/atta-deploy-action/internal/bundle"
	"github.com/org/atta-deploy-action/localaws"
	"github.com/org/atta-deploy-action/localaws/sample"
)

// fault makes one AWS call about this machine's things go wrong.
func (m standin) fault(operation, code string) {
	cloud.AddFault(localaws.Fault{Operation: operation, Resource: m.name, Error: &localaws.Error{Status: 403, Code: code, Message: "not today"}})
}

// replace puts a script in the place of one of the instance's commands.
func (m standin) replace(command, script string) {
	m.t.Helper()
	path := m.Path("..", "bin", command)
	if err := os.Remove(path); err != nil {
		m.t.Fatal(err)
	}
	if script != "" {
		m.write(filepath.Join("..", "bin", command), "#!/bin/sh\n"+script+"\n", 0o755)
	}
}

// wrap has a script run before one of the commands that the instance shares with this
// machine.
func (m standin) wrap(command, script string) {
	m.t.Helper()
	path, err := exec.LookPath(command)
	if err != nil {
		m.t.Fatal(err)
	}
	m.write(filepath.Join("..", "bin", command), "#!/bin/sh\n"+script+"\nexec "+path+" \"$@\"\n", 0o755)
}

// passOn is a command's stand-in, from within a script that takes its place.
func (m standin) passOn(command string) string {
	return `exec "` + filepath.Join(tools, "standins") + `" standin "` + m.Path("..", "bin", command) + `" "$@"`
}

// without returns a PATH with all commands of the instance and of this machine but these.
func (m standin) without(missing ...string) change {
	m.t.Helper()
	bin := filepath.Join(m.t.TempDir(), "bin")
	if err := os.Mkdir(bin, 0o755); err != nil {
		m.t.Fatal(err)
	}
	for _, folder := range []string{m.Path("..", "bin"), "/usr/bin", "/bin"} {
		files, err := os.ReadDir(folder)
		if err != nil {
			m.t.Fatal(err)
		}
		for _, file := range files {
			if !slices.Contains(missing, file.Name()) {
				_ = os.Symlink(filepath.Join(folder, file.Name()), filepath.Join(bin, file.Name()))
			}
		}
	}
	return env("PATH=" + bin)
}

func TestWhatIsNotFitIsRefusedAndNothingChanges(t *testing.T) {
	t.Parallel()
	const elsewhere = "/atta@sha256:0000000000000000000000000000000000000000000000000000000000000000"
	cases := map[string]struct {
		prepare func(standin)
		change  change
		message string
	}{
		"no such bundle": {change: parameter("bundle", "s3://nowhere/x.tar.gz"), message: "s3://nowhere/x.tar.gz cannot be downloaded"},
		"bundle denied":  {prepare: func(m standin) { m.fault("s3:HeadObject", "AccessDenied") }, message: "(403) when calling the HeadObject operation: Forbidden"},
		"bundle denied to another role": {prepare: func(m standin) { m.fault("s3:HeadObject", "AccessDenied") },
			message: "the credentials of this host are those of arn:aws:iam::123456789012:user/runner, which need s3:GetObject there"},
		"image denied to another role": {prepare: func(m standin) {
			m.replace("docker", "case $1 in pull) echo denied: requested access to the resource is denied >&2; exit 1 ;; esac\n"+m.passOn("docker"))
		}, change: image(sample.WithVersion("0.1.1-dev")), message: "is denied; the credentials of this host are those of arn:aws:iam::123456789012:user/runner"},
		"no such image": {change: parameter("image", cloud.RegistryHost()+elsewhere), message: "pull " + cloud.RegistryHost() + elsewhere},
		"login refused": {prepare: func(m standin) {
			m.replace("aws", "case $1 in ecr) echo 'An error occurred (AccessDeniedException) when calling the GetAuthorizationToken operation: "+
				"User: arn:aws:sts::1:assumed-role/x/i-1 is not authorized to perform: ecr:GetAuthorizationToken' >&2; exit 254 ;; esac\n"+m.awsWithKeys())
		}, message: "(AccessDeniedException) when calling the GetAuthorizationToken operation: User: arn:aws:sts::1:assumed-role/x/i-1 is not authorized to perform: ecr:GetAuthorizationToken"},
		"Docker without root": {prepare: func(m standin) {
			m.replace("docker", "case $1 in info) echo '/x [name=rootless] []'; exit ;; esac\n"+m.passOn("docker"))
		}, message: "runs without root here"},
		"Docker without its unit": {prepare: func(m standin) {
			m.replace("systemctl", `case "$*" in *docker.service) echo LoadState=not-found; exit ;; esac; `+m.passOn("systemctl"))
		}, message: "docker.service is not installed here"},
		"other architecture":      {change: image(sample.WithArchitecture("s390x")), message: "the image is for s390x"},
		"log driver of their own": {change: own("docker.env", "DOCKER_ARGS=--publish=80:80 --log-driver=awslogs\n"), message: "deploy/docker.env chooses a log driver in DOCKER_ARGS: set it in LOG_ARGS="},
		"damaged unit":            {change: own("systemd/atta.service", "[Service]\nType=oneshot\n"), message: "systemd does not accept"},
		"Docker does not answer":  {prepare: func(m standin) { m.replace("docker", "echo 'Cannot connect to the Docker daemon' >&2; exit 1") }, message: "the Docker engine does not answer"},
		"systemd does not answer": {prepare: func(m standin) { m.replace("systemctl", "echo 'Failed to connect to bus' >&2; exit 1") }, message: "systemd does not answer"},
		"failed tag":              {prepare: func(m standin) { m.replace("docker", "case $1 in tag) exit 194 ;; esac\n"+m.passOn("docker")) }, message: "ended with 194"},
	}
	for name, c := range sampleOf(cases, "bundle denied", "damaged unit", "Docker does not answer") {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := bootDeployed(t, "0.1.0-dev")
			if c.prepare != nil {
				c.prepare(m)
			}
			change := c.change
			if change == nil {
				change = image()
			}
			m.untouched(func() { m.expect(m.deploy("0.1.1-dev", change), "refused", 10, c.message) })
		})
	}
}

// A password is valid in its region only.
func TestTheHostLogsInToTheRegionOfTheRegistry(t *testing.T) {
	t.Parallel()
	for host, region := range map[string]string{
		"123456789012.dkr.ecr.eu-west-1.amazonaws.com":     "eu-west-1",
		"123456789012.dkr-ecr.ap-south-1.on.aws":           "ap-south-1",
		"123456789012.dkr.ecr.eusc-de-east-1.amazonaws.eu": "eusc-de-east-1",
	} {
		t.Run(host, func(t *testing.T) {
			t.Parallel()
			m := bootDeployed(t, "0.1.0-dev")
			m.replace("aws", `case $1 in ecr) echo "$*" >>"${0%/*}/../logins"; echo password; exit 0 ;; esac`+"\n"+m.awsWithKeys())
			m.replace("docker", "case $1 in login) cat >/dev/null; exit 0 ;; pull) echo cut off >&2; exit 1 ;; esac\n"+m.passOn("docker"))
			elsewhere := parameter("image", host+"/atta@sha256:"+strings.Repeat("0", 64))
			m.untouched(func() { m.expect(m.deploy("0.1.1-dev", elsewhere), "refused", 10, "pull "+host+"/atta") })
			logins, err := os.ReadFile(m.Path("..", "logins"))
			if got := strings.TrimSpace(string(logins)); err != nil || !strings.HasPrefix(got, "ecr get-authorization-token --region "+region+" --query ") || strings.Contains(got, "\n") {
				t.Errorf("%q, %v", got, err)
			}
		})
	}
}

// Whoever may name an image must not learn the password with which the instance pulls.
func TestOnlyRegistriesOfECRGetTheInstancesPassword(t *testing.T) {
	t.Parallel()
	m := bootDeployed(t, "0.1.0-dev")
	m.replace("docker", "case $1 in login) touch $ATTA_ROOT/login ;; esac\n"+m.passOn("docker"))
	for i, host := range []string{"dkr.ecr.eu-west-1.amazonaws.com.registry.example", "123456789012.dkr.ecr.us-east-1.registry.example", "203.0.113.5:5000"} {
		other := parameter("image", host+"/atta@sha256:"+strings.Repeat("0", 64))
		m.untouched(func() {
			m.expect(m.deploy(fmt.Sprintf("0.1.%d-dev", i+1), other), "refused", 10, host+" is not an ECR registry, so it does not get the password for ECR; AWS names http://"+cloud.RegistryHost())
		})
	}
	if m.exists("login") {
		t.Error("the password was sent")
	}
}

// awsWithKeys is the aws command as it was, keys included.
func (m standin) awsWithKeys() string {
	m.t.Helper()
	wrapper, err := os.ReadFile(m.Path("..", "bin", "aws"))
	if err != nil {
		m.t.Fatal(err)
	}
	return strings.TrimPrefix(string(wrapper), "#!/bin/sh\n")
}

func TestABundleWithoutTheUnitIsRefused(t *testing.T) {
	t.Parallel()
	m := bootDeployed(t, "0.1.0-dev")
	m.untouched(func() {
		a := m.deploy("0.1.1-dev", repacked(func(b bundle.Bundle) []byte { return pack(t, drop(entries(t, b), "deploy/systemd/atta.service")...) }))
		m.expect(a, "refused", 10, "the bundle holds no deploy/systemd/atta.service")
	})
}

func TestAMissingToolIsNamed(t *testing.T) {
	t.Parallel()
	m := bootDeployed(t, "0.1.0-dev")
	m.untouched(func() {
		m.expect(m.deploy("0.1.1-dev", m.without("aws", "docker", "systemctl", "flock")), "refused", 10, "not installed on this host: aws docker systemctl flock")
	})
}

func TestALateCommandIsRefused(t *testing.T) {
	t.Parallel()
	m := bootDeployed(t, "0.1.0-dev")
	before := m.tree("opt")
	m.untouched(func() {
		m.expect(m.deploy("0.1.1-dev", parameter("not-after", "1700000000")), "refused", 50, "2023-11-14T22:13:20Z")
	})
	m.same(before, m.tree("opt"))
}

func TestOneDeployAtATime(t *testing.T) {
	t.Parallel()
	m := bootDeployed(t, "0.1.0-dev")
	holder := make(chan struct{})
	go func() {
		defer close(holder)
		m.sh("flock $ATTA_ROOT/run/atta-deploy/atta.lock sh -c 'touch $ATTA_ROOT/held; until test -e $ATTA_ROOT/enough; do sleep 0.1; done'")
	}()
	for deadline := time.Now().Add(5 * time.Minute); !m.exists("held"); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the lock is not held")
		}
	}
	before := m.tree("opt")
	m.untouched(func() {
		m.expect(m.deploy("0.1.1-dev", env("ATTA_LOCK_WAIT=1")), "refused", 51, "another deploy of atta has held this host's lock for 1 s")
	})
	m.same(before, m.tree("opt"))
	m.write("enough", "", 0o644)
	<-holder
	m.deployed("0.1.1-dev")
}

func TestNoPasswordStaysBehind(t *testing.T) {
	t.Parallel()
	m := bootDeployed(t, "0.1.0-dev")
	m.deploy("0.1.1-dev", parameter("image", cloud.RegistryHost()+"/"+m.name+"@sha256:"+strings.Repeat("0", 64)))
	for path := range m.tree("run", "root", "tmp", "../home") {
		if strings.Contains(path, "config.json") {
			t.Error("left behind:", path)
		}
	}
}

func TestAHostWhereNothingCanBeWrittenIsReported(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.write("opt/atta", "in the way", 0o644)
	m.expect(m.deploy("0.1.0-dev"), "refused", 10, "this host cannot be written to: mkdir: cannot create directory")
	m.output("rm $ATTA_ROOT/opt/atta")
	m.deployed("0.1.0-dev")
	m.wrap("mkdir", `case "$*" in *incoming*) echo 'mkdir: cannot create directory: Read-only file system' >&2; exit 1 ;; esac`)
	m.untouched(func() { m.expect(m.deploy("0.1.1-dev"), "refused", 10, "Read-only file system") })
}
