package docker

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/org/atta-deploy-action/localaws/standins/instance"
)

// createOptions are the options of docker create and run. Those after the line
// break are read and have no effect on a plain process.
const createOptions = "name= pull= env,e= env-file= volume,v= mount= label,l= cidfile= workdir,w= entrypoint= rm stop-timeout= quiet,q user,u= hostname,h= network,net= read-only init log-driver= no-healthcheck stop-signal= " +
	"interactive,i tty,t log-opt= memory,m= memory-swap= cpus= cpu-shares= pids-limit= publish,p= cap-add= cap-drop= security-opt= tmpfs= ulimit= platform= shm-size= ipc= oom-score-adj="

func (e *engine) createContainer(args []string) error {
	options, rest, err := parseOptions(args, createOptions, false)
	if err != nil {
		return err
	}
	c, err := e.newContainer("create", options, rest)
	if err != nil {
		return err
	}
	fmt.Println(c.Id)
	return nil
}

func (e *engine) newContainer(command string, options instance.Options, args []string) (*container, error) {
	if err := needArguments(command, args, 1, -1); err != nil {
		return nil, err
	}
	// Docker's client reads the files first: https://github.com/docker/cli/blob/v27.0.0/cli/command/container/create.go (runCreate)
	var img image
	var env []string
	var err error
	if e.kind() != kindPodman {
		_, err = e.containerEnv(img, options)
	}
	if err == nil {
		if img, err = e.imageToRun(args[0], options.Last("pull")); err != nil {
			return nil, err
		}
		env, err = e.containerEnv(img, options)
	}
	if err != nil && command == "create" {
		return nil, exitError{daemonStatus, fmt.Errorf("docker: %w\n\nRun 'docker create --help' for more information", err)}
	} else if err != nil {
		return nil, err
	}
	mounts, err := e.parseMounts(options)
	if err != nil {
		return nil, err
	}
	entrypoint, arguments := img.Config.Entrypoint, args[1:]
	if given, ok := options["entrypoint"]; ok {
		entrypoint = given[len(given)-1:]
	} else if len(arguments) == 0 {
		arguments = img.Config.Cmd
	}
	argv := slices.Concat(entrypoint, arguments)
	if len(argv) == 0 {
		return nil, daemonError("no command specified")
	}
	stopTimeout, err := strconv.Atoi(cmp.Or(options.Last("stop-timeout"), "10"))
	if err != nil {
		return nil, exitError{daemonStatus, fmt.Errorf("invalid argument for --stop-timeout: %w", err)}
	}
	id := newID()
	c := &container{
		Id: id, Name: "/" + cmp.Or(options.Last("name"), "standin_"+id[:12]), Created: timestamp(), Path: argv[0], Args: argv[1:], Image: img.Id,
		State: state{Status: "created"}, Mounts: mounts, LogPath: filepath.Join(e.containerDir(id), id+"-json.log"),
		Config: config{
			Image: args[0], Env: env, Labels: map[string]string{}, WorkingDir: cmp.Or(options.Last("workdir"), img.Config.WorkingDir, "/"),
			User: cmp.Or(options.Last("user"), img.Config.User), Hostname: cmp.Or(options.Last("hostname"), id[:12]),
			StopSignal: cmp.Or(options.Last("stop-signal"), img.Config.StopSignal),
		},
		HostConfig: hostConfig{
			AutoRemove: options.Has("rm"), Binds: options["volume"], NetworkMode: cmp.Or(options.Last("network"), "bridge"),
			ReadonlyRootfs: options.Has("read-only"), Init: options.Has("init"), StopTimeout: stopTimeout,
			LogConfig: logConfig{Type: cmp.Or(options.Last("log-driver"), "json-file")},
		},
	}
	// Podman takes it from images in Docker's format only: https://docs.podman.io/en/latest/markdown/podman-build.1.html#format
	if !options.Has("no-healthcheck") && e.kind() != kindPodman {
		c.Config.Healthcheck = img.Config.Healthcheck
	}
	for key, value := range img.Config.Labels {
		c.Config.Labels[key] = value
	}
	for _, label := range options["label"] {
		key, value, _ := strings.Cut(label, "=")
		c.Config.Labels[key] = value
	}
	if err := e.createFiles(c, img, options.Last("cidfile")); err != nil {
		return c, err
	}
	return c, e.recordEvent(c, "create", nil)
}

// createFiles gives a container its folder and files, unless its name is taken.
func (e *engine) createFiles(c *container, img image, cidfile string) error {
	if cidfile != "" {
		cidfile = e.call.Path(cidfile)
		if _, err := os.Stat(cidfile); err == nil {
			return fmt.Errorf("container ID file found, make sure the other container isn't running or delete %s", cidfile)
		}
	}
	lock, err := e.lockState()
	if err != nil {
		return err
	}
	defer lock.Close()
	all, err := e.listContainers()
	if err != nil {
		return err
	}
	for _, other := range all {
		if other.Name == c.Name {
			return daemonError("Conflict. The container name %q is already in use by container %q. You have to remove (or rename) that container to be able to reuse that name.", c.Name, other.Id)
		}
	}
	if e.isDiskFull() {
		return daemonError("mkdir %s: %w", filepath.Join(e.dir, "overlay2", c.Id+"-init"), syscall.ENOSPC)
	}
	if !isComplete(e.imageDir(img.Id)) {
		return daemonError("failed to read config content: content digest %s: not found", img.Id)
	}
	rootfs := filepath.Join(e.containerDir(c.Id), "rootfs")
	if err := os.CopyFS(rootfs, os.DirFS(filepath.Join(e.imageDir(img.Id), "rootfs"))); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(rootfs, c.Config.WorkingDir), 0o755); err != nil {
		return err
	}
	for volume := range img.Config.Volumes {
		if err := os.MkdirAll(filepath.Join(rootfs, volume), 0o755); err != nil {
			return err
		}
	}
	for _, m := range c.Mounts {
		target := filepath.Join(rootfs, m.Destination)
		if err := errors.Join(os.RemoveAll(target), os.MkdirAll(filepath.Dir(target), 0o755)); err != nil {
			return err
		}
		if err := os.Symlink(m.Source, target); err != nil {
			return err
		}
	}
	if cidfile != "" {
		if err := os.WriteFile(cidfile, []byte(c.Id), 0o644); err != nil {
			return err
		}
	}
	return e.saveContainer(c)
}

// imageToRun finds the image to run, pulling it first as --pull says.
func (e *engine) imageToRun(ref, policy string) (image, error) {
	img, err := e.findImage(ref)
	if (err == nil && policy != "always") || policy == "never" {
		return img, err
	}
	if !hasNetwork {
		return image{}, errOffline
	}
	parsed, parseErr := name.ParseReference(ref)
	if parseErr != nil {
		return image{}, errors.New("invalid reference format")
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "Unable to find image '%s' locally\n", familiarName(parsed))
	}
	if _, _, err := e.fetch(parsed, v1.Platform{OS: "linux", Architecture: runtime.GOARCH}); err != nil {
		return image{}, err
	}
	return e.findImage(ref)
}

// parseMounts reads -v SOURCE:DESTINATION[:MODE] and --mount. A missing source
// folder is made for -v, as docker does.
func (e *engine) parseMounts(options instance.Options) ([]mount, error) {
	mounts := []mount{}
	for _, volume := range options["volume"] {
		parts := strings.Split(volume, ":")
		if len(parts) == 1 {
			continue // an anonymous volume is a folder of the container
		}
		m := mount{Type: "bind", Source: parts[0], Destination: parts[1], RW: len(parts) < 3 || !slices.Contains(strings.Split(parts[2], ","), "ro")}
		if len(parts) > 3 || !filepath.IsAbs(m.Destination) {
			return nil, daemonError("invalid volume specification: '%s'", volume)
		}
		if !strings.ContainsRune(m.Source, '/') {
			m.Type, m.Source = "volume", filepath.Join(e.dir, "volumes", m.Source, "_data")
		}
		m.Source = e.call.Path(m.Source)
		if _, err := os.Stat(m.Source); err != nil {
			if err := os.MkdirAll(m.Source, 0o755); err != nil {
				return nil, err
			}
		}
		mounts = append(mounts, m)
	}
	for _, given := range options["mount"] {
		m := mount{Type: "volume", RW: true}
		for _, field := range strings.Split(given, ",") {
			switch key, value, _ := strings.Cut(field, "="); key {
			case "type":
				m.Type = value
			case "source", "src":
				m.Source = e.call.Path(value)
			case "target", "destination", "dst":
				m.Destination = value
			case "readonly", "ro":
				m.RW = false
			default:
				return nil, fmt.Errorf("unexpected key '%s' in '%s'", key, given)
			}
		}
		if _, err := os.Stat(m.Source); m.Type != "bind" || err != nil {
			return nil, daemonError("invalid mount config for type %q: bind source path does not exist: %s", m.Type, m.Source)
		}
		mounts = append(mounts, m)
	}
	return mounts, nil
}

func timestamp() string { return time.Now().UTC().Format(time.RFC3339Nano) }
