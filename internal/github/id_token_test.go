package github_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sethvargo/go-githubactions"

	"github.com/org/atta-deploy-action/internal/github"
)

// tokenService returns one answer after the other to requests for an OIDC token, and repeats the last.
type tokenService struct {
	answers []string
	asked   []*http.Request
}

func (s *tokenService) RoundTrip(request *http.Request) (*http.Response, error) {
	body := s.answers[min(len(s.asked), len(s.answers)-1)]
	s.asked = append(s.asked, request)
	if body == "" {
		return nil, errors.New("connection refused")
	}
	return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader(body))}, nil
}

func (s *tokenService) action(log io.Writer) *github.Action {
	env := map[string]string{
		"GITHUB_ACTIONS":                 "true",
		"ACTIONS_ID_TOKEN_REQUEST_URL":   "https://github.test/token?api-version=2",
		"ACTIONS_ID_TOKEN_REQUEST_TOKEN": "bearer",
	}
	return github.New(githubactions.New(
		githubactions.WithWriter(log),
		githubactions.WithGetenv(func(name string) string { return env[name] }),
		githubactions.WithHTTPClient(&http.Client{Transport: s}),
	))
}

func TestIDTokenRequestsAreRetriedAndTheTokenIsMasked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		service := &tokenService{answers: []string{"", "{}", `{"value":"jwt"}`}}
		var log strings.Builder
		start := time.Now()
		token, err := service.action(&log).IDToken(t.Context(), "sts.amazonaws.com")
		if err != nil || token != "jwt" {
			t.Fatalf("got %q, %v", token, err)
		}
		if waited := time.Since(start); waited != 3*time.Second {
			t.Errorf("waited %s, want 1s and 2s", waited)
		}
		if got := service.asked[2].URL.Query().Get("audience"); got != "sts.amazonaws.com" {
			t.Errorf("requested audience %q", got)
		}
		if log.String() != "::add-mask::jwt\n" {
			t.Errorf("logged %q", log.String())
		}
	})
}

func TestIDTokenGivesUpAfterFourTries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		service := &tokenService{answers: []string{""}}
		_, err := service.action(io.Discard).IDToken(t.Context(), "a")
		if err == nil || !strings.Contains(err.Error(), "connection refused") || !strings.HasPrefix(err.Error(), "get OIDC token: ") {
			t.Errorf("got %v", err)
		}
		if len(service.asked) != 4 {
			t.Errorf("requested %d times", len(service.asked))
		}
	})
}

func TestIDTokenStopsWaitingWhenTheRunIsCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cancelled := errors.New("SIGINT")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(1500*time.Millisecond, func() { cancel(cancelled) })
		start := time.Now()
		_, err := (&tokenService{answers: []string{""}}).action(io.Discard).IDToken(ctx, "a")
		if !errors.Is(err, cancelled) {
			t.Errorf("got %v", err)
		}
		if waited := time.Since(start); waited != 1500*time.Millisecond {
			t.Errorf("waited %s", waited)
		}
	})
}

func TestIDTokenErrorNamesTheMissingPermission(t *testing.T) {
	_, err := newAction(io.Discard, nil).IDToken(t.Context(), "a")
	if err == nil || !strings.Contains(err.Error(), "id-token: write") {
		t.Errorf("got %v", err)
	}
}
