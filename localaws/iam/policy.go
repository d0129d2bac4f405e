// Package iam evaluates IAM policies as AWS does, as far as the policies of this repository need it. What it does not
// know, such as an operator, a condition key or a policy variable, is an error of Parse, so that nothing passes unseen.
// It does not know which permissions a request needs.
package iam

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// Policy is a policy of an identity, of a resource, or of the trust of a role
// (https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html).
type Policy struct {
	Version   string
	Statement []Statement
}

// Statement is one statement of a policy. Its elements are lists, also where the document has one string.
type Statement struct {
	Sid, Effect       string
	Principal         Principals
	Action, NotAction List
	Resource          List
	Condition         map[string]map[string]List // operator → key → values
}

// List is a JSON string or a list of them.
type List []string

// UnmarshalJSON implements json.Unmarshaler.
func (l *List) UnmarshalJSON(text []byte) error {
	var one string
	if json.Unmarshal(text, &one) == nil {
		*l = List{one}
		return nil
	}
	return json.Unmarshal(text, (*[]string)(l))
}

// Principals are the identities that a resource's policy is about, by their kind: AWS, Federated or Service. "*" is
// {"AWS": "*"}.
type Principals map[string]List

// UnmarshalJSON implements json.Unmarshaler.
func (p *Principals) UnmarshalJSON(text []byte) error {
	if string(text) == `"*"` {
		*p = Principals{"AWS": {"*"}}
		return nil
	}
	return json.Unmarshal(text, (*map[string]List)(p))
}

// Parse reads a policy, and refuses what this package would not evaluate as AWS does.
func Parse(document string) (p Policy, err error) {
	decoder := json.NewDecoder(strings.NewReader(document))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&p); err != nil {
		return p, fmt.Errorf("parse policy: %w", err)
	}
	if p.Version != "2012-10-17" || len(p.Statement) == 0 {
		return p, errors.New("parse policy: want Version 2012-10-17 and a Statement")
	}
	for i, s := range p.Statement {
		if err := s.validate(); err != nil {
			return p, fmt.Errorf("parse statement %d %s: %w", i+1, s.Sid, err)
		}
	}
	return p, nil
}

var actionPattern = regexp.MustCompile(`^(\*|[a-z0-9-]+:[A-Za-z*?]+)$`)

func (s Statement) validate() error {
	if s.Effect != "Allow" && s.Effect != "Deny" {
		return fmt.Errorf("unknown Effect %q", s.Effect)
	}
	if (len(s.Action) == 0) == (len(s.NotAction) == 0) {
		return errors.New("want either Action or NotAction")
	}
	for _, action := range slices.Concat(s.Action, s.NotAction) {
		if !actionPattern.MatchString(action) {
			return fmt.Errorf("unknown form of the action %q", action)
		}
	}
	for _, text := range slices.Concat(s.Resource, slices.Concat(slices.Collect(maps.Values(s.Principal))...)) {
		if strings.Contains(text, "${") {
			return fmt.Errorf("unknown policy variable in %q", text)
		}
	}
	for kind := range s.Principal {
		if kind != "AWS" && kind != "Federated" && kind != "Service" {
			return fmt.Errorf("unknown kind of principal %q", kind)
		}
	}
	return s.validateCondition()
}

func (s Statement) validateCondition() error {
	for operator, keys := range s.Condition {
		if operators[operator] == nil {
			return fmt.Errorf("unknown condition operator %q", operator)
		}
		for key, values := range keys {
			if !isKnownKey(key) {
				return fmt.Errorf("unknown condition key %q", key)
			}
			if slices.ContainsFunc(values, func(value string) bool { return strings.Contains(value, "${") }) {
				return fmt.Errorf("unknown policy variable in the values of %q", key)
			}
		}
	}
	return nil
}

// Grant is one permission that a policy allows: an action on a resource, both with wildcards.
type Grant struct{ Action, Resource string }

// Grants returns what the policy's Allow statements grant, each action on each resource.
func (p Policy) Grants() (list []Grant) {
	for _, s := range p.Statement {
		if s.Effect != "Allow" {
			continue
		}
		for _, action := range s.Action {
			for _, resource := range s.Resource {
				list = append(list, Grant{action, resource})
			}
		}
	}
	return list
}

// Covers reports whether the grant is for this action on this resource.
func (g Grant) Covers(action, resource string) bool {
	return matchesAction(g.Action, action) && matchesWildcard(g.Resource, resource)
}
