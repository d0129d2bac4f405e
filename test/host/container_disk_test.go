//go:build e2e

package host_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/org/atta-deploy-action/deploy"
	"github.com/org/atta-deploy-action/localaws"
	"github.com/org/atta-deploy-action/localaws/container"
)

// otherLayer makes the image one of which the instance has nothing yet.
func otherLayer(t *testing.T) change {
	content, err := os.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	other := filepath.Join(t.TempDir(), "app")
	if err := os.WriteFile(other, append(content, t.Name()...), 0o755); err != nil {
		t.Fatal(err)
	}
	return func(a *attempt) { a.program = other }
}

const fill = "dd if=/dev/zero of=/opt/SERVICE/filler bs=64K 2>/dev/null; dd if=/dev/zero of=/opt/SERVICE/crumbs bs=1K 2>/dev/null"

func TestE2EAFullDiskLeavesTheReleaseThatRuns(t *testing.T) {
	t.Parallel()
	m := boot(t)
	store := stores[m.engine]
	m.output("mkdir /opt/$s; mount -t tmpfs -o size=96m,mode=0755 tmpfs /opt/$s")
	m.deployed("0.0.1-dev", serving("8081"))
	m.deployed("0.0.2-dev", serving("8081"))
	before := m.snapshot()
	type filled struct {
		at, script string // what fills the disk, and when: before the deploy, or in it
		outcome    deploy.Outcome
		code       deploy.ExitCode
		message    string
	}
	cases := []filled{
		{"", fill, "refused", 10, "not enough room: /opt/atta has 0 MB free"},
		{"tar -xzf *", fill, "refused", 10, "cannot be unpacked"},
		{"docker create *keeps-image-of*", fill, "refused", 10, "nothing was changed"},
		{"systemctl stop SERVICE.service", fill, "rolled-back", 30, "0.0.2-dev is back"},
		{"systemctl start SERVICE.service", fill, "rolled-back", 30, "0.0.2-dev is back"},
		{"docker pull *", fillStore(store.pulling), "refused", 10, "no space left on device"},
	}
	for i, c := range someOf(cases, 0, 2, 4, 5) {
		version := fmt.Sprintf("0.1.%d-dev", i)
		next := []change{serving("8081")}
		if c.at == "docker pull *" {
			next = append(next, otherLayer(t))
		}
		if c.at == "" {
			m.run(m.named(c.script)) // which ends with 1
		} else {
			m.before(c.at, c.script)
		}
		m.expect(m.deploy(version, next...), c.outcome, c.code, c.message)
		m.output("test ! -e /root/hook; rm -f /opt/$s/filler /opt/$s/crumbs; ! mountpoint -q " + store.pulling + " || umount " + store.pulling)
		m.settled()
		m.same(before, m.snapshot())
		m.isServing("0.0.2-dev")
	}
	m.expect(m.deploy("0.2.0-dev", serving("8081"), parameter("image-bytes", "999999999999")), "refused", 10, "not enough room for the image: "+store.images+" has ")
	m.same(before, m.snapshot())
	m.deployed("0.1.0-dev", serving("8081"))
	m.expect(m.parse(m.byHand("rollback")), "deployed", 0, "0.0.2-dev runs")
}

func TestE2EAHostWhereNothingCanBeWrittenSaysSoInThePreflight(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.deployed("0.0.1-dev", serving("8081"))
	before := m.snapshot()
	for version, c := range map[string]struct{ begin, end, message string }{
		"0.1.0-dev": {"mount --bind /opt /opt && mount -o remount,bind,ro /opt", "umount /opt", "Read-only file system"},
		"0.1.1-dev": {"dd if=/dev/zero of=/run/filler bs=4K 2>/dev/null; dd if=/dev/zero of=/run/crumbs bs=1 count=4096 2>/dev/null; test -e /run/filler", "rm -f /run/filler /run/crumbs", "not enough room: /run has 0 MB free"},
	} {
		m.output(c.begin)
		a := m.deploy(version, serving("8081"))
		m.output(c.end)
		m.expect(a, "refused", deploy.ExitPreflight, c.message)
		m.same(before, m.snapshot())
		m.isServing("0.0.1-dev")
	}
	m.deployed("0.2.0-dev", serving("8081"))
}

// The AWS CLI of the instance signs its requests an hour before AWS gets them.
func TestE2ECaseAClockThatIsWrongIsNamed(t *testing.T) {
	t.Parallel()
	m := boot(t)
	m.deployed("0.0.1-dev", serving("8081"))
	before := m.snapshot()
	listen, err := container.Gateway(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	later, err := localaws.Start(localaws.Options{Listen: listen, Now: func() time.Time { return time.Now().Add(time.Hour) }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = later.Close() })
	later.CreateBucket(m.name)
	key, err := later.Config().Credentials.Retrieve(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	m.output("cat >/usr/local/bin/aws <<'END'\n#!/bin/sh\nexport HOME=/root AWS_ACCESS_KEY_ID=" + key.AccessKeyID + " AWS_SECRET_ACCESS_KEY=" + key.SecretAccessKey +
		"\nexec /usr/bin/aws --endpoint-url " + later.URL() + " \"$@\"\nEND\n")
	m.expect(m.send([]string{"doctor", "--service=" + m.service, "--deployment=ask", "--region=us-east-1"}), "refused", deploy.ExitPreflight, "the clock of this host is wrong, it says 20")
	m.expect(m.deploy("0.0.2-dev", serving("8081")), "refused", deploy.ExitPreflight, "the clock of this host is wrong, it says 20")
	m.same(before, m.snapshot())
}
