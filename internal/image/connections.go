package image

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// defaultIdleTimeout is how long nothing may move on a connection: a registry may have gigabytes to digest before it answers.
const defaultIdleTimeout = 5 * time.Minute

// newTransport connects to one registry; a connection on which nothing has moved for idleTimeout is given up.
func newTransport(idleTimeout time.Duration) http.RoundTripper {
	t := remote.DefaultTransport.(*http.Transport).Clone()
	t.WriteBufferSize = 128 << 10
	t.MaxIdleConnsPerHost = uploads
	dial := t.DialContext
	t.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return &idleConn{Conn: conn, idleTimeout: idleTimeout}, nil
	}
	// One for each blob, so that one that stalls holds up no other. HTTP/2 is not even offered: a clone has that from its
	// original.
	t.ForceAttemptHTTP2 = false
	if t.TLSClientConfig == nil {
		t.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	t.TLSClientConfig.NextProtos = []string{"http/1.1"}
	return guard{t}
}

// idleConn is a connection whose time begins anew with whatever moves on it, in either direction.
type idleConn struct {
	net.Conn
	idleTimeout time.Duration
	ending      atomic.Bool
}

// SetWriteDeadline is for TLS, which takes no more than seconds to say goodbye: time does not begin anew after it.
func (c *idleConn) SetWriteDeadline(t time.Time) error {
	c.ending.Store(true)
	return c.Conn.SetWriteDeadline(t)
}

func (c *idleConn) extendDeadline() error {
	if c.ending.Load() {
		return nil
	}
	return c.SetDeadline(time.Now().Add(c.idleTimeout))
}

func (c *idleConn) Read(p []byte) (int, error) {
	if err := c.extendDeadline(); err != nil {
		return 0, err
	}
	return c.Conn.Read(p)
}

func (c *idleConn) Write(p []byte) (int, error) {
	if err := c.extendDeadline(); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}
