package image

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

func TestNoRegistryLeadsToAnInternalAddress(t *testing.T) {
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
		if err := checkTarget(from, to); errors.Is(err, errTarget) != refused {
			t.Errorf("%s: %v", target, err)
		}
	}
	// A registry on an internal address may lead to itself.
	own := &url.URL{Scheme: "http", Host: "127.0.0.1:5000"}
	if err := checkTarget(own, &url.URL{Scheme: "http", Host: "127.0.0.1:5001"}); err != nil {
		t.Error(err)
	}
}

func TestACraftedLocationReceivesNoLayer(t *testing.T) {
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
		if !errors.Is(err, errTarget) || len(received) > 0 {
			t.Errorf("%s: error is %v, the internal service received %v", name, err, received)
		}
		registry.Close()
	}
}
