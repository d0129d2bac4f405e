// atta-deploy-action deploys a built container image to EC2 instances and proves that they run it.
package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/sethvargo/go-githubactions"

	"github.com/org/atta-deploy-action/internal/clients"
	"github.com/org/atta-deploy-action/internal/github"
	"github.com/org/atta-deploy-action/internal/inputs"
	"github.com/org/atta-deploy-action/internal/report"
	"github.com/org/atta-deploy-action/internal/rollout"
)

//go:embed action.yml
var definition []byte

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, github.New(githubactions.New()), os.Environ(), os.Args)
	stop()
	if err != nil {
		os.Exit(1)
	}
}

// run runs the operation in the inputs, or the post step, and reports its error once.
func run(ctx context.Context, gh *github.Action, environ, args []string) error {
	post := strings.HasSuffix(args[0], "-post")
	if post && rollout.NothingToCleanUp(gh) {
		return nil
	}
	actionYML := inputs.MustParseDefinition(definition)
	in, err := actionYML.Read(environ, args[1:])
	if errors.Is(err, inputs.ErrHelp) {
		fmt.Print(actionYML.Help())
		return nil
	}
	if err != nil {
		gh.Fail("Invalid inputs", "%v", err)
		return errors.Join(err, gh.Output("status", string(rollout.OutcomeFailed)))
	}
	ctx, stop := context.WithTimeout(ctx, in.Timeouts.Run)
	defer stop()
	plan := rollout.NewPlan(in, gh, post)
	result := rollout.Result{Plan: plan, Status: rollout.OutcomeFailed}
	account, err := clients.New(ctx, in, gh)
	if err == nil {
		result, err = rollout.Run(ctx, plan, account, gh)
	}
	return errors.Join(err, report.Publish(gh, result, err, in.Reporting.StepSummary))
}
