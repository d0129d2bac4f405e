package rollout

// Claims are what the job's OIDC token says of the job. The token is a secret, they are not.
type Claims struct {
	Issuer   string `json:"iss"`
	Subject  string `json:"sub"`
	Audience string `json:"aud"`
}

// Refusal is why the job's OIDC token was not exchanged for a role.
type Refusal string

// What is wrong.
const (
	RefusedSubject  Refusal = "subject"  // the role, if there is one, does not trust the subject
	RefusedAudience Refusal = "audience" // the identity provider does not accept the audience
	NoProvider      Refusal = "provider" // the account has no identity provider for the issuer
	RefusedToken    Refusal = "token"    // the token could not be verified
	NoRole          Refusal = "no role"  // role-to-assume is empty, and there are no other credentials
)

// RoleError is returned if the job can have an OIDC token and gets no role with it.
type RoleError struct {
	Claims
	Refusal Refusal
	Err     error
}

func (e *RoleError) Error() string { return e.Err.Error() }
func (e *RoleError) Unwrap() error { return e.Err }
