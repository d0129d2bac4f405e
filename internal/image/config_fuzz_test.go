package image

import (
	"encoding/json"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// FuzzMergeConfig looks for configurations of a base that crash what adds files to it, or make it write no configuration.
func FuzzMergeConfig(f *testing.F) {
	f.Add([]byte(`{"config":{"Env":["A=b"],"Labels":{"x":"y"}},"history":[{}],"rootfs":{"type":"layers","diff_ids":[]},"extra":12345678901234567890}`))
	f.Add([]byte(`{"config":null}`))
	f.Add([]byte(`{"config":{"Healthcheck":{"Interval":1e30}},"created":"x"}`))
	f.Add([]byte(`[]`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		var config v1.ConfigFile
		if json.Unmarshal(raw, &config) != nil {
			return
		}
		recipe{}.editConfig(&config, true)
		merged, err := mergeConfig(raw, &config)
		if err == nil && !json.Valid(merged) {
			t.Errorf("%q became %q", raw, merged)
		}
	})
}
