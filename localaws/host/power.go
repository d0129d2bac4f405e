package host

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/org/atta-deploy-action/localaws/standins/instance"
)

// Reboot ends everything that runs on the instance without warning, empties
// /run and starts the units that are enabled.
func (h *Host) Reboot() error {
	if err := h.Close(); err != nil {
		return err
	}
	if err := os.RemoveAll(h.Path("run")); err != nil {
		return fmt.Errorf("empty /run: %w", err)
	}
	if err := os.MkdirAll(h.Path("run", "lock"), 0o755); err != nil {
		return fmt.Errorf("empty /run: %w", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if exit := h.Run(ctx, "systemctl default", nil); exit.Code != 0 {
		return fmt.Errorf("start units: exit status %d: %s", exit.Code, exit.Stderr)
	}
	return nil
}

// Close kills every process of the instance: scripts, supervised services and
// containers. The folder stays as it is.
func (h *Host) Close() error { return h.killProcesses("ATTA_ROOT=" + h.Root()) }

// KillAgent kills the SSM agent's whole control group, as systemd does when the agent is
// restarted and its unit has no KillMode=process: its commands, and what they have started
// in whatever session. Units and containers go on.
func (h *Host) KillAgent() error { return h.killProcesses("ATTA_ROOT="+h.Root(), instance.AgentMark) }

// killProcesses kills the processes that have these entries in their environment, all at the same moment: none sees another end.
func (h *Host) killProcesses(entries ...string) error {
	for range 100 {
		running, err := listProcesses(entries)
		if err != nil {
			return fmt.Errorf("list processes: %w", err)
		}
		if len(running) == 0 {
			return nil
		}
		for _, sig := range []syscall.Signal{syscall.SIGSTOP, syscall.SIGKILL} {
			for _, pid := range running {
				if err := syscall.Kill(pid, sig); err != nil && !errors.Is(err, syscall.ESRCH) {
					return fmt.Errorf("kill process %d: %w", pid, err)
				}
			}
		}
		time.Sleep(10 * time.Millisecond)
	}
	return errors.New("processes of the instance do not end")
}

// listProcesses finds what was started on this instance by its environment. A
// container's program has another, but dies with its shim.
func listProcesses(entries []string) ([]int, error) {
	paths, err := filepath.Glob("/proc/[0-9]*/environ")
	if err != nil {
		return nil, err
	}
	var pids []int
	for _, path := range paths {
		environ, err := os.ReadFile(path)
		has := func(entry string) bool {
			return bytes.Contains(append([]byte{0}, environ...), []byte("\x00"+entry+"\x00"))
		}
		if err != nil || !has(entries[0]) || !has(entries[len(entries)-1]) {
			continue // has just ended, or belongs to another instance
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if err != nil {
			return nil, err
		}
		pids = append(pids, pid)
	}
	return pids, nil
}
