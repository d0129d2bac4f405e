package rollout_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/org/atta-deploy-action/internal/rollout"
)

// console records the log, the outputs and the saved state of a run.
type console struct {
	groups, log, untrusted, outputs []string
	values, saved                   map[string]string

	mu sync.Mutex // of the log, to which hosts may write as well
}

func (c *console) Group(title string, f func() error) error {
	c.groups = append(c.groups, title)
	return f()
}

func (c *console) Info(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.log = append(c.log, fmt.Sprintf(format, args...))
}

func (c *console) Warning(title, format string, args ...any) {
	c.Notice("warning: "+title, format, args...)
}

func (c *console) Notice(title, format string, args ...any) {
	c.Info("%s: "+format, append([]any{title}, args...)...)
}

func (c *console) Untrusted(text string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.untrusted = append(c.untrusted, text)
}

func (c *console) Progress(text string) { c.Info("%s", text) }

func (c *console) SaveState(name, value string) error {
	if c.saved == nil {
		c.saved = map[string]string{}
	}
	c.saved[name] = value
	return nil
}

func (c *console) Output(name, value string) error {
	if c.values == nil {
		c.values = map[string]string{}
	}
	c.values[name] = value
	c.outputs = append(c.outputs, c.groups[len(c.groups)-1]+": "+name)
	return nil
}

// leftover is what the main step has saved for the post step.
func (c *console) leftover() rollout.Leftover {
	return rollout.Leftover{
		Deployment: c.saved["deployment"], Lock: c.saved["lock"], Finished: c.saved["finished"] == "true",
		Commands: strings.FieldsFunc(c.saved["commands"], func(r rune) bool { return r == ',' }), Ended: rollout.Outcome(c.saved["ended"]),
	}
}

// states lists the hosts with their states.
func states(result rollout.Result) string {
	var list []string
	for _, host := range result.Hosts {
		list = append(list, fmt.Sprintf("%s %s", host.ID, host.State))
	}
	return strings.Join(list, ", ")
}

func wantLines(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s:\n%s\nwant\n%s", what, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func wantErrorParts(t *testing.T, err error, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("error is %v, want %s", err, part)
		}
	}
}
