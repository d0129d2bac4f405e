// Package host is an instance in a folder: it runs scripts as the SSM agent does, with
// stand-ins for docker, systemctl and aws first on PATH. It needs Linux, but neither root nor
// Docker. Scripts find the instance's "/" in ATTA_ROOT.
package host

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"al.essio.dev/pkg/shellescape"

	"github.com/org/atta-deploy-action/localaws/standins/instance"
)

// Options say where an instance is and what it is attached to.
type Options struct {
	Dir             string // the instance's folder; made if missing
	Endpoint        string // the local AWS, http://127.0.0.1:PORT
	AccessKeyID     string // the instance role's, seen only by the aws command
	SecretAccessKey string
	SessionToken    string
	Standins        string // folder from BuildStandins
	AWSCLI          string // "": the AWS CLI where installed; "standin"; or a program
}

// Host is one instance. Its methods are safe for concurrent use.
type Host struct{ dir string }

// New makes the instance's folder. The executable that Tools start, by default
// the running one, must call standins.Run.
func New(o Options) (*Host, error) {
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return nil, fmt.Errorf("find folder: %w", err)
	}
	h := &Host{dir: dir}
	for _, folder := range []string{"bin", "home", "commands", "root/opt", "root/run/lock", "root/tmp", "root/var/log", "root/etc/systemd/system"} {
		if err := os.MkdirAll(filepath.Join(dir, folder), 0o755); err != nil {
			return nil, fmt.Errorf("make folder: %w", err)
		}
	}
	booted := h.Path("run", "systemd", "booted")
	if _, err := os.Stat(booted); errors.Is(err, os.ErrNotExist) {
		if err := instance.MarkBoot(booted); err != nil {
			return nil, fmt.Errorf("write time of boot: %w", err)
		}
	}
	if err := o.installStandins(dir); err != nil {
		return nil, err
	}
	return h, nil
}

// awsWrapper is the script behind the aws command. It alone holds the role's keys, and it
// names no region: an instance with nothing configured has none.
func (o Options) awsWrapper(dir, path string) string {
	quote := shellescape.Quote
	env := "export " + strings.Join([]string{
		"AWS_EC2_METADATA_DISABLED=true",
		"AWS_ACCESS_KEY_ID=" + quote(o.AccessKeyID),
		"AWS_SECRET_ACCESS_KEY=" + quote(o.SecretAccessKey),
		"AWS_SESSION_TOKEN=" + quote(o.SessionToken),
		"AWS_ENDPOINT_URL=" + quote(o.Endpoint),
		"HOME=" + quote(filepath.Join(dir, "home")),
	}, " ")
	cli := o.AWSCLI
	if cli == "" {
		found, err := exec.LookPath("/usr/bin/aws")
		if err != nil {
			found, _ = exec.LookPath("aws")
		}
		cli = cmp.Or(found, "standin")
	}
	command := shellescape.QuoteCommand([]string{cli, "--endpoint-url", o.Endpoint}) // AWS_ENDPOINT_URL is unknown before AWS CLI 2.13 and 1.29
	if cli == "standin" {
		command = shellescape.QuoteCommand([]string{filepath.Join(o.Standins, instance.NetworkProgram), instance.Marker, path})
	}
	return "#!/bin/sh\n" + env + "\nexec " + command + ` "$@"` + "\n"
}

// Root is the folder that is the instance's "/".
func (h *Host) Root() string { return filepath.Join(h.dir, "root") }

// Path is a path below Root.
func (h *Host) Path(elem ...string) string {
	return filepath.Join(append([]string{h.Root()}, elem...)...)
}
