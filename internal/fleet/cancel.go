package fleet

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"golang.org/x/sync/errgroup"
)

// cancelTimeout limits the time to cancel all commands, and maxParallelCancels the number of concurrent requests.
const (
	cancelTimeout      = 3 * time.Second
	maxParallelCancels = 10
)

// cancelAll cancels the commands of a run that have not ended on every instance.
func (f *Fleet) cancelAll(ctx context.Context, run *Run) error {
	var ids []string
	for _, c := range run.commands {
		if len(c.open) > 0 {
			ids = append(ids, c.id)
		}
	}
	return f.Cancel(ctx, ids...)
}

// Cancel asks SSM to cancel commands, even if ctx has already ended. A running script is
// killed with SIGKILL; an instance that has not started it never does.
// https://docs.aws.amazon.com/systems-manager/latest/userguide/cancel-run-command.html
func (f *Fleet) Cancel(ctx context.Context, ids ...string) error {
	ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), cancelTimeout)
	defer stop()
	problems := make([]error, len(ids))
	var group errgroup.Group
	group.SetLimit(maxParallelCancels)
	for i, id := range ids {
		group.Go(func() error {
			if _, err := f.ssm.CancelCommand(ctx, &ssm.CancelCommandInput{CommandId: &id}); err != nil {
				problems[i] = fmt.Errorf("cancel command %s: %w", id, err)
			}
			return nil
		})
	}
	_ = group.Wait()
	return errors.Join(problems...)
}

// CancelIfCommented cancels those of the commands whose comment has one of the words. Any
// other command is left alone and is an error.
func (f *Fleet) CancelIfCommented(ctx context.Context, words []string, ids ...string) error {
	asking, stop := context.WithTimeout(context.WithoutCancel(ctx), cancelTimeout)
	defer stop()
	var own []string
	var problems []error
	for _, id := range ids {
		out, err := f.ssm.ListCommands(asking, &ssm.ListCommandsInput{CommandId: &id})
		switch {
		case err != nil:
			problems = append(problems, fmt.Errorf("look up command %s: %w", id, err))
		case !slices.ContainsFunc(out.Commands, func(c types.Command) bool {
			return slices.ContainsFunc(strings.Fields(aws.ToString(c.Comment)), func(word string) bool { return slices.Contains(words, word) })
		}):
			problems = append(problems, fmt.Errorf("command %s is not one of %s, and was not cancelled", id, words[0]))
		default:
			own = append(own, id)
		}
	}
	return errors.Join(append(problems, f.Cancel(ctx, own...))...)
}

// findCopies returns the ids of copies of a run's command c that SSM accepted and whose response was lost.
func (f *Fleet) findCopies(ctx context.Context, run *Run, c *sentCommand) (ids []string) {
	ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), cancelTimeout)
	defer stop()
	for info, err := range f.commandsSince(ctx, run.command.Document, c.requestedAt.Add(-f.delivery)) {
		if err != nil {
			return ids // copies that are not found end at their own timeouts
		}
		if id := aws.ToString(info.CommandId); aws.ToString(info.Comment) == c.comment && id != c.id {
			ids = append(ids, id)
		}
	}
	return ids
}

// commandsSince lists the account's commands with a document sent after since, by SSM's clock.
func (f *Fleet) commandsSince(ctx context.Context, document Document, since time.Time) func(func(types.Command, error) bool) {
	return func(yield func(types.Command, error) bool) {
		pages := ssm.NewListCommandsPaginator(f.ssm, &ssm.ListCommandsInput{
			MaxResults: aws.Int32(50),
			Filters: []types.CommandFilter{
				{Key: types.CommandFilterKeyInvokedAfter, Value: aws.String(since.UTC().Format(time.RFC3339))},
				{Key: types.CommandFilterKeyDocumentName, Value: aws.String(cmp.Or(document.Name, RunShellScript))},
			},
		})
		for pages.HasMorePages() {
			if err := f.waitForRateLimit(ctx); err != nil {
				yield(types.Command{}, err)
				return
			}
			page, err := pages.NextPage(ctx)
			if err != nil {
				yield(types.Command{}, err)
				return
			}
			for _, info := range page.Commands {
				if !yield(info, nil) {
					return
				}
			}
		}
	}
}
