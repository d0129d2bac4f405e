package systemd

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/org/atta-deploy-action/localaws/standins/instance"
)

// record is one line of the journal.
type record struct {
	Time       time.Time
	Unit       string
	Invocation string
	Identifier string
	PID        int
	Message    string
	Output     bool // from the unit itself, not from systemd about it
}

func (m *manager) journalPath() string { return m.call.Path("/var/log/journal/journal.json") }

// appendToJournal appends a record; one write each, so that writers do not mix.
func (m *manager) appendToJournal(r record) error {
	r.Time = time.Now()
	body, err := json.Marshal(r)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(m.call.Path("/var/log/journal"), 0o755); err != nil {
		return err
	}
	file, err := os.OpenFile(m.journalPath(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o640)
	if err != nil {
		return err
	}
	defer file.Close()
	_, err = file.Write(append(body, '\n'))
	return err
}

// readJournal reads those that keep lets through.
func (m *manager) readJournal(keep func(record) bool) ([]record, error) {
	file, err := os.Open(m.journalPath())
	if os.IsNotExist(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var kept []record
	scanner := bufio.NewScanner(file)
	scanner.Buffer(nil, 16<<20)
	for scanner.Scan() {
		var r record
		if err := json.Unmarshal(scanner.Bytes(), &r); err != nil {
			return nil, fmt.Errorf("read journal: %w", err)
		}
		if keep(r) {
			kept = append(kept, r)
		}
	}
	return kept, scanner.Err()
}

// Journalctl is the journalctl command.
func Journalctl(call *instance.Call) int {
	m := &manager{call}
	options, matches, err := instance.Parse(call.Args, "unit,u= lines,n= output,o= since,S= no-pager quiet,q boot,b pager-end,e catalog,x reverse,r no-hostname all,a", true)
	if err != nil {
		fmt.Fprintln(os.Stderr, "journalctl:", err)
		return 1
	}
	since, err := parseTime(options.Last("since"))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	want := map[string]string{}
	for _, match := range matches {
		key, value, ok := strings.Cut(match, "=")
		if _, known := (record{}).fields()[key]; !ok || !known {
			fmt.Fprintf(os.Stderr, "Failed to add match '%s': Invalid argument\n", match)
			return 1
		}
		want[key] = value
	}
	records, err := m.readJournal(func(r record) bool {
		for key, value := range want {
			if r.fields()[key] != value {
				return false
			}
		}
		if options.Has("boot") && r.Time.Before(m.bootTime()) {
			return false
		}
		return (options.Last("unit") == "" || r.Unit == unitName(options.Last("unit"))) && !r.Time.Before(since)
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if n, err := strconv.Atoi(options.Last("lines")); err == nil {
		records = records[max(0, len(records)-n):]
	}
	if len(records) == 0 && !options.Has("quiet") {
		fmt.Println("-- No entries --")
	}
	for _, r := range records {
		fmt.Println(m.formatRecord(r, options.Last("output")))
	}
	return 0
}

// The ids of the messages that a unit is being started, and that it is started or the run of a job has finished:
// https://github.com/systemd/systemd/blob/main/src/systemd/sd-messages.h
const (
	unitStarting = "7d4958e842da4a758f6c1cdc7b36dcc5"
	unitStarted  = "39f53479d3a045ac8e11786248231fbf"
)

// isInfo reports whether systemd writes a message at the level info, which LogLevelMax= of the unit may hide since systemd
// 249: https://github.com/systemd/systemd/issues/9328
func isInfo(message string) bool {
	word, _, _ := strings.Cut(message, " ")
	return slices.Contains([]string{"Starting", "Started", "Finished", "Stopping", "Stopped"}, word) || strings.HasSuffix(message, ": Deactivated successfully.")
}

// fields are those that journalctl can match. systemd.journal-fields(7) tells a unit's own messages from
// those of systemd about it.
func (r record) fields() map[string]string {
	fields := map[string]string{
		"_SYSTEMD_INVOCATION_ID": "", "_SYSTEMD_UNIT": "", "INVOCATION_ID": "", "UNIT": "", "MESSAGE_ID": "",
		"SYSLOG_IDENTIFIER": r.Identifier, "_PID": strconv.Itoa(r.PID),
	}
	if r.Output {
		fields["_SYSTEMD_INVOCATION_ID"], fields["_SYSTEMD_UNIT"] = r.Invocation, r.Unit
		return fields
	}
	fields["INVOCATION_ID"], fields["UNIT"] = r.Invocation, r.Unit
	switch word, _, _ := strings.Cut(r.Message, " "); word {
	case "Starting":
		fields["MESSAGE_ID"] = unitStarting
	case "Started", "Finished":
		fields["MESSAGE_ID"] = unitStarted
	}
	return fields
}

func (m *manager) formatRecord(r record, style string) string {
	stamp := r.Time.Format("Jan 02 15:04:05")
	switch style {
	case "cat":
		return r.Message
	case "short-iso":
		stamp = r.Time.Format("2006-01-02T15:04:05-0700")
	case "short-monotonic":
		up := r.Time.Sub(m.clockZero())
		stamp = fmt.Sprintf("[%5d.%06d]", int64(up.Seconds()), up.Microseconds()%1e6)
	}
	host, _ := os.Hostname()
	return fmt.Sprintf("%s %s %s[%d]: %s", stamp, host, r.Identifier, r.PID, r.Message)
}

// parseTime reads the times of systemd.time(7) that scripts use.
func parseTime(text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if seconds, err := strconv.ParseFloat(strings.TrimPrefix(text, "@"), 64); err == nil && text[0] == '@' {
		return time.UnixMicro(int64(seconds * 1e6)), nil
	}
	for _, layout := range []string{"2006-01-02 15:04:05", "2006-01-02 15:04", "2006-01-02"} {
		if t, err := time.ParseInLocation(layout, text, time.Local); err == nil {
			return t, nil
		}
	}
	ago, past := strings.CutPrefix(text, "-")
	ago, suffixed := strings.CutSuffix(ago, " ago")
	if span, err := parseSpan(ago); err == nil && (past || suffixed) {
		return time.Now().Add(-span), nil
	}
	return time.Time{}, fmt.Errorf("Failed to parse timestamp: %s", text)
}
