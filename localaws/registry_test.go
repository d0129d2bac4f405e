package localaws_test

import (
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecr/types"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/google/go-containerregistry/pkg/v1/validate"
	"github.com/org/atta-deploy-action/localaws"
)

// login returns the credentials that `aws ecr get-login-password` prints.
func login(t *testing.T, s *localaws.Server) remote.Option {
	t.Helper()
	return loginWith(t, s, s.Config())
}

func loginWith(t *testing.T, s *localaws.Server, config aws.Config) remote.Option {
	t.Helper()
	out, err := ecr.NewFromConfig(config).GetAuthorizationToken(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	data := out.AuthorizationData[0]
	if *data.ProxyEndpoint != s.URL() {
		t.Fatalf("proxy endpoint is %s, want %s", *data.ProxyEndpoint, s.URL())
	}
	text, err := base64.StdEncoding.DecodeString(*data.AuthorizationToken)
	if err != nil {
		t.Fatal(err)
	}
	user, password, _ := strings.Cut(string(text), ":")
	return remote.WithAuth(&authn.Basic{Username: user, Password: password})
}

func tag(t *testing.T, s *localaws.Server, reference string) name.Reference {
	t.Helper()
	ref, err := name.ParseReference(s.RegistryHost() + "/" + reference)
	if err != nil {
		t.Fatal(err)
	}
	return ref
}

func randomImage(t *testing.T) v1.Image {
	t.Helper()
	image, err := random.Image(2048, 2)
	if err != nil {
		t.Fatal(err)
	}
	return image
}

func digestOf(t *testing.T, image interface{ Digest() (v1.Hash, error) }) string {
	t.Helper()
	digest, err := image.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return digest.String()
}

// wantRegistry fails the test unless err is the registry's error.
func wantRegistry(t *testing.T, err error, status int, code, part string) {
	t.Helper()
	var answer *transport.Error
	if !errors.As(err, &answer) {
		t.Fatalf("error is %v, want %s", err, code)
	}
	if answer.StatusCode != status || len(answer.Errors) != 1 || string(answer.Errors[0].Code) != code || !strings.Contains(err.Error(), part) {
		t.Fatalf("error is %v, want %d %s …%s…", err, status, code, part)
	}
}

func TestPushedImagesAreReadBackAndDescribed(t *testing.T) {
	s := start(t, localaws.Options{})
	s.CreateRepository("team/atta", "IMMUTABLE")
	auth, image := login(t, s), randomImage(t)
	if err := remote.Write(tag(t, s, "team/atta:0.1.30-dev"), image, auth); err != nil {
		t.Fatal(err)
	}
	pulled, err := remote.Image(tag(t, s, "team/atta@"+digestOf(t, image)), auth)
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Image(pulled); err != nil {
		t.Fatal(err)
	}
	out, err := ecr.NewFromConfig(s.Config()).DescribeImages(t.Context(), &ecr.DescribeImagesInput{
		RepositoryName: aws.String("team/atta"), ImageIds: []types.ImageIdentifier{{ImageTag: aws.String("0.1.30-dev")}},
	})
	if err != nil {
		t.Fatal(err)
	}
	got := out.ImageDetails[0]
	if *got.ImageDigest != digestOf(t, image) || !cmp.Equal(got.ImageTags, []string{"0.1.30-dev"}) ||
		*got.ImageSizeInBytes < 4096 || time.Since(*got.ImagePushedAt) > time.Minute {
		t.Errorf("described as %+v", got)
	}
}

func TestAnIndexKeepsItsPlatforms(t *testing.T) {
	s := start(t, localaws.Options{})
	s.CreateRepository("atta", "IMMUTABLE")
	index, err := random.Index(1024, 1, 2)
	if err != nil {
		t.Fatal(err)
	}
	auth := login(t, s)
	if err := remote.WriteIndex(tag(t, s, "atta:1"), index, auth); err != nil {
		t.Fatal(err)
	}
	pulled, err := remote.Index(tag(t, s, "atta:1"), auth)
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Index(pulled); err != nil {
		t.Fatal(err)
	}
}

func TestImmutableTagCannotBeMoved(t *testing.T) {
	s := start(t, localaws.Options{})
	s.CreateRepository("atta", "IMMUTABLE_WITH_EXCLUSION")
	auth, first, second := login(t, s), randomImage(t), randomImage(t)
	// A client that does not look first puts the same manifest again.
	s.AddFault(localaws.Fault{Operation: "registry:HEAD manifest", Error: &localaws.Error{Status: 404, Code: "MANIFEST_UNKNOWN"}, Times: 2})
	for range 2 {
		if err := remote.Write(tag(t, s, "atta:1"), first, auth); err != nil {
			t.Fatal(err)
		}
	}
	puts := slices.DeleteFunc(operations(s, "registry:"), func(o string) bool { return o != "PUT manifest" })
	if len(puts) != 2 {
		t.Fatalf("%d manifests were put", len(puts))
	}
	err := remote.Write(tag(t, s, "atta:1"), second, auth)
	wantRegistry(t, err, 400, "TAG_INVALID", "The image tag '1' already exists in the 'atta' repository and cannot be overwritten because the tag is immutable.")
	for _, image := range []v1.Image{first, second} {
		if err := remote.Write(tag(t, s, "atta:latest-dev"), image, auth); err != nil {
			t.Fatal(err)
		}
	}
	head, err := remote.Head(tag(t, s, "atta:latest-dev"), auth)
	if err != nil || head.Digest.String() != digestOf(t, second) {
		t.Errorf("alias is at %v, %v", head, err)
	}
}

func TestRegistryRequiresAnUnexpiredECRLogin(t *testing.T) {
	c := &clock{}
	s := start(t, localaws.Options{Now: c.now})
	s.CreateRepository("atta", "MUTABLE")
	image := randomImage(t)
	response, err := http.Get(s.URL() + "/v2/")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if !strings.HasPrefix(response.Header.Get("WWW-Authenticate"), "Basic ") || response.StatusCode != http.StatusUnauthorized {
		t.Errorf("challenge is %s %q", response.Status, response.Header.Get("WWW-Authenticate"))
	}
	_, err = remote.Get(tag(t, s, "atta:1"), remote.WithAuth(&authn.Basic{Username: "AWS", Password: "guess"}))
	wantRegistry(t, err, 401, "UNAUTHORIZED", "Not Authorized")

	auth := login(t, s)
	c.advance(12*time.Hour - time.Minute)
	if err := remote.Write(tag(t, s, "atta:1"), image, auth); err != nil {
		t.Fatal(err)
	}
	c.advance(2 * time.Minute)
	_, err = remote.Image(tag(t, s, "atta:1"), auth)
	wantRegistry(t, err, 403, "DENIED", "expired")
}

func TestMissingObjectsGetECRsErrors(t *testing.T) {
	s := start(t, localaws.Options{})
	s.CreateRepository("atta", "MUTABLE")
	auth, api := login(t, s), ecr.NewFromConfig(s.Config())
	_, err := remote.Get(tag(t, s, "other:1"), auth)
	wantRegistry(t, err, 404, "NAME_UNKNOWN", "The repository with name 'other' does not exist")
	if err := remote.Write(tag(t, s, "other:1"), randomImage(t), auth, remote.WithRetryBackoff(remote.Backoff{Steps: 1})); !errors.Is(err, io.EOF) {
		t.Errorf("an upload to it ends with %v", err)
	}
	_, err = remote.Get(tag(t, s, "atta:1"), auth)
	wantRegistry(t, err, 404, "MANIFEST_UNKNOWN", "Requested image not found")
	_, err = api.DescribeRepositories(t.Context(), &ecr.DescribeRepositoriesInput{RepositoryNames: []string{"other"}})
	wantCode(t, err, "RepositoryNotFoundException")
	_, err = api.DescribeImages(t.Context(), &ecr.DescribeImagesInput{
		RepositoryName: aws.String("atta"), ImageIds: []types.ImageIdentifier{{ImageTag: aws.String("1")}},
	})
	wantCode(t, err, "ImageNotFoundException")
	out, err := api.DescribeRepositories(t.Context(), nil)
	if err != nil || len(out.Repositories) != 1 || *out.Repositories[0].RepositoryUri != s.RegistryHost()+"/atta" ||
		out.Repositories[0].ImageTagMutability != types.ImageTagMutabilityMutable {
		t.Errorf("repositories are %+v, %v", out, err)
	}
}

func TestRegistryRefusesAnIncompleteImage(t *testing.T) {
	s := start(t, localaws.Options{})
	s.CreateRepository("atta", "MUTABLE")
	s.CreateRepository("other", "MUTABLE")
	auth, image := login(t, s), randomImage(t)
	// Only the manifest arrives; its layers are in another repository.
	if err := remote.Write(tag(t, s, "other:1"), image, auth); err != nil {
		t.Fatal(err)
	}
	err := remote.Put(tag(t, s, "atta:1"), image, auth)
	wantRegistry(t, err, 400, "BLOB_UPLOAD_UNKNOWN", "Layers with digests")
	index, err := random.Index(1024, 1, 1)
	if err != nil {
		t.Fatal(err)
	}
	err = remote.Put(tag(t, s, "atta:1"), index, auth)
	wantRegistry(t, err, 400, "MANIFEST_BLOB_UNKNOWN", "Images with digests")
	err = remote.Put(tag(t, s, "atta@sha256:"+strings.Repeat("0", 64)), index, auth)
	wantRegistry(t, err, 400, "DIGEST_INVALID", digestOf(t, index))
	_, err = remote.Get(tag(t, s, "atta:1"), auth)
	wantRegistry(t, err, 404, "MANIFEST_UNKNOWN", "not found")
}
