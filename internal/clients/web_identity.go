package clients

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"

	"github.com/org/atta-deploy-action/internal/inputs"
	"github.com/org/atta-deploy-action/internal/rollout"
)

// TokenSource requests the workflow's OIDC token for an audience, if the job is allowed to have one.
type TokenSource interface {
	HasIDToken() bool
	IDToken(ctx context.Context, audience string) (string, error)
}

// webIdentity assumes a role with the job's OIDC token. An error of AWS becomes a rollout.RoleError with the claims of the
// token, since AWS does not name them.
type webIdentity struct {
	*stscreds.WebIdentityRoleProvider
	token *tokenRetriever
}

func newWebIdentity(ctx context.Context, api *sts.Client, who inputs.Identity, tokens TokenSource) webIdentity {
	token := &tokenRetriever{ctx: ctx, tokens: tokens, audience: who.Audience}
	return webIdentity{stscreds.NewWebIdentityRoleProvider(api, who.Role, token, func(o *stscreds.WebIdentityRoleOptions) {
		o.RoleSessionName, o.Duration = who.SessionName, who.SessionDuration
	}), token}
}

// Retrieve implements aws.CredentialsProvider.
func (w webIdentity) Retrieve(ctx context.Context) (aws.Credentials, error) {
	found, err := w.WebIdentityRoleProvider.Retrieve(ctx)
	var api smithy.APIError
	if !errors.As(err, &api) {
		return found, err
	}
	if refusal := classifyRefusal(api); refusal != "" {
		err = &rollout.RoleError{Claims: parseClaims(w.token.latest), Refusal: refusal, Err: err}
	}
	return found, err
}

// classifyRefusal returns why STS has refused a token; empty: for another reason. STS has one code for several causes.
// https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html#API_AssumeRoleWithWebIdentity_Errors
func classifyRefusal(err smithy.APIError) rollout.Refusal {
	switch code, message := err.ErrorCode(), err.ErrorMessage(); {
	case code == "AccessDenied":
		return rollout.RefusedSubject
	case code == "InvalidIdentityToken" && strings.HasPrefix(message, "Incorrect token audience"):
		return rollout.RefusedAudience
	case code == "InvalidIdentityToken" && strings.HasPrefix(message, "No OpenIDConnect provider"):
		return rollout.NoProvider
	case code == "InvalidIdentityToken", code == "IDPCommunicationError", code == "IDPRejectedClaim":
		return rollout.RefusedToken
	}
	return ""
}

// tokenRetriever returns a token whenever the SDK renews the credentials. The context is
// stored because the SDK's interface has none.
type tokenRetriever struct {
	ctx      context.Context
	tokens   TokenSource
	audience string
	latest   string
}

func (r *tokenRetriever) GetIdentityToken() (token []byte, err error) {
	r.latest, err = r.tokens.IDToken(r.ctx, r.audience)
	return []byte(r.latest), err
}

// parseClaims reads the claims of a JWT, which are empty if it is not one. Its signature is for AWS to verify.
func parseClaims(token string) (claims rollout.Claims) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return claims
	}
	if payload, err := base64.RawURLEncoding.DecodeString(parts[1]); err == nil {
		_ = json.Unmarshal(payload, &claims)
	}
	return claims
}

// withoutRole are the credentials of the environment in a job that can have an OIDC token, and names no role.
type withoutRole struct{ aws.CredentialsProvider }

// Retrieve implements aws.CredentialsProvider.
func (w withoutRole) Retrieve(ctx context.Context) (aws.Credentials, error) {
	found, err := w.CredentialsProvider.Retrieve(ctx)
	if err != nil {
		err = &rollout.RoleError{Refusal: rollout.NoRole, Err: err}
	}
	return found, err
}
