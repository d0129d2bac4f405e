package image

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	memory "github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

func TestPushUsesHTTP1WhereTheRegistryOffersHTTP2(t *testing.T) {
	var newer atomic.Int64
	inner := memory.New(memory.Logger(log.New(io.Discard, "", 0)))
	web := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor != 1 {
			newer.Add(1)
		}
		inner.ServeHTTP(w, r)
	}))
	web.EnableHTTP2 = true
	web.StartTLS()
	defer web.Close()
	roots := x509.NewCertPool()
	roots.AddCert(web.Certificate())
	before := remote.DefaultTransport
	defer func() { remote.DefaultTransport = before }()
	trusting := before.(*http.Transport).Clone()
	trusting.TLSClientConfig = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	remote.DefaultTransport = trusting

	s := &server{host: web.Listener.Addr().String()}
	got, err := s.repository(t, "app").Push(t.Context(), opened(t, savedAs(t, imageOf(20_000))), "1", PushOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if newer.Load() > 0 {
		t.Errorf("%d requests share a connection with others", newer.Load())
	}
	s.checkPushed(t, "app:1", got)
}

func readBody(r *http.Request) bool {
	_, err := io.Copy(io.Discard, r.Body)
	return err == nil
}

// A registry stalls at the start of a request, in the middle of a blob, at its end, or in the middle of a response.
func TestStalledRequestIsRetried(t *testing.T) {
	ref := savedAs(t, imageOf(20_000_000)) // more than the socket buffers hold
	for what, stalls := range map[string]func(http.ResponseWriter, *http.Request) bool{
		"begin":  func(_ http.ResponseWriter, r *http.Request) bool { return r.Method == http.MethodPost },
		"stream": func(_ http.ResponseWriter, r *http.Request) bool { return r.Method == http.MethodPatch },
		"finish": func(_ http.ResponseWriter, r *http.Request) bool {
			return r.Method == http.MethodPut && !strings.Contains(r.URL.Path, "/manifests/") && readBody(r)
		},
		"tag": func(_ http.ResponseWriter, r *http.Request) bool {
			return r.Method == http.MethodPut && strings.HasSuffix(r.URL.Path, "/manifests/1")
		},
		"answer": func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method != http.MethodGet || !strings.HasSuffix(r.URL.Path, "/manifests/1") {
				return false
			}
			w.Header().Set("Content-Length", "100")
			w.WriteHeader(http.StatusOK)
			return http.NewResponseController(w).Flush() == nil
		},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			s, over := newServer(t), make(chan struct{})
			t.Cleanup(func() { close(over) })
			var stalled atomic.Bool
			s.interceptWith(func(w http.ResponseWriter, r *http.Request) bool {
				if stalled.Load() || !stalls(w, r) {
					return false
				}
				stalled.Store(true)
				<-over
				return true
			})
			repo := s.repository(t, "app")
			repo.client.idleTimeout = 2 * time.Second
			got, err := repo.Push(t.Context(), opened(t, ref), "1", PushOptions{})
			if err != nil || !stalled.Load() {
				t.Fatal(err)
			}
			s.interceptWith(nil)
			s.checkPushed(t, "app:1", got)
		})
	}
}

// Before TLS closes a connection, it sends close_notify with a write deadline of a few seconds.
func TestIdleTimeoutDoesNotExtendAClosingConnection(t *testing.T) {
	here, there := net.Pipe()
	defer there.Close()
	go func() { _, _ = io.Copy(io.Discard, there) }()
	c := &idleConn{Conn: here, idleTimeout: time.Hour}
	if err := c.SetWriteDeadline(time.Now().Add(-time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Write([]byte("goodbye")); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("error is %v", err)
	}
}
