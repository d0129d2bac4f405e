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

// Log reads what the scripts of commands with a LogGroup write to stderr. The agent uploads it every second, and all of it
// before SSM reports the end of the script.
// https://github.com/aws/amazon-ssm-agent/blob/mainline/agent/framework/processor/executer/iohandler/iomodule/fileS3.go
type Log struct {
	logs  logsAPI
	group string
}

// NewLog returns the log in a log group of CloudWatch Logs.
func NewLog(api logsAPI, group string) *Log { return &Log{logs: api, group: group} }

// Group returns the name of the log group.
func (l *Log) Group() string { return l.group }

// LogEvent is what one instance has logged within a second: one or several lines of untrusted text.
type LogEvent struct {
	ID       string
	Instance string
	Time     time.Time // by the clock of the instance
	Text     string
}

// maxLogPages limits one Read, at up to 1 MB a page. A page may be empty although others follow.
// https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_FilterLogEvents.html
const maxLogPages = 20

// Read returns what the instances have logged in a command since a time; zero: from the start. Events appear a few seconds
// after they were uploaded, in any order between instances. Before any instance has logged, there need not be a log group.
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
			if instance := instanceOfStream(aws.ToString(event.LogStreamName)); instance != "" {
				events = append(events, LogEvent{
					ID: aws.ToString(event.EventId), Instance: instance,
					Time: time.UnixMilli(aws.ToInt64(event.Timestamp)), Text: aws.ToString(event.Message),
				})
			}
		}
	}
	slices.SortStableFunc(events, func(a, b LogEvent) int { return a.Time.Compare(b.Time) })
	return events, nil
}

// instanceOfStream returns the instance whose stderr is in a stream, command/instance/plugin/stderr; empty: it is another
// stream. The name of the plugin depends on the document.
// https://docs.aws.amazon.com/systems-manager/latest/userguide/sysman-rc-setting-up-cwlogs.html
func instanceOfStream(name string) string {
	parts := strings.Split(name, "/")
	if len(parts) < 4 || parts[len(parts)-1] != "stderr" {
		return ""
	}
	return parts[1]
}
