package e2e

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/org/atta-deploy-action/localaws"
)

// watchedLog calls seen once, when the log has the text want.
type watchedLog struct {
	log  *bytes.Buffer
	want string
	seen func()
	once sync.Once
}

func (w *watchedLog) Write(p []byte) (int, error) {
	n, err := w.log.Write(p)
	if strings.Contains(w.log.String(), w.want) {
		w.once.Do(w.seen)
	}
	return n, err
}

// The release is healthy only when the run has shown what the health command prints, so a log that came later would fail it.
func TestLiveLogIsShownAsTextWhileTheInstanceWorks(t *testing.T) {
	s := playWithScripts(t)
	s.build("0.1.0-dev")
	shown := filepath.Join(t.TempDir(), "shown")
	command := "echo '::error::forged'; echo '##[add-mask]forged'; echo '::stop-commands::forged'; until test -e " + shown + "; do sleep 0.1; done"
	p := s.step("log-group=/deploy/atta-dev", "health-timeout=50s", "health-command="+command)
	p.Stdout = &watchedLog{log: &p.log, want: instanceID + " | ::stop-commands::forged\n", seen: func() {
		if err := os.WriteFile(shown, nil, 0o600); err != nil {
			t.Error(err)
		}
	}}
	p.Stderr = p.Stdout
	out := p.run()
	out.wants("success")
	for _, line := range []string{"::error::forged", "##[add-mask]forged", "::stop-commands::forged"} { // which may appear one by one
		out.wantAsText("\n" + instanceID + " | " + line + "\n")
	}
	out.wantAsText("\n::error::forged\n##[add-mask]forged\n::stop-commands::forged\n") // the whole log
	groups := ""
	for _, c := range commandsIn(out.log) {
		if c.name == "group" {
			groups += c.data + "|"
		}
	}
	if !strings.Contains(groups, "|Roll out|Log of "+instanceID) || len(errorsIn(out.log)) > 0 {
		t.Errorf("the groups are %s, the errors %q", groups, errorsIn(out.log))
	}
}

func TestDeployWithoutPermissionForTheLogIsASuccess(t *testing.T) {
	s := play(t)
	s.build("0.1.0-dev")
	s.aws.AddFault(localaws.Fault{Operation: "logs:FilterLogEvents", Error: &localaws.Error{Code: "AccessDeniedException", Message: "not authorized to perform: logs:FilterLogEvents"}})
	out := s.run("log-group=/deploy/atta-dev")
	out.wants("success")
	warnings := 0
	for _, c := range commandsIn(out.log) {
		if c.name == "warning" && strings.Contains(c.data, "read log group /deploy/atta-dev") {
			warnings++
		}
	}
	if warnings != 1 {
		t.Errorf("%d warnings in\n%s", warnings, out.log)
	}
}
