package localaws

import (
	"cmp"
	"crypto/hmac"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"time"
)

// oidcPath cannot be a bucket, whose name contains no underscore.
const oidcPath = "/_oidc/token"

// issuer is that of GitHub's tokens. Nothing asks it for its keys.
const issuer = "https://token.actions.githubusercontent.com"

// oidc is the token endpoint of a GitHub job and the identity provider behind it
// (https://docs.github.com/en/actions/reference/security/oidc).
type oidc struct {
	subject string
	bearer  string
	key     []byte
	now     func() time.Time
}

type claims struct {
	Issuer   string `json:"iss"`
	Subject  string `json:"sub"`
	Audience string `json:"aud"`
	Issued   int64  `json:"iat"`
	Expires  int64  `json:"exp"`
}

func newOIDC(o Options) *oidc {
	return &oidc{subject: o.Subject, bearer: rand.Text(), key: []byte(rand.Text()), now: o.Now}
}

func (o *oidc) name(r *request) (string, string) {
	return "oidc:GetToken", r.URL.Query().Get("audience")
}

func (o *oidc) serve(w http.ResponseWriter, r *request) error {
	if r.Header.Get("Authorization") != "Bearer "+o.bearer && r.Header.Get("Authorization") != "bearer "+o.bearer {
		return &Error{Status: http.StatusUnauthorized, Code: "Unauthorized", Message: "the request token is not this job's"}
	}
	audience := r.URL.Query().Get("audience")
	if audience == "" {
		audience = "https://github.com/org"
	}
	w.Header().Set("Content-Type", "application/json")
	return json.NewEncoder(w).Encode(map[string]string{"value": o.issueToken(audience)})
}

func (o *oidc) refuse(w http.ResponseWriter, _ *request, err *Error) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(err.Status)
	_ = json.NewEncoder(w).Encode(map[string]string{"message": err.Message})
}

// issueToken returns a JWT that is valid for five minutes. GitHub signs with RS256; here
// issuer and verifier share a key.
func (o *oidc) issueToken(audience string) string {
	now := o.now()
	body, _ := json.Marshal(claims{
		Issuer: issuer, Subject: o.subject, Audience: audience,
		Issued: now.Unix(), Expires: now.Add(5 * time.Minute).Unix(),
	})
	text := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"HS256","typ":"JWT"}`)) + "." +
		base64.RawURLEncoding.EncodeToString(body)
	return text + "." + o.signText(text)
}

// verifyToken returns the claims of a token from issueToken that the account's identity provider accepts.
// Its errors are those of https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html.
func (o *oidc) verifyToken(token string, p Provider) (claims, error) {
	var c claims
	if p.Missing {
		return c, &Error{Code: "InvalidIdentityToken", Message: "No OpenIDConnect provider found in your account for " + issuer}
	}
	dot := strings.LastIndex(token, ".")
	if dot < 0 || !hmac.Equal([]byte(o.signText(token[:dot])), []byte(token[dot+1:])) {
		return c, &Error{Code: "InvalidIdentityToken", Message: "Couldn't retrieve verification key from your identity provider"}
	}
	_, payload, _ := strings.Cut(token[:dot], ".")
	body, err := base64.RawURLEncoding.DecodeString(payload)
	if err != nil || json.Unmarshal(body, &c) != nil {
		return c, &Error{Code: "InvalidIdentityToken", Message: "The ID Token provided is not a valid JWT"}
	}
	if o.now().Unix() >= c.Expires {
		return c, &Error{Code: "ExpiredTokenException", Message: "Token expired"}
	}
	if c.Audience != cmp.Or(p.Audience, "sts.amazonaws.com") {
		return c, &Error{Code: "InvalidIdentityToken", Message: "Incorrect token audience"}
	}
	return c, nil
}

func (o *oidc) signText(text string) string {
	return base64.RawURLEncoding.EncodeToString(hmacSHA256(o.key, text))
}
