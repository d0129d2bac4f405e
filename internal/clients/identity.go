// Package clients sets up the AWS SDK: credentials and clients. It knows nothing of what
// is deployed.
package clients

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go/logging"

	"github.com/org/atta-deploy-action/internal/inputs"
)

// TokenSource fetches the workflow's OIDC token for an audience, in a job that may
// have one.
type TokenSource interface {
	HasIDToken() bool
	IDToken(ctx context.Context, audience string) (string, error)
}

// loadConfig returns the SDK's configuration: the default chain, or the role that it or
// the workflow's OIDC token may assume. Nothing is requested yet.
func loadConfig(ctx context.Context, who inputs.Identity, tokens TokenSource) (aws.Config, error) {
	cfg, err := config.LoadDefaultConfig(ctx,
		config.WithRegion(who.Region),
		config.WithLogger(logging.Nop{}), // what matters comes back as an error
		config.WithHTTPClient(newHTTPClient()),
		config.WithRetryer(func() aws.Retryer { return retry.NewAdaptiveMode() }),
	)
	if err != nil {
		return cfg, fmt.Errorf("set up AWS: %w", err)
	}
	if who.Role == "" {
		return cfg, nil
	}
	api := sts.NewFromConfig(cfg)
	if tokens.HasIDToken() && who.ExternalID != "" {
		// https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html has no such parameter.
		return cfg, errors.New("role-external-id: a role that is assumed with an OIDC token takes none; leave it out")
	}
	if tokens.HasIDToken() {
		cfg.Credentials = aws.NewCredentialsCache(stscreds.NewWebIdentityRoleProvider(api, who.Role,
			tokenRetriever{ctx, tokens, who.Audience}, func(o *stscreds.WebIdentityRoleOptions) {
				o.RoleSessionName, o.Duration = who.SessionName, who.SessionDuration
			}))
		return cfg, nil
	}
	cfg.Credentials = aws.NewCredentialsCache(stscreds.NewAssumeRoleProvider(api, who.Role, func(o *stscreds.AssumeRoleOptions) {
		o.RoleSessionName, o.Duration = who.SessionName, who.SessionDuration
		if who.ExternalID != "" {
			o.ExternalID = &who.ExternalID
		}
	}))
	return cfg, nil
}

// The SDK waits for ever for a service that accepts a connection and stays silent:
// https://docs.aws.amazon.com/sdk-for-go/v2/developer-guide/configure-http.html#timeouts
const (
	replyTimeout   = 15 * time.Second // of an attempt, from the end of the request to the start of the reply
	attemptTimeout = 2 * time.Minute  // of an attempt as a whole; enough for the largest bundle
)

// newHTTPClient returns the SDK's client with time-outs for each attempt.
func newHTTPClient() *awshttp.BuildableClient {
	return awshttp.NewBuildableClient().WithTimeout(attemptTimeout).WithTransportOptions(func(t *http.Transport) {
		t.ResponseHeaderTimeout = replyTimeout
	})
}

// tokenRetriever gives the SDK a token whenever it renews the credentials. The context is
// stored because the SDK's interface has none.
type tokenRetriever struct {
	ctx      context.Context
	tokens   TokenSource
	audience string
}

func (r tokenRetriever) GetIdentityToken() ([]byte, error) {
	token, err := r.tokens.IDToken(r.ctx, r.audience)
	return []byte(token), err
}

// callerAccount returns the account of the credentials when it is one of allowed, and by how much
// AWS's clock is ahead of this machine's; an empty list allows any.
func callerAccount(ctx context.Context, cfg aws.Config, allowed []string) (string, time.Duration, error) {
	who, err := sts.NewFromConfig(cfg).GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil {
		return "", 0, fmt.Errorf("ask AWS who deploys: %w", err)
	}
	var skew time.Duration
	if at, ok := middleware.GetServerTime(who.ResultMetadata); ok {
		skew = time.Until(at)
	}
	id := aws.ToString(who.Account)
	if len(allowed) > 0 && !slices.Contains(allowed, id) {
		return "", 0, fmt.Errorf("these credentials belong to account %s, and allowed-account-ids is %s", id, strings.Join(allowed, ", "))
	}
	return id, skew, nil
}
