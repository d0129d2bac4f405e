package systemd

import (
	"fmt"
	"os"
	"time"

	"github.com/org/atta-deploy-action/localaws/standins/instance"
)

// printStatus prints what people look at first; the exit status says active or not.
func (m *manager) printStatus(name string, options instance.Options) error {
	u, _, err := m.loadUnit(name)
	if err != nil {
		return err
	}
	if u == nil {
		fmt.Fprintf(os.Stderr, "Unit %s could not be found.\n", name)
		return status(noUnit)
	}
	s, err := m.readState(name)
	if err != nil {
		return err
	}
	detail := s.Sub
	if s.Active == "failed" {
		detail = "Result: " + s.Result
	}
	fmt.Printf("● %s - %s\n     Loaded: loaded (%s; %s)\n     Active: %s (%s) since %s\n", name, u.description(), u.path, m.fileState(name), s.Active, detail, formatTimestamp(s.Changed))
	if s.ExecMainPID != 0 {
		fmt.Printf("   Main PID: %d (%s)\n", s.ExecMainPID, ending{s.Code, s.Status})
	}
	records, err := m.readJournal(func(r record) bool { return r.Unit == name })
	if err != nil {
		return err
	}
	fmt.Println()
	for _, r := range records[max(0, len(records)-10):] {
		fmt.Println(m.formatRecord(r, options.Last("output")))
	}
	if s.Active != "active" {
		return status(notActive)
	}
	return nil
}

func formatTimestamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Format("Mon 2006-01-02 15:04:05 MST")
}
