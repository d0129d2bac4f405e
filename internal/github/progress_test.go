package github_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestProgressIsLoggedEveryFiveSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		a := newAction(&log, nil)
		for _, text := range []string{"0 s", "2 s", "4 s", "6 s", "8 s", "10 s", "12 s", "12 s", "12 s", "12 s", "::error::20 s"} {
			a.Progress(text)
			time.Sleep(2 * time.Second)
		}
		if got := log.String(); got != "6 s\n12 s\n: :error::20 s\n" {
			t.Errorf("the log is %q", got)
		}
	})
}

func TestProgressIsOneLineOfATerminal(t *testing.T) {
	var terminal strings.Builder
	a := newAction(&terminal, map[string]string{"GITHUB_ACTIONS": "false"})
	a.ShowOn(&terminal)
	const wipe = "\r\x1b[K"
	want := ""
	for _, step := range []struct {
		do    func()
		shown string
	}{
		{func() { a.Progress("1 %") }, wipe + "1 %"},
		{func() { a.Progress("2 %") }, wipe + "2 %"},
		{func() { a.Info("a line") }, wipe + "a line\n"},
		{func() { a.Info("another") }, "another\n"},
		{func() { a.Progress(strings.Repeat("x", 100)) }, wipe + strings.Repeat("x", 76) + "…"},
		{func() { a.Untrusted("of a host") }, wipe + "of a host\n"},
		{func() { a.Progress("3 %") }, wipe + "3 %"},
		{func() { _ = a.Group("a step", func() error { return errors.New("ended") }) }, wipe + "a step\n"},
		{func() { a.Progress("4 %") }, wipe + "4 %"},
		{func() { a.Warning("title", "message") }, wipe + "warning: title\nmessage\n"},
	} {
		step.do()
		if want += step.shown; terminal.String() != want {
			t.Fatalf("the terminal has %q, want %q", terminal.String(), want)
		}
	}
}
