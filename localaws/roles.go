package localaws

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/org/atta-deploy-action/localaws/iam"
)

// Role is an IAM role of the account.
type Role struct {
	Name     string
	Trust    string   // the policy that says who may assume it
	Policies []string // what it may do
}

// roles are the account's. As long as none was created, each role that anybody names exists, trusts everybody, and may do
// everything.
type roles struct {
	account, partition string

	mu   sync.Mutex
	list map[string]role
}

type role struct {
	trust    iam.Policy
	policies []iam.Policy
}

// CreateRole creates a role, or replaces one with the same name. From the first role on, the account has no others, and
// each request with a role's credentials needs its policies' permission.
func (s *Server) CreateRole(r Role) error {
	var created role
	var err error
	if created.trust, err = iam.Parse(r.Trust); err != nil {
		return fmt.Errorf("create role %s: %w", r.Name, err)
	}
	for _, text := range r.Policies {
		policy, err := iam.Parse(text)
		if err != nil {
			return fmt.Errorf("create role %s: %w", r.Name, err)
		}
		created.policies = append(created.policies, policy)
	}
	s.roles.mu.Lock()
	defer s.roles.mu.Unlock()
	s.roles.list[r.Name] = created
	return nil
}

// find returns a role; enforced is false if the account has none at all.
func (a *roles) find(name string) (found role, exists, enforced bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	found, exists = a.list[name]
	return found, exists, len(a.list) > 0
}

// mayAssume reports whether the trust policy of a role allows a request. Whom it names directly needs no permission; whom
// it only allows as one of the account does:
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html#principal-accounts
func (a *roles) mayAssume(name string, r iam.Request, caller principal) bool {
	found, exists, enforced := a.find(name)
	if !enforced {
		return true
	}
	if !exists || iam.Evaluate(r, found.trust) == iam.Allowed {
		return exists
	}
	r.Principal.Names = append(r.Principal.Names, a.accountNames()...)
	permitted, _ := a.decide(caller, r, nil, "")
	return r.Principal.Kind == "AWS" && iam.Evaluate(r, found.trust) == iam.Allowed && permitted == iam.Allowed
}

// decide evaluates the policies of the caller's role together with that of a resource, of which each must allow the
// request if the resource is another account's, and says which of them was decisive. A key of the account itself, such as
// the runner's, may do everything that no policy of a resource denies.
func (a *roles) decide(caller principal, r iam.Request, resource *iam.Policy, owner string) (decision iam.Decision, by string) {
	r.Principal = iam.Principal{Kind: "AWS", Names: append(a.namesOf(caller), a.accountNames()...)}
	ofResource := iam.NotAllowed
	if resource != nil {
		ofResource = iam.Evaluate(r, *resource)
	}
	ofIdentity := iam.Allowed
	found, _, enforced := a.find(caller.role)
	if enforced && caller.role != "" {
		ofIdentity = iam.Evaluate(r, found.policies...)
	}
	switch other := enforced && cmp.Or(owner, a.account) != a.account; {
	case ofIdentity == iam.Denied, ofResource != iam.Denied && ofIdentity == iam.NotAllowed && (other || ofResource == iam.NotAllowed):
		return ofIdentity, "identity-based policy"
	case ofResource == iam.Denied, other && ofResource == iam.NotAllowed:
		return ofResource, "resource-based policy"
	}
	return iam.Allowed, ""
}

// namesOf returns what a policy may call the caller.
func (a *roles) namesOf(caller principal) []string {
	if caller.role == "" {
		return []string{caller.arn}
	}
	return []string{caller.arn, "arn:" + a.partition + ":iam::" + a.account + ":role/" + caller.role}
}

// accountNames returns what a policy may call the account, which stands for each of its identities.
func (a *roles) accountNames() []string {
	return []string{a.account, "arn:" + a.partition + ":iam::" + a.account + ":root"}
}

// sessionLength is how long credentials of RoleCredentials last: longer than any test.
const sessionLength = 12 * time.Hour

// RoleCredentials returns credentials of a role, as the metadata service of an instance or
// aws-actions/configure-aws-credentials hands them out.
func (s *Server) RoleCredentials(role, session string) aws.Credentials {
	p := s.keys.issueKey("ASIA", "arn:"+s.options.Partition+":sts::"+s.options.Account+":assumed-role/"+role+"/"+session, s.options.Now().Add(sessionLength), role)
	return aws.Credentials{AccessKeyID: p.id, SecretAccessKey: p.secret, SessionToken: p.token}
}

// RoleEnv is Env with credentials of a role.
func (s *Server) RoleEnv(role, session string) []string {
	c := s.RoleCredentials(role, session)
	return append(slices.DeleteFunc(s.Env(), func(entry string) bool { return strings.Contains(entry, "_KEY") }),
		"AWS_ACCESS_KEY_ID="+c.AccessKeyID, "AWS_SECRET_ACCESS_KEY="+c.SecretAccessKey, "AWS_SESSION_TOKEN="+c.SessionToken)
}

// partitionOf returns the partition of a region
// (https://docs.aws.amazon.com/IAM/latest/UserGuide/reference-arns.html).
func partitionOf(region string) string {
	for prefix, partition := range map[string]string{
		"cn-": "aws-cn", "us-gov-": "aws-us-gov", "us-iso-": "aws-iso", "us-isob-": "aws-iso-b", "eusc-": "aws-eusc",
	} {
		if strings.HasPrefix(region, prefix) {
			return partition
		}
	}
	return "aws"
}
