package image

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// maxErrorBody is how many bytes of an error response's body are read.
const maxErrorBody = 4 << 10

// maxRetryAfter limits the wait that a registry can ask for with Retry-After.
const maxRetryAfter = time.Minute

// errInternalTarget is returned when a registry redirects to an internal address.
var errInternalTarget = errors.New("the registry redirects to an internal address")

// guardedTransport checks every response of a registry before the library sees it.
type guardedTransport struct{ http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (t guardedTransport) RoundTrip(request *http.Request) (*http.Response, error) {
	response, err := t.RoundTripper.RoundTrip(request)
	if err != nil {
		return nil, err
	}
	switch {
	case response.StatusCode >= 300 && response.StatusCode < 400, response.StatusCode == http.StatusAccepted:
		if err := checkLocation(response); err != nil {
			_ = response.Body.Close()
			return nil, err
		}
	case response.StatusCode == http.StatusForbidden && request.Method == http.MethodHead && strings.Contains(request.URL.Path, "/blobs/"):
		// ECR reports an expired token in the body, which a response to HEAD lacks: let the upload report it.
		response.StatusCode = http.StatusNotFound
	case response.StatusCode >= 400:
		// A body that is truncated or endless would hide the status.
		reason, _ := io.ReadAll(io.LimitReader(response.Body, maxErrorBody))
		_ = response.Body.Close()
		response.Body = io.NopCloser(bytes.NewReader(reason))
		select {
		case <-request.Context().Done():
		case <-time.After(retryAfter(response)):
		}
	}
	return response, nil
}

// retryAfter returns how long the registry asks to wait, at most maxRetryAfter:
// https://www.rfc-editor.org/rfc/rfc9110#section-10.2.3
func retryAfter(response *http.Response) (d time.Duration) {
	after := response.Header.Get("Retry-After")
	if seconds, err := strconv.Atoi(after); err == nil {
		d = time.Duration(min(seconds, 3600)) * time.Second
	} else if date, err := http.ParseTime(after); err == nil {
		d = time.Until(date)
	}
	return min(d, maxRetryAfter)
}

// checkLocation refuses a redirect to another host that is a loopback, private or link-local address: a layer's bytes, or
// the next request, would go to a service in the runner's network. Host names are not resolved, because with VPC endpoints,
// names of AWS resolve to private addresses. The library's own check knows fewer spellings of such addresses.
func checkLocation(response *http.Response) error {
	to, err := response.Location()
	if errors.Is(err, http.ErrNoLocation) {
		return nil
	} else if err != nil {
		return fmt.Errorf("parse the registry's Location: %w", err)
	}
	return checkTarget(response.Request.URL, to)
}

func checkTarget(from, to *url.URL) error {
	host := to.Hostname()
	if host == from.Hostname() || !isInternal(host) {
		return nil
	}
	return fmt.Errorf("%w: %s", errInternalTarget, to.Host)
}

// isInternal reports whether host is an address of an internal network. A host that ends in a number is an IP address in
// another notation, such as 127.1 or 0x7f000001, which no registry uses:
// https://url.spec.whatwg.org/#ends-in-a-number-checker
func isInternal(host string) bool {
	host, _, _ = strings.Cut(host, "%") // a zone
	address, err := netip.ParseAddr(host)
	if err != nil {
		last := host[strings.LastIndexByte(strings.TrimSuffix(host, "."), '.')+1:]
		return last != "" && last[0] >= '0' && last[0] <= '9'
	}
	address = address.Unmap()
	return address.IsLoopback() || address.IsPrivate() || address.IsUnspecified() || address.IsLinkLocalUnicast() || address.IsMulticast()
}
