//go:build bench && e2e

package host_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/org/atta-deploy-action/localaws"
	"github.com/org/atta-deploy-action/test/table"
)

const benchRounds = 5

// timedMachine is a machine that counts the time in which it runs commands.
type timedMachine struct {
	localaws.Machine
	busy time.Duration
}

func (m *timedMachine) Run(ctx context.Context, script string, env []string) localaws.Exit {
	began := time.Now()
	defer func() { m.busy += time.Since(began) }()
	return m.Machine.Run(ctx, script, env)
}

// probe asks a service a hundred times a second, and prints when each answer came. A process each time would
// be slower.
const probe = `while :; do
  if { exec 3<>/dev/tcp/127.0.0.1/8080; } 2>/dev/null; then
    printf 'GET /health HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n' >&3
    IFS= read -r -t 1 line <&3 && [[ $line == *' 200 '* ]] && echo "$EPOCHREALTIME"
    exec 3>&-
  fi
  read -r -t 0.01 <> <(:)
done`

// measureOutage runs an action, and returns how long it took and the longest time in which the service did not answer.
func (s site) measureOutage(action func()) (took, outage time.Duration) {
	s.t.Helper()
	log := filepath.Join(s.folder, "answers")
	file, err := os.Create(log)
	if err != nil {
		s.t.Fatal(err)
	}
	prober := exec.Command("docker", "exec", s.name, "bash", "-c", probe)
	prober.Stdout = file
	if err := prober.Start(); err != nil {
		s.t.Fatal(err)
	}
	time.Sleep(time.Second)
	began := time.Now()
	action()
	took = time.Since(began)
	time.Sleep(time.Second)
	_ = prober.Process.Kill()
	_ = prober.Wait()
	s.run("pkill -f '[E]POCHREALTIME' || true")
	_ = file.Close()
	text, err := os.ReadFile(log)
	if err != nil {
		s.t.Fatal(err)
	}
	last := 0.0
	for _, line := range strings.Fields(string(text)) {
		at, err := strconv.ParseFloat(line, 64)
		if err != nil {
			s.t.Fatal(err)
		}
		if last > 0 {
			outage = max(outage, time.Duration((at-last)*1e9))
		}
		last = at
	}
	if last == 0 {
		s.t.Fatal("the service has never answered")
	}
	return took, outage
}

// The table of docs/benchmarks.md: make bench-deploy.
func TestTableOfDeploys(t *testing.T) {
	const minHealthy = 5 * time.Second
	s := newSite(t)
	if err := errors.Join(os.Mkdir(filepath.Join(s.folder, "deploy"), 0o755), os.WriteFile(filepath.Join(s.folder, "deploy", "docker.env"), []byte("DOCKER_ARGS=--network=host\n"), 0o644)); err != nil {
		t.Fatal(err)
	}
	host := &timedMachine{Machine: s.Container}
	cloud.AddInstance(localaws.Instance{ID: instanceID, Name: "bench", Machine: host})
	flags := []string{"--mode=service", `--image-command=["--serve"]`, "--health-url=http://127.0.0.1:8080/health", "--min-healthy-time=" + minHealthy.String()}
	rows := []string{"deploy of a service, until it is verified", "  of that the instance's own work", "  of that its minimum healthy time", "  the rest: push, bundle, requests, waiting for SSM",
		"downtime of the service during a deploy", "rollback of a service, until it is verified", "downtime of the service during a rollback"}
	times := make([][]time.Duration, len(rows))
	deploy := func(version string) {
		if log, outputs, err := s.runAction(version, nil, flags...); err != nil || outputs["status"] != "success" {
			t.Fatalf("%v, %v\n%s", err, outputs, log)
		}
	}
	deploy("0.1.0-dev")
	for round := range benchRounds {
		version := fmt.Sprintf("0.1.%d-dev", round+1)
		host.busy = 0
		took, outage := s.measureOutage(func() { deploy(version) })
		busy := host.busy // not of the rollback
		back, outageBack := s.measureOutage(func() {
			if log, outputs, err := s.runAction("", nil, "--operation=rollback"); err != nil || outputs["status"] != "success" {
				t.Fatalf("%v, %v\n%s", err, outputs, log)
			}
		})
		for i, d := range []time.Duration{took, busy, minHealthy, took - busy, outage, back, outageBack} {
			times[i] = append(times[i], d)
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "Medians of %d rounds on one instance of `make e2e`, a container with Debian's systemd, Docker 20.10 and AWS CLI, on %d cores with %s. The image is already on the instance; AWS is emulated on the same machine.\n\n| | median | fastest | slowest |\n|---|---:|---:|---:|\n",
		benchRounds, runtime.GOMAXPROCS(0), runtime.Version())
	for i, row := range rows {
		slices.Sort(times[i])
		fmt.Fprintf(&b, "| %s | %.1f s | %.1f s | %.1f s |\n", strings.Replace(row, "  ", "&nbsp;&nbsp;", 1), times[i][benchRounds/2].Seconds(), times[i][0].Seconds(), times[i][benchRounds-1].Seconds())
	}
	if err := table.Rewrite("../../docs/benchmarks.md", "deploy", b.String()); err != nil {
		t.Fatal(err)
	}
}
