package github_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func TestAnnotationsEscapeTitleAndMessage(t *testing.T) {
	var log strings.Builder
	newAction(&log, nil).Error("i-1: a, b\n::x::", "100%%\r\n::error::y")
	want := "::error title=i-1%3A a%2C b%0A%3A%3Ax%3A%3A::100%25%0D%0A::error::y\n"
	if diff := cmp.Diff(want, log.String()); diff != "" {
		t.Error(diff)
	}
}

func TestOneErrorAnnotationIsReservedForTheRunAfterEightInstances(t *testing.T) {
	var log strings.Builder
	a := newAction(&log, nil)
	for range 20 {
		a.Error("i-1", "unhealthy\n::error::z")
	}
	a.Fail("rollout", "20 instances are unhealthy")
	a.Fail("rollout", "said twice")
	taken := commands(log.String())
	if len(taken) != 9 || taken[8] != "error=20 instances are unhealthy" {
		t.Errorf("annotations: %q", taken)
	}
	if n := strings.Count(log.String(), "error: i-1: unhealthy\n"); n != 12 {
		t.Errorf("%d errors are logged without an annotation, want 12", n)
	}
}

func TestWarningsAndNoticesAreLimitedToTenEach(t *testing.T) {
	var log strings.Builder
	a := newAction(&log, nil)
	for range 15 {
		a.Warning("w", "x")
		a.Notice("n", "x")
	}
	if n := strings.Count(log.String(), "::warning title=w::x\n"); n != 10 {
		t.Errorf("%d warnings", n)
	}
	if n := strings.Count(log.String(), "::notice title=n::x\n"); n != 10 {
		t.Errorf("%d notices", n)
	}
}

func TestLongMessagesAreTruncatedBetweenCharacters(t *testing.T) {
	for shift := range 4 {
		var log strings.Builder
		newAction(&log, nil).Error("t", "%s", strings.Repeat("a", shift)+strings.Repeat("é", 4096))
		message := strings.TrimPrefix(strings.TrimSuffix(log.String(), "\n"), "::error title=t::")
		if len(message) > 4096 || len(message) < 4090 || !utf8.ValidString(message) || !strings.HasSuffix(message, "é…") {
			t.Errorf("the message has %d bytes and ends in %q", len(message), message[len(message)-8:])
		}
	}
}

func TestAMessageOfTheMaximumLengthIsKeptWhole(t *testing.T) {
	var log strings.Builder
	message := strings.Repeat("a", 4096)
	newAction(&log, nil).Notice("t", "%s", message)
	if log.String() != "::notice title=t::"+message+"\n" {
		t.Errorf("the message was changed: %d bytes", log.Len())
	}
}

func TestATitleIsTruncatedTo255Bytes(t *testing.T) {
	for length, want := range map[int]string{255: strings.Repeat("a", 255), 256: strings.Repeat("a", 252) + "…"} {
		var log strings.Builder
		newAction(&log, nil).Notice(strings.Repeat("a", length), "x")
		if diff := cmp.Diff("::notice title="+want+"::x\n", log.String()); diff != "" {
			t.Errorf("%d bytes: %s", length, diff)
		}
	}
}
