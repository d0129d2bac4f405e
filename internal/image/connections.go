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

// defaultIdleTimeout is how long a connection may be idle: a registry may have to hash gigabytes before it responds.
const defaultIdleTimeout = 5 * time.Minute

// newTransport connects to one registry; a connection that is idle for idleTimeout is closed.
func newTransport(idleTimeout time.Duration) http.RoundTripper {
	t := remote.DefaultTransport.(*http.Transport).Clone()
	t.WriteBufferSize = 128 << 10
	t.MaxIdleConnsPerHost = maxUploads
	dial := t.DialContext
	t.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return &idleConn{Conn: conn, idleTimeout: idleTimeout}, nil
	}
	// HTTP/1 uses a connection for each blob, so that one that stalls does not block the others. NextProtos is set because
	// the clone would still offer HTTP/2.
	t.ForceAttemptHTTP2 = false
	if t.TLSClientConfig == nil {
		t.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	t.TLSClientConfig.NextProtos = []string{"http/1.1"}
	return guardedTransport{t}
}

// idleConn is a connection whose idle timeout restarts with each read and write.
type idleConn struct {
	net.Conn
	idleTimeout time.Duration
	closing     atomic.Bool
}

// SetWriteDeadline is called by TLS to limit its closing handshake; after it, the idle timeout no longer restarts.
func (c *idleConn) SetWriteDeadline(t time.Time) error {
	c.closing.Store(true)
	return c.Conn.SetWriteDeadline(t)
}

func (c *idleConn) extendDeadline() error {
	if c.closing.Load() {
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
