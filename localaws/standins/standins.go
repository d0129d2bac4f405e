// Package standins turns the executable it is linked into into small stand-ins
// for docker, systemctl, systemd-analyze, journalctl and aws, which do their
// work for real inside one instance's folder. A main or TestMain starts with
//
//	if standins.Invoked() {
//		os.Exit(standins.Run())
//	}
package standins

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/org/atta-deploy-action/localaws/standins/awscli"
	"github.com/org/atta-deploy-action/localaws/standins/docker"
	"github.com/org/atta-deploy-action/localaws/standins/instance"
	"github.com/org/atta-deploy-action/localaws/standins/systemd"
)

// Commands are the names on an instance's PATH that lead here.
var Commands = []string{"aws", "docker", "journalctl", "systemctl", "systemd-analyze"}

// Invoked reports whether this process was started as a stand-in: by a wrapper
// that passes instance.Marker and its own path ahead of the arguments.
func Invoked() bool { return len(os.Args) > 2 && os.Args[1] == instance.Marker }

// Run does what the stand-in was called for and returns the exit status.
func Run() int {
	command := filepath.Base(os.Args[2])
	root := os.Getenv("ATTA_ROOT")
	if root == "" && command != "aws" {
		fmt.Fprintf(os.Stderr, "%s: ATTA_ROOT is not set\n", command)
		return 125
	}
	call := &instance.Call{Root: root, Bin: filepath.Dir(os.Args[2]), Args: os.Args[3:]}
	switch command {
	case "aws":
		return awscli.Run(call)
	case "docker":
		return docker.Run(call)
	case docker.ShimName:
		return docker.Shim(call)
	case "systemctl":
		return systemd.Systemctl(call)
	case "systemd-analyze":
		return systemd.Analyze(call)
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
