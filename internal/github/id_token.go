package github

import (
	"context"
	"errors"
	"fmt"
	"time"
)

const idTokenTries = 4

// HasIDToken reports whether the job may request OIDC tokens, which requires the permission id-token: write.
func (a *Action) HasIDToken() bool { return a.gh.Getenv("ACTIONS_ID_TOKEN_REQUEST_URL") != "" }

// IDToken requests an OIDC token for the audience and masks it. It tries four times, with delays of 1, 2 and 4 seconds.
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
			err = errors.New("the response contains no token")
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
