// Package container is an instance that is a container: real systemd as PID 1, a
// real, separate container engine and the real AWS CLI. It needs Linux, root, a
// Docker engine and debootstrap.
package container

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"

	"al.essio.dev/pkg/shellescape"

	"github.com/org/atta-deploy-action/localaws"
)

// Options say what an instance is called and what it is attached to.
type Options struct {
	Name            string // of the container; must be free
	Endpoint        string // the local AWS, on an address that containers reach
	AccessKeyID     string // the instance role's, seen only by the aws command
	SecretAccessKey string
	SessionToken    string
}

// Container is one instance. Its methods are safe for concurrent use.
type Container struct{ name string }

var _ localaws.Machine = (*Container)(nil)

// capabilities are those that systemd and a Docker engine need; --privileged asks
// for some that not every machine has.
var capabilities = []string{
	"AUDIT_CONTROL", "AUDIT_READ", "IPC_LOCK", "LEASE", "LINUX_IMMUTABLE", "MAC_ADMIN", "MAC_OVERRIDE",
	"NET_ADMIN", "SYSLOG", "SYS_ADMIN", "SYS_BOOT", "SYS_MODULE", "SYS_NICE", "SYS_PACCT", "SYS_PTRACE", "SYS_RAWIO", "SYS_TIME",
	"SYS_TTY_CONFIG", "WAKE_ALARM", "BLOCK_SUSPEND", "DAC_READ_SEARCH", "IPC_OWNER",
}

// Start boots an instance and waits until its engine answers.
func Start(ctx context.Context, image string, o Options) (*Container, error) {
	args := []string{
		"run", "--detach", "--name", o.Name, "--hostname", o.Name, "--cgroupns=private",
		"--security-opt", "seccomp=unconfined", "--security-opt", "apparmor=unconfined", "--security-opt", "systempaths=unconfined",
		"--tmpfs", "/run", "--tmpfs", "/run/lock", "--tmpfs", "/tmp", "--stop-signal", "SIGRTMIN+3",
	}
	for _, store := range []string{"/var/lib/docker", "/var/lib/containerd", "/var/lib/containers"} {
		args = append(args, "--volume", store) // overlayfs does not lie on overlayfs
	}
	for _, capability := range capabilities {
		args = append(args, "--cap-add", capability)
	}
	if _, err := docker(ctx, nil, append(args, image)...); err != nil {
		return nil, fmt.Errorf("start instance %s: %w", o.Name, err)
	}
	c := &Container{name: o.Name}
	quote := shellescape.Quote
	aws := "#!/bin/sh\nexport AWS_EC2_METADATA_DISABLED=true HOME=/root" +
		" AWS_ACCESS_KEY_ID=" + quote(o.AccessKeyID) + " AWS_SECRET_ACCESS_KEY=" + quote(o.SecretAccessKey) + " AWS_SESSION_TOKEN=" + quote(o.SessionToken) +
		// AWS_ENDPOINT_URL is unknown before AWS CLI 2.13.
		"\nexec /usr/bin/aws --endpoint-url " + quote(o.Endpoint) + ` "$@"` + "\n"
	// podman takes no range of addresses: https://github.com/containers/image/blob/main/docs/containers-registries.conf.5.md
	registry := fmt.Sprintf("[[registry]]\nlocation = %q\ninsecure = true\n", strings.TrimPrefix(o.Endpoint, "http://"))
	err := errors.Join(c.write(ctx, "/usr/local/bin/aws", aws), c.write(ctx, "/etc/containers/registries.conf.d/local.conf", registry), c.wait(ctx))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("boot instance %s: %w", o.Name, err), c.Close())
	}
	return c, nil
}

// wait returns when systemd has booted and the engine answers. Podman answers before, and systemctl
// does not wait while D-Bus is not up.
func (c *Container) wait(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	for {
		_, err := docker(ctx, nil, "exec", c.name, "sh", "-c", "case $(systemctl is-system-running --wait) in running | degraded) docker info ;; *) exit 1 ;; esac")
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// Run executes script as the SSM agent does. When ctx is done, its process group
// is killed.
func (c *Container) Run(ctx context.Context, script string, env []string) localaws.Exit {
	path := fmt.Sprintf("/var/lib/amazon/ssm/%d/_script.sh", time.Now().UnixNano())
	alive := context.WithoutCancel(ctx)
	if err := c.write(alive, path, script); err != nil {
		return localaws.Exit{Code: 1, Stderr: []byte(err.Error())}
	}
	var stdout, stderr bytes.Buffer
	run := exec.Command("docker", append([]string{"exec", c.name, "setsid", "--wait", "agent", path}, env...)...)
	run.Stdout, run.Stderr = &stdout, &stderr
	stop := context.AfterFunc(ctx, func() {
		_, _ = docker(alive, nil, "exec", c.name, "sh", "-c", `kill -s KILL -- "-$(cat "$1.pid")"`, "kill", path)
	})
	defer stop()
	err := run.Run()
	exit := localaws.Exit{Code: run.ProcessState.ExitCode(), Stdout: stdout.Bytes(), Stderr: stderr.Bytes()}
	if err != nil && run.ProcessState == nil {
		exit = localaws.Exit{Code: 1, Stderr: []byte(err.Error())}
	}
	return exit
}

// write makes a file of the instance, which may be a program.
func (c *Container) write(ctx context.Context, path, text string) error {
	_, err := docker(ctx, strings.NewReader(text), "exec", "-i", c.name, "sh", "-c",
		`mkdir -p "${1%/*}" && cat >"$1" && chmod 0700 "$1"`, "write", path)
	return err
}

// Reboot restarts the instance, with all that a power cut takes: every process is
// killed at once.
func (c *Container) Reboot(ctx context.Context) error {
	if _, err := docker(ctx, nil, "restart", "--time", "0", c.name); err != nil {
		return fmt.Errorf("reboot %s: %w", c.name, err)
	}
	return c.wait(ctx)
}

// Restart restarts the instance as an operator would: by systemd, in good order.
func (c *Container) Restart(ctx context.Context) error {
	// The command is cut off by its own success.
	_, _ = docker(ctx, nil, "exec", c.name, "systemctl", "reboot")
	for _, step := range []string{"wait", "start"} {
		if _, err := docker(ctx, nil, step, c.name); err != nil {
			return fmt.Errorf("restart %s: %w", c.name, err)
		}
	}
	return c.wait(ctx)
}

// Unplug cuts the instance off every network, also after a reboot.
func (c *Container) Unplug(ctx context.Context) error { return c.network(ctx, "disconnect") }

// Plug undoes Unplug.
func (c *Container) Plug(ctx context.Context) error { return c.network(ctx, "connect") }

func (c *Container) network(ctx context.Context, verb string) error {
	if _, err := docker(ctx, nil, "network", verb, "bridge", c.name); err != nil {
		return fmt.Errorf("%s %s: %w", verb, c.name, err)
	}
	return nil
}

// Close removes the instance and its disk.
func (c *Container) Close() error {
	_, err := docker(context.Background(), nil, "rm", "--force", "--volumes", c.name)
	return err
}

func docker(ctx context.Context, stdin *strings.Reader, args ...string) (string, error) {
	command := exec.CommandContext(ctx, "docker", args...)
	if stdin != nil {
		command.Stdin = stdin
	}
	var stdout, stderr bytes.Buffer
	command.Stdout, command.Stderr = &stdout, &stderr
	if err := command.Run(); err != nil {
		return "", fmt.Errorf("docker %s: %w: %s", args[0], err, bytes.TrimSpace(stderr.Bytes()))
	}
	return strings.TrimSpace(stdout.String()), nil
}
