package image

import (
	"context"
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
	attempts   = 6
	firstPause = time.Second // about 30 s in all, as long as throttling and a restart take
	longPause  = time.Minute // at most, where the registry says how long it wants to be left alone
)

var errAnswer = errors.New("the registry's answer makes no sense")

// renewer is an authenticator that can be told that its token is not taken any more.
type renewer interface{ Renew() }

// retryRequest tries f until it succeeds, or fails in a way that will not get better.
func (w *wire) retryRequest(ctx context.Context, f func() error) error {
	pause := w.wait
	for attempt := 1; ; attempt++ {
		err := f()
		if err == nil || attempt == attempts || ctx.Err() != nil || !w.isRetryable(err) {
			return err
		}
		left := pause/2 + rand.N(pause/2)
		if alone := (busyError{}); errors.As(err, &alone) {
			left = max(left, min(alone.after, longPause))
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(left):
			pause *= 2
		}
	}
}

// busyError is an answer that says when to come again: https://www.rfc-editor.org/rfc/rfc9110#section-10.2.3
type busyError struct {
	error
	after time.Duration
}

func (e busyError) Unwrap() error { return e.error }

// isRetryable reports whether err may be gone the next time; a token that is not taken is renewed for that.
func (w *wire) isRetryable(err error) bool {
	if errors.As(err, new(damage)) {
		return false
	}
	elsewhere := errors.As(err, new(sourceError))
	var answer *transport.Error
	if errors.Is(err, errAnswer) || !errors.As(err, &answer) {
		if elsewhere {
			return !errors.Is(err, ErrNotFound)
		}
		return errors.Is(err, errAnswer) || errors.As(err, new(*url.Error)) || errors.Is(err, io.ErrUnexpectedEOF)
	}
	switch code := answer.StatusCode; {
	case code >= 500, code == http.StatusRequestTimeout, code == http.StatusTooManyRequests:
		return true
	case code == http.StatusUnauthorized, code == http.StatusForbidden && strings.Contains(answer.Error(), "expired"):
		if auth, ok := w.auth.(renewer); ok && !elsewhere {
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
