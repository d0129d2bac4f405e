package report

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/org/atta-deploy-action/internal/rollout"
)

// immutableSubject matches a subject with the IDs of owner and repository.
// https://github.blog/changelog/2026-04-23-immutable-subject-claims-for-github-actions-oidc-tokens/
var immutableSubject = regexp.MustCompile(`^repo:[^/@]+@\d+/[^:@]+@\d+:`)

// roleHint returns what to do about a role that cannot be assumed; empty if the code says nothing about the role.
func roleHint(result rollout.Result, err error, call operation, code string) string {
	var refused *rollout.RoleError
	switch {
	case code == "ValidationError":
		return "Lower role-duration-seconds, or raise the maximum session duration of role-to-assume. A role that is assumed with another role's credentials lasts at most 3600 seconds."
	case errors.As(err, &refused):
		return tokenHint(refused, result.Plan.Release.Environment)
	case code == "AccessDenied":
		return fmt.Sprintf("Allow %[1]s in the trust policy of role-to-assume for the identity that the message names, and grant that identity %[1]s on the role. If the trust policy requires an external ID, set role-external-id.", requiredPermission(call))
	}
	return ""
}

// tokenHint returns what to do when AWS refuses the job's OIDC token, with the claims that the token has.
func tokenHint(refused *rollout.RoleError, environment string) string {
	provider := cmp.Or(strings.TrimPrefix(refused.Issuer, "https://"), "token.actions.githubusercontent.com")
	switch refused.Refusal {
	case rollout.NoProvider:
		return fmt.Sprintf("Create the OIDC identity provider https://%s with the audience %s in the account of role-to-assume, or correct the account ID in role-to-assume.", provider, refused.Audience)
	case rollout.RefusedAudience:
		return fmt.Sprintf("The OIDC token has aud %q: set audience to one that the identity provider %s accepts, usually sts.amazonaws.com, or add this one to the provider.", refused.Audience, provider)
	case rollout.RefusedToken:
		return fmt.Sprintf("AWS reads the keys of https://%s to verify the token: it has to be reachable from the internet. If it is, start the run again.", provider)
	}
	hint := fmt.Sprintf("Does role-to-assume exist, and does its trust policy allow sts:AssumeRoleWithWebIdentity for this job? The OIDC token has sub %q and aud %q; this condition matches: %s.",
		refused.Subject, refused.Audience, trustCondition(provider, refused, environment))
	if immutableSubject.MatchString(refused.Subject) {
		hint += " The sub has the IDs of the owner and the repository, as those of all repositories created, renamed or transferred since 2026-07-15."
	}
	return hint
}

// trustCondition returns the condition of a trust policy that matches the token, for all versions of the environment.
func trustCondition(provider string, refused *rollout.RoleError, environment string) string {
	condition := map[string]map[string]string{"StringEquals": {provider + ":aud": refused.Audience}}
	subject, operator := refused.Subject, "StringEquals"
	if to, tag, ok := strings.Cut(subject, ":ref:refs/tags/"); ok && strings.HasSuffix(tag, "-"+environment) {
		subject, operator = to+":ref:refs/tags/*-"+environment, "StringLike"
	}
	if condition[operator] == nil {
		condition[operator] = map[string]string{}
	}
	condition[operator][provider+":sub"] = subject
	text, _ := json.Marshal(condition) // strings always encode
	return string(text)
}
