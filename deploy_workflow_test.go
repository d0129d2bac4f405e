package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"
)

const deployWorkflow = ".github/workflows/deploy.yml"

// workflowFile is a workflow of GitHub, as far as these tests read it.
type workflowFile struct {
	On struct {
		Call struct {
			Inputs map[string]struct {
				Description, Default string
			}
		} `yaml:"workflow_call"`
	}
	Jobs map[string]struct {
		If          string
		Environment yaml.Node
		Concurrency yaml.Node
		Outputs     map[string]string
		Steps       []workflowStep
	}
}

type workflowStep struct {
	Name, ID, If, Uses, Run string
	Env, With               map[string]string
}

func decodeWorkflow(t *testing.T, node *yaml.Node) (w workflowFile) {
	t.Helper()
	if err := node.Decode(&w); err != nil {
		t.Fatal(err)
	}
	return w
}

// parseDeployWorkflow returns the reusable workflow.
func parseDeployWorkflow(t *testing.T) workflowFile {
	t.Helper()
	return decodeWorkflow(t, workflows(t)[deployWorkflow])
}

// GitHub Enterprise Server understands neither anchors nor aliases.
func TestWorkflowsUseNoAnchors(t *testing.T) {
	var check func(file string, node *yaml.Node)
	check = func(file string, node *yaml.Node) {
		if node.Anchor != "" || node.Kind == yaml.AliasNode {
			t.Errorf("%s:%d uses an anchor", file, node.Line)
		}
		for _, child := range node.Content {
			check(file, child)
		}
	}
	for file, document := range workflows(t) {
		check(file, document)
	}
}

// Deploys and rollbacks of one service to one environment wait in one line, and none of them is dropped.
func TestDeploysAndRollbacksQueue(t *testing.T) {
	counted := 0
	for file, document := range workflows(t) {
		for name, job := range decodeWorkflow(t, document).Jobs {
			var c struct {
				Group, Queue string
				Cancel       bool `yaml:"cancel-in-progress"`
			}
			if err := job.Concurrency.Decode(&c); job.Concurrency.Kind != 0 && err != nil {
				t.Errorf("job %s of %s has the concurrency %s", name, file, job.Concurrency.Value)
			}
			if c.Queue != "" && c.Queue != "max" || c.Queue == "max" && c.Cancel {
				t.Errorf("job %s of %s has queue %q, cancel-in-progress %v", name, file, c.Queue, c.Cancel)
			}
			changes := slices.ContainsFunc(job.Steps, func(s workflowStep) bool {
				return s.Uses == self && (s.With["operation"] == "rollback" || s.With["operation"] == "" && s.With["phases"] != "bundle")
			})
			if !changes {
				continue
			}
			counted++
			service := strings.Contains(c.Group, "github.event.repository.name") || strings.Contains(c.Group, "-atta-")
			if strings.HasPrefix(file, "examples/services/") { // which chooses the service by the environment
				service = strings.Contains(c.Group, "-${{ endsWith(inputs.environment, '-web') && 'web' || 'report' }}-")
			}
			if !service || !strings.Contains(c.Group, "inputs.environment") || c.Queue != "max" {
				t.Errorf("job %s of %s has the concurrency group %q, queue %q", name, file, c.Group, c.Queue)
			}
		}
	}
	if counted < 5 {
		t.Errorf("%d jobs deploy or roll back", counted)
	}
}

// GitHub empties an output of a job that has the text of a secret, as a URI has those of a repository and a region:
// https://github.com/harvard-lil/h2o/pull/2145
func TestCaseNoJobPassesAnOutputThatMayHaveTheTextOfASecret(t *testing.T) {
	passed := 0
	for file, document := range workflows(t) {
		for name, job := range decodeWorkflow(t, document).Jobs {
			for output := range job.Outputs {
				passed++
				if strings.HasSuffix(output, "-uri") || slices.Contains([]string{"results", "failed-instances", "console-url", "command-ids"}, output) {
					t.Errorf("job %s of %s passes %s", name, file, output)
				}
			}
		}
	}
	if passed < 4 {
		t.Errorf("%d outputs are passed", passed)
	}
}

// With required reviewers, each job that uses the environment asks for an approval.
func TestDeployWorkflowAsksForOneApproval(t *testing.T) {
	asking := 0
	for name, job := range parseDeployWorkflow(t).Jobs {
		if job.If == "" {
			asking++
		} else if job.If != "inputs.separate-jobs" {
			t.Errorf("job %s runs if %s", name, job.If)
		}
		var environment struct{ URL string }
		if name != "bundle" && (job.Environment.Decode(&environment) != nil || environment.URL != "${{ inputs.environment-url }}") {
			t.Errorf("job %s shows the URL %q", name, environment.URL)
		}
	}
	if asking != 1 {
		t.Errorf("%d jobs run by default", asking)
	}
}

// A new input of the action is either passed on, or named here with the reason.
func TestDeployWorkflowPassesInputsOn(t *testing.T) {
	called, page := parseDeployWorkflow(t).On.Call.Inputs, readFile(t, "docs/workflows.md")
	own := []string{ // set by the workflow, or not for a workflow that builds from a Dockerfile
		"operation", "dry-run", "phases", "image-digest", "bundle-sha256", "fail-on-drift", "step-summary", "role-session-name", "role-external-id",
		"aws-region", "role-to-assume", "ecr-registry", "ecr-repository", "deploy-bucket", "instance-ids", "document-name", "log-group", // variables
		"image-files", "image-platforms", "image-entrypoint", "image-command", "image-env", "image-user", "image-workdir", "image-labels",
	}
	var want []string
	for _, input := range parseActionYML(t).Inputs {
		if slices.Contains(own, input.Name) {
			continue
		}
		want = append(want, input.Name)
		if in, ok := called[input.Name]; !ok || in.Default != "" {
			t.Errorf("deploy.yml has the input %s: %v, with default %q; defaults are in action.yml only", input.Name, ok, in.Default)
		}
		passed := 0
		for _, job := range parseDeployWorkflow(t).Jobs {
			for _, step := range job.Steps {
				if strings.HasPrefix(step.With[input.Name], "${{ inputs."+input.Name+" ") {
					passed++
				}
			}
		}
		atLeast := 2 // with and without separate-jobs
		if slices.Contains([]string{"image", "create-repository", "compression"}, input.Name) {
			atLeast = 1 // one step pushes the image in both
		}
		if passed < atLeast {
			t.Errorf("deploy.yml passes %s on %d times, want %d", input.Name, passed, atLeast)
		}
		if !strings.Contains(page, "`"+input.Name+"`") {
			t.Errorf("docs/workflows.md does not name the input %s", input.Name)
		}
	}
	for name, input := range called {
		if row := "\n| `" + name + "` | "; !slices.Contains(want, name) && (input.Description == "" || !strings.Contains(page, row)) {
			t.Errorf("docs/workflows.md has no row %s", row)
		}
	}
}

var (
	variable = regexp.MustCompile(`\bvars\.([A-Z0-9_]+)( \|\| secrets\.([A-Z0-9_]+))?`)
	ofOneJob = regexp.MustCompile(`^(AWS_[A-Z]+_ROLE_ARN|SSM_[A-Z]+_DOCUMENT)$`)
)

// Many teams keep these values as secrets; docs/workflows.md lists them with the inputs that they set.
func TestVariablesMayBeSecrets(t *testing.T) {
	page := readFile(t, "docs/workflows.md")
	counted := 0
	for file, document := range workflows(t) {
		for _, u := range uses(document) {
			for input, value := range u.With {
				for _, found := range variable.FindAllStringSubmatch(value.Value, -1) {
					counted++
					name, secret := found[1], found[3]
					if ofOneJob.MatchString(name) {
						if !strings.Contains(page, "`"+name+"`") {
							t.Errorf("docs/workflows.md does not name %s", name)
						}
					} else if row := "| `" + name + "` | `" + input + "` |"; secret != name || !strings.Contains(page, row) {
						t.Errorf("%s sets %s to %s; want the secret of the same name too, and the row %s", file, input, value.Value, row)
					}
				}
			}
		}
	}
	if counted < 30 {
		t.Errorf("the workflows use %d variables", counted)
	}
}

// An ordinary Dockerfile gives another image in every build, and a version has one image.
func TestNoExampleBuildsAnImageThatIsPushed(t *testing.T) {
	documented := workflows(t)
	for file, text := range documents(t) {
		for _, block := range yamlBlock.FindAllStringSubmatch(text, -1) {
			var node yaml.Node
			if err := yaml.Unmarshal([]byte(block[1]), &node); err != nil {
				t.Fatal(err)
			}
			var w workflowFile
			if node.Decode(&w) == nil && len(w.Jobs) > 0 {
				documented[file+": "+block[1][:40]] = &node
			}
		}
	}
	builds := 0
	for file, node := range documented {
		for _, job := range decodeWorkflow(t, node).Jobs {
			for _, step := range job.Steps {
				if strings.Contains(step.Run, "docker buildx build") {
					builds++
					if !strings.Contains(step.If, "steps.find.outputs.image-digest == ''") {
						t.Errorf("%s builds in any case, not only when no run has pushed the image of the version", file)
					}
				}
			}
		}
	}
	if builds < 2 {
		t.Errorf("found %d builds", builds)
	}
}

// Runs the build as the runner does, with a docker that records its arguments.
func TestDeployWorkflowBuildsWhatTheInputsSay(t *testing.T) {
	steps := parseDeployWorkflow(t).Jobs["deploy"].Steps
	build := steps[slices.IndexFunc(steps, func(s workflowStep) bool { return s.Name == "Build" })]
	for name := range build.Env {
		if image := build.Env[name]; slices.Contains([]string{"BUILDKIT", "QEMU"}, name) && !regexp.MustCompile(`@sha256:[0-9a-f]{64}$`).MatchString(image) {
			t.Errorf("%s is %s, which is not pinned", name, image)
		}
	}
	output := "--builder\nsome_builder\n--provenance=false\n--output\ntype=oci,dest=image.tar,rewrite-timestamp=true\n"
	for _, test := range []struct {
		name, dockerfile, platforms, args, want string
		emulated                                bool
	}{
		{name: "defaults", want: output},
		{name: "native", platforms: "linux/amd64", want: output + "--platform\nlinux/amd64\n"},
		{name: "arm64", platforms: "linux/arm64", want: output + "--platform\nlinux/arm64\n", emulated: true},
		{name: "all", dockerfile: "my docker/Dockerfile", platforms: "linux/amd64,linux/arm64", args: "A=1 2\n\nB=$(date)\n", emulated: true,
			want: output + "--file\nmy docker/Dockerfile\n--platform\nlinux/amd64,linux/arm64\n--build-arg\nA=1 2\n--build-arg\nB=$(date)\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			write(t, filepath.Join(dir, "docker"), `#!/bin/sh
case "$1 $2" in
  'version --format') echo linux/amd64 ;;
  'buildx create') echo some_builder; echo "$@" >>"$RECORD/others" ;;
  'buildx build') shift 2; printf '%s\n' "$@" >"$RECORD/build" ;;
  *) echo "$@" >>"$RECORD/others" ;;
esac
`)
			if err := os.Chmod(filepath.Join(dir, "docker"), 0o755); err != nil {
				t.Fatal(err)
			}
			script := exec.CommandContext(t.Context(), "bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", build.Run)
			script.Env = append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"), "RECORD="+dir, "CONTEXT=-app", "DOCKERFILE="+test.dockerfile,
				"PLATFORMS="+test.platforms, "BUILD_ARGS="+test.args, "BUILDKIT="+build.Env["BUILDKIT"], "QEMU="+build.Env["QEMU"])
			if out, err := script.CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			if diff := cmp.Diff(test.want+"--\n-app\n", readFile(t, filepath.Join(dir, "build"))); diff != "" {
				t.Error(diff)
			}
			others := readFile(t, filepath.Join(dir, "others"))
			if !strings.Contains(others, "image="+build.Env["BUILDKIT"]) || strings.Contains(others, build.Env["QEMU"]) != test.emulated || !strings.HasSuffix(others, "buildx rm --force some_builder\n") {
				t.Errorf("docker was called with %s", others)
			}
		})
	}
}
