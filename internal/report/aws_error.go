package report

import (
	"errors"
	"regexp"
	"slices"
	"strings"
)

// apiError and operation are implemented by the AWS SDK's errors.
// https://docs.aws.amazon.com/sdk-for-go/v2/developer-guide/handle-errors.html
type (
	apiError interface {
		error
		ErrorCode() string
	}
	operation interface {
		error
		Service() string
		Operation() string
		Unwrap() error
	}
)

// innermostCall returns the call that failed, or nil, since any call may first have to assume a role.
func innermostCall(err error) (call operation) {
	var inner operation
	for rest := err; errors.As(rest, &inner); rest = inner.Unwrap() {
		call = inner
	}
	return call
}

// isMetadataCall reports whether a call went to the metadata service of EC2.
func isMetadataCall(call operation) bool { return call != nil && call.Service() == "ec2imds" }

// isAssumeRole reports whether the call that failed was to assume a role.
func isAssumeRole(err error) bool {
	call := innermostCall(err)
	return call != nil && strings.HasPrefix(call.Operation(), "AssumeRole")
}

// isAPIError reports whether a service has answered a call.
func isAPIError(call operation) bool {
	var api apiError
	return errors.As(call, &api)
}

// hasCode reports whether AWS has answered the call that failed with one of the codes.
func hasCode(err error, codes ...string) bool {
	call, api := innermostCall(err), apiError(nil)
	return call != nil && errors.As(call, &api) && slices.Contains(codes, api.ErrorCode())
}

// deniedCall returns the permission that a denied call of S3, or of another service, requires.
func deniedCall(err error, s3 bool) values {
	if !hasCode(err, "AccessDenied", "AccessDeniedException", "Forbidden", "UnauthorizedOperation") || (innermostCall(err).Service() == "S3") != s3 {
		return nil
	}
	return values{"permission": requiredPermission(innermostCall(err))}
}

// decidingPolicy matches the kind of policy that AWS names in a refusal.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html
var decidingPolicy = regexp.MustCompile(`(?:with an explicit deny in an?|because no) ((?:[A-Za-z-]+ ){0,3}(?:policy|boundary))\b`)

var refusedAction = regexp.MustCompile(`not authorized to perform: ([a-z0-9-]+:\w+)`)

// overruledCall returns the permission for a call, and the policy that denies it whatever the role's other policies allow.
func overruledCall(err error) values {
	if deniedCall(err, true) == nil && deniedCall(err, false) == nil {
		return nil
	}
	found := decidingPolicy.FindStringSubmatch(innermostCall(err).Error())
	if found == nil || found[1] == "identity-based policy" && strings.HasPrefix(found[0], "because") {
		return nil
	}
	permission := requiredPermission(innermostCall(err))
	if refused := refusedAction.FindStringSubmatch(innermostCall(err).Error()); refused != nil { // S3 asks KMS
		permission = refused[1]
	}
	return values{"permission": permission, "policy": found[1]}
}

// requiredPermission returns the IAM action of a call. HeadObject requires the action of GetObject,
// and without s3:ListBucket S3 returns AccessDenied for a missing object.
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html
func requiredPermission(call operation) string {
	name := strings.ToLower(call.Service()) + ":" + call.Operation()
	if name == "s3:HeadObject" || name == "s3:GetObject" {
		return "s3:GetObject and s3:ListBucket"
	}
	return name
}
