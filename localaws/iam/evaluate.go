package iam

import (
	"fmt"
	"slices"
	"strings"
)

// Request is one permission that a request needs.
type Request struct {
	Principal Principal
	Action    string            // "s3:GetObject"
	Resource  string            // an ARN, or "*" where the action knows no narrower one
	Keys      map[string]string // condition keys in lower case; a key that the request does not have is missing
}

// Principal is who sends a request. Names are all that a policy may call it, such as the ARN of a role's session and that
// of the role.
type Principal struct {
	Kind  string // AWS, Federated or Service
	Names []string
}

// Decision is what policies say about a request.
type Decision int

// Decisions, in order of precedence.
const (
	NotAllowed Decision = iota // no statement applies
	Allowed
	Denied // by a statement with the effect Deny, whatever else allows it
)

// Evaluate returns the decision of the policies together
// (https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html).
func Evaluate(r Request, policies ...Policy) Decision {
	decision := NotAllowed
	for _, p := range policies {
		for _, s := range p.Statement {
			switch {
			case !s.appliesTo(r):
			case s.Effect == "Deny":
				return Denied
			default:
				decision = Allowed
			}
		}
	}
	return decision
}

// appliesTo reports whether the statement is about the request. A policy of an identity names no principal, and the trust
// of a role no resource.
func (s Statement) appliesTo(r Request) bool {
	matches := func(list List, match func(pattern, text string) bool, text string) bool {
		return slices.ContainsFunc(list, func(pattern string) bool { return match(pattern, text) })
	}
	switch {
	case s.Principal != nil && !s.Principal.include(r.Principal),
		len(s.Action) > 0 && !matches(s.Action, matchesAction, r.Action),
		matches(s.NotAction, matchesAction, r.Action),
		s.Resource != nil && !matches(s.Resource, matchesWildcard, r.Resource):
		return false
	}
	for operator, keys := range s.Condition {
		for key, values := range keys {
			value, present := r.Keys[strings.ToLower(key)]
			if !operators[operator](value, present, values) {
				return false
			}
		}
	}
	return true
}

func (p Principals) include(who Principal) bool {
	return slices.ContainsFunc(p[who.Kind], func(name string) bool { return name == "*" || slices.Contains(who.Names, name) })
}

// operators are the condition operators, each of which is true for one of the values. Without the key in the request, only
// a negated one and Null are: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html
var operators = map[string]func(value string, present bool, values List) bool{
	"StringEquals":    func(value string, present bool, values List) bool { return present && slices.Contains(values, value) },
	"StringNotEquals": func(value string, present bool, values List) bool { return !present || !slices.Contains(values, value) },
	"StringLike": func(value string, present bool, values List) bool {
		return present && slices.ContainsFunc(values, func(pattern string) bool { return matchesWildcard(pattern, value) })
	},
	"Bool": func(value string, present bool, values List) bool { return present && slices.Contains(values, value) },
	"Null": func(_ string, present bool, values List) bool { return slices.Contains(values, fmt.Sprint(!present)) },
}

// knownKeys are the condition keys that localaws sets in a request, in lower case; a name that ends with a slash is
// followed by the key of a tag.
var knownKeys = []string{
	"aws:securetransport", "s3:if-match", "s3:if-none-match", "s3:x-amz-server-side-encryption", "ssm:resourcetag/", "sts:externalid",
	"token.actions.githubusercontent.com:aud", "token.actions.githubusercontent.com:sub",
}

func isKnownKey(key string) bool {
	key = strings.ToLower(key)
	return slices.ContainsFunc(knownKeys, func(known string) bool {
		return key == known || strings.HasSuffix(known, "/") && strings.HasPrefix(key, known) && key != known
	}) && !strings.HasSuffix(key, "/")
}

func matchesAction(pattern, action string) bool {
	return matchesWildcard(strings.ToLower(pattern), strings.ToLower(action))
}

// matchesWildcard matches a whole text with a pattern in which * stands for any text and ? for one character.
func matchesWildcard(pattern, text string) bool {
	star, mark, p := -1, 0, 0
	for t := 0; t < len(text); {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, mark, p = p, t, p+1
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == text[t]):
			p, t = p+1, t+1
		case star >= 0:
			mark++
			p, t = star+1, mark
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}
