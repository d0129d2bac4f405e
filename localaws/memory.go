package localaws

import (
	"context"
	"net"
	"net/http"
	"sync"
	"time"
)

// memoryLatency is how long a response is delayed: it must not arrive before the client has
// seen the end of its request, as with minLatency.
const memoryLatency = time.Millisecond

// memory is a network within this process. Goroutines that wait on it are durably blocked, so
// that time advances in a synctest bubble: https://pkg.go.dev/testing/synctest#hdr-Blocking
type memory struct {
	connections chan net.Conn
	closed      chan struct{}
	once        sync.Once
}

func newMemory() *memory {
	return &memory{connections: make(chan net.Conn), closed: make(chan struct{})}
}

// Accept, Close and Addr implement net.Listener.
func (m *memory) Accept() (net.Conn, error) {
	select {
	case c := <-m.connections:
		return c, nil
	case <-m.closed:
		return nil, net.ErrClosed
	}
}

func (m *memory) Close() error {
	m.once.Do(func() { close(m.closed) })
	return nil
}

func (m *memory) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 80} }

func (m *memory) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	near, far := net.Pipe()
	select {
	case m.connections <- far:
		return near, nil
	case <-m.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (m *memory) client() *http.Client {
	return &http.Client{Transport: &http.Transport{DialContext: m.dial, MaxIdleConnsPerHost: 64}}
}
