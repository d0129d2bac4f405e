package inputs

import (
	"strings"
	"testing"

	"github.com/org/atta-deploy-action/deploy"
)

func TestFormatsAcceptWhatAWSAccepts(t *testing.T) {
	hex := strings.Repeat("0123456789abcdef", 4)
	for _, test := range []struct {
		name    string
		format  format
		fit     []string
		misfits []string
	}{
		{"region", region,
			[]string{"us-east-1", "us-gov-west-1", "cn-north-1", "ap-southeast-5", "eusc-de-east-1", "us-isob-east-1"},
			[]string{"us-east", "US-EAST-1", "us_east_1", "us-east-1a", "us-east-1\n"}},
		{"role", role,
			[]string{"arn:aws:iam::123456789012:role/atta", "arn:aws-us-gov:iam::123456789012:role/ci/atta-deploy_1"},
			[]string{"atta", "arn:aws:iam::123456789012:user/atta", "arn:aws:iam::12345678901:role/a", "arn:aws:iam::123456789012:role/a b"}},
		{"session name", sessionName, []string{"atta-deploy-action", "a@b"}, []string{"a", "a b", "a/b", strings.Repeat("a", 65)}},
		{"external id", externalID, []string{"ab", strings.Repeat("a", 1224), "a:b/c"}, []string{"a", "a b", strings.Repeat("a", 1225)}},
		{"audience", audience, []string{"sts.amazonaws.com", "https://github.com/org"}, []string{"a b", "a?b", "a&b=c"}},
		{"registry", registry,
			[]string{"123456789012.dkr.ecr.us-east-1.amazonaws.com", "localhost:5000", "127.0.0.1:5000"},
			[]string{"https://x", "x/y", "x:", "user@x", "x:123456", "-x"}},
		{"repository", repository,
			[]string{"atta", "team/atta", "a.b_c-d/e2", strings.Repeat("a", 256)},
			[]string{"a", "Atta", "/atta", "atta/", "a//b", "a--b", "atta:dev", "a@sha256", strings.Repeat("a", 257)}},
		{"image tag", imageTag, []string{"latest-dev", "_a.b-C", strings.Repeat("a", 128)}, []string{"-a", ".a", "a:b", "a/b", strings.Repeat("a", 129)}},
		{"image digest", imageDigest, []string{"sha256:" + hex}, []string{hex, "sha256:" + hex[1:], "sha512:" + hex, "sha256:" + strings.ToUpper(hex)}},
		{"bucket", bucket,
			[]string{"atta-deploy-artifacts", "a.b", "abc", strings.Repeat("a", 63)},
			[]string{"ab", "Atta", "a_b", "-abc", "abc-", "a..b", "a.-b", "192.168.5.4", "s3://abc", "abc/d", strings.Repeat("a", 64)}},
		{"key prefix", keyPrefix,
			[]string{"bundles/dev/", "bundles", "a/b.c_d-e/env=dev/"},
			[]string{"/bundles", "a//b", "a/../b", "..", "./a", "a b/", "a/b//", "a{{b", strings.Repeat("a", 513)}},
		{"KMS key", kmsKey,
			[]string{"1234abcd-12ab-34cd-56ef-1234567890ab", "alias/atta", "arn:aws:kms:us-east-1:123456789012:key/mrk-1"},
			[]string{"a b", "a;b", "{{a}}"}},
		{"bundle sha256", bundleSHA256, []string{hex}, []string{"sha256:" + hex, hex[1:], hex + "0"}},
		{"instance id", instanceID,
			[]string{"i-01234567", "i-0123456789abcdef0", "mi-0123456789abcdef0"},
			[]string{"i-0123456", "i-012345678", "mi-01234567", "I-01234567", "i-0123456g", "*"}},
		{"health command", healthCommand,
			[]string{`docker inspect --format '{{.State.Health.Status}}' web | grep -qx healthy`, strings.Repeat("a", deploy.MaxHealthCommand)},
			[]string{"a\nb", "a\tb", "a\x00", "a\xff", strings.Repeat("a", deploy.MaxHealthCommand+1)}},
		{"health URL", healthURL,
			[]string{"http://" + strings.Repeat("a", deploy.MaxHealthURL-len("http://")), "http://127.0.0.1", "http://localhost:8080/health?deep=1&x=%20", "http://web.internal/~a/b;c"},
			[]string{"http://" + strings.Repeat("a", deploy.MaxHealthURL-len("http://")+1), "https://localhost/", "http://", "http://:80/", "localhost:80", "http://u@h/", "http://h?q", "http://h/a b", "http://h/'", `http://h/"`, "http://h/$x", "http://h/{{x}}"}},
		{"printable", printable,
			[]string{"image.tar", "my image's.tar", "x@sha256:y", "$(id)", "日本.tar"},
			[]string{"a\nb", "a\x00", "a\x1b[0m", "a\u2028b", "a\xff", "a\u200bb"}},
	} {
		for _, text := range test.fit {
			if !test.format.matches(text) {
				t.Errorf("%q is not accepted as %s", text, test.name)
			}
		}
		for _, text := range append(test.misfits, "") {
			if test.format.matches(text) {
				t.Errorf("%q is accepted as %s", text, test.name)
			}
		}
	}
}
