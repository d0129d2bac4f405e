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

// maxRefusal is how much, in bytes, of the reason for a refusal is read.
const maxRefusal = 4 << 10

// maxRetryAfter bounds how long a registry may ask to be left alone before the next attempt.
const maxRetryAfter = time.Minute

// errTarget says that a registry leads to an address that it must not lead to.
var errTarget = errors.New("the registry leads to an internal address")

// guard looks at every answer of a registry before the library does.
type guard struct{ http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (g guard) RoundTrip(request *http.Request) (*http.Response, error) {
	answer, err := g.RoundTripper.RoundTrip(request)
	if err != nil {
		return nil, err
	}
	switch {
	case answer.StatusCode >= 300 && answer.StatusCode < 400, answer.StatusCode == http.StatusAccepted:
		if err := checkLocation(answer); err != nil {
			_ = answer.Body.Close()
			return nil, err
		}
	case answer.StatusCode == http.StatusForbidden && request.Method == http.MethodHead && strings.Contains(request.URL.Path, "/blobs/"):
		// An answer to HEAD has no body, in which ECR says that a token has expired: the upload is to tell.
		answer.StatusCode = http.StatusNotFound
	case answer.StatusCode >= 400:
		// A reason that breaks off, or has no end, would hide the status.
		reason, _ := io.ReadAll(io.LimitReader(answer.Body, maxRefusal))
		_ = answer.Body.Close()
		answer.Body = io.NopCloser(bytes.NewReader(reason))
		select {
		case <-request.Context().Done():
		case <-time.After(retryAfter(answer)):
		}
	}
	return answer, nil
}

// retryAfter is how long a registry that is busy wants to be left alone: https://www.rfc-editor.org/rfc/rfc9110#section-10.2.3
func retryAfter(answer *http.Response) (d time.Duration) {
	after := answer.Header.Get("Retry-After")
	if seconds, err := strconv.Atoi(after); err == nil {
		d = time.Duration(min(seconds, 3600)) * time.Second
	} else if date, err := http.ParseTime(after); err == nil {
		d = time.Until(date)
	}
	return min(d, maxRetryAfter)
}

// checkLocation refuses to be led from one host to another that is given as a loopback, private or link-local address: a
// layer's bytes, or the answer to a request, would go to a service of the runner's own network. A name is not resolved:
// with VPC endpoints, names of AWS lead to private addresses. The library's own check knows fewer spellings of them.
func checkLocation(answer *http.Response) error {
	to, err := answer.Location()
	if errors.Is(err, http.ErrNoLocation) {
		return nil
	} else if err != nil {
		return fmt.Errorf("the registry leads to no address: %w", err)
	}
	return checkTarget(answer.Request.URL, to)
}

func checkTarget(from, to *url.URL) error {
	host := to.Hostname()
	if host == from.Hostname() || !isInternal(host) {
		return nil
	}
	return fmt.Errorf("%w: %s", errTarget, to.Host)
}

// isInternal reports whether host is an address of an internal network. What ends in a number is an address in one of its
// other spellings, such as 127.1 or 0x7f000001, which no registry uses: https://url.spec.whatwg.org/#ends-in-a-number-checker
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
