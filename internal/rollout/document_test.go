package rollout_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"github.com/org/atta-deploy-action/deploy"
	"github.com/org/atta-deploy-action/internal/inputs"
	"github.com/org/atta-deploy-action/internal/rollout"
	"github.com/org/atta-deploy-action/localaws/simhost"
)

// createDocuments creates the documents of the service, deploy-atta-dev and so on.
func (f *fixture) createDocuments() {
	f.t.Helper()
	for _, use := range []deploy.DocumentUse{deploy.DocumentForDeploy, deploy.DocumentForRollback, deploy.DocumentForStatus} {
		f.createDocument(string(use)+"-atta-dev", deploy.Document("atta", use))
	}
}

func (f *fixture) createDocument(name, content string) {
	f.t.Helper()
	if err := f.CreateDocument(name, content); err != nil {
		f.t.Fatal(err)
	}
}

// sentDocuments lists the document and its version of every command, each once, newest first.
func (f *fixture) sentDocuments() (list []string) {
	f.t.Helper()
	out, err := ssm.NewFromConfig(f.Config()).ListCommands(f.t.Context(), &ssm.ListCommandsInput{MaxResults: aws.Int32(50)})
	if err != nil {
		f.t.Fatal(err)
	}
	for _, command := range out.Commands {
		if name := *command.DocumentName + ":" + *command.DocumentVersion; len(list) == 0 || list[len(list)-1] != name {
			list = append(list, name)
		}
	}
	return list
}

func TestEveryOperationRunsWithItsDocument(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		f.createDocuments()
		ids, hosts := f.addHosts(3, "0.1.28-dev")
		for _, version := range []string{"0.1.29-dev", "0.1.30-dev"} {
			f.buildImage(version)
			plan := f.plan(version, ids...)
			plan.Rollout.Document = "deploy-atta-dev"
			plan.Rollout.Policy.HealthCommand = `test "$(id -u)" = 0`
			if result, err := f.runPlan(plan); err != nil || result.Status != rollout.OutcomeSuccess {
				t.Fatalf("%s: %s, %v", version, result.Status, err)
			}
		}
		plan := f.rollbackPlan("0.1.29-dev", ids...)
		plan.Rollout.Document = "rollback-atta-dev"
		if result, err := f.runPlan(plan); err != nil || installedVersions(hosts) != "0.1.29 0.1.29 0.1.29" {
			t.Errorf("rollback: %s, %v; the hosts run %s", states(result), err, installedVersions(hosts))
		}
		plan = f.statusPlan(ids...)
		plan.Rollout.Document = "status-atta-dev"
		if result, err := f.runPlan(plan); err != nil || states(result) != "i-01 in-sync, i-02 in-sync, i-03 in-sync" {
			t.Errorf("status: %s, %v", states(result), err)
		}
		wantLines(t, "documents", f.sentDocuments(), "status-atta-dev:1", "rollback-atta-dev:1", "deploy-atta-dev:1")
	})
}

func TestDocumentThatCannotBeUsedIsRefusedBeforeAnythingChanges(t *testing.T) {
	const deployDocument, statusDocument = "deploy-atta-dev", "status-atta-dev"
	other := strings.Replace(deploy.Document("atta", deploy.DocumentForDeploy), "umask 022", "umask 000", 1)
	for what, test := range map[string]struct {
		document, content string
		operation         rollout.Operation
		healthCommand     string
		problem           string
	}{
		"no document":         {operation: rollout.Deploy, document: deployDocument, problem: "does not exist in region us-east-1"},
		"no document, status": {operation: rollout.Status, document: deployDocument, problem: "does not exist in region us-east-1"},
		"another script":      {operation: rollout.Deploy, document: deployDocument, content: other, problem: "has another content in version 2 than this version of the action requires for the service atta"},
		"another service":     {operation: rollout.Status, document: deployDocument, content: deploy.Document("web", deploy.DocumentForDeploy), problem: "for the service atta"},
		"another operation": {operation: rollout.Rollback, document: statusDocument, content: deploy.Document("atta", deploy.DocumentForStatus),
			problem: "is for operation: status, not for operation: rollback"},
		"a health command": {operation: rollout.Rollback, document: deployDocument, content: deploy.Document("atta", deploy.DocumentForRollback), healthCommand: "true",
			problem: "does not allow a health-command"},
	} {
		onFixture(t, func(t *testing.T, f *fixture) {
			if test.content != "" {
				f.createDocument(test.document, strings.Replace(test.content, "atta-deploy-action", "first", 1))
				f.createDocument(test.document, test.content)
			}
			ids, _ := f.addHosts(2, "0.1.29-dev")
			plan := f.plan("0.1.30-dev", append(ids, "i-99")...)
			switch test.operation {
			case rollout.Rollback:
				plan = f.rollbackPlan("", append(ids, "i-99")...)
			case rollout.Status:
				plan = f.statusPlan(append(ids, "i-99")...)
			}
			plan.Rollout.Document, plan.Rollout.Policy.HealthCommand = test.document, test.healthCommand
			_, err := f.runPlan(plan)
			var document *rollout.DocumentError
			if !errors.As(err, &document) || document.Name != test.document || !strings.Contains(err.Error(), test.problem) {
				t.Errorf("%s: %v, want %s", what, err, test.problem)
			}
			if test.operation == rollout.Deploy && !strings.Contains(err.Error(), "i-99") {
				t.Errorf("%s: the other problem is not reported: %v", what, err)
			}
			wantLines(t, what, f.mutatingRequests())
		})
	}
}

// An update during a run does not change what the run sends.
func TestRunSendsTheVersionOfTheDocumentThatItHasChecked(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		f.createDocuments()
		ids, hosts := f.addHosts(2, "0.1.29-dev")
		started := make(chan struct{}, 2)
		hosts[0].NextBehavior = func(string) (b simhost.Behavior) {
			started <- struct{}{}
			b.Duration = 20 * time.Second
			return b
		}
		go func() {
			<-started
			if err := f.CreateDocument("deploy-atta-dev", deploy.Document("web", deploy.DocumentForDeploy)); err != nil {
				t.Error(err)
			}
		}()
		plan := f.plan("0.1.30-dev", ids...)
		plan.Rollout.Document = "deploy-atta-dev"
		plan.Rollout.Waves = []inputs.Wave{{Hosts: 1}, {Percent: 100}}
		if result, err := f.runPlan(plan); err != nil {
			t.Errorf("%s: %v", states(result), err)
		}
		wantLines(t, "documents", f.sentDocuments(), "deploy-atta-dev:1")
	})
}

func TestPostStepUsesTheDocument(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		f.createDocuments()
		ids, hosts := f.addHosts(2, "0.1.29-dev")
		started := make(chan struct{}, 2)
		hosts[0].NextBehavior, hosts[1].NextBehavior = neverEnding(started), neverEnding(started)
		ctx, cancel := context.WithCancelCause(t.Context())
		go func() {
			<-started
			<-started
			cancel(errors.New("interrupt signal received"))
		}()
		plan := f.plan("0.1.30-dev", ids...)
		plan.Rollout.Document = "deploy-atta-dev"
		if result, err := rollout.Run(ctx, plan, f, f.console); err == nil || result.Status != rollout.OutcomeCancelled {
			t.Fatalf("%s: %v", result.Status, err)
		}
		post := f.plan("0.1.30-dev")
		post.Operation, post.DeploymentID, post.Leftover, post.Rollout.Document = rollout.CleanUp, "another", f.console.leftover(), "deploy-atta-dev"
		result, err := f.runPlan(post)
		if err != nil || states(result) != "i-01 rolled-back, i-02 rolled-back" {
			t.Errorf("%s, %v", states(result), err)
		}
		wantLines(t, "documents", f.sentDocuments(), "deploy-atta-dev:1")
	})
}

// A command is cancelled and the lock released even if the document was changed since.
func TestPostStepCancelsWithoutTheDocument(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		f.createDocuments()
		ids, hosts := f.addHosts(1, "0.1.29-dev")
		started := make(chan struct{}, 1)
		hosts[0].NextBehavior = neverEnding(started)
		ctx, cancel := context.WithCancelCause(t.Context())
		go func() {
			<-started
			cancel(errors.New("interrupt signal received"))
		}()
		plan := f.plan("0.1.30-dev", ids...)
		plan.Rollout.Document = "deploy-atta-dev"
		_, _ = rollout.Run(ctx, plan, f, f.console)
		f.createDocument("deploy-atta-dev", deploy.Document("web", deploy.DocumentForDeploy))
		post := f.plan("0.1.30-dev")
		post.Operation, post.DeploymentID, post.Leftover, post.Rollout.Document = rollout.CleanUp, "another", f.console.leftover(), "deploy-atta-dev"
		result, err := f.runPlan(post)
		if !errors.As(err, new(*rollout.DocumentError)) || states(result) != "i-01 unknown" {
			t.Errorf("%s, %v", states(result), err)
		}
		f.holdLock()
		out, err := ssm.NewFromConfig(f.Config()).ListCommands(t.Context(), &ssm.ListCommandsInput{CommandId: aws.String(result.CommandIDs[0])})
		if err != nil || len(out.Commands) != 1 || out.Commands[0].Status != types.CommandStatusCancelled {
			t.Errorf("the command is %+v, %v", out, err)
		}
	})
}
