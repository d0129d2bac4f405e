package rollout_test

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/org/atta-deploy-action/internal/fleet"
	"github.com/org/atta-deploy-action/internal/ledger"
	"github.com/org/atta-deploy-action/internal/localaws"
	"github.com/org/atta-deploy-action/internal/localaws/model"
	"github.com/org/atta-deploy-action/internal/localaws/sample"
	"github.com/org/atta-deploy-action/internal/release"
	"github.com/org/atta-deploy-action/internal/rollout"
)

var table = flag.String("table", "", "rewrite the table of fleets in this file")

// work is how long each instance of a measured fleet takes to change.
const work = 30 * time.Second

// measured is what a deploy to a fleet costs.
type measured struct {
	hosts int
	calls map[string]int
	added time.Duration // over the slowest instance
}

func (m measured) sum() (n int) {
	for _, calls := range m.calls {
		n += calls
	}
	return n
}

func measure(t *testing.T, hosts int) measured {
	m := measured{hosts: hosts, calls: map[string]int{}}
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t, hosts: map[string]*model.Host{}}
		var err error
		if w.server, err = localaws.Start(localaws.Options{InMemory: true}); err != nil {
			t.Fatal(err)
		}
		defer func() { _ = w.server.Close(); time.Sleep(time.Minute) }()
		w.server.CreateBucket(bucket)
		for i := range hosts {
			host := model.New("0.1.0-dev", digestOf("0.1.0-dev"))
			host.Next = func(string) model.Course { return model.Course{Takes: work} }
			id := fmt.Sprintf("i-%08x", i)
			w.ids = append(w.ids, id)
			w.server.AddInstance(localaws.Instance{ID: id, Machine: host})
		}
		rel, err := release.New("atta", "dev", "0.1.1-dev")
		if err != nil {
			t.Fatal(err)
		}
		plan := rollout.Plan{
			Operation: rollout.Deploy, Release: rel, DeploymentID: "d-1", Region: "us-east-1", Rollout: true,
			ImageDigest: digestOf("0.1.1-dev"), BundleSHA256: strings.Repeat("0", 64), BundlePrefix: rel.BundlePrefix(),
			Targets: fleet.Targets{InstanceIDs: w.ids}, MinInstances: 1, Waves: []rollout.Wave{{Percent: 100}}, BackOnFailure: "all",
			Holder: ledger.Holder{Deployment: "d-1"}, CommandTimeout: 10 * time.Minute, Deadline: time.Now().Add(2 * time.Hour),
		}
		r := w.runner(1)
		began := time.Now()
		result, err := rollout.Run(context.Background(), plan, r, r)
		if err != nil || result.Status != rollout.Success {
			t.Fatalf("%s: %v", result.Status, err)
		}
		m.added = time.Since(began) - work
		for _, call := range w.server.Calls() {
			m.calls[call.Operation]++
		}
	})
	return m
}

// programMemory is the most memory, in MiB, that the action's own program takes for a whole
// deploy to so many instances of a loopback AWS, which change at once.
func programMemory(t *testing.T, hosts int) int {
	dir := t.TempDir()
	program := filepath.Join(dir, "program")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, "../..").CombinedOutput(); err != nil {
		t.Fatalf("build action: %v\n%s", err, out)
	}
	image, err := sample.Image("scale_test.go") // simulated instances run nothing
	if err != nil {
		t.Fatal(err)
	}
	if err := sample.SaveDocker(filepath.Join(dir, "image.tar"), image, "atta"); err != nil {
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
			ID: fmt.Sprintf("i-%017x", i), Machine: model.New("0.1.0-dev", digestOf("0.1.0-dev")), Tags: map[string]string{"Fleet": "bench"},
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

func TestCallsGrowWithEveryFiftyInstances(t *testing.T) {
	for _, hosts := range []int{1, 100, 1000} {
		m := measure(t, hosts)
		// Two commands for every fifty, each with one look at its end, and a lookup; and what
		// waiting for the slowest one takes.
		if most := 60 + 7*(hosts+49)/50; m.sum() > most {
			t.Errorf("%d instances: %d requests, want at most %d: %v", hosts, m.sum(), most, m.calls)
		}
	}
}

// The table of docs/benchmarks.md: make bench-fleet.
func TestTableOfFleets(t *testing.T) {
	if *table == "" {
		t.Skip("no file is to be written")
	}
	var b strings.Builder
	fmt.Fprintf(&b, "Each instance takes %s to change; one wave. Time is virtual and requests are the SDK's own; memory is that of the action's own program, which deploys to as many simulated instances of a loopback AWS in real time, on %s.\n\n", work, runtime.Version())
	b.WriteString("| instances | requests | SendCommand | ListCommands | ListCommandInvocations | DescribeInstanceInformation | S3 | time added | peak memory |\n|---:|---:|---:|---:|---:|---:|---:|---:|---:|\n")
	for _, hosts := range []int{1, 100, 1000, 10000} {
		m := measure(t, hosts)
		fmt.Fprintf(&b, "| %d | %d | %d | %d | %d | %d | %d | %.1f s | %d MiB |\n", hosts, m.sum(), m.calls["ssm:SendCommand"], m.calls["ssm:ListCommands"],
			m.calls["ssm:ListCommandInvocations"], m.calls["ssm:DescribeInstanceInformation"], m.calls["s3:GetObject"]+m.calls["s3:PutObject"], m.added.Seconds(), programMemory(t, hosts))
	}
	text, err := os.ReadFile(*table)
	if err != nil {
		t.Fatal(err)
	}
	begin, end := bytes.Index(text, []byte("<!-- fleet -->")), bytes.Index(text, []byte("<!-- /fleet -->"))
	if begin < 0 || end < begin {
		t.Fatalf("%s has no place for the table", *table)
	}
	whole := string(text[:begin]) + "<!-- fleet -->\n" + b.String() + string(text[end:])
	if err := os.WriteFile(*table, []byte(whole), 0o644); err != nil {
		t.Fatal(err)
	}
}
