package docker

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// kind is which engine is behind the command. The file /var/lib/docker/kind names another
// one than Docker with its own image store.
type kind string

const (
	kindContainerd kind = "containerd" // Docker with containerd's image store: an image's ID is its digest
	kindPodman     kind = "podman"     // podman-docker
)

func (e *engine) kind() kind {
	text, _ := os.ReadFile(filepath.Join(e.dir, "kind"))
	return kind(strings.TrimSpace(string(text)))
}

func (e *engine) printInfo(args []string) error {
	options, _, err := parseOptions(args, "format,f=", true)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(e.dir, 0o710); err != nil {
		return err
	}
	images, err := e.listStoredImages()
	if err != nil {
		return err
	}
	if e.kind() == kindPodman {
		return e.printPodmanInfo(options.Last("format"))
	}
	machine := map[string]string{"amd64": "x86_64", "arm64": "aarch64"}[runtime.GOARCH]
	info := struct {
		Architecture, OSType, DockerRootDir, ServerVersion, Driver, LoggingDriver, Name string
		Images                                                                          int
		SecurityOptions                                                                 []string
		DriverStatus                                                                    [][2]string
	}{machine, "linux", e.dir, version, "standin", "json-file", "standin", len(images), []string{"name=seccomp,profile=builtin"}, [][2]string{{"Backing Filesystem", "extfs"}}}
	if remapped, _ := os.ReadFile(filepath.Join(e.dir, "userns")); len(remapped) > 0 {
		// With userns-remap, the folder is named after the IDs of root in a container:
		// https://docs.docker.com/engine/security/userns-remap/
		info.DockerRootDir = filepath.Join(e.dir, strings.TrimSpace(string(remapped)))
		info.SecurityOptions = append(info.SecurityOptions, "name=userns")
		if err := os.MkdirAll(info.DockerRootDir, 0o710); err != nil {
			return err
		}
	}
	if e.kind() == kindContainerd {
		info.DriverStatus = [][2]string{{"driver-type", "io.containerd.snapshotter.v1"}}
	}
	if format := options.Last("format"); format != "" {
		return renderTemplate(os.Stdout, format, info)
	}
	return renderTemplate(os.Stdout, "Server Version: {{.ServerVersion}}\nArchitecture: {{.Architecture}}\nDocker Root Dir: {{.DockerRootDir}}\nImages: {{.Images}}", info)
}

// printPodmanInfo names what podman does, in another form:
// https://docs.podman.io/en/latest/markdown/podman-info.1.html
func (e *engine) printPodmanInfo(format string) error {
	if format == "" {
		return errors.New("podman info without --format is not known here")
	}
	info := struct {
		Store struct{ GraphRoot string }
	}{}
	info.Store.GraphRoot = e.call.Path("/var/lib/containers/storage")
	if err := renderTemplate(os.Stdout, format, info); err != nil {
		return exitError{daemonStatus, fmt.Errorf("Error: %w", err)}
	}
	return nil
}

// podmanEvent is what podman shows of an event, in its own words:
// https://docs.podman.io/en/latest/markdown/podman-events.1.html
type podmanEvent struct {
	ID, Name, Image, Status, Type string
	ContainerExitCode             string
	Time                          time.Time
}

func (e event) forPodman() podmanEvent {
	attributes := e.Actor.Attributes
	return podmanEvent{
		ID: e.Actor.ID, Name: attributes["name"], Image: attributes["image"], Status: podmanStatus(e.Action), Type: e.Type,
		ContainerExitCode: attributes["exitCode"], Time: time.Unix(0, e.TimeNano),
	}
}

func podmanStatus(action string) string {
	if action == "die" {
		return "died"
	}
	return action
}
