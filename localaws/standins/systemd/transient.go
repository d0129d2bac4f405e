package systemd

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"

	"github.com/org/atta-deploy-action/localaws/standins/instance"
)

// RunTransient is the systemd-run command: it starts a command as systemd starts a service, with
// a service's environment, in its own session and control group, and does not wait for its end.
func RunTransient(call *instance.Call) int {
	m := &manager{call}
	err := m.runTransient()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func (m *manager) runTransient() error {
	options, command, err := instance.Parse(m.call.Args, "quiet,q collect,G unit= description= property,p= setenv,E=", false)
	if err != nil || len(command) == 0 {
		return errors.Join(err, errors.New("systemd-run: a command is required"))
	}
	invocation := newInvocation()
	name := "run-r" + invocation + ".service"
	env, err := m.serviceEnv(&unit{name: name}, invocation)
	if err != nil {
		return err
	}
	cmd := &exec.Cmd{Args: command, Env: append(env, options["setenv"]...), Dir: m.call.Root, SysProcAttr: &syscall.SysProcAttr{Setsid: true}}
	if cmd.Path, err = exec.LookPath(command[0]); err != nil {
		return fmt.Errorf("Failed to find executable %s: %w", command[0], err)
	}
	if !options.Has("quiet") {
		fmt.Fprintln(os.Stderr, "Running as unit:", name)
	}
	return cmd.Start()
}
