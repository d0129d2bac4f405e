package localaws

import (
	"net/http"
	"time"
)

// dialect is the error format of a family of services: each has its own codes for the same
// invalid signature.
type dialect int

const (
	jsonDialect  dialect = iota // SSM, ECR
	queryDialect                // STS
	s3Dialect
)

func dialectOf(service string) dialect {
	switch service {
	case "s3":
		return s3Dialect
	case "sts":
		return queryDialect
	}
	return jsonDialect
}

// allowedSkew returns the tolerated clock skew.
func (d dialect) allowedSkew() time.Duration {
	if d == s3Dialect {
		return 15 * time.Minute
	}
	return 5 * time.Minute
}

// refusal is the error for one kind of invalid signature, by dialect.
type refusal [3]Error

func (r refusal) forDialect(d dialect) error { return r[d].withStatus() }

var (
	missingSignature = refusal{
		{0, "MissingAuthenticationTokenException", "Missing Authentication Token"},
		{http.StatusForbidden, "MissingAuthenticationToken", "Request is missing Authentication Token"},
		{http.StatusForbidden, "AccessDenied", "Access Denied"},
	}
	unknownKey = refusal{
		{0, "UnrecognizedClientException", "The security token included in the request is invalid."},
		{http.StatusForbidden, "InvalidClientTokenId", "The security token included in the request is invalid."},
		{http.StatusForbidden, "InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records."},
	}
	wrongToken = refusal{
		{0, "UnrecognizedClientException", "The security token included in the request is invalid."},
		{http.StatusForbidden, "InvalidClientTokenId", "The security token included in the request is invalid."},
		{0, "InvalidToken", "The provided token is malformed or otherwise invalid."},
	}
	expiredToken = refusal{
		{0, "ExpiredTokenException", "The security token included in the request is expired"},
		{http.StatusForbidden, "ExpiredToken", "The security token included in the request is expired"},
		{0, "ExpiredToken", "The provided token has expired."},
	}
	wrongSignature = refusal{
		{0, "InvalidSignatureException", "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method."},
		{http.StatusForbidden, "SignatureDoesNotMatch", "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method."},
		{http.StatusForbidden, "SignatureDoesNotMatch", "The request signature we calculated does not match the signature you provided. Check your key and signing method."},
	}
	wrongScope = refusal{
		{0, "InvalidSignatureException", "Credential should be scoped to a valid region."},
		{http.StatusForbidden, "SignatureDoesNotMatch", "Credential should be scoped to a valid region."},
		{0, "AuthorizationHeaderMalformed", "The authorization header is malformed; the region is wrong."},
	}
	clockSkew = refusal{
		{0, "InvalidSignatureException", "Signature expired or not yet current."},
		{http.StatusForbidden, "SignatureDoesNotMatch", "Signature expired or not yet current."},
		{http.StatusForbidden, "RequestTimeTooSkewed", "The difference between the request time and the current time is too large."},
	}
)
