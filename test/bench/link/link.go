// Package link emulates the network between a tool and a server: it limits, delays and counts the traffic.
package link

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"
)

// Link is a speed and a delay; the zero value is loopback.
type Link struct {
	Total, One int           // bytes per second, of all connections and of one; 0: no limit
	Delay      time.Duration // round trip
}

func (l Link) String() string {
	if l == (Link{}) {
		return "loopback"
	}
	return fmt.Sprintf("a link of %d MiB/s, %d MiB/s a connection, %s", l.Total>>20, l.One>>20, l.Delay)
}

// Relay carries connections to a server over a link.
type Relay struct {
	Host string // to connect to

	link           Link
	target         string
	listener       net.Listener
	all            *rate.Limiter
	requests, sent atomic.Int64
}

// To starts a relay to the server at target, host:port. Close stops it.
func (l Link) To(ctx context.Context, target string) (*Relay, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	r := &Relay{Host: listener.Addr().String(), link: l, target: target, listener: listener, all: limiter(l.Total)}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go r.connect(ctx, conn)
		}
	}()
	return r, nil
}

// Close stops accepting connections.
func (r *Relay) Close() error { return r.listener.Close() }

// Reset sets the counts to zero.
func (r *Relay) Reset() { r.requests.Store(0); r.sent.Store(0) }

// Requests is how many HTTP requests went to the server.
func (r *Relay) Requests() int64 { return r.requests.Load() }

// Sent is how many bytes went to the server.
func (r *Relay) Sent() int64 { return r.sent.Load() }

func limiter(bytes int) *rate.Limiter {
	if bytes == 0 {
		return nil
	}
	return rate.NewLimiter(rate.Limit(bytes), 256<<10)
}

func (r *Relay) connect(ctx context.Context, client net.Conn) {
	defer client.Close()
	server, err := new(net.Dialer).DialContext(ctx, "tcp", r.target)
	if err != nil {
		return
	}
	defer server.Close()
	time.Sleep(r.link.Delay) // of the handshake
	limits := []*rate.Limiter{r.all, limiter(r.link.One)}
	ended := make(chan struct{}, 2)
	go func() {
		r.carry(server, client, func(data []byte) {
			for _, limit := range limits {
				if limit != nil {
					_ = limit.WaitN(ctx, len(data))
				}
			}
			r.sent.Add(int64(len(data)))
			r.requests.Add(int64(bytes.Count(data, []byte(" HTTP/1.1\r\n"))))
		})
		_ = server.(*net.TCPConn).CloseWrite()
		ended <- struct{}{}
	}()
	go func() {
		r.carry(client, server, func([]byte) {})
		_ = client.(*net.TCPConn).CloseWrite()
		ended <- struct{}{}
	}()
	<-ended
	<-ended
}

// piece is data that arrives after the delay of the link.
type piece struct {
	data []byte
	at   time.Time
}

// carry copies data, and delivers it half of the delay later.
func (r *Relay) carry(to io.Writer, from io.Reader, pass func([]byte)) {
	if r.link.Delay == 0 {
		buf := make([]byte, 256<<10)
		for {
			n, err := from.Read(buf)
			pass(buf[:n])
			if _, broken := to.Write(buf[:n]); err != nil || broken != nil {
				return
			}
		}
	}
	pieces := make(chan piece, 256)
	go func() {
		defer close(pieces)
		for {
			buf := make([]byte, 64<<10)
			n, err := from.Read(buf)
			if n > 0 {
				pass(buf[:n])
				pieces <- piece{buf[:n], time.Now().Add(r.link.Delay / 2)}
			}
			if err != nil {
				return
			}
		}
	}()
	for p := range pieces {
		time.Sleep(time.Until(p.at))
		if _, err := to.Write(p.data); err != nil {
			for range pieces { // until the reader ends
			}
			return
		}
	}
}
