package localaws

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
)

// logs is CloudWatch Logs: the agents write the output of commands to it, and clients read it with FilterLogEvents.
type logs struct {
	jsonService
	options Options

	mu     sync.Mutex
	delay  time.Duration
	groups map[string]*logGroup
	events int // stored so far
}

// logGroup is a log group and what agents may do with it.
type logGroup struct {
	denied bool // the role of the instances may not write
	events []logEvent
}

type logEvent struct {
	id, stream, message string
	written             time.Time // by the clock of the agent
	visibleFrom         time.Time // real time from which on the API returns it
}

func newLogs(o Options, keys *keyring) *logs {
	l := &logs{options: o, delay: o.LogDelay, groups: map[string]*logGroup{}}
	l.jsonService = jsonService{id: "logs", keys: keys, permission: l.permissionsOf, operations: map[string]operation{"FilterLogEvents": decodeInput(l.filterLogEvents)}}
	return l
}

// permissionsOf returns the permission that an operation needs, on the streams of its group
// (https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazoncloudwatchlogs.html).
func (l *logs) permissionsOf(r *request) []permissionOf {
	var in struct{ LogGroupName string }
	_ = json.Unmarshal(r.body, &in)
	group := "arn:" + l.options.Partition + ":logs:" + l.options.Region + ":" + l.options.Account + ":log-group:" + in.LogGroupName
	return []permissionOf{{action: "logs:" + r.operation, resource: group + ":log-stream:"}}
}

// DenyLogGroup makes agents fail to create the group: the role of the instances is not allowed to, so they write nothing.
func (s *Server) DenyLogGroup(name string) {
	s.logs.mu.Lock()
	defer s.logs.mu.Unlock()
	s.logs.groups[name] = &logGroup{denied: true}
}

// DelayLog makes the API return each further event only after d.
func (s *Server) DelayLog(d time.Duration) {
	s.logs.mu.Lock()
	defer s.logs.mu.Unlock()
	s.logs.delay = d
}

// createGroup creates a group unless it exists, as the agent does before it writes, and reports whether it may write there.
func (l *logs) createGroup(name string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.groups[name] == nil {
		l.groups[name] = &logGroup{}
	}
	return !l.groups[name].denied
}

// putEvent stores an event, which the API returns after LogDelay.
func (l *logs) putEvent(group, stream, message string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.events++
	l.groups[group].events = append(l.groups[group].events, logEvent{
		id: fmt.Sprintf("%056d", l.events), stream: stream, message: message,
		written: l.options.Now(), visibleFrom: time.Now().Add(l.delay),
	})
}

var groupPattern = regexp.MustCompile(`^[.\-_/#A-Za-z0-9]{1,512}$`)

// filterLogEvents serves https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_FilterLogEvents.html. The
// events of all streams are in the order of their time. A page holds at most 1 MB and need not be full.
func (l *logs) filterLogEvents(in struct {
	LogGroupName, LogStreamNamePrefix, NextToken string
	StartTime                                    int64
	Limit                                        *int
}) (any, error) {
	if !groupPattern.MatchString(in.LogGroupName) {
		return nil, &Error{Code: "InvalidParameterException", Message: "1 validation error detected: Value at 'logGroupName' failed to satisfy constraint"}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	group := l.groups[in.LogGroupName]
	if group == nil || group.denied {
		return nil, &Error{Code: "ResourceNotFoundException", Message: "The specified log group does not exist."}
	}
	found := slices.DeleteFunc(slices.Clone(group.events), func(e logEvent) bool {
		return !strings.HasPrefix(e.stream, in.LogStreamNamePrefix) || e.written.UnixMilli() < in.StartTime || time.Now().Before(e.visibleFrom)
	})
	slices.SortStableFunc(found, func(a, b logEvent) int { return a.written.Compare(b.written) })
	size := 10000
	if in.Limit != nil {
		size = *in.Limit
	}
	items, next, err := cutPage(found, in.NextToken, min(size, countUpTo(found, 1<<20)))
	list := []object{}
	for _, e := range items {
		list = append(list, object{"eventId": e.id, "logStreamName": e.stream, "message": e.message, "timestamp": e.written.UnixMilli(), "ingestionTime": e.written.UnixMilli()})
	}
	return object{"events": list, "nextToken": next}, err
}

// countUpTo returns how many of the longest events fit into so many bytes, at least one.
func countUpTo(events []logEvent, bytes int) int {
	longest := 1
	for _, e := range events {
		longest = max(longest, len(e.message))
	}
	return max(1, bytes/longest)
}
