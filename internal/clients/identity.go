// Package clients sets up the AWS SDK: credentials and clients. It does not know what is deployed.
package clients

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path"
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

// loadConfig returns the SDK's configuration, with the credentials of the default chain or
// of the role to assume, with the OIDC token if there is one. It sends no request.
func loadConfig(ctx context.Context, who inputs.Identity, tokens TokenSource) (aws.Config, error) {
	if who.Role != "" && tokens.HasIDToken() {
		// No other credentials are needed, and a profile that does not exist would be an error.
		if err := os.Unsetenv("AWS_PROFILE"); err != nil {
			return aws.Config{}, err
		}
	}
	cfg, err := config.LoadDefaultConfig(ctx,
		config.WithRegion(who.Region),
		config.WithLogger(logging.Nop{}), // what matters is returned as an error
		config.WithHTTPClient(newHTTPClient()),
		config.WithRetryer(func() aws.Retryer { return retry.NewAdaptiveMode() }),
	)
	if err != nil {
		return cfg, explainLoadError(err)
	}
	if who.Role == "" {
		if tokens.HasIDToken() {
			cfg.Credentials = withoutRole{cfg.Credentials}
		}
		return cfg, nil
	}
	api := sts.NewFromConfig(cfg)
	if tokens.HasIDToken() && who.ExternalID != "" {
		// https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html has no such parameter.
		return cfg, errors.New("role-external-id must not be set: a role that is assumed with an OIDC token has no external ID")
	}
	if tokens.HasIDToken() {
		cfg.Credentials = aws.NewCredentialsCache(newWebIdentity(ctx, api, who, tokens))
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

// explainLoadError names the variable that refers to a file of the runner, which a container action does not see.
func explainLoadError(err error) error {
	switch bundle := os.Getenv("AWS_CA_BUNDLE"); { //nolint:forbidigo // the SDK reads it, and this explains why it cannot
	case errors.As(err, new(config.SharedConfigProfileNotExistError)):
		return fmt.Errorf("AWS_PROFILE names a profile, and the container of this action has no ~/.aws: set AWS_PROFILE to an empty value in the env of this step: %w", err)
	case bundle != "" && errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("AWS_CA_BUNDLE is %s, which the container of this action does not see: copy the file into the workspace, and set AWS_CA_BUNDLE to ${{ github.workspace }}/%s in the env of this step: %w", bundle, path.Base(bundle), err)
	}
	return fmt.Errorf("set up AWS: %w", err)
}

// Without these timeouts, the SDK waits forever for a service that accepts a connection and does not respond:
// https://docs.aws.amazon.com/sdk-for-go/v2/developer-guide/configure-http.html#timeouts
const (
	responseTimeout = 15 * time.Second // of an attempt, from the end of the request to the start of the response
	attemptTimeout  = 2 * time.Minute  // of a whole attempt; enough for the largest bundle
)

// newHTTPClient returns the SDK's client with timeouts for each attempt.
func newHTTPClient() *awshttp.BuildableClient {
	return awshttp.NewBuildableClient().WithTimeout(attemptTimeout).WithTransportOptions(func(t *http.Transport) {
		t.ResponseHeaderTimeout = responseTimeout
	})
}

// callerAccount returns the account of the credentials and by how much AWS's clock is ahead of this machine's. It returns an
// error if the account is not one of allowed; an empty list allows any.
func callerAccount(ctx context.Context, cfg aws.Config, allowed []string) (string, time.Duration, error) {
	who, err := sts.NewFromConfig(cfg).GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil {
		return "", 0, fmt.Errorf("get AWS caller identity: %w", err)
	}
	var skew time.Duration
	if at, ok := middleware.GetServerTime(who.ResultMetadata); ok {
		skew = time.Until(at)
	}
	id := aws.ToString(who.Account)
	if len(allowed) > 0 && !slices.Contains(allowed, id) {
		return "", 0, fmt.Errorf("the credentials belong to account %s, but allowed-account-ids is %s", id, strings.Join(allowed, ", "))
	}
	return id, skew, nil
}
