package report

import (
	"cmp"
	"encoding/json"
	"errors"
	"regexp"
	"strings"

	"github.com/org/atta-deploy-action/internal/rollout"
)

// immutableSubject matches a subject with the IDs of owner and repository.
// https://github.blog/changelog/2026-04-23-immutable-subject-claims-for-github-actions-oidc-tokens/
var immutableSubject = regexp.MustCompile(`^repo:[^/@]+@\d+/[^:@]+@\d+:`)

// versionTag matches the subject of a job that the tag of a version has started.
var versionTag = regexp.MustCompile(`^(.*:ref:refs/tags/)\d+\.\d+\.\d+(-[a-z0-9-]+)$`)

// forRefusal matches a job's OIDC token that AWS refuses for this reason, with the claims that the token has.
func forRefusal(refusal rollout.Refusal) func(error) values {
	return forType(func(e *rollout.RoleError) values {
		if e.Refusal != refusal {
			return nil
		}
		provider := cmp.Or(strings.TrimPrefix(e.Issuer, "https://"), "token.actions.githubusercontent.com")
		found := values{"provider": provider, "audience": e.Audience, "subject": e.Subject, "condition": trustCondition(provider, e)}
		if immutableSubject.MatchString(e.Subject) {
			found["immutable"] = " The sub has the IDs of the owner and the repository, as those of all repositories created, renamed or transferred since 2026-07-15."
		}
		return found
	})
}

// trustCondition returns the condition of a trust policy that matches the token, for all versions of the environment.
func trustCondition(provider string, refused *rollout.RoleError) string {
	condition := map[string]map[string]string{"StringEquals": {provider + ":aud": refused.Audience}}
	subject, operator := refused.Subject, "StringEquals"
	if match := versionTag.FindStringSubmatch(subject); match != nil {
		subject, operator = match[1]+"*"+match[2], "StringLike"
	}
	if condition[operator] == nil {
		condition[operator] = map[string]string{}
	}
	condition[operator][provider+":sub"] = subject
	text, _ := json.Marshal(condition) // strings always encode
	return string(text)
}

// noEnvironment matches the subject of a job that has no environment, in GitHub's default form. A customised one need not name it.
// https://docs.github.com/en/actions/reference/security/oidc
var noEnvironment = regexp.MustCompile(`^repo:[^:]+:(ref:[^:]+|pull_request)$`)

// forJobWithoutEnvironment matches a job that has no GitHub environment, and that AWS refuses.
func forJobWithoutEnvironment(err error) values {
	var refused *rollout.RoleError
	if !errors.As(err, &refused) || !noEnvironment.MatchString(refused.Subject) {
		return nil
	}
	return forRefusal(rollout.RefusedSubject)(err)
}
