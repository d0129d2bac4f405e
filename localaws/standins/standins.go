// Package standins makes a program act as docker, systemctl, systemd-analyze, systemd-run,
// journalctl or aws, by the name it is started under. The stand-ins do their work for real, inside the folder
// of one instance. host.BuildStandins builds the programs.
package standins

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"

	"github.com/org/atta-deploy-action/localaws/standins/docker"
	"github.com/org/atta-deploy-action/localaws/standins/instance"
	"github.com/org/atta-deploy-action/localaws/standins/systemd"
)

// Commands are the names on an instance's PATH that lead here.
var Commands = []string{"aws", "docker", "journalctl", "systemctl", "systemd-analyze", "systemd-run"}

// Invoked reports whether this process was started as a stand-in: through a symbolic link
// with the name of a command, or with instance.Marker and such a path ahead of the arguments.
func Invoked() bool { return invokedByName() || len(os.Args) > 2 && os.Args[1] == instance.Marker }

func invokedByName() bool { return slices.Contains(Commands, filepath.Base(os.Args[0])) }

// parseInvocation takes the command's path and its arguments from the command line. Who starts a
// command chooses how it calls itself, so that a link's folder is looked up.
func parseInvocation() (path string, args []string) {
	if !invokedByName() {
		return os.Args[2], os.Args[3:]
	}
	path, err := exec.LookPath(filepath.Base(os.Args[0]))
	if err != nil {
		path = os.Args[0]
	}
	return path, os.Args[1:]
}

// Run carries out the command that the stand-in was called as and returns its exit status.
func Run() int {
	path, args := parseInvocation()
	command := filepath.Base(path)
	root := os.Getenv("ATTA_ROOT")
	if root == "" && command != "aws" {
		fmt.Fprintf(os.Stderr, "%s: ATTA_ROOT is not set\n", command)
		return 125
	}
	call := &instance.Call{Root: root, Bin: filepath.Dir(path), Args: args}
	switch command {
	case "aws":
		return runAWS(call)
	case "docker":
		return docker.Run(call)
	case docker.ShimName:
		return docker.Shim(call)
	case "systemctl":
		return systemd.Systemctl(call)
	case "systemd-analyze":
		return systemd.Analyze(call)
	case "systemd-run":
		return systemd.RunTransient(call)
	case "journalctl":
		return systemd.Journalctl(call)
	case systemd.SupervisorName:
		return systemd.Supervise(call)
	case systemd.JobName:
		return systemd.RunJob(call)
	}
	fmt.Fprintf(os.Stderr, "%s: no such stand-in\n", command)
	return 127
}
