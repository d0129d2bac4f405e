//go:build bench

package rollout_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/org/atta-deploy-action/localaws"
	"github.com/org/atta-deploy-action/localaws/sample"
	"github.com/org/atta-deploy-action/localaws/simhost"
	"github.com/org/atta-deploy-action/test/table"
)

// programMemory is the most memory, in MiB, that the action's own program takes for a whole
// deploy to so many instances of a loopback AWS, which change at once.
func programMemory(t *testing.T, hosts int) int {
	dir := t.TempDir()
	program := filepath.Join(dir, "program")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, "../..").CombinedOutput(); err != nil {
		t.Fatalf("build action: %v\n%s", err, out)
	}
	image, err := sample.NewImage("scale_test.go") // simulated instances run nothing
	if err != nil {
		t.Fatal(err)
	}
	if err := sample.SaveDockerArchive(filepath.Join(dir, "image.tar"), image, "atta"); err != nil {
		t.Fatal(err)
	}
	server, err := localaws.Start(localaws.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = server.Close() }()
	server.CreateBucket(bucket)
	server.CreateRepository("atta", "MUTABLE")
	for i := range hosts {
		server.AddInstance(localaws.Instance{
			ID: fmt.Sprintf("i-%017x", i), Machine: simhost.New("0.1.0-dev", digestOf("0.1.0-dev")), Tags: map[string]string{"Fleet": "bench"},
		})
	}
	action := exec.CommandContext(t.Context(), program)
	action.Dir = dir
	action.Env = append(server.Env(), "PATH="+dir, "GITHUB_WORKSPACE="+dir, "GITHUB_REPOSITORY=org/atta",
		"INPUT_ENVIRONMENT=dev", "INPUT_VERSION=0.1.1-dev", "INPUT_IMAGE=image.tar", "INPUT_AWS-REGION=us-east-1", "INPUT_TARGET-TAGS=Fleet=bench",
		"INPUT_ECR-REGISTRY="+server.RegistryHost(), "INPUT_ECR-REPOSITORY=atta", "INPUT_DEPLOY-BUCKET="+bucket)
	var log bytes.Buffer
	action.Stdout, action.Stderr = &log, &log
	if err := action.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- action.Wait() }()
	// Not the rusage of Wait, which is no less than this process had when it started that one.
	status, peak := fmt.Sprintf("/proc/%d/status", action.Process.Pid), 0
	for {
		select {
		case err := <-ended:
			if err != nil {
				t.Fatalf("%v\n%s", err, &log)
			}
			return peak >> 10
		case <-time.After(20 * time.Millisecond):
			if text, err := os.ReadFile(status); err == nil {
				_, _ = fmt.Sscanf(highWater.FindString(string(text)), "VmHWM: %d kB", &peak)
			}
		}
	}
}

var highWater = regexp.MustCompile(`VmHWM:\s*\d+ kB`)

// The table of docs/benchmarks.md: make bench-fleet.
func TestTableOfFleets(t *testing.T) {
	var b strings.Builder
	fmt.Fprintf(&b, "Each instance takes %s to change; one wave. Time is virtual and requests are the SDK's own; memory is that of the action's own program, which deploys to as many simulated instances of a loopback AWS in real time, on %s.\n\n", changeTime, runtime.Version())
	b.WriteString("| instances | requests | SendCommand | ListCommands | ListCommandInvocations | DescribeInstanceInformation | S3 | time added | peak memory |\n|---:|---:|---:|---:|---:|---:|---:|---:|---:|\n")
	for _, hosts := range []int{1, 10, 100, 1000, 10000} {
		m := measureDeploy(t, hosts)
		fmt.Fprintf(&b, "| %d | %d | %d | %d | %d | %d | %d | %.1f s | %d MiB |\n", hosts, m.totalCalls(), m.calls["ssm:SendCommand"], m.calls["ssm:ListCommands"],
			m.calls["ssm:ListCommandInvocations"], m.calls["ssm:DescribeInstanceInformation"], m.calls["s3:GetObject"]+m.calls["s3:PutObject"], m.added.Seconds(), programMemory(t, hosts))
	}
	if err := table.Rewrite("../../docs/benchmarks.md", "fleet", b.String()); err != nil {
		t.Fatal(err)
	}
}
