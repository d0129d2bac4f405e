package image

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/google/go-containerregistry/pkg/authn"
)

// renewBefore is how long before its expiry a token is renewed, so that it does not expire during a request.
const renewBefore = 5 * time.Minute

type ecrAPI interface {
	GetAuthorizationToken(context.Context, *ecr.GetAuthorizationTokenInput, ...func(*ecr.Options)) (*ecr.GetAuthorizationTokenOutput, error)
}

// Login authenticates to the account's ECR. The token is fetched with the first request and again shortly before it
// expires, 12 hours later: https://docs.aws.amazon.com/AmazonECR/latest/userguide/registry_auth.html
func Login(api ecrAPI) authn.Authenticator {
	return &login{api: api}
}

type login struct {
	api ecrAPI

	mu      sync.Mutex
	token   authn.AuthConfig
	expires time.Time
	fetched time.Time
}

// Authorization is AuthorizationContext without a context, for callers that have none.
func (l *login) Authorization() (*authn.AuthConfig, error) {
	return l.AuthorizationContext(context.Background())
}

// AuthorizationContext returns the user and password of the current token, which it renews when needed.
func (l *login) AuthorizationContext(ctx context.Context) (*authn.AuthConfig, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if time.Until(l.expires) < renewBefore {
		if err := l.renewToken(ctx); err != nil {
			return nil, fmt.Errorf("log in to ECR: %w", err)
		}
	}
	token := l.token
	return &token, nil
}

// Renew makes the next request fetch a new token, unless it was fetched just now.
func (l *login) Renew() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if time.Since(l.fetched) > time.Second {
		l.expires = time.Time{}
	}
}

func (l *login) renewToken(ctx context.Context) error {
	out, err := l.api.GetAuthorizationToken(ctx, &ecr.GetAuthorizationTokenInput{})
	if err != nil {
		return err
	}
	if len(out.AuthorizationData) == 0 || out.AuthorizationData[0].AuthorizationToken == nil {
		return errors.New("the response contains no token")
	}
	data := out.AuthorizationData[0]
	decoded, err := base64.StdEncoding.DecodeString(*data.AuthorizationToken)
	if err != nil {
		return fmt.Errorf("decode token: %w", err)
	}
	user, password, ok := strings.Cut(string(decoded), ":")
	if !ok {
		return errors.New("the token is not user:password")
	}
	l.token = authn.AuthConfig{Username: user, Password: password}
	l.fetched = time.Now()
	l.expires = l.fetched.Add(12 * time.Hour)
	if data.ExpiresAt != nil {
		l.expires = *data.ExpiresAt
	}
	return nil
}

// Keychain authenticates with ECR at every host of ECR and at Host, which serves ECR under another name; for other hosts it
// uses the machine's docker login, if any.
type Keychain struct {
	ECR  func(region string) authn.Authenticator // a token is valid in its region only; "" if the host names no region
	Host string                                  // host[:port]; may be empty
}

// Resolve is ResolveContext without a context, for callers that have none.
func (k Keychain) Resolve(target authn.Resource) (authn.Authenticator, error) {
	return k.ResolveContext(context.Background(), target)
}

// ResolveContext implements authn.ContextKeychain.
func (k Keychain) ResolveContext(ctx context.Context, target authn.Resource) (authn.Authenticator, error) {
	host := target.RegistryStr()
	if region := RegionOf(ctx, host); region != "" || host == k.Host {
		return k.ECR(region), nil
	}
	return authn.Resolve(ctx, authn.DefaultKeychain, target)
}
