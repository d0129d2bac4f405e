//go:build !e2e

package host_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/org/atta-deploy-action/localaws/host"
	"github.com/org/atta-deploy-action/test/tier"
)

// standin is an instance in a folder, with stand-ins for docker, systemctl and aws.
type standin struct {
	machine
	*host.Host
}

// rebooting gives a stand-in the signature of an instance.
type rebooting struct{ *host.Host }

func (r rebooting) Reboot(context.Context) error { return r.Host.Reboot() }

// tools does the work of docker, systemctl and aws.
var tools string

// A deploy waits half of its time, so twice as many tests as processors run at once.
func prepareMachines(ctx context.Context, dir string) (listen string, stop func() error, err error) {
	flag.Parse()
	if parallel := flag.Lookup("test.parallel"); parallel.Value.String() == parallel.DefValue {
		if err := parallel.Value.Set(strconv.Itoa(2 * runtime.GOMAXPROCS(0))); err != nil {
			return "", nil, err
		}
	}
	if err := tier.MarkQuick(quick...); err != nil {
		return "", nil, err
	}
	tools, err = host.BuildStandins(ctx, dir)
	return "", func() error {
		if points := swept.points.Load(); points > 0 {
			consistent := swept.consistent.Load()
			fmt.Printf("%d kill points, %d consistent\n", points, consistent)
			if consistent != points {
				return errors.New("not every kill point was recovered from")
			}
		}
		return nil
	}, err
}

func boot(t *testing.T) standin {
	t.Helper()
	key, err := cloud.Config().Credentials.Retrieve(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	h, err := host.New(host.Options{
		Dir: dir, Standins: tools, AWSCLI: "standin", Endpoint: cloud.URL(), AccessKeyID: key.AccessKeyID, SecretAccessKey: key.SecretAccessKey,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	})
	sum := sha256.Sum256([]byte(dir))
	m := standin{machine{instance: rebooting{h}, t: t, name: "m" + hex.EncodeToString(sum[:6]), service: "atta", healthTimeout: "20", port: "0"}, h}
	cloud.CreateRepository(m.name, "MUTABLE")
	cloud.CreateBucket(m.name)
	return m
}

// onEachMachine runs a scenario on every kind of instance: here, on the stand-in.
func onEachMachine(t *testing.T, scenario func(t *testing.T, m machine)) {
	t.Parallel()
	m := boot(t).machine
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	_, m.port, _ = net.SplitHostPort(listener.Addr().String())
	_ = listener.Close()
	scenario(t, m)
}

// write puts a file on the instance.
func (m standin) write(path, text string, mode fs.FileMode) {
	m.t.Helper()
	if err := os.MkdirAll(filepath.Dir(m.Path(path)), 0o755); err != nil {
		m.t.Fatal(err)
	}
	if err := os.WriteFile(m.Path(path), []byte(text), mode); err != nil {
		m.t.Fatal(err)
	}
}

func (m standin) exists(path string) bool {
	_, err := os.Lstat(m.Path(path))
	return err == nil
}

// tree is what lies below some paths of the instance: links with their targets,
// files with mode and hash.
func (m standin) tree(paths ...string) map[string]string {
	m.t.Helper()
	found := map[string]string{}
	for _, top := range paths {
		err := filepath.WalkDir(m.Path(top), func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return err
			}
			info, err := entry.Info()
			if err != nil {
				return err
			}
			value, err := os.Readlink(path)
			if info.Mode().IsRegular() {
				var content []byte
				content, err = os.ReadFile(path)
				value = fmt.Sprintf("%v %x", info.Mode(), sha256.Sum256(content))
			}
			found[strings.TrimPrefix(path, m.Root())] = value
			return err
		})
		if err != nil && !os.IsNotExist(err) {
			m.t.Fatal(err)
		}
	}
	return found
}

// live is all that decides what runs: units, links, settings, the installed
// release and the names of the images. Releases and images that came since are
// not part of it.
func (m standin) live() map[string]string {
	m.t.Helper()
	paths := []string{"etc/systemd/system", "opt/atta/current", "opt/atta/previous", "opt/atta/.env"}
	if current, err := os.Readlink(m.Path("opt/atta/current")); err == nil {
		paths = append(paths, "opt/atta/"+current)
	}
	return m.tree(paths...)
}

// unit is what systemd remembers of the service: it changes with every start, stop and reset.
func (m standin) unit() map[string]string { return m.tree("run/systemd/units/atta.service/state.json") }

// untouched runs do and fails the test if anything that decides what runs, or
// what systemd remembers, is not as before.
func (m standin) untouched(do func()) {
	m.t.Helper()
	live, unit := m.live(), m.unit()
	do()
	m.same(live, m.live())
	m.same(unit, m.unit())
}

// show is a property of the unit, from systemd.
func (m standin) show(property string) string {
	m.t.Helper()
	return strings.TrimSpace(m.sh("systemctl show --value --property=" + property + " atta.service").stdout)
}
