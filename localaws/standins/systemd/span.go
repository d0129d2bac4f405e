package systemd

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// forever is the span "infinity".
const forever = time.Duration(1<<63 - 1)

var spanUnits = map[string]time.Duration{
	"": time.Second, "us": time.Microsecond, "ms": time.Millisecond, "s": time.Second, "sec": time.Second, "second": time.Second, "seconds": time.Second,
	"m": time.Minute, "min": time.Minute, "minute": time.Minute, "minutes": time.Minute, "h": time.Hour, "hr": time.Hour, "hour": time.Hour, "hours": time.Hour,
	"d": 24 * time.Hour, "day": 24 * time.Hour, "days": 24 * time.Hour,
}

// parseSpan reads a time span as systemd.time(7) has it: 90, 5min 20s, infinity.
func parseSpan(text string) (time.Duration, error) {
	if text == "infinity" {
		return forever, nil
	}
	var span time.Duration
	rest := strings.ReplaceAll(text, " ", "")
	for rest != "" {
		name := strings.TrimLeft(rest, "0123456789.")
		number, err := strconv.ParseFloat(rest[:len(rest)-len(name)], 64)
		if err != nil {
			return 0, fmt.Errorf("parse time span %q: %w", text, err)
		}
		rest = strings.TrimLeft(name, "abcdefghijklmnopqrstuvwxyz")
		factor, ok := spanUnits[name[:len(name)-len(rest)]]
		if !ok {
			return 0, fmt.Errorf("parse time span %q: unknown unit", text)
		}
		span += time.Duration(number * float64(factor))
	}
	return span, nil
}

// durationOf is a setting's time span, or another where it is not set. Zero means
// no limit.
func (u *unit) durationOf(name string, otherwise time.Duration) time.Duration {
	span, err := parseSpan(u.lastValue(name))
	if err != nil || u.lastValue(name) == "" {
		return otherwise
	}
	if span == 0 && strings.Contains(name, "Timeout") {
		return forever
	}
	return span
}
