package fleet

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"
)

type logsAPI interface {
	FilterLogEvents(context.Context, *cloudwatchlogs.FilterLogEventsInput, ...func(*cloudwatchlogs.Options)) (*cloudwatchlogs.FilterLogEventsOutput, error)
}

// Log reads what the scripts of commands with a LogGroup print. The agent uploads it every second, and all of it before SSM
// reports the end of the script.
// https://github.com/aws/amazon-ssm-agent/blob/mainline/agent/framework/processor/executer/iohandler/iomodule/fileS3.go
type Log struct {
	logs  logsAPI
	group string
}

// NewLog returns the log in a log group of CloudWatch Logs.
func NewLog(api logsAPI, group string) *Log { return &Log{logs: api, group: group} }

// Group returns the name of the log group.
func (l *Log) Group() string { return l.group }

// LogEvent is what a script has printed on one instance within a second: one or several lines of untrusted text.
type LogEvent struct {
	ID       string
	Instance string
	Stdout   bool      // false: stderr
	Time     time.Time // by the clock of the instance
	Text     string
}

// maxLogPages limits one Read, at up to 1 MB a page. A page may be empty although others follow.
// https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_FilterLogEvents.html
const maxLogPages = 20

// Read returns what the instances have printed in a command since a time; zero: from the start. Events appear a few seconds
// after they were uploaded, in any order between streams. Before there are any, there need not be a log group.
func (l *Log) Read(ctx context.Context, command string, since time.Time) (events []LogEvent, err error) {
	in := &cloudwatchlogs.FilterLogEventsInput{LogGroupName: &l.group, LogStreamNamePrefix: aws.String(command + "/")}
	if !since.IsZero() {
		in.StartTime = aws.Int64(since.UnixMilli())
	}
	pages := cloudwatchlogs.NewFilterLogEventsPaginator(l.logs, in)
	for n := 0; n < maxLogPages && pages.HasMorePages(); n++ {
		page, err := pages.NextPage(ctx)
		var missing *types.ResourceNotFoundException
		if errors.As(err, &missing) {
			return nil, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read log group %s: %w", l.group, err)
		}
		for _, event := range page.Events {
			// command/instance/plugin/stderr; the name of the plugin depends on the document.
			// https://docs.aws.amazon.com/systems-manager/latest/userguide/sysman-rc-setting-up-cwlogs.html
			if stream := strings.Split(aws.ToString(event.LogStreamName), "/"); len(stream) >= 4 {
				events = append(events, LogEvent{
					ID: aws.ToString(event.EventId), Instance: stream[1], Stdout: stream[len(stream)-1] == "stdout",
					Time: time.UnixMilli(aws.ToInt64(event.Timestamp)), Text: aws.ToString(event.Message),
				})
			}
		}
	}
	slices.SortStableFunc(events, func(a, b LogEvent) int { return a.Time.Compare(b.Time) })
	return events, nil
}
