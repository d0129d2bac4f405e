// Package docker is a stand-in for the docker command: it pulls images from a
// registry, keeps them unpacked below the instance's /var/lib/docker and runs
// their static programs as plain processes, with neither root nor an engine.
// A container has no namespaces: its program starts in the working
// directory of a copy of the image's files, where mounts are symbolic links.
package docker

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/org/atta-deploy-action/localaws/standins/instance"
)

// version is the Docker release whose behaviour is followed.
const version = "28.2.2"

// daemonStatus is what docker run and usage errors exit with.
const daemonStatus = 125

// engine is what the Docker daemon is elsewhere: the state on disk.
type engine struct {
	call *instance.Call
	dir  string
}

// exitError ends the command with a given status.
type exitError struct {
	status int
	err    error
}

func (e exitError) Error() string { return e.err.Error() }

// errOffline says that only the program with network access can carry out the command.
var errOffline = errors.New("built without network access")

// daemonError is an error that the docker command ascribes to the daemon.
func daemonError(format string, args ...any) error {
	return fmt.Errorf("Error response from daemon: "+format, args...)
}

// Run is the docker command.
func Run(call *instance.Call) int {
	e := &engine{call: call, dir: call.Path("/var/lib/docker")}
	if host := cmp.Or(os.Getenv("DOCKER_HOST"), strings.TrimPrefix(os.Getenv("DOCKER_CONTEXT"), "default")); host != "" {
		fmt.Fprintf(os.Stderr, "Cannot connect to the Docker daemon at %s. Is the docker daemon running?\n", host)
		return 1
	}
	status, err := e.dispatch(call.Args)
	switch {
	case err == nil:
		return status
	case errors.Is(err, errOffline):
		return call.HandOver("docker")
	}
	if message := err.Error(); message != "" {
		fmt.Fprintln(os.Stderr, message)
	}
	if exit := (exitError{}); errors.As(err, &exit) {
		return exit.status
	}
	return 1
}

func (e *engine) dispatch(args []string) (int, error) {
	name := ""
	if len(args) > 0 {
		name, args = args[0], args[1:]
	}
	if group := name + " "; (name == "image" || name == "container" || name == "system") && len(args) > 0 {
		name, args = group+args[0], args[1:]
		if plain, ok := strings.CutPrefix(name, "container "); ok && plain != "inspect" && plain != "prune" {
			name = map[string]string{"ls": "ps", "list": "ps"}[plain]
			if name == "" {
				name = plain
			}
		}
	}
	switch name {
	case "run":
		return e.runContainer(args)
	case "start":
		return e.startCommand(args)
	case "wait":
		return e.waitForContainers(args)
	case "exec":
		return e.execInContainer(args)
	}
	commands := map[string]func([]string) error{
		"version": e.printVersion, "--version": e.printVersion, "-v": e.printVersion, "info": e.printInfo,
		"login": e.login, "logout": e.logout,
		"pull": e.pull, "image pull": e.pull, "tag": e.tagImage, "image tag": e.tagImage,
		"images": e.listImages, "image ls": e.listImages, "rmi": e.removeImages, "image rm": e.removeImages,
		"image prune": e.pruneImagesCommand, "image inspect": e.inspectImages, "inspect": e.inspectAny, "container inspect": e.inspectContainers,
		"create": e.createContainer, "ps": e.printContainers, "rm": e.removeContainers, "stop": e.stopContainers, "kill": e.killContainers, "logs": e.printLogs, "cp": e.copyFiles, "events": e.printEvents,
		"container prune": e.pruneContainersCommand, "system prune": e.pruneSystem, "load": e.load, "image load": e.load,
	}
	command, ok := commands[name]
	if !ok {
		return 0, exitError{1, fmt.Errorf("docker: unknown command: docker %s\n\nRun 'docker --help' for more information", name)}
	}
	return 0, command(args)
}

// parseOptions reads a command's options; what docker does not know, or this stand-in
// does not, is a usage error.
func parseOptions(args []string, spec string, interspersed bool) (instance.Options, []string, error) {
	options, rest, err := instance.Parse(args, spec, interspersed)
	if err != nil {
		return nil, nil, exitError{daemonStatus, err}
	}
	return options, rest, nil
}

func needArguments(command string, args []string, least, most int) error {
	if len(args) < least || (most >= 0 && len(args) > most) {
		return exitError{1, fmt.Errorf("docker: 'docker %s' got a wrong number of arguments: %d", command, len(args))}
	}
	return nil
}

func (e *engine) lockState() (*os.File, error) { return instance.Lock(filepath.Join(e.dir, "lock")) }

// isDiskFull reports whether the disk is to be taken for full: a file says so.
func (e *engine) isDiskFull() bool {
	_, err := os.Stat(filepath.Join(e.dir, "full"))
	return err == nil
}

// takeFault reports whether a fault is to happen now: once for each line of the file of its name.
func (e *engine) takeFault(name string) bool {
	file := filepath.Join(e.dir, name)
	text, err := os.ReadFile(file)
	if err != nil {
		return false
	}
	_, left, found := strings.Cut(string(text), "\n")
	return found && os.WriteFile(file, []byte(left), 0o644) == nil
}

func (e *engine) printVersion(args []string) error {
	options, _, err := parseOptions(args, "format,f=", true)
	if err != nil {
		return err
	}
	type side struct{ Version, ApiVersion, Os, Arch string }
	here := side{version, "1.50", "linux", runtime.GOARCH}
	if format := options.Last("format"); format != "" {
		return renderTemplate(os.Stdout, format, struct{ Client, Server side }{here, here})
	}
	fmt.Printf("Docker version %s, build standin\n", version)
	return nil
}

// forEach applies do to every argument and joins what went wrong.
func forEach(args []string, out io.Writer, do func(string) error) error {
	var errs []error
	for _, arg := range args {
		if err := do(arg); err != nil {
			errs = append(errs, err)
		} else if out != nil {
			fmt.Fprintln(out, arg)
		}
	}
	return errors.Join(errs...)
}
