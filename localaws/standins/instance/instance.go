// Package instance is what every stand-in shares: where the instance's files
// are, how a command line is read and how state is kept on disk. It knows no
// single command.
package instance

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// The programs that host.BuildStandins makes: one that starts fast, and one that can also
// reach registries and AWS.
const (
	OfflineProgram = "standins"
	NetworkProgram = "standins-network"
)

// Marker is the first argument of an executable that is called as a stand-in.
const Marker = "standin"

// A Call is one invocation of a stand-in on one instance.
type Call struct {
	Root string   // the folder that is the instance's "/"
	Bin  string   // the folder of the stand-ins
	Args []string // what follows the command's name
}

// Path maps an absolute path of the instance to the real one below Root. A path
// that is below Root already, or relative, stays as it is.
func (c *Call) Path(path string) string {
	if !filepath.IsAbs(path) || path == c.Root || strings.HasPrefix(path, c.Root+"/") {
		return path
	}
	return filepath.Join(c.Root, path)
}

// AgentMark is in the environment of what is in the control group of the SSM agent: of its
// commands, and of what they start themselves. A unit and a container each have their own group.
const AgentMark = "STANDIN_AGENT=yes"

// Detached returns a command that starts a stand-in in its own session and control group, so
// that it outlives those of its caller.
func (c *Call) Detached(name string, args ...string) (*exec.Cmd, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(self, append([]string{Marker, filepath.Join(c.Bin, name)}, args...)...)
	cmd.Dir = c.Root
	cmd.Env = slices.DeleteFunc(os.Environ(), func(entry string) bool { return entry == AgentMark })
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	return cmd, nil
}

// HandOver replaces this program by the one with network access, which lies next to it
// under the name NetworkProgram. It returns only when that cannot be started.
func (c *Call) HandOver(name string) (status int) {
	self, err := os.Executable()
	if err == nil {
		program := filepath.Join(filepath.Dir(self), NetworkProgram)
		args := append([]string{program, Marker, filepath.Join(c.Bin, name)}, c.Args...)
		err = fmt.Errorf("start %s: %w", program, syscall.Exec(program, args, os.Environ()))
	}
	fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
	return 125
}

// ExitStatus is the status a shell would see: 128+n for signal n.
func ExitStatus(state *os.ProcessState) int {
	if ws, ok := state.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		return 128 + int(ws.Signal())
	}
	return state.ExitCode()
}
