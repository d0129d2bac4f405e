package lease_test

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/org/atta-deploy-action/internal/lease"
)

func TestStoreRefusesInvalidObjects(t *testing.T) {
	testWithStorage(t, func(t *testing.T, s testStorage) {
		for text, want := range map[string]string{
			`lock.json {"generation": 2000000000}`:                                             "generation is 2000000000",
			`lock.json {"generation": 1000000000}`:                                             "generation is 1000000000",
			`lock.json {"generation": -1}`:                                                     "generation is -1",
			`lock.json {"generation": 7, "token": "x", "expiry_seconds": 315360000}`:           "expiry is 315360000 seconds",
			`lock.json {"generation": 7, "token": "x", "expiry_seconds": -1}`:                  "expiry is -1 seconds",
			`lock.json {"generation": 999999998}`:                                              "",
			`current.json {"generation": 2000000000}`:                                          "generation is 2000000000",
			`current.json {"version": "<img src=x>"}`:                                          `the version "<img src=x>"`,
			`current.json {"before": "previous"}`:                                              `the version "previous"`,
			`current.json {"image": "atta:latest-dev"}`:                                        `the image "atta:latest-dev"`,
			`current.json {"digest": "sha256:1"}`:                                              `the digest "sha256:1"`,
			`current.json {"deployment": "@everyone"}`:                                         `the deployment "@everyone"`,
			`current.json []`:                                                                  "a value in it has another type",
			`current.json {"quarantined": "x"}`:                                                "a value in it has another type",
			`lock.json {"generation": "1"}`:                                                    "a value in it has another type",
			`lock.json not JSON`:                                                               "it is not JSON",
			`current.json {"quarantined": [{"digest": "x"}]}`:                                  `the digest "x"`,
			`current.json {"quarantined": [{"version": "**1**"}]}`:                             `the version "**1**"`,
			`current.json {"quarantined": [{"deployment": "a b"}]}`:                            `the deployment "a b"`,
			`current.json {"version": "0.1.0-dev", "digest": "` + digestOf("0.1.0-dev") + `"}`: "",
		} {
			name, content, _ := strings.Cut(text, " ")
			put := &s3.PutObjectInput{Bucket: aws.String(bucket), Key: aws.String(prefix + name), Body: strings.NewReader(content)}
			if _, err := s.client.PutObject(t.Context(), put); err != nil {
				t.Fatal(err)
			}
			var err error
			if name == "current.json" {
				_, err = s.newStore().ReadCurrent(t.Context())
			} else {
				var acquired *lease.Lease
				if acquired, err = s.newStore().Acquire(t.Context(), lease.Holder{Deployment: "d-1"}, 0, nil); err == nil {
					err = acquired.Release(t.Context())
				}
			}
			switch {
			case want == "" && err != nil:
				t.Errorf("%s: %v", text, err)
			case want != "" && (err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), prefix+name) || !strings.Contains(err.Error(), "delete it") || strings.Contains(err.Error(), "Go ")):
				t.Errorf("%s: %v", text, err)
			}
		}
	})
}
