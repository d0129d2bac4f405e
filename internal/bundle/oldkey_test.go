package bundle_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/org/atta-deploy-action/internal/bundle"
	"github.com/org/atta-deploy-action/internal/release"
	"github.com/org/atta-deploy-action/localaws"
)

// buildFor returns the bundle of another service, which may have more files.
func buildFor(t *testing.T, rel release.Release, files ...own) bundle.Bundle {
	t.Helper()
	b, err := bundle.Build(folder(t, files...), rel, "")
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// putOld stores content under the key that earlier versions of the action used.
func putOld(t *testing.T, client *s3.Client, content []byte) {
	t.Helper()
	if _, err := client.PutObject(t.Context(), &s3.PutObjectInput{Bucket: aws.String(bucket), Key: aws.String(oldKey), Body: bytes.NewReader(content)}); err != nil {
		t.Fatal(err)
	}
}

func TestServicesThatShareABucketAndAnEnvironmentStoreTheSameVersion(t *testing.T) {
	t.Parallel()
	server, client := cloud(t)
	for _, service := range []string{"atta", "web"} {
		rel := version(t, service)
		b := buildFor(t, rel)
		if got, err := newStore(client).Put(t.Context(), rel, b); err != nil || got.Reused {
			t.Errorf("%s: %+v %v", service, got, err)
		}
		if content, ok := server.Object(bucket, "bundles/dev/"+service+"/deploy-bundle-0.1.30-dev.tar.gz"); !ok || !bytes.Equal(content, b.Content) {
			t.Errorf("the bundle of %s is not stored under its own key", service)
		}
	}
}

func TestFindAcceptsTheBundleUnderTheOldKeyOnlyByItsChecksum(t *testing.T) {
	t.Parallel()
	unit := own{"systemd/atta-web.service", "[Service]\nExecStart=/bin/true\n", 0o644}
	bundles := map[string]bundle.Bundle{
		"wanted":                   build(t, folder(t)),
		"another of the service":   build(t, folder(t, own{"more", "more", 0o644})),
		"of another service":       buildFor(t, version(t, "web")),
		"of a service named alike": buildFor(t, version(t, "atta-web")),
		"with more units":          build(t, folder(t, unit)),
		"not a bundle":             {Content: []byte("something else")},
	}
	for _, test := range []struct{ service, stored, want string }{
		{"atta", "wanted", "found"},
		{"atta", "another of the service", "conflict"},
		{"atta", "with more units", "conflict"},
		{"atta", "of another service", "missing"},
		{"atta", "of a service named alike", "missing"},
		{"atta-web", "with more units", "missing"},
		{"atta", "not a bundle", "missing"},
	} {
		_, client := cloud(t)
		putOld(t, client, bundles[test.stored].Content)
		got, err := newStore(client).Find(t.Context(), version(t, test.service), bundles["wanted"].SHA256)
		var conflict *bundle.ConflictError
		is := "another error"
		switch {
		case err == nil && got == (bundle.Stored{URI: "s3://" + bucket + "/" + oldKey, SHA256: bundles["wanted"].SHA256, Reused: true}):
			is = "found"
		case errors.As(err, &conflict) && conflict.URI == "s3://"+bucket+"/"+oldKey:
			is = "conflict"
		case errors.Is(err, bundle.ErrNotFound):
			is = "missing"
		}
		if is != test.want {
			t.Errorf("%s, where a bundle %s is stored: %s, want %s: %+v %v", test.service, test.stored, is, test.want, got, err)
		}
	}
}

func TestFindPrefersTheKeyOfTheService(t *testing.T) {
	t.Parallel()
	server, client := cloud(t)
	b := build(t, folder(t))
	putOld(t, client, b.Content)
	if _, err := put(t, client, b); err != nil {
		t.Fatal(err)
	}
	if got, err := newStore(client).Find(t.Context(), atta(t), b.SHA256); err != nil || got.URI != uri {
		t.Errorf("%+v %v", got, err)
	}
	wantOperations(t, server, "s3:PutObject", "s3:PutObject", "s3:HeadObject")
}

// A role can be limited to the folder of its service.
func TestFindDoesNotNeedToReadTheOldKey(t *testing.T) {
	t.Parallel()
	server, client := cloud(t)
	server.AddFault(localaws.Fault{Resource: oldKey, Error: &localaws.Error{Status: 403, Code: "AccessDenied", Message: "Access Denied"}})
	if got, err := newStore(client).Find(t.Context(), atta(t), build(t, folder(t)).SHA256); !errors.Is(err, bundle.ErrNotFound) {
		t.Errorf("%+v %v", got, err)
	}
}
