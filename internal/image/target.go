package image

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
)

// maxRedirects is how many redirects of one request are followed, as in net/http.
const maxRedirects = 10

// errTarget says that a registry leads to an address that it must not lead to.
var errTarget = errors.New("the registry leads to an internal address")

// checkTarget refuses to be led from one host to another that is given as a loopback, private or link-local address: a
// layer's bytes, or the answer to a request, would go to a service of the runner's own network. A name is not resolved:
// with VPC endpoints, names of AWS lead to private addresses.
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

func checkRedirect(next *http.Request, via []*http.Request) error {
	if len(via) >= maxRedirects {
		return fmt.Errorf("%w: it redirects more than %d times", errAnswer, maxRedirects)
	}
	return checkTarget(via[len(via)-1].URL, next.URL)
}
