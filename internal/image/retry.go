package image

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

const (
	attempts     = 6
	firstBackoff = time.Second // about 30 s in all, as long as throttling and a restart take
)

// renewer is an authenticator that can be told that its token is not taken any more.
type renewer interface{ Renew() }

// retry tries f until it succeeds, or fails in a way that will not get better. It does so in place of go-containerregistry,
// whose back-off goes on sleeping when a run is cancelled and which knows nothing of tokens that expire.
func (c *client) retry(ctx context.Context, f func() error) error {
	backoff := c.backoff
	for attempt := 1; ; attempt++ {
		err := f()
		if err == nil || attempt == attempts || ctx.Err() != nil || !c.isRetryable(err) {
			return err
		}
		jittered := backoff/2 + rand.N(backoff/2)
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(jittered):
			backoff *= 2
		}
	}
}

// isRetryable reports whether err may be gone the next time; a token that is not taken is renewed for that. What is neither
// a refusal nor damage was lost on the way.
func (c *client) isRetryable(err error) bool {
	if errors.As(err, new(damage)) || errors.Is(err, errTarget) {
		return false
	}
	ofSource := errors.As(err, new(sourceError))
	var answer *transport.Error
	if !errors.As(err, &answer) {
		return !ofSource || !errors.Is(err, ErrNotFound)
	}
	switch code := answer.StatusCode; {
	case code >= 500, code == http.StatusRequestTimeout, code == http.StatusTooManyRequests, isUploadLost(answer):
		return true
	case code == http.StatusUnauthorized, code == http.StatusForbidden && strings.Contains(answer.Error(), "expired"):
		if auth, ok := c.auth.(renewer); ok && !ofSource {
			auth.Renew()
			return true
		}
		return false
	}
	for _, e := range answer.Errors {
		// The upload is gone, or bytes of it were changed on the way: it begins anew.
		if e.Code == transport.BlobUploadUnknownErrorCode || e.Code == transport.BlobUploadInvalidErrorCode || e.Code == transport.DigestInvalidErrorCode {
			return true
		}
	}
	return false
}

// isUploadLost tells an upload that the registry does not know any more from a missing repository or blob.
func isUploadLost(answer *transport.Error) bool {
	if answer.StatusCode != http.StatusNotFound || answer.Request == nil {
		return false
	}
	return answer.Request.Method == http.MethodPatch ||
		answer.Request.Method == http.MethodPut && !strings.Contains(answer.Request.URL.Path, "/manifests/")
}
