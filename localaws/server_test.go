package localaws_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/smithy-go"
	"github.com/org/atta-deploy-action/localaws"
)

const account = "123456789012"

// start starts a server that is closed when the test ends.
func start(t *testing.T, o localaws.Options) *localaws.Server {
	t.Helper()
	s, err := localaws.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// once returns the server's configuration without the SDK's retries.
func once(s *localaws.Server) aws.Config {
	c := s.Config()
	c.Retryer = func() aws.Retryer { return aws.NopRetryer{} }
	c.HTTPClient = &http.Client{Transport: ownBody{}}
	return c
}

// ownBody sends a copy of the request's body. The SDK closes its body when the response
// arrives; on loopback, net/http may still be reading it, and then closes the connection
// before the response is read: https://go.dev/src/net/http/transfer.go
type ownBody struct{}

func (ownBody) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		r = r.Clone(r.Context())
		r.Body = io.NopCloser(bytes.NewReader(body))
	}
	return http.DefaultTransport.RoundTrip(r)
}

// wantCode fails the test unless err is an AWS error with that code.
func wantCode(t *testing.T, err error, code string) {
	t.Helper()
	var api smithy.APIError
	if !errors.As(err, &api) {
		t.Fatalf("error is %v, want %s", err, code)
	}
	if api.ErrorCode() != code {
		t.Fatalf("error code is %s (%s), want %s", api.ErrorCode(), api.ErrorMessage(), code)
	}
}

// clock is a time that a test sets.
type clock struct {
	sync.Mutex
	offset time.Duration
}

func (c *clock) now() time.Time {
	c.Lock()
	defer c.Unlock()
	return time.Now().Add(c.offset)
}

func (c *clock) advance(d time.Duration) {
	c.Lock()
	defer c.Unlock()
	c.offset += d
}

// machine adapts a func to a Machine.
type machine func(ctx context.Context, script string, env []string) localaws.Exit

func (m machine) Run(ctx context.Context, script string, env []string) localaws.Exit {
	return m(ctx, script, env)
}

// operations lists the calls of one service as "Operation".
func operations(s *localaws.Server, prefix string) []string {
	var names []string
	for _, c := range s.Calls() {
		if name, ok := strings.CutPrefix(c.Operation, prefix); ok {
			names = append(names, name)
		}
	}
	return names
}
