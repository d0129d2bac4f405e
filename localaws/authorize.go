package localaws

import (
	"fmt"
	"net/http"

	"github.com/org/atta-deploy-action/localaws/iam"
)

// Permission is one permission that a request needed.
type Permission struct {
	Action   string // "s3:GetObject"
	Resource string // an ARN, or "*"
	Allowed  bool
}

// permissionOf is a permission that a request needs, and what the conditions of policies can ask about it.
type permissionOf struct {
	action, resource string
	keys             map[string]string
	policy           *iam.Policy // of the resource; nil: it has none
	owner            string      // account of the resource; empty: this one
}

// authorize returns an error in the words of AWS unless the caller has the permission, and records that it was needed
// (https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html).
func (r *request) authorize(p permissionOf) error {
	keys := map[string]string{"aws:securetransport": "true"} // a plain request to this server stands for one with TLS
	for key, value := range p.keys {
		keys[key] = value
	}
	decision, by := r.roles.decide(r.principal, iam.Request{Action: p.action, Resource: p.resource, Keys: keys}, p.policy, p.owner)
	r.permissions = append(r.permissions, Permission{p.action, p.resource, decision == iam.Allowed})
	if decision == iam.Allowed {
		return nil
	}
	reason := "because no " + by + " allows the " + p.action + " action"
	if decision == iam.Denied {
		reason = "with an explicit deny in a " + by
	}
	return denial{fmt.Sprintf("User: %s is not authorized to perform: %s on resource: %s %s", r.principal.arn, p.action, p.resource, reason)}
}

// denial is the error of a request without a permission, of which each service has its own form.
type denial struct{ message string }

func (d denial) Error() string { return d.message }

// withCode returns the denial as an answer of a service.
func (d denial) withCode(status int, code string) *Error {
	return &Error{Status: status, Code: code, Message: d.message}
}

// answerOf returns the answer to a request that ended with err.
func answerOf(api service, err error) *Error {
	switch e := err.(type) { //nolint:errorlint // the emulator wraps none
	case denial:
		switch api.(type) {
		case *ecrRegistry:
			return e.withCode(http.StatusForbidden, "DENIED")
		case *ssm, *ecr, *logs:
			return e.withCode(http.StatusBadRequest, "AccessDeniedException")
		}
		return e.withCode(http.StatusForbidden, "AccessDenied")
	case *Error:
		return e.withStatus()
	}
	return &Error{Status: http.StatusInternalServerError, Code: "InternalFailure", Message: err.Error()}
}
