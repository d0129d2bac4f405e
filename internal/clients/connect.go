package clients

import (
	"cmp"
	"context"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/signin"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/google/go-containerregistry/pkg/authn"

	"github.com/org/atta-deploy-action/internal/bundle"
	"github.com/org/atta-deploy-action/internal/fleet"
	"github.com/org/atta-deploy-action/internal/image"
	"github.com/org/atta-deploy-action/internal/inputs"
	"github.com/org/atta-deploy-action/internal/lease"
	"github.com/org/atta-deploy-action/internal/rollout"
	"github.com/org/atta-deploy-action/internal/storage"
)

// AWS is the account and region that the inputs select.
type AWS struct {
	in    inputs.Inputs
	cfg   aws.Config
	login authn.Authenticator // to ECR in the action's region
}

// New prepares the clients. It sends no request.
func New(ctx context.Context, in inputs.Inputs, tokens TokenSource) (*AWS, error) {
	cfg, err := loadConfig(ctx, in.Identity, tokens)
	if err != nil {
		return nil, err
	}
	a := &AWS{in: in, cfg: cfg}
	a.login = image.Login(a.ecrClient(""))
	return a, nil
}

// OpenImage opens the image to push, or builds it from files.
func (a *AWS) OpenImage(ctx context.Context) (*image.Source, error) {
	keychain := image.Keychain{ECR: a.loginForRegion, Host: a.in.Image.Registry}
	if len(a.in.Image.Recipe.Files) == 0 {
		return image.Open(ctx, a.in.Image.Source, keychain)
	}
	return image.Make(ctx, a.in.Image.Recipe, keychain)
}

// ecrClient returns a client for ECR in a region; empty: the action's region.
func (a *AWS) ecrClient(region string) *ecr.Client {
	return ecr.NewFromConfig(a.cfg, func(o *ecr.Options) { o.Region = cmp.Or(region, o.Region) })
}

// loginForRegion returns the login to ECR in a region. In the action's region, all callers share one token.
func (a *AWS) loginForRegion(region string) authn.Authenticator {
	if region == "" || region == a.in.Identity.Region {
		return a.login
	}
	return image.Login(a.ecrClient(region))
}

// Connect looks up the caller's account and returns its services.
func (a *AWS) Connect(ctx context.Context) (rollout.Services, error) {
	id, skew, err := callerAccount(ctx, a.cfg, a.in.Identity.AllowedAccountIDs)
	if err != nil {
		return rollout.Services{}, err
	}
	bucket := storage.New(s3.NewFromConfig(a.cfg), storage.Location{
		Bucket: a.in.Bundle.Bucket, Owner: cmp.Or(a.in.Bundle.Owner, id), Region: a.in.Identity.Region,
		Encryption: a.in.Bundle.Encryption, KMSKey: a.in.Bundle.KMSKey,
	})
	services := rollout.Services{
		Account: id,
		Console: consoleHost(ctx, a.in.Identity.Region),
		Skew:    skew,
		Bucket:  bundle.NewStore(bucket, a.in.Bundle.Prefix),
		Lease:   lease.New(bucket, a.in.Task.Release.LeasePrefix()),
		Fleet:   fleet.New(ssm.NewFromConfig(a.cfg), a.in.Timeouts.Delivery),
	}
	if group := a.in.Reporting.LogGroup; group != "" {
		services.Log = fleet.NewLog(cloudwatchlogs.NewFromConfig(a.cfg), group)
	}
	if a.in.Image.Repository == "" {
		return services, nil
	}
	host := a.in.Image.Registry
	if host == "" {
		host = image.RegistryHost(ctx, id, a.in.Identity.Region)
	}
	region := image.RegionOf(ctx, host)
	repository, err := image.NewRepository(host, a.in.Image.Repository, a.loginForRegion(region))
	if err != nil {
		return services, err
	}
	if a.in.Image.Create {
		repository.CreateWith(a.ecrClient(region), a.in.Image.Tags)
	}
	services.Repository = repository
	return services, nil
}

// consoleHost returns the host of the console in a region: that of the sign-in page, which the SDK knows for every
// partition, with another first word. It is empty if the SDK knows none.
func consoleHost(ctx context.Context, region string) string {
	endpoint, err := signin.NewDefaultEndpointResolverV2().ResolveEndpoint(ctx, signin.EndpointParameters{
		Region: &region, UseDualStack: aws.Bool(false), UseFIPS: aws.Bool(false),
	})
	if err != nil {
		return ""
	}
	return strings.Replace(endpoint.URI.Host, ".signin.", ".console.", 1)
}
