package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"
)

// link is what lies between a tool and the registry; the zero value is loopback.
type link struct {
	total, one int           // bytes a second, in all and for one connection
	delay      time.Duration // there and back
}

func (l link) String() string {
	if l.total == 0 {
		return "loopback"
	}
	return fmt.Sprintf("a link of %d MB/s, %d MB/s a connection, %s", l.total>>20, l.one>>20, l.delay)
}

// registry is a docker-registry with a relay before it that counts.
type registry struct {
	direct, relayed string // hosts
	count           *counter
	stop            func() error
}

type counter struct{ requests, sent atomic.Int64 }

func (c *counter) reset() { c.requests.Store(0); c.sent.Store(0) }

func (c *counter) sum() (requests, sent int64) { return c.requests.Load(), c.sent.Load() }

// startRegistry serves what is in the folder home, which may be missing.
func startRegistry(ctx context.Context, home string, l link) (*registry, error) {
	free, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	host := free.Addr().String()
	if err := free.Close(); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(home, 0o700); err != nil {
		return nil, err
	}
	config := filepath.Join(home, "config.yml")
	text := fmt.Sprintf("version: 0.1\nlog: {level: error}\nstorage: {filesystem: {rootdirectory: %s}}\nhttp: {addr: %q}\n", filepath.Join(home, "data"), host)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return nil, err
	}
	server := exec.CommandContext(ctx, "docker-registry", "serve", config)
	if err := server.Start(); err != nil {
		return nil, err
	}
	for {
		if conn, err := new(net.Dialer).DialContext(ctx, "tcp", host); err == nil {
			_ = conn.Close()
			break
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(10 * time.Millisecond):
		}
	}
	relay, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	r := &registry{direct: host, relayed: relay.Addr().String(), count: &counter{}}
	all := l.limiter(l.total)
	go func() {
		for {
			conn, err := relay.Accept()
			if err != nil {
				return
			}
			go r.relay(ctx, conn, l, all)
		}
	}()
	r.stop = func() error {
		err := errors.Join(relay.Close(), server.Process.Kill())
		_ = server.Wait()
		return err
	}
	return r, nil
}

func (l link) limiter(bytes int) *rate.Limiter {
	if bytes == 0 {
		return nil
	}
	return rate.NewLimiter(rate.Limit(bytes), 256<<10)
}

func (r *registry) relay(ctx context.Context, client net.Conn, l link, all *rate.Limiter) {
	defer client.Close()
	server, err := new(net.Dialer).DialContext(ctx, "tcp", r.direct)
	if err != nil {
		return
	}
	defer server.Close()
	if l.delay > 0 {
		time.Sleep(l.delay) // of the handshake
	}
	ended := make(chan struct{}, 2)
	go func() {
		r.carry(ctx, server, client, l.delay/2, []*rate.Limiter{all, l.limiter(l.one)}, true)
		_ = server.(*net.TCPConn).CloseWrite()
		ended <- struct{}{}
	}()
	go func() {
		r.carry(ctx, client, server, l.delay/2, nil, false)
		ended <- struct{}{}
	}()
	<-ended
	<-ended
}

// piece is what arrives after the delay of the link.
type piece struct {
	data []byte
	at   time.Time
}

func (r *registry) carry(ctx context.Context, to io.Writer, from io.Reader, delay time.Duration, limits []*rate.Limiter, count bool) {
	if delay == 0 {
		buf := make([]byte, 256<<10)
		for {
			n, err := from.Read(buf)
			r.pass(ctx, buf[:n], limits, count)
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
				r.pass(ctx, buf[:n], limits, count)
				pieces <- piece{buf[:n], time.Now().Add(delay)}
			}
			if err != nil {
				return
			}
		}
	}()
	for p := range pieces {
		if delay > 0 {
			time.Sleep(time.Until(p.at))
		}
		if _, err := to.Write(p.data); err != nil {
			for range pieces { // until the reader ends
			}
			return
		}
	}
}

// pass counts what is carried, and waits until it may be.
func (r *registry) pass(ctx context.Context, data []byte, limits []*rate.Limiter, count bool) {
	for _, limit := range limits {
		if limit != nil {
			_ = limit.WaitN(ctx, len(data))
		}
	}
	if count {
		r.count.sent.Add(int64(len(data)))
		r.count.requests.Add(int64(bytes.Count(data, []byte(" HTTP/1.1\r\n"))))
	}
}
