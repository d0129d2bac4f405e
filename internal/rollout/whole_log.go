package rollout

import (
	"slices"
	"strings"
)

// The logs that are shown after a command are bounded, each and together.
const (
	maxLogGroups = 50      // of a run
	maxLogBytes  = 1 << 17 // of a host
)

// hasLog reports whether the whole log of a host is known.
func (l *liveLog) hasLog(host *Host) bool { return l != nil && l.texts[host.ID] != "" }

// showLogs shows the whole log of each host in a separate group, those that failed first, and forgets the logs. The log of a
// host that has none otherwise is also its end in the summary.
func (l *liveLog) showLogs(hosts []*Host) {
	if l == nil {
		return
	}
	hosts = slices.DeleteFunc(slices.Clone(hosts), func(h *Host) bool { return !l.hasLog(h) })
	slices.SortStableFunc(hosts, func(a, b *Host) int { return rankByFailure(a) - rankByFailure(b) })
	for _, host := range hosts[:min(len(hosts), maxLogGroups-l.groups)] {
		l.showLog(host)
	}
	if more := len(hosts) - (maxLogGroups - l.groups); more > 0 {
		l.console.Info("the logs of %s more are in the log group %s", Instances(more), l.reader.Group())
	}
	l.groups = min(maxLogGroups, l.groups+len(hosts))
	l.texts = nil
}

// rankByFailure is lower for a host that needs attention.
func rankByFailure(host *Host) int {
	if host.hasRelease() {
		return 1
	}
	return 0
}

func (l *liveLog) showLog(host *Host) {
	lines, cut := lastLinesWithin(cleanLines(l.texts[host.ID]), maxLogBytes)
	_ = l.console.Group("Log of "+host.String()+": "+string(host.State), func() error {
		if cut > 0 {
			l.console.Info("the first %d lines are left out; they are in the log group %s, in %s/%s", cut, l.reader.Group(), host.CommandID, host.ID)
		}
		l.console.Untrusted(strings.Join(lines, "\n"))
		return nil
	})
}

// lastLinesWithin returns the last lines that have so many bytes together, and how many are before them.
func lastLinesWithin(lines []string, bytes int) (last []string, cut int) {
	for i, line := range slices.Backward(lines) {
		if bytes -= len(line) + 1; bytes < 0 {
			return lines[i+1:], i + 1
		}
	}
	return lines, 0
}
