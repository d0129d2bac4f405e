package rollout

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/org/atta-deploy-action/deploy"
	"github.com/org/atta-deploy-action/internal/fleet"
)

type logReader interface {
	Read(ctx context.Context, command string, since time.Time) ([]fleet.LogEvent, error)
	Group() string
}

// The live log is bounded: the job log must stay readable, and requests are limited for the whole account.
const (
	liveLogInterval  = 2 * time.Second
	liveLogOverlap   = time.Minute // instances have different clocks, and events appear late
	maxLiveLogLines  = 2000        // of a run
	maxLiveCommands  = 10          // followed at a time, of fifty instances each
	finalLogInterval = time.Second
	finalLogTimeout  = 5 * time.Second // after the end of a command, for the rest of its log
)

// liveLog shows what the hosts of a run log. A problem with that is a warning, once: it decides nothing and delays nothing.
type liveLog struct {
	reader  logReader
	console Console
	lines   int  // shown while commands ran
	groups  int  // shown afterwards
	warned  bool // that the log cannot be read
	texts   map[string]string
}

// logFollower follows the log of a command, which is several for more than fifty hosts.
type logFollower struct {
	log    *liveLog
	stop   context.CancelFunc
	ended  chan struct{}
	seen   map[string]bool      // events, by id
	newest map[string]time.Time // event of each command, by the clock of the host

	mu       sync.Mutex
	commands []string
}

// followCommands shows the log of the commands of the follower that it returns, until keepWholeLogs is called. Both may be nil.
func (l *liveLog) followCommands(ctx context.Context) *logFollower {
	if l == nil {
		return nil
	}
	ctx, stop := context.WithCancel(ctx)
	f := &logFollower{log: l, stop: stop, ended: make(chan struct{}), seen: map[string]bool{}, newest: map[string]time.Time{}}
	go func() {
		defer close(f.ended)
		for shown := true; shown; {
			shown = sleepContext(ctx, liveLogInterval) && f.showNewLines(ctx)
		}
	}()
	return f
}

// setCommands sets the commands that were sent so far.
func (f *logFollower) setCommands(ids []string) {
	if f == nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.commands = ids[:min(len(ids), maxLiveCommands)]
}

func (f *logFollower) currentCommands() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.commands
}

// showNewLines shows what was not shown before, and reports whether to go on.
func (f *logFollower) showNewLines(ctx context.Context) bool {
	for _, command := range f.currentCommands() {
		var since time.Time
		if newest := f.newest[command]; !newest.IsZero() {
			since = newest.Add(-liveLogOverlap)
		}
		events, err := f.log.reader.Read(ctx, command, since)
		if err != nil {
			f.log.warnOnce(ctx, "%v", err)
			return false
		}
		var lines []string
		for _, event := range events {
			if f.seen[event.ID] || event.Stdout {
				continue
			}
			f.seen[event.ID], f.newest[command] = true, event.Time
			for _, line := range cleanLines(event.Text) {
				lines = append(lines, event.Instance+" | "+line)
			}
		}
		f.log.showLines(lines)
	}
	return true
}

// showLines shows lines of hosts, as many as a run may show.
func (l *liveLog) showLines(lines []string) {
	room := maxLiveLogLines - l.lines
	if len(lines) == 0 || room == 0 {
		return
	}
	lines = lines[:min(len(lines), room)]
	l.lines += len(lines)
	l.console.Untrusted(strings.Join(lines, "\n"))
	if l.lines == maxLiveLogLines {
		l.console.Info("the live log ends here, after %d lines; the logs are in the log group %s", maxLiveLogLines, l.reader.Group())
	}
}

// keepWholeLogs stops following, and keeps the whole log of each host. Its end may appear a few seconds after that of the command,
// like the answer on stdout: one more read after all answers are there has it. A run that was cancelled does not wait for it.
func (f *logFollower) keepWholeLogs(ctx context.Context, answers []answer) {
	if f == nil {
		return
	}
	f.stop()
	<-f.ended
	if isDone(ctx) {
		return
	}
	answers = slices.DeleteFunc(slices.Clone(answers), func(a answer) bool {
		return a.report == nil || !slices.Contains(f.currentCommands(), a.CommandID)
	})
	reading, stop := context.WithTimeout(ctx, finalLogTimeout)
	defer stop()
	for complete := false; ; {
		texts, printed, err := f.readAll(reading)
		if err != nil {
			f.log.warnOnce(reading, "%v", err)
			break
		}
		f.log.texts = texts
		if complete || !sleepContext(reading, finalLogInterval) {
			break
		}
		complete = !slices.ContainsFunc(answers, func(a answer) bool { return !printed[a.Instance.ID] })
	}
	if len(f.log.texts) == 0 && len(answers) > 0 {
		f.log.warnOnce(ctx, "nothing has arrived in the log group %s: the role of the instances must be allowed to write there", f.log.reader.Group())
	}
}

// readAll returns the whole log of each host, and which hosts have printed an answer.
func (f *logFollower) readAll(ctx context.Context) (texts map[string]string, printed map[string]bool, err error) {
	texts, printed = map[string]string{}, map[string]bool{}
	for _, command := range f.currentCommands() {
		events, err := f.log.reader.Read(ctx, command, time.Time{})
		if err != nil {
			return nil, nil, err
		}
		for _, event := range events {
			if event.Stdout {
				printed[event.Instance] = true
			} else {
				texts[event.Instance] += strings.TrimSuffix(event.Text, "\n") + "\n"
			}
		}
	}
	return texts, printed, nil
}

// warnOnce says that the log cannot be shown, unless the time to read it is over.
func (l *liveLog) warnOnce(ctx context.Context, format string, args ...any) {
	if l.warned || isDone(ctx) {
		return
	}
	l.warned = true
	l.console.Warning("The live log is not complete", "%s; the deploy goes on without it: %s", fmt.Sprintf(format, args...), liveLogPage)
}

// cleanLines returns the lines of a host's text, bounded and without control characters.
func cleanLines(text string) (lines []string) {
	for line := range strings.SplitSeq(strings.TrimSuffix(text, "\n"), "\n") {
		lines = append(lines, deploy.BoundMessage(line))
	}
	return lines
}
