package localaws

import (
	"cmp"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"sync"
	"time"
)

// ecr is the ECR API. It shares its repositories with the registry.
type ecr struct {
	jsonService
	account, region, host string
	arn                   string // of a repository, without its name
	now                   func() time.Time

	mu           sync.Mutex
	repositories map[string]*repository
	logins       map[string]login // by password
}

type login struct {
	principal principal
	expires   time.Time
}

// repository stores what was pushed. The mutex is held for a whole manifest push, so
// that two pushes of one immutable tag cannot both succeed.
type repository struct {
	name       string
	mutability string
	movable    []string // filters of IMMUTABLE_WITH_EXCLUSION
	created    time.Time

	mu     sync.Mutex
	blobs  map[string][]byte
	images map[string]image  // by digest
	tags   map[string]string // tag → digest
}

type image struct {
	mediaType, artifactType string
	size                    int64
	pushed                  time.Time
}

func newECR(o Options, keys *keyring, host string) *ecr {
	e := &ecr{
		account: o.Account, region: o.Region, host: host, now: o.Now, arn: "arn:" + o.Partition + ":ecr:" + o.Region + ":" + o.Account + ":repository/",
		repositories: map[string]*repository{},
		logins:       map[string]login{},
	}
	e.jsonService = jsonService{id: "ecr", keys: keys, permission: e.permissionsOf, operations: map[string]operation{
		"GetAuthorizationToken": e.getAuthorizationToken,
		"CreateRepository":      decodeInput(e.createRepository),
		"DescribeRepositories":  decodeInput(e.describeRepositories),
		"DescribeImages":        decodeInput(e.describeImages),
	}}
	return e
}

// CreateRepository adds an ECR repository. mutability is MUTABLE, IMMUTABLE or
// IMMUTABLE_WITH_EXCLUSION, with which tags latest-* can be moved.
func (s *Server) CreateRepository(name string, mutability string) {
	s.ecr.mu.Lock()
	defer s.ecr.mu.Unlock()
	s.ecr.addRepository(name, mutability, "latest-*")
}

func (e *ecr) addRepository(name, mutability string, movable ...string) *repository {
	r := &repository{
		name: name, mutability: mutability, movable: movable, created: e.now(),
		blobs: map[string][]byte{}, images: map[string]image{}, tags: map[string]string{},
	}
	e.repositories[name] = r
	return r
}

// ExpireImage removes the image that a tag names, with all of its tags, as a lifecycle policy does. Its layers stay.
func (s *Server) ExpireImage(name, tag string) {
	r, _ := s.ecr.findRepository(name)
	r.mu.Lock()
	defer r.mu.Unlock()
	digest := r.tags[tag]
	delete(r.images, digest)
	maps.DeleteFunc(r.tags, func(_, named string) bool { return named == digest })
}

func (e *ecr) findRepository(name string) (*repository, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	r, ok := e.repositories[name]
	return r, ok
}

// isImmutable reports whether tag can be set only once.
func (r *repository) isImmutable(tag string) bool {
	excluded := slices.ContainsFunc(r.movable, func(filter string) bool {
		matched, _ := path.Match(filter, tag)
		return matched
	})
	return r.mutability == "IMMUTABLE" || r.mutability == "IMMUTABLE_WITH_EXCLUSION" && !excluded
}

func (e *ecr) getAuthorizationToken(r *request) (any, error) {
	// https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_GetAuthorizationToken.html
	password, expires := rand.Text(), e.now().Add(12*time.Hour)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.logins[password] = login{r.principal, expires}
	return object{"authorizationData": []object{{
		"authorizationToken": base64.StdEncoding.EncodeToString([]byte("AWS:" + password)),
		"expiresAt":          unixSeconds(expires),
		"proxyEndpoint":      "http://" + e.host,
	}}}, nil
}

// https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_CreateRepository.html
func (e *ecr) createRepository(in struct {
	RepositoryName                     string
	ImageTagMutability                 string
	ImageTagMutabilityExclusionFilters []struct{ FilterType, Filter string }
}) (any, error) {
	var movable []string
	for _, filter := range in.ImageTagMutabilityExclusionFilters {
		if filter.FilterType != "WILDCARD" || !tagFilter.MatchString(filter.Filter) {
			return nil, invalidFilter("the filter '" + filter.Filter + "' is not valid")
		}
		movable = append(movable, filter.Filter)
	}
	if exclusion := in.ImageTagMutability == "IMMUTABLE_WITH_EXCLUSION"; exclusion != (len(movable) > 0) || len(movable) > 5 {
		return nil, invalidFilter("IMMUTABLE_WITH_EXCLUSION requires 1 to 5 exclusion filters, any other value allows none")
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if _, ok := e.repositories[in.RepositoryName]; ok {
		return nil, &Error{Code: "RepositoryAlreadyExistsException", Message: fmt.Sprintf(
			"The repository with name '%s' already exists in the registry with id '%s'", in.RepositoryName, e.account)}
	}
	return object{"repository": e.describeRepository(e.addRepository(in.RepositoryName, cmp.Or(in.ImageTagMutability, "MUTABLE"), movable...))}, nil
}

var tagFilter = regexp.MustCompile(`^[0-9a-zA-Z._*-]{1,128}$`)

func invalidFilter(message string) error {
	return &Error{Code: "InvalidParameterException", Message: "Invalid parameter at 'imageTagMutabilityExclusionFilters' failed to satisfy constraint: '" + message + "'"}
}

// describeRepository returns a repository as the API describes it.
func (e *ecr) describeRepository(r *repository) object {
	described := object{
		"repositoryName": r.name, "registryId": e.account, "createdAt": unixSeconds(r.created),
		"repositoryArn":      e.arn + r.name,
		"repositoryUri":      e.host + "/" + r.name,
		"imageTagMutability": r.mutability,
	}
	if r.mutability == "IMMUTABLE_WITH_EXCLUSION" {
		filters := []object{}
		for _, filter := range r.movable {
			filters = append(filters, object{"filterType": "WILDCARD", "filter": filter})
		}
		described["imageTagMutabilityExclusionFilters"] = filters
	}
	return described
}

func (e *ecr) describeRepositories(in struct {
	RepositoryNames []string
	NextToken       string
	MaxResults      int
}) (any, error) {
	if len(in.RepositoryNames) == 0 {
		e.mu.Lock()
		in.RepositoryNames = slices.Sorted(maps.Keys(e.repositories))
		e.mu.Unlock()
	}
	found := []object{}
	for _, name := range in.RepositoryNames {
		r, ok := e.findRepository(name)
		if !ok {
			return nil, e.noRepository(name)
		}
		found = append(found, e.describeRepository(r))
	}
	items, next, err := cutPage(found, in.NextToken, cmp.Or(in.MaxResults, 100))
	return object{"repositories": items, "nextToken": next}, err
}

type imageID struct{ ImageTag, ImageDigest string }

func (e *ecr) describeImages(in struct {
	RepositoryName string
	ImageIDs       []imageID
	NextToken      string
	MaxResults     int
}) (any, error) {
	r, ok := e.findRepository(in.RepositoryName)
	if !ok {
		return nil, e.noRepository(in.RepositoryName)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	digests := slices.Sorted(maps.Keys(r.images))
	if len(in.ImageIDs) > 0 {
		digests = nil
	}
	for _, id := range in.ImageIDs {
		digest := cmp.Or(id.ImageDigest, r.tags[id.ImageTag])
		if _, ok := r.images[digest]; !ok || id.ImageTag != "" && r.tags[id.ImageTag] != digest {
			return nil, &Error{Code: "ImageNotFoundException", Message: fmt.Sprintf(
				"The image with imageId {imageDigest:'%s', imageTag:'%s'} does not exist within the repository with name '%s' in the registry with id '%s'",
				cmp.Or(id.ImageDigest, "null"), cmp.Or(id.ImageTag, "null"), r.name, e.account)}
		}
		digests = append(digests, digest)
	}
	details := []object{}
	for _, digest := range digests {
		details = append(details, e.describe(r, digest))
	}
	items, next, err := cutPage(details, in.NextToken, cmp.Or(in.MaxResults, 100))
	return object{"imageDetails": items, "nextToken": next}, err
}

func (e *ecr) describe(r *repository, digest string) object {
	tags := []string{}
	for _, tag := range slices.Sorted(maps.Keys(r.tags)) {
		if r.tags[tag] == digest {
			tags = append(tags, tag)
		}
	}
	i := r.images[digest]
	return object{
		"registryId": e.account, "repositoryName": r.name, "imageDigest": digest, "imageTags": tags,
		"imageSizeInBytes": i.size, "imagePushedAt": unixSeconds(i.pushed),
		"imageManifestMediaType": i.mediaType, "artifactMediaType": i.artifactType,
	}
}

func (e *ecr) noRepository(name string) error {
	return &Error{Code: "RepositoryNotFoundException", Message: fmt.Sprintf(
		"The repository with name '%s' does not exist in the registry with id '%s'", name, e.account)}
}
