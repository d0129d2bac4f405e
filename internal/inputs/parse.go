package inputs

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/org/atta-deploy-action/internal/release"
)

// Read returns the inputs, each from the arguments (--name=value), or else the environment (INPUT_<NAME>), or else the
// default in the definition; empty counts as unset. The error lists every problem, one per line, naming the input. It is
// ErrHelp if the arguments contain --help or -h.
func (d Definition) Read(environ, args []string) (Inputs, error) {
	values, problems := d.collectValues(environ, args)
	if slices.Contains(problems, ErrHelp) {
		return Inputs{}, ErrHelp
	}
	p := &parser{values: values, requested: map[string]bool{}, problems: problems}
	env := environMap(environ)
	inputs := p.parseInputs(env)
	if p.lacksInput && env["GITHUB_ACTIONS"] == "true" {
		p.problems = append(p.problems, errNotSeen)
	}
	if err := errors.Join(p.problems...); err != nil {
		return Inputs{}, err
	}
	return inputs, nil
}

// errNotSeen is why an input that a workflow sets may be empty: https://github.com/actions/runner/issues/1490
var errNotSeen = errors.New("if a variable or a secret sets what is missing, the job does not see it: it has to belong to the job's GitHub environment or to the repository, and secrets reach a reusable workflow only with secrets: inherit, within one organization or enterprise")

func (p *parser) parseInputs(env map[string]string) Inputs {
	task, rollout := p.parseTask(env), p.parseRollout()
	return Inputs{
		Task:      task,
		Identity:  p.parseIdentity(env),
		Image:     p.parseImage(task, env["GITHUB_WORKSPACE"]),
		Bundle:    p.parseBundle(task, env["GITHUB_WORKSPACE"]),
		Targets:   p.parseTargets(task),
		Rollout:   rollout,
		Timeouts:  p.parseTimeouts(task, rollout.Policy),
		Reporting: Reporting{StepSummary: p.parseBool("step-summary"), LogGroup: p.parseText("log-group", logGroup), FailOnDrift: p.parseBool("fail-on-drift")},
	}
}

func (p *parser) parseTask(env map[string]string) Task {
	operation := p.parseText("operation", oneOf("deploy", "rollback", "status", "plan", "doctor"))
	task := Task{Operation: operation, DryRun: p.parseBool("dry-run")}
	if operation == "plan" {
		task.Operation, task.DryRun = "deploy", true
	}
	version := p.rawValue("version")
	if task.Operation == "deploy" && version == "" {
		version, _ = release.VersionFromRef(env["GITHUB_REF_TYPE"], env["GITHUB_REF_NAME"])
	}
	if task.Operation == "status" || task.Operation == "doctor" {
		version = "" // the tag that triggered the workflow does not say what should be running
	}
	_, repository, _ := strings.Cut(env["GITHUB_REPOSITORY"], "/")
	service, environment := cmp.Or(p.rawValue("service"), repository), p.rawValue("environment")
	var err error
	if task.Operation == "deploy" || version != "" {
		task.Release, err = release.New(service, environment, version)
	} else {
		task.Release, err = release.Unversioned(service, environment)
	}
	if err != nil {
		p.problems = append(p.problems, err)
	}
	if task.Operation == "deploy" && version == "" && environment != "" && env["GITHUB_REF_TYPE"] == "branch" {
		p.problems = append(p.problems, fmt.Errorf("the run was started for the branch %.60q, and not for the tag of a version, as with gh workflow run --ref 0.1.30-%s", env["GITHUB_REF_NAME"], environment))
	}
	phases := p.parseList("phases", oneOf("image", "bundle", "rollout"))
	task.Phases = Phases{
		Image:   slices.Contains(phases, "image"),
		Bundle:  slices.Contains(phases, "bundle"),
		Rollout: slices.Contains(phases, "rollout"),
	}
	if task.Operation != "deploy" {
		task.Phases = Phases{Rollout: true}
	}
	return task
}

func (p *parser) parseIdentity(env map[string]string) Identity {
	// The variables that the SDK reads and configure-aws-credentials sets.
	if p.rawValue("aws-region") == "" {
		p.values["aws-region"] = cmp.Or(env["AWS_REGION"], env["AWS_DEFAULT_REGION"])
	}
	p.requireInput("aws-region", region.description)
	if p.rawValue("role-to-assume") == "" {
		p.forbidInput("role-external-id", "role-to-assume is not set")
	}
	return Identity{
		Region:            p.parseText("aws-region", region),
		Role:              p.parseText("role-to-assume", role),
		SessionName:       cmp.Or(p.parseText("role-session-name", sessionName), defaultSessionName(env)),
		SessionDuration:   time.Duration(p.parseInt("role-duration-seconds", 900, 43200)) * time.Second,
		ExternalID:        p.parseText("role-external-id", externalID),
		Audience:          p.parseText("audience", audience),
		AllowedAccountIDs: p.parseList("allowed-account-ids", accountID),
	}
}

// maxSessionName is the limit of STS:
// https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html
const maxSessionName = 64

// defaultSessionName names the repository and the workflow run, so that CloudTrail shows which run made a call. A long
// repository is cut off, since the ID of the run is enough to find it.
func defaultSessionName(env map[string]string) string {
	repository, id := env["GITHUB_REPOSITORY"], env["GITHUB_RUN_ID"]
	if repository == "" || id == "" {
		return "atta-deploy-action"
	}
	name := strings.Map(func(char rune) rune {
		if sessionName.matches("__" + string(char)) {
			return char
		}
		return '-'
	}, repository)
	id = "-" + id
	if name = name[:min(len(name), max(0, maxSessionName-len(id)))] + id; !sessionName.matches(name) {
		return "atta-deploy-action"
	}
	return name
}

func environMap(environ []string) map[string]string {
	env := map[string]string{}
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		env[name] = value
	}
	return env
}
