package docker

import (
	"cmp"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/org/atta-deploy-action/localaws/standins/instance"
)

// container is one container as docker inspect shows it.
type container struct {
	Id           string
	Name         string
	Created      string
	Path         string
	Args         []string
	Image        string
	State        state
	Config       config
	HostConfig   hostConfig
	Mounts       []mount
	LogPath      string
	RestartCount int
}

type state struct {
	Status     string // created, running, exited
	Running    bool
	OOMKilled  bool
	Pid        int
	ExitCode   int
	Error      string
	StartedAt  string
	FinishedAt string
	Health     *health `json:",omitempty"`
}

type config struct {
	Image       string
	Env         []string
	Labels      map[string]string
	WorkingDir  string
	User        string
	Hostname    string
	StopSignal  string           `json:",omitempty"`
	Healthcheck *v1.HealthConfig `json:",omitempty"`
}

type hostConfig struct {
	AutoRemove     bool
	Binds          []string
	NetworkMode    string
	ReadonlyRootfs bool
	Init           bool
	StopTimeout    int
	LogConfig      logConfig
}

type logConfig struct{ Type string }

type mount struct {
	Type, Source, Destination string
	RW                        bool
}

func newID() string {
	id := make([]byte, 32)
	_, _ = rand.Read(id)
	return hex.EncodeToString(id)
}

func (e *engine) containerDir(id string) string { return filepath.Join(e.dir, "containers", id) }

func (e *engine) saveContainer(c *container) error {
	return instance.WriteJSON(filepath.Join(e.containerDir(c.Id), "config.v2.json"), c)
}

// listContainers lists what exists. A container whose shim is gone although it was
// running did not survive a reboot: it has ended, or is removed if it was to be.
func (e *engine) listContainers() ([]*container, error) {
	dirs, err := filepath.Glob(filepath.Join(e.dir, "containers", "*"))
	if err != nil {
		return nil, err
	}
	var all []*container
	for _, dir := range dirs {
		c, err := readContainer(dir)
		if err != nil {
			return nil, err
		}
		dead := c.State.Running && !instance.Locked(filepath.Join(dir, "shim.lock"))
		if dead { // or it has just ended: a shim says so before it lets go
			if c, err = readContainer(dir); err != nil {
				return nil, err
			}
		}
		if c.Id == "" { // removed in the meantime
			continue
		}
		if dead && c.State.Running {
			if c.HostConfig.AutoRemove {
				_ = os.RemoveAll(dir)
				continue
			}
			c.State.Running, c.State.Status, c.State.Pid, c.State.ExitCode = false, "exited", 0, 255
		}
		all = append(all, c)
	}
	return all, nil
}

func readContainer(dir string) (*container, error) {
	c := &container{}
	return c, instance.ReadJSON(filepath.Join(dir, "config.v2.json"), c)
}

// findContainer is the container of this name, or the only one whose ID begins so, however short that is.
func (e *engine) findContainer(ref string) (*container, error) {
	all, err := e.listContainers()
	if err != nil {
		return nil, err
	}
	var byID []*container
	for _, c := range all {
		if c.Name == "/"+strings.TrimPrefix(ref, "/") {
			return c, nil
		}
		if strings.HasPrefix(c.Id, ref) {
			byID = append(byID, c)
		}
	}
	if len(byID) == 1 {
		return byID[0], nil
	}
	return nil, daemonError("No such container: %s", ref)
}

// containerUsing is a container of an image, a running one first, or nil.
func (e *engine) containerUsing(imageID string) (user *container) {
	all, _ := e.listContainers()
	for _, c := range all {
		if c.Image == imageID && (user == nil || c.State.Running) {
			user = c
		}
	}
	return user
}

// waitUntilEnded waits until a container does not run any more and returns its state.
func (e *engine) waitUntilEnded(c *container, limit time.Duration) (state, bool) {
	for deadline := time.Now().Add(limit); limit < 0 || time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		now, err := e.findContainer(c.Id)
		if err != nil { // removed when it ended
			return state{Status: "removed"}, true
		}
		if (now.State.Status == "exited" || now.State.Status == "removing") && !instance.Locked(filepath.Join(e.containerDir(c.Id), "shim.lock")) {
			return now.State, true
		}
	}
	return c.State, false
}

func (e *engine) signalContainer(c *container, signal syscall.Signal) error {
	if !c.State.Running {
		return daemonError("cannot kill container: %s: container %s is not running", c.Name[1:], c.Id)
	}
	if err := syscall.Kill(c.State.Pid, signal); err != nil && err != syscall.ESRCH {
		return daemonError("cannot kill container: %w", err)
	}
	return e.recordEvent(c, "kill", map[string]string{"signal": strconv.Itoa(int(signal))})
}

func (e *engine) stopContainers(args []string) error {
	options, rest, err := parseOptions(args, "time,timeout,t= signal,s=", true)
	if err != nil {
		return err
	}
	if err := needArguments("stop", rest, 1, -1); err != nil {
		return err
	}
	return forEach(rest, os.Stdout, func(ref string) error {
		c, err := e.findContainer(ref)
		if err != nil || !c.State.Running {
			return err
		}
		limit := time.Duration(c.HostConfig.StopTimeout) * time.Second
		if given := options.Last("time"); given != "" {
			if limit, err = time.ParseDuration(given + "s"); err != nil {
				return err
			}
		}
		signal, known := signals[strings.TrimPrefix(cmp.Or(options.Last("signal"), c.Config.StopSignal, "TERM"), "SIG")]
		if !known {
			return daemonError("invalid signal: %s", cmp.Or(options.Last("signal"), c.Config.StopSignal))
		}
		if err := e.signalContainer(c, signal); err != nil {
			return err
		}
		if _, ended := e.waitUntilEnded(c, limit); ended {
			return nil
		}
		_ = e.signalContainer(c, syscall.SIGKILL)
		e.waitUntilEnded(c, -1)
		return nil
	})
}

var signals = map[string]syscall.Signal{
	"": syscall.SIGKILL, "KILL": syscall.SIGKILL, "9": syscall.SIGKILL, "TERM": syscall.SIGTERM, "15": syscall.SIGTERM,
	"INT": syscall.SIGINT, "2": syscall.SIGINT, "HUP": syscall.SIGHUP, "1": syscall.SIGHUP, "QUIT": syscall.SIGQUIT, "3": syscall.SIGQUIT, "WINCH": syscall.SIGWINCH, "USR1": syscall.SIGUSR1, "USR2": syscall.SIGUSR2,
}

func (e *engine) killContainers(args []string) error {
	options, rest, err := parseOptions(args, "signal,s=", true)
	if err != nil {
		return err
	}
	signal, known := signals[strings.TrimPrefix(options.Last("signal"), "SIG")]
	if !known {
		return daemonError("invalid signal: %s", options.Last("signal"))
	}
	return forEach(rest, os.Stdout, func(ref string) error {
		c, err := e.findContainer(ref)
		if err != nil {
			return err
		}
		return e.signalContainer(c, signal)
	})
}

func (e *engine) waitForContainers(args []string) (int, error) {
	return 0, forEach(args, nil, func(ref string) error {
		c, err := e.findContainer(ref)
		if err != nil {
			return err
		}
		last, _ := e.waitUntilEnded(c, -1)
		fmt.Println(last.ExitCode)
		return nil
	})
}

func (e *engine) removeContainers(args []string) error {
	options, rest, err := parseOptions(args, "force,f volumes,v", true)
	if err != nil {
		return err
	}
	force := options.Has("force")
	return forEach(rest, nil, func(ref string) error {
		c, err := e.findContainer(ref)
		if err != nil && force { // https://github.com/docker/cli/pull/2678
			fmt.Fprintln(os.Stderr, err)
			return nil
		}
		if err != nil {
			return err
		}
		if c.State.Status == "removing" && e.takeFault("slow-removal") { // https://github.com/moby/moby/issues/37698
			return daemonError("removal of container %s is already in progress", ref)
		}
		if c.State.Running && !force {
			return daemonError("cannot remove container %q: container is running: stop the container before removing or force remove", c.Name)
		}
		if c.State.Running {
			_ = e.signalContainer(c, syscall.SIGKILL)
			e.waitUntilEnded(c, -1)
		}
		fmt.Println(ref)
		return os.RemoveAll(e.containerDir(c.Id))
	})
}
