package image

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

const (
	maxAttempts  = 6
	firstBackoff = time.Second // about 30 s in total, enough for throttling or a restart
	maxHangUps   = 3           // about 2 s: a registry that hangs up on the start of an upload rather refuses it
)

// renewer is an authenticator that can replace a token that the registry no longer accepts.
type renewer interface{ Renew() }

// retry calls f until it succeeds or returns an error that is not retryable, at most maxAttempts times. It replaces the
// retries of go-containerregistry, whose backoff ignores cancellation and which does not renew expired tokens.
func (c *client) retry(ctx context.Context, f func() error) error {
	backoff, hangUps, renewed := c.backoff, 0, false
	for attempt := 1; ; attempt++ {
		err := f()
		if isHangUp(err) {
			hangUps++
		}
		switch auth, renewable := c.auth.(renewer); {
		case err == nil || attempt == maxAttempts || hangUps == maxHangUps || ctx.Err() != nil:
			return err
		case isTokenRefused(err) && renewable && !renewed:
			auth.Renew()
			renewed = true
		case !isRetryable(err):
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

// isHangUp reports whether the registry closed the connection instead of answering the start of an upload.
func isHangUp(err error) bool {
	var request *url.Error
	return errors.As(err, &request) && request.Op == "Post" && strings.Contains(request.URL, "/blobs/uploads/") && errors.Is(err, io.EOF)
}

// isTokenRefused reports whether the registry that is pushed to refused the token, which may have expired.
func isTokenRefused(err error) bool {
	var registryErr *transport.Error
	if errors.As(err, new(sourceError)) || !errors.As(err, &registryErr) {
		return false
	}
	code := registryErr.StatusCode
	return code == http.StatusUnauthorized || code == http.StatusForbidden && strings.Contains(registryErr.Error(), "expired")
}

// isRetryable reports whether another attempt may succeed. An error that is neither a response of the registry nor a content
// error is a network error.
func isRetryable(err error) bool {
	if errors.As(err, new(contentError)) || errors.Is(err, errInternalTarget) || errors.As(err, new(*tls.CertificateVerificationError)) {
		return false
	}
	ofSource := errors.As(err, new(sourceError))
	var registryErr *transport.Error
	if !errors.As(err, &registryErr) {
		return !ofSource || !errors.Is(err, ErrNotFound)
	}
	switch code := registryErr.StatusCode; {
	case code >= 500, code == http.StatusRequestTimeout, code == http.StatusTooManyRequests, isUploadLost(registryErr):
		return true
	case code == http.StatusUnauthorized:
		return false
	}
	for _, e := range registryErr.Errors {
		// The upload was lost or corrupted in transit, and starts again.
		if e.Code == transport.BlobUploadUnknownErrorCode || e.Code == transport.BlobUploadInvalidErrorCode || e.Code == transport.DigestInvalidErrorCode {
			return true
		}
	}
	return false
}

// isUploadLost reports whether the registry lost an upload, as opposed to a missing repository or blob.
func isUploadLost(registryErr *transport.Error) bool {
	if registryErr.StatusCode != http.StatusNotFound || registryErr.Request == nil {
		return false
	}
	return registryErr.Request.Method == http.MethodPatch ||
		registryErr.Request.Method == http.MethodPut && !strings.Contains(registryErr.Request.URL.Path, "/manifests/")
}
