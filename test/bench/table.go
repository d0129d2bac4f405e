package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"time"
)

func median[E any, T cmp.Ordered](list []E, of func(E) T) T {
	var values []T
	for _, e := range list {
		values = append(values, of(e))
	}
	slices.Sort(values)
	if len(values) == 0 {
		return *new(T)
	}
	return values[len(values)/2]
}

// watchMemory watches the memory of a process until the returned function is called, which returns the peak in bytes. The
// kernel's number for a child that has ended is of no use: it starts with the memory of the parent process.
func watchMemory(pid int) func() int64 {
	var most int64
	end, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
			if _, rest, ok := strings.Cut(string(text), "VmHWM:"); err == nil && ok {
				var kilobytes int64
				if _, err := fmt.Sscan(rest, &kilobytes); err == nil {
					most = max(most, kilobytes<<10)
				}
			}
			select {
			case <-end:
				return
			case <-time.After(5 * time.Millisecond):
			}
		}
	}()
	return func() int64 {
		close(end)
		<-ended
		return most
	}
}

func cpuName() string {
	text, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return "unknown"
	}
	for line := range strings.Lines(string(text)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}

func toolVersions(ctx context.Context) string {
	var list []string
	for _, command := range []string{"crane version", "skopeo --version", "regctl version --format {{.VCSTag}}", "oras version", "dockerd --version", "docker-registry --version"} {
		args := strings.Fields(command)
		out, err := exec.CommandContext(ctx, args[0], args[1:]...).Output()
		if first, _, _ := strings.Cut(string(out), "\n"); err == nil && first != "" {
			list = append(list, args[0]+" "+strings.Join(strings.Fields(strings.TrimPrefix(first, args[0])), " "))
		}
	}
	return "Versions: " + strings.Join(append(list, runtime.Version()), "; ") + ".\n"
}
