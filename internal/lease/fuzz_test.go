package lease

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/org/atta-deploy-action/deploy"
)

// FuzzObjects looks for objects of the bucket that are accepted and would reach a host as anything but a parameter.
func FuzzObjects(f *testing.F) {
	f.Add(`{"version":"0.1.0-dev","digest":"sha256:`+strings.Repeat("0", 64)+`","generation":3,"quarantined":[{"digest":"x"}]}`, false)
	f.Add(`{"version":"$(id)","image":"a b"}`, false)
	f.Add(`{"generation":1,"expiry":60,"holder":{"deployment":"x"}}`, true)
	f.Add(`{"generation":-1,"expiry":1e9}`, true)
	f.Add(`null`, false)
	f.Fuzz(func(t *testing.T, content string, lock bool) {
		var entry lockEntry
		var current Current
		value := validator(&current)
		if lock {
			value = &entry
		}
		if json.Unmarshal([]byte(content), value) != nil || value.validate() != nil {
			return
		}
		if min(entry.Generation, current.Generation) < 0 || max(entry.Generation, current.Generation) >= deploy.MaxGeneration {
			t.Errorf("the generations are %d and %d", entry.Generation, current.Generation)
		}
		texts := []string{current.Version, current.Before, current.Image, current.Digest, current.BeforeImage, current.Deployment}
		for _, q := range current.Quarantined {
			texts = append(texts, q.Digest, q.Version, q.Deployment)
		}
		for _, text := range texts {
			if strings.ContainsAny(text, " \t\n'\"$`;&|<>(){}*?\\") {
				t.Errorf("accepted %q", text)
			}
		}
	})
}
