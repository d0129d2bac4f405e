package systemd

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
)

var (
	calendarWords = strings.Fields("minutely hourly daily weekly monthly yearly annually quarterly semiannually")
	weekdays      = regexp.MustCompile(`(?i)^(mon|tue|wed|thu|fri|sat|sun)[a-z]*((,|\.\.)(mon|tue|wed|thu|fri|sat|sun)[a-z]*)*$`)
	dates         = regexp.MustCompile(`^(([0-9*][0-9*.,/]*-)?[0-9*][0-9*.,/]*[-~][0-9*][0-9*.,/]*)$`)
	times         = regexp.MustCompile(`^([0-9*][0-9*.,/]*):([0-9*][0-9*.,/]*)(:([0-9*][0-9*.,/]*))?$`)
	zone          = regexp.MustCompile(`^(UTC|[A-Z][A-Za-z_]+(/[A-Za-z_+-]+)*)$`)
	digits        = regexp.MustCompile(`[0-9]+`)
)

// isCalendar reports whether systemd would take text for a calendar event, as
// far as its shape and the numbers of its time tell: systemd.time(7).
func isCalendar(text string) bool {
	fields := strings.Fields(text)
	if len(fields) > 1 && zone.MatchString(fields[len(fields)-1]) && !weekdays.MatchString(fields[len(fields)-1]) {
		fields = fields[:len(fields)-1]
	}
	if len(fields) == 1 && slices.Contains(calendarWords, strings.ToLower(fields[0])) {
		return true
	}
	some := len(fields) > 0
	for _, shape := range []*regexp.Regexp{weekdays, dates, times} {
		if len(fields) > 0 && shape.MatchString(fields[0]) {
			if shape == times && !isClock(times.FindStringSubmatch(fields[0])) {
				return false
			}
			fields = fields[1:]
		}
	}
	return some && len(fields) == 0
}

func isClock(parts []string) bool {
	for part, limit := range map[int]int{1: 24, 2: 60, 4: 60} {
		for _, number := range digits.FindAllString(parts[part], -1) {
			if n, err := strconv.Atoi(number); err != nil || n >= limit {
				return false
			}
		}
	}
	return true
}
