package host_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"al.essio.dev/pkg/shellescape"
	"github.com/google/go-cmp/cmp"

	"github.com/org/atta-deploy-action/deploy"
	"github.com/org/atta-deploy-action/localaws"
	"github.com/org/atta-deploy-action/localaws/sample"
)

// deployments counts, so that each has its own id.
var deployments atomic.Int64

// instance is what a scenario runs on: a folder with stand-ins, or a container with
// real systemd and Docker.
type instance interface {
	localaws.Machine
	Reboot(ctx context.Context) error
}

// machine is an instance, seen as the host of one service. Its repository and its
// bucket have its name. Its scripts find "/" in ATTA_ROOT, which is empty in a container.
type machine struct {
	instance
	t             *testing.T
	name          string
	service       string
	healthTimeout string // in seconds
	port          string // free, for a service to listen on
	engine        string // the name of the recipe, of a container
}

// answer is what comes back from a command.
type answer struct {
	deploy.Report
	exit           int
	stdout, stderr string
}

// isPodman reports whether the engine is podman, whose words for errors and events differ.
func (m machine) isPodman() bool { return m.engine == "podman" }

// deploy sends the command that deploys a version of atta and reads its answer.
func (m machine) deploy(version string, changes ...change) answer {
	m.t.Helper()
	return m.parse(m.attempt(version, changes...))
}

// attempt sends that command, which may be killed before it answers.
func (m machine) attempt(version string, changes ...change) answer {
	m.t.Helper()
	a := m.prepare(version, changes...)
	return m.sh(script(a.args), a.env...)
}

// prepare puts a version's image and bundle where its command finds them.
func (m machine) prepare(version string, changes ...change) *attempt {
	m.t.Helper()
	a := &attempt{own: map[string]string{}, program: program, parameters: map[string]string{}, image: []sample.Option{sample.WithVersion(version)}}
	for _, change := range changes {
		change(a)
	}
	b := m.build(version, a.own, a.mode)
	content := b.Content
	if a.bundle != nil {
		content = a.bundle(b)
	}
	key := "bundles/" + m.service + "/deploy-bundle-" + version + ".tar.gz"
	m.put(key, content)
	parameters := map[string]string{
		"service": m.service, "version": version, "region": "us-east-1", "deployment": fmt.Sprintf("to-%s-%d", strings.ReplaceAll(version, ".", "-"), deployments.Add(1)),
		"bundle": "s3://" + m.name + "/" + key, "sha256": b.SHA256, "image": "",
		"not-after": fmt.Sprint(time.Now().Add(time.Hour).Unix()), "health-timeout": m.healthTimeout, "allow-downgrade": "false",
		"image-bytes": "0", "allow-quarantined": "false", "rollback": "false", "on-running": "wait", "drain-timeout": "20", "run-on-deploy": "true",
		"min-healthy-time": "1", "keep-releases": "5",
	}
	maps.Copy(parameters, a.parameters)
	if parameters["image"] == "" {
		parameters["image"] = m.pushProgram(a.program, a.image...)
	}
	a.args = []string{"deploy"}
	for _, name := range slices.Sorted(maps.Keys(parameters)) {
		a.args = append(a.args, "--"+name+"="+parameters[name])
	}
	return a
}

// check sends the preflight of a deploy alone.
func (m machine) check(version string, changes ...change) answer {
	m.t.Helper()
	a := m.prepare(version, append(changes, parameter("deployment", "d-check"))...)
	a.args[0] = "check"
	return m.send(a.args, a.env...)
}

// status sends the command that only asks.
func (m machine) status() answer {
	m.t.Helper()
	return m.send([]string{"status", "--service=atta", "--deployment=ask"})
}

// send runs bootstrap.sh as a command does and reads the first line of its answer.
func (m machine) send(args []string, env ...string) answer {
	m.t.Helper()
	return m.read(script(args), env...)
}

func script(args []string) string {
	return strings.Join([]string{"#!/bin/bash", "set -- " + shellescape.QuoteCommand(args), deploy.Bootstrap}, "\n")
}

// read runs a script whose first line of output is a result.
func (m machine) read(script string, env ...string) answer {
	m.t.Helper()
	return m.parse(m.sh(script, env...))
}

// parse reads the result line of an answer and compares what it claims with what really ran.
func (m machine) parse(a answer) answer {
	m.t.Helper()
	a = m.readResult(a)
	if a.Outcome == deploy.OutcomeDeployed || a.Outcome == deploy.OutcomeUnchanged {
		m.checkClaim(a)
	}
	return a
}

func (m machine) readResult(a answer) answer {
	m.t.Helper()
	first, _, _ := strings.Cut(a.stdout, "\n")
	text, ok := strings.CutPrefix(first, "ATTA_RESULT ")
	if !ok || json.Unmarshal([]byte(text), &a.Report) != nil || len(first) >= 2000 {
		m.t.Fatalf("no result line first\n--- stdout\n%.3000s\n--- stderr\n%.3000s", a.stdout, a.stderr)
	}
	if int(a.Code) != a.exit {
		m.t.Errorf("the line says %d, the exit status is %d", a.Code, a.exit)
	}
	return a
}

// engineEvent is what the engine has written down of a container of the unit's name: that it was
// started, or has ended.
type engineEvent struct {
	image string // as it was named
	ended bool
	exit  string // exit status
}

// checkClaim fails the test unless what an answer says it has seen agrees with what really
// ran, which no script has written down.
func (m machine) checkClaim(a answer) {
	m.t.Helper()
	events, found := m.engineEvents(), false
	for i, event := range events {
		if !strings.HasSuffix(event.image, "@"+a.Digest) {
			continue
		}
		switch a.Evidence {
		case deploy.EvidenceRunning:
			found = found || !event.ended && i == len(events)-1
		case deploy.EvidenceAtWork: // when the host looked
			found = found || !event.ended
		case deploy.EvidenceSucceeded: // a timer may have begun the next run
			found = found || event.ended && event.exit == "0"
		}
	}
	if a.Evidence != deploy.EvidenceNotRun && !found {
		m.t.Errorf("%s claims %s with %q, and the engine has seen %+v", a.Outcome, a.Version, a.Evidence, events)
	}
}

func (m machine) sh(script string, env ...string) answer {
	m.t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(m.t.Context()), 2*time.Minute)
	defer cancel()
	exit := m.Run(ctx, script, env)
	return answer{exit: exit.Code, stdout: string(exit.Stdout), stderr: string(exit.Stderr)}
}

// run executes a script, in which $s is the service.
func (m machine) run(script string) answer {
	m.t.Helper()
	return m.sh("#!/bin/bash\n"+script, "s="+m.service)
}

// output runs a script that must succeed and returns what it prints.
func (m machine) output(script string) string {
	m.t.Helper()
	a := m.run(script)
	if a.exit != 0 {
		m.t.Fatalf("%s: exit %d\n%s%s", script, a.exit, a.stdout, a.stderr)
	}
	return strings.TrimSpace(a.stdout)
}

// byHand runs the installed release's script as an operator does.
func (m machine) byHand(arguments string, env ...string) answer {
	m.t.Helper()
	return m.sh("exec $ATTA_ROOT/opt/"+m.service+"/current/deploy/ec2_deploy.sh "+arguments, env...)
}

// want fails the test unless the script prints this.
func (m machine) want(script, want string) {
	m.t.Helper()
	if got := m.output(script); got != want {
		m.t.Errorf("%s: got %q, want %q", script, got, want)
	}
}

// expect fails the test unless the answer is this one, with a message that holds part.
func (m machine) expect(a answer, outcome deploy.Outcome, code deploy.ExitCode, part string) {
	m.t.Helper()
	if a.Outcome != outcome || a.exit != int(code) || !strings.Contains(a.Message, part) {
		m.t.Fatalf("got %s %d %q\nwant %s %d …%s…\n--- stderr\n%s", a.Outcome, a.exit, a.Message, outcome, code, part, a.stderr)
	}
}

// deployed deploys a version that must be healthy.
func (m machine) deployed(version string, changes ...change) answer {
	m.t.Helper()
	a := m.deploy(version, changes...)
	m.expect(a, "deployed", 0, version)
	return a
}

func (m machine) same(before, after any) {
	m.t.Helper()
	if diff := cmp.Diff(before, after); diff != "" {
		m.t.Errorf("the host has changed (-before +after):\n%s", diff)
	}
}
