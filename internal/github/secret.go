package github

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Mask makes GitHub print *** instead of the secret; outside GitHub it does nothing. Each line of it is masked, since the log is matched by line.
func (a *Action) Mask(secret string) {
	if a.gh.Getenv("GITHUB_ACTIONS") != "true" {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for line := range strings.FieldsFuncSeq(secret, func(r rune) bool { return r == '\n' || r == '\r' }) {
		if strings.TrimSpace(line) != "" {
			a.gh.AddMask(line)
		}
	}
}

const idTokenTries = 4

// HasIDToken tells whether the job may ask for OIDC tokens, which its permission id-token: write decides.
func (a *Action) HasIDToken() bool { return a.gh.Getenv("ACTIONS_ID_TOKEN_REQUEST_URL") != "" }

// IDToken asks GitHub for an OIDC token for the audience and masks it. It tries four times, one, two and four seconds
// apart.
func (a *Action) IDToken(ctx context.Context, audience string) (string, error) {
	if !a.HasIDToken() {
		return "", errors.New("get OIDC token: ACTIONS_ID_TOKEN_REQUEST_URL is not set; grant the job permissions: id-token: write")
	}
	for try := 1; ; try++ {
		token, err := a.gh.GetIDToken(ctx, audience)
		switch {
		case err == nil && token != "":
			a.Mask(token)
			return token, nil
		case err == nil:
			err = errors.New("the answer holds no token")
		}
		if try == idTokenTries {
			return "", fmt.Errorf("get OIDC token: %w", err)
		}
		select {
		case <-ctx.Done():
			return "", fmt.Errorf("get OIDC token: %w", context.Cause(ctx))
		case <-time.After(time.Second << (try - 1)):
		}
	}
}
