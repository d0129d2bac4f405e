package image

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

func TestGuardRefusesInternalAddresses(t *testing.T) {
	for target, refused := range map[string]bool{
		"https://registry.example/v2/x": false, "/v2/x": false, "https://bucket.s3.us-east-1.amazonaws.com/x": false, "https://198.51.100.7/x": false,
		"http://127.0.0.1/x": true, "http://127.1/x": true, "http://2130706433/x": true, "http://0x7f000001/x": true, "http://[::1]/x": true,
		"http://[::ffff:127.0.0.1]/x": true, "http://[fe80::1%25eth0]/x": true, "http://169.254.169.254/latest/meta-data": true, "http://10.0.0.1/x": true,
		"http://192.168.1.1:8080/x": true, "http://0.0.0.0/x": true, "http://[fd00:ec2::254]/x": true, "http://127.0.0.1./x": true,
	} {
		from := &url.URL{Scheme: "https", Host: "registry.example", Path: "/v2/"}
		to, err := from.Parse(target)
		if err != nil {
			t.Fatal(err)
		}
		if err := checkTarget(from, to); errors.Is(err, errInternalTarget) != refused {
			t.Errorf("%s: %v", target, err)
		}
	}
	// A registry on an internal address may redirect to itself.
	own := &url.URL{Scheme: "http", Host: "127.0.0.1:5000"}
	if err := checkTarget(own, &url.URL{Scheme: "http", Host: "127.0.0.1:5001"}); err != nil {
		t.Error(err)
	}
}

func TestGuardWaitsForRetryAfter(t *testing.T) {
	for after, want := range map[string]time.Duration{
		"": 0, "7": 7 * time.Second, "86400": maxRetryAfter, "-3": 0, "soon": 0, "9223372036854775807": maxRetryAfter,
		"Sat, 01 Jan 2000 00:00:30 GMT": 30 * time.Second, "Fri, 31 Dec 1999 00:00:30 GMT": 0, // synctest begins in 2000
		"Sat, 01 Jan 2000 09:00:30 GMT": maxRetryAfter,
	} {
		synctest.Test(t, func(t *testing.T) {
			c, began, tried := &client{backoff: time.Millisecond}, time.Now(), 0
			g := guardedTransport{roundTripper(func(r *http.Request) (*http.Response, error) {
				if tried++; tried > 1 {
					return &http.Response{StatusCode: http.StatusCreated, Body: http.NoBody, Request: r}, nil
				}
				return &http.Response{StatusCode: http.StatusTooManyRequests, Header: http.Header{"Retry-After": {after}}, Body: http.NoBody, Request: r}, nil
			})}
			err := c.retry(t.Context(), func() error {
				answer, err := g.RoundTrip(httptest.NewRequestWithContext(t.Context(), http.MethodPut, "/v2/app/manifests/1", nil))
				if err != nil {
					return err
				}
				defer answer.Body.Close()
				return transport.CheckError(answer, http.StatusCreated)
			})
			if took := time.Since(began).Truncate(10 * time.Millisecond); err != nil || tried != 2 || took != want {
				t.Errorf("Retry-After %q: %v after %d attempts and %s", after, err, tried, took)
			}
		})
	}
}

func TestCancelEndsTheWaitForRetryAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		g := guardedTransport{roundTripper(func(r *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: http.StatusServiceUnavailable, Header: http.Header{"Retry-After": {"30"}}, Body: http.NoBody, Request: r}, nil
		})}
		answer, err := g.RoundTrip(httptest.NewRequestWithContext(ctx, http.MethodPut, "/v2/app/manifests/1", nil))
		if err != nil || time.Since(began) != time.Second {
			t.Errorf("%v after %s", err, time.Since(began))
		}
		_ = answer.Body.Close()
	})
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestCraftedLocationReceivesNoLayer(t *testing.T) {
	var received []string
	internal := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { received = append(received, r.Method) }))
	defer internal.Close()
	for name, status := range map[string]int{"an upload": http.StatusAccepted, "a redirect": http.StatusTemporaryRedirect} {
		registry := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch {
			case r.Method == http.MethodPost:
				w.Header().Set("Location", strings.Replace(internal.URL, "127.0.0.1", "[::ffff:127.0.0.1]", 1)+"/steal")
				w.WriteHeader(status)
			case r.URL.Path == "/v2/":
			default:
				w.WriteHeader(http.StatusNotFound)
			}
		}))
		repo := (&server{host: strings.TrimPrefix(registry.URL, "http://")}).repository(t, "app")
		_, err := repo.Push(t.Context(), opened(t, savedAs(t, imageOf(1000))), "1", PushOptions{})
		if !errors.Is(err, errInternalTarget) || len(received) > 0 {
			t.Errorf("%s: error is %v, the internal service received %v", name, err, received)
		}
		registry.Close()
	}
}
