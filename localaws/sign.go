package localaws

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// principal is an access key and the identity that it belongs to.
type principal struct {
	id, secret string
	token      string // session token; empty for a long-lived key
	arn        string
	role       string    // name of the role whose session it is; empty: a user of the account
	expires    time.Time // zero: never
}

// keyring stores every access key and verifies Signature Version 4 with them
// (https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html).
type keyring struct {
	region string
	now    func() time.Time
	keys   sync.Map // access key id → principal
}

// issueKey creates a key; one that expires has a session token.
func (k *keyring) issueKey(prefix, arn string, expires time.Time, role string) principal {
	p := principal{id: prefix + rand.Text()[:16], secret: rand.Text() + rand.Text()[:14], arn: arn, role: role, expires: expires}
	if !expires.IsZero() {
		p.token = rand.Text() + rand.Text()
	}
	k.keys.Store(p.id, p)
	return p
}

// verifySignature recomputes the signature of r with payload, the value for the body in the
// canonical request, and sets the principal of r.
func (k *keyring) verifySignature(r *request, service, payload string) error {
	dialect := dialectOf(service)
	auth, ok := parseAuthorization(r.Header.Get("Authorization"))
	if !ok {
		return missingSignature.forDialect(dialect)
	}
	known, ok := k.keys.Load(auth.key)
	if !ok {
		return unknownKey.forDialect(dialect)
	}
	p := known.(principal)
	stamp := r.Header.Get("X-Amz-Date")
	signed, err := time.Parse("20060102T150405Z", stamp)
	if err != nil {
		return missingSignature.forDialect(dialect)
	}
	scope := strings.Join([]string{signed.Format("20060102"), k.region, service, "aws4_request"}, "/")
	if auth.scope != scope {
		return wrongScope.forDialect(dialect)
	}
	if skew := k.now().Sub(signed).Abs(); skew > dialect.allowedSkew() {
		return clockSkew.forDialect(dialect)
	}
	canonical := sha256.Sum256([]byte(canonicalRequest(r.Request, auth.headers, payload)))
	text := strings.Join([]string{algorithm, stamp, scope, hex.EncodeToString(canonical[:])}, "\n")
	key := []byte("AWS4" + p.secret)
	for part := range strings.SplitSeq(scope, "/") {
		key = hmacSHA256(key, part)
	}
	if !hmac.Equal([]byte(hex.EncodeToString(hmacSHA256(key, text))), []byte(auth.signature)) {
		return wrongSignature.forDialect(dialect)
	}
	if r.Header.Get("X-Amz-Security-Token") != p.token {
		return wrongToken.forDialect(dialect)
	}
	if !p.expires.IsZero() && !k.now().Before(p.expires) {
		return expiredToken.forDialect(dialect)
	}
	r.principal = p
	return nil
}

const algorithm = "AWS4-HMAC-SHA256"

type authorization struct {
	key, scope, signature string
	headers               []string
}

func parseAuthorization(header string) (a authorization, ok bool) {
	rest, ok := strings.CutPrefix(header, algorithm)
	if !ok {
		return a, false
	}
	for field := range strings.SplitSeq(rest, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(field), "=")
		switch name {
		case "Credential":
			a.key, a.scope, _ = strings.Cut(value, "/")
		case "SignedHeaders":
			a.headers = strings.Split(value, ";")
		case "Signature":
			a.signature = value
		}
	}
	return a, a.key != "" && a.signature != "" && len(a.headers) > 0
}

func canonicalRequest(r *http.Request, headers []string, payload string) string {
	path, _, _ := strings.Cut(r.RequestURI, "?")
	lines := []string{r.Method, path, strings.ReplaceAll(r.URL.Query().Encode(), "+", "%20")}
	for _, name := range headers {
		lines = append(lines, name+":"+headerValue(r, name))
	}
	return strings.Join(append(lines, "", strings.Join(headers, ";"), payload), "\n")
}

// headerValue returns the value of a header, some of which net/http removes from the map.
func headerValue(r *http.Request, name string) string {
	switch name {
	case "host":
		return r.Host
	case "content-length":
		return strconv.FormatInt(r.ContentLength, 10)
	}
	var values []string
	for _, value := range r.Header.Values(name) {
		values = append(values, strings.Join(strings.Fields(value), " "))
	}
	return strings.Join(values, ",")
}

func hmacSHA256(key []byte, text string) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(text))
	return mac.Sum(nil)
}

func hexSHA256(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}
