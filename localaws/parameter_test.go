package localaws_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"

	"github.com/org/atta-deploy-action/localaws"
)

func TestParametersAreReadByPathTenAPage(t *testing.T) {
	s := start(t, localaws.Options{})
	for i := range 12 {
		s.PutParameter(localaws.Parameter{Name: fmt.Sprintf("/atta/dev/K%02d", i), Value: "v"})
	}
	s.PutParameter(localaws.Parameter{Name: "/atta/dev/deeper/K", Value: "v"})
	s.PutParameter(localaws.Parameter{Name: "/atta/development", Value: "v"})
	client := ssm.NewFromConfig(s.Config())
	for _, test := range []struct {
		path      string
		recursive bool
		pages     []int
	}{
		{"/atta/dev", false, []int{10, 2}}, {"/atta/dev/", false, []int{10, 2}}, {"/atta/dev", true, []int{10, 3}}, {"/none", true, []int{0}}, {"/", true, []int{10, 4}},
	} {
		var sizes []int
		pages := ssm.NewGetParametersByPathPaginator(client, &ssm.GetParametersByPathInput{Path: &test.path, Recursive: &test.recursive})
		for pages.HasMorePages() {
			page, err := pages.NextPage(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			sizes = append(sizes, len(page.Parameters))
		}
		if !slices.Equal(sizes, test.pages) {
			t.Errorf("%s, recursive: %t: pages of %v, want %v", test.path, test.recursive, sizes, test.pages)
		}
	}
	for _, in := range []ssm.GetParametersByPathInput{{Path: aws.String("atta")}, {Path: aws.String("/atta"), MaxResults: aws.Int32(11)}} {
		_, err := client.GetParametersByPath(t.Context(), &in)
		wantCode(t, err, "ValidationException")
	}
	if calls := s.Calls(); calls[0].Operation != "ssm:GetParametersByPath" || calls[0].Resource != "/atta/dev" {
		t.Errorf("the call is recorded as %+v", calls[0])
	}
}

func TestASecureStringIsReadWithDecryptionOnly(t *testing.T) {
	s := start(t, localaws.Options{})
	s.PutParameter(localaws.Parameter{Name: "/atta/dev/TOKEN", Value: "secret", Type: "SecureString"})
	client := ssm.NewFromConfig(s.Config())
	read := func(decrypt bool) (string, error) {
		out, err := client.GetParametersByPath(t.Context(), &ssm.GetParametersByPathInput{Path: aws.String("/atta/dev"), WithDecryption: &decrypt})
		if err != nil {
			return "", err
		}
		return *out.Parameters[0].Value, nil
	}
	if value, err := read(true); value != "secret" || err != nil {
		t.Errorf("decrypted: %q, %v", value, err)
	}
	if value, err := read(false); value == "secret" || value == "" || err != nil {
		t.Errorf("encrypted: %q, %v", value, err)
	}
	s.PutParameter(localaws.Parameter{Name: "/atta/dev/TOKEN", Value: "secret", Type: "SecureString", KeyDenied: true})
	_, err := read(true)
	wantCode(t, err, "AccessDeniedException")
	if _, err := read(false); err != nil {
		t.Errorf("without decryption: %v", err)
	}
	s.DeleteParameter("/atta/dev/TOKEN")
	if out, err := client.GetParametersByPath(t.Context(), &ssm.GetParametersByPathInput{Path: aws.String("/atta/dev")}); err != nil || len(out.Parameters) > 0 {
		t.Errorf("after its removal: %+v, %v", out, err)
	}
}
