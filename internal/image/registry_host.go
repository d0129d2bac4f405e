package image

import (
	"context"
	"regexp"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
)

// ecrHost matches the host of a private ECR registry, with its region and the domain of the partition:
// https://docs.aws.amazon.com/general/latest/gr/ecr.html
var ecrHost = regexp.MustCompile(`^[0-9]{12}\.dkr[.-]ecr(?:-fips)?\.([a-z0-9-]+)\.(.+)$`)

// RegistryHost returns the host of an account's private registry in a region.
func RegistryHost(ctx context.Context, account, region string) string {
	return account + ".dkr.ecr." + region + "." + ecrDomain(ctx, region, false)
}

// RegionOf returns the region of an ECR host, or "" for any other host.
func RegionOf(ctx context.Context, host string) string {
	found := ecrHost.FindStringSubmatch(host)
	if found == nil {
		return ""
	}
	// Dual-stack registries are at on.aws, next to the API at api.aws:
	// https://docs.aws.amazon.com/AmazonECR/latest/userguide/ecr-requests.html
	region, domain := found[1], found[2]
	if domain != ecrDomain(ctx, region, false) && domain != strings.Replace(ecrDomain(ctx, region, true), "api.", "on.", 1) {
		return ""
	}
	return region
}

// ecrDomain returns the domain of ECR in the region's partition, as the SDK knows it. It sends no request.
func ecrDomain(ctx context.Context, region string, dualStack bool) string {
	endpoint, err := ecr.NewDefaultEndpointResolverV2().ResolveEndpoint(ctx, ecr.EndpointParameters{
		Region: &region, UseDualStack: &dualStack, UseFIPS: aws.Bool(false),
	})
	if err != nil {
		return ""
	}
	_, domain, _ := strings.Cut(endpoint.URI.Host, "."+region+".")
	return domain
}
