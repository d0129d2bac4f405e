package rollout

import (
	"crypto/rand"
	"strings"
	"time"

	"github.com/org/atta-deploy-action/internal/inputs"
	"github.com/org/atta-deploy-action/internal/lease"
	"github.com/org/atta-deploy-action/internal/release"
)

// Operation is what a run is for.
type Operation string

// The operations. Deploy and Rollback change what the instances run, Status and Doctor only ask, and
// CleanUp finishes what an interrupted run could not.
const (
	Deploy   Operation = "deploy"
	Rollback Operation = "rollback"
	Status   Operation = "status"
	Doctor   Operation = "doctor"
	CleanUp  Operation = "clean-up"
)

// Plan is what one run is to do.
type Plan struct {
	Operation    Operation
	DryRun       bool            // only reports what would be done
	Release      release.Release // without a version in a status, and in a rollback until its target is resolved
	DeploymentID string
	Region       string
	Phases       inputs.Phases
	Image        inputs.Image
	Bundle       inputs.Bundle
	Targets      inputs.Targets
	Rollout      inputs.Rollout
	Time         inputs.Timeouts
	FailOnDrift  bool         // in a status
	Holder       lease.Holder // this run, for others that wait for the lease
	Deadline     time.Time    // the end of the run: no instance starts the command later
	Commit       string       // of the workflow run; may be empty
	Tag          string       // whose push, or choice, has started the run; may be empty
	Leftover     Leftover     // in a clean-up
}

// Leftover is what an earlier step of the job saved about its run; all of it may be empty.
type Leftover struct {
	Deployment string
	Lock       string   // the token of the lease
	Commands   []string // the ids of those it has sent
	Ended      Outcome  // of a run that came to its end
	Finished   bool     // nothing is left to do
}

func readLeftover(by Workflow) Leftover {
	return Leftover{
		Deployment: by.State(stateDeployment), Lock: by.State(stateLock), Finished: by.State(stateFinished) == "true",
		Commands: strings.FieldsFunc(by.State(stateCommands), func(c rune) bool { return c == ',' }), Ended: Outcome(by.State(stateEnded)),
	}
}

func (l Leftover) isEmpty() bool { return l.Finished || l.Deployment == "" }

// NothingToCleanUp reports whether the main step has left nothing for the post step, and says so in the log.
func NothingToCleanUp(step interface {
	Workflow
	Console
}) bool {
	empty := readLeftover(step).isEmpty()
	if empty {
		step.Info("nothing to clean up")
	}
	return empty
}

// Workflow names who started the run, as far as that is known.
type Workflow interface {
	Repository() string
	RunURL() string
	Actor() string
	Commit() string
	Tag() string
	State(name string) string
}

// NewPlan is what the inputs ask for, as one deployment that starts now. In the post step
// it is to clean up after the deployment of the main step.
func NewPlan(in inputs.Inputs, by Workflow, post bool) Plan {
	now := time.Now()
	rel := in.Task.Release
	id := now.UTC().Format("20060102T150405Z") + "-" + strings.ToLower(rand.Text()[:8])
	plan := Plan{
		Operation:    Operation(in.Task.Operation),
		DryRun:       in.Task.DryRun,
		Release:      rel,
		DeploymentID: id,
		Region:       in.Identity.Region,
		Phases:       in.Task.Phases,
		Image:        in.Image,
		Bundle:       in.Bundle,
		Targets:      in.Targets,
		Rollout:      in.Rollout,
		Time:         in.Timeouts,
		FailOnDrift:  in.Reporting.FailOnDrift,
		Holder:       lease.Holder{Deployment: id, Version: rel.Version.String(), Repository: by.Repository(), RunURL: by.RunURL(), Actor: by.Actor()},
		Deadline:     now.Add(in.Timeouts.Run),
		Commit:       by.Commit(),
		Tag:          by.Tag(),
	}
	if post {
		plan.Operation = CleanUp
		plan.Leftover = readLeftover(by)
	}
	return plan
}

// The names under which the main step saves its state for the post step.
const (
	stateDeployment = "deployment"
	stateLock       = "lock"
	stateCommands   = "commands"
	stateEnded      = "ended"
	stateFinished   = "finished"
)
