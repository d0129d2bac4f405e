package systemd

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/org/atta-deploy-action/localaws/standins/instance"
)

const systemctlOptions = "property,p= value no-block now quiet,q no-pager no-legend legend= full,l plain all,a lines,n= output,o= signal,s= kill-who= type,t= state= wait no-reload no-warn force,f system no-ask-password job-mode= version"

// Exit statuses of systemctl: systemctl(1), EXIT STATUS.
const (
	notActive = 3
	noUnit    = 4
)

// status ends systemctl with an exit status, silently.
type status int

func (s status) Error() string { return fmt.Sprintf("status %d", int(s)) }

// Systemctl is the systemctl command.
func Systemctl(call *instance.Call) int {
	m := &manager{call}
	options, args, err := instance.Parse(call.Args, systemctlOptions, true)
	if err == nil {
		err = m.runSystemctl(options, args)
	}
	var code status
	switch {
	case err == nil:
		return 0
	case errors.As(err, &code):
		return int(code)
	}
	fmt.Fprintln(os.Stderr, err)
	return 1
}

func (m *manager) runSystemctl(options instance.Options, args []string) error {
	if options.Has("version") {
		fmt.Println("systemd 252 (standin)")
		return nil
	}
	if len(args) == 0 {
		return errors.New("systemctl: a command is required")
	}
	verb, units := args[0], make([]string, 0, len(args))
	for _, name := range args[1:] {
		units = append(units, unitName(name))
	}
	switch verb {
	case "daemon-reload":
		return m.reloadUnits()
	case "is-system-running":
		fmt.Println("running")
		return nil
	case "show-environment":
		fmt.Println("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin")
		return nil
	case "default":
		return m.bootUnits()
	case "reset-failed":
		return m.resetFailed(units)
	case "list-unit-files":
		return m.listUnitFiles(units, options)
	case "list-timers":
		return m.listTimers(units, options)
	}
	verbs := map[string]func(string, instance.Options) error{
		"start": m.startUnit, "stop": m.stopUnit, "kill": m.killUnit, "cat": m.printUnitFile, "show": m.showUnit, "status": m.printStatus,
		"enable": m.enableUnit, "disable": m.disableUnit,
		"restart": func(name string, o instance.Options) error {
			if err := m.stopUnit(name, instance.Options{}); err != nil {
				return err
			}
			return m.startUnit(name, o)
		},
		"try-restart": func(name string, o instance.Options) error {
			if s, err := m.readState(name); err != nil || s.Active != "active" {
				return err
			}
			return errors.Join(m.stopUnit(name, instance.Options{}), m.startUnit(name, o))
		},
	}
	questions := map[string]func([]string, instance.Options) error{"is-enabled": m.isEnabled, "is-active": m.isActive, "is-failed": m.isFailed}
	do, known := verbs[verb]
	ask, isQuestion := questions[verb]
	switch {
	case !known && !isQuestion:
		return fmt.Errorf("Unknown command verb %s.", verb)
	case len(units) == 0:
		return errors.New("Too few arguments.")
	case isQuestion:
		return ask(units, options)
	}
	var errs []error
	for i, name := range units {
		if i > 0 && (verb == "show" || verb == "cat" || verb == "status") {
			fmt.Println()
		}
		errs = append(errs, do(name, options))
	}
	return errors.Join(errs...)
}

// requireUnit is a unit that a command needs to exist and to be sound.
func (m *manager) requireUnit(verb, name string) (*unit, error) {
	u, stale, err := m.loadUnit(name)
	if err != nil {
		return nil, err
	}
	if u == nil {
		fmt.Fprintf(os.Stderr, "Failed to %s %s: Unit %s not found.\n", verb, name, name)
		return nil, status(5)
	}
	if stale {
		fmt.Fprintf(os.Stderr, "Warning: The unit file, source configuration file or drop-ins of %s changed on disk. Run 'systemctl daemon-reload' to reload units.\n", name)
	}
	if len(u.fatal) > 0 && verb == "start" {
		return nil, fmt.Errorf("Failed to start %s: Unit %s has a bad unit file setting.\nSee system logs and 'systemctl status %s' for details.", name, name, name)
	}
	return u, nil
}

func (m *manager) resetFailed(units []string) error {
	for _, name := range units {
		if u, _, err := m.loadUnit(name); err != nil || u == nil {
			return errors.Join(err, fmt.Errorf("Failed to reset failed state of unit %s: Unit %s not loaded.", name, name))
		}
		lock, err := m.lockUnits()
		if err != nil {
			return err
		}
		s, err := m.readState(name)
		if err == nil && s.Supervisor == 0 {
			s.Starts = nil
			if s.Active == "failed" {
				s.Result = "success"
				s.enterState("inactive", "dead")
			}
			err = m.saveState(name, s)
		}
		_ = lock.Close()
		if err != nil {
			return err
		}
	}
	return nil
}

func (m *manager) printUnitFile(name string, _ instance.Options) error {
	path, text := m.onDisk(name)
	if path == "" {
		return fmt.Errorf("No files found for %s.", name)
	}
	fmt.Printf("# %s\n%s\n", path, strings.TrimRight(text, "\n"))
	return nil
}

func (m *manager) listUnitFiles(units []string, options instance.Options) error {
	units = slices.DeleteFunc(units, func(name string) bool { return m.unitPath(name) == "" })
	if !options.Has("no-legend") {
		fmt.Println("UNIT FILE STATE PRESET")
	}
	for _, name := range units {
		fmt.Println(name, m.fileState(name), "enabled")
	}
	if !options.Has("no-legend") {
		fmt.Printf("\n%d unit files listed.\n", len(units))
	}
	return nil
}
