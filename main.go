// atta-deploy-action takes a built container image and a version, and leaves EC2
// instances provably running it, or says which do not.
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

	"github.com/org/atta-deploy-action/internal/action"
	"github.com/org/atta-deploy-action/internal/clients"
	"github.com/org/atta-deploy-action/internal/report"
	"github.com/org/atta-deploy-action/internal/rollout"
)

//go:embed action.yml
var definition []byte

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, action.New(githubactions.New()), os.Environ(), os.Args)
	stop()
	if err != nil {
		os.Exit(1)
	}
}

// run does what the inputs ask for, or tidies up after that. What goes wrong is reported here, once.
func run(ctx context.Context, gh *action.Action, environ, args []string) error {
	inputs, err := action.ParseDefinition(definition)
	if err != nil {
		gh.Fail("Bad action.yml", "%v", err)
		return err
	}
	in, err := inputs.Read(environ, args[1:])
	if errors.Is(err, action.ErrHelp) {
		fmt.Print(inputs.Help())
		return nil
	}
	if err != nil {
		gh.Fail("Bad inputs", "%v", err)
		return errors.Join(err, gh.Output("status", string(rollout.Failed)))
	}
	ctx, stop := context.WithTimeout(ctx, in.Time.Run)
	defer stop()
	account, err := clients.New(ctx, in, gh)
	if err != nil {
		gh.Fail("Bad AWS configuration", "%v", err)
		return err
	}
	result, err := rollout.Run(ctx, clients.Plan(in, gh, strings.HasSuffix(args[0], "-post")), account, gh)
	return errors.Join(err, report.Publish(gh, result, err, in.Sight.StepSummary))
}
