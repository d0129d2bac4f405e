package lease

import (
	"fmt"
	"strings"
	"time"

	"github.com/org/atta-deploy-action/deploy"
)

// validator is implemented by objects that control a run. Anyone who may write to the bucket can have written them.
type validator interface{ validate() error }

func (e *lockEntry) validate() error {
	if e.Expiry < 0 || e.Expiry > int(maxExpiry/time.Second) {
		return fmt.Errorf("its expiry is %d seconds, want at most %d", e.Expiry, int(maxExpiry/time.Second))
	}
	return validateGeneration(e.Generation)
}

func validateGeneration(generation int64) error {
	if generation < 0 || generation >= deploy.MaxGeneration {
		return fmt.Errorf("its generation is %d, want less than %d", generation, deploy.MaxGeneration)
	}
	return nil
}

func (c *Current) validate() error {
	if err := validateGeneration(c.Generation); err != nil {
		return err
	}
	fields := []field{{"version", c.Version}, {"version", c.Before}, {"image", c.Image}, {"digest", c.Digest}, {"digest", c.BeforeImage}, {"deployment", c.Deployment}}
	for _, q := range c.Quarantined {
		fields = append(fields, field{"digest", q.Digest}, field{"version", q.Version}, field{"deployment", q.Deployment})
	}
	for _, f := range fields {
		if err := f.validate(); err != nil {
			return err
		}
	}
	return nil
}

// field is the value of a parameter of the host scripts; empty means unset.
type field struct{ name, text string }

func (f field) validate() error {
	form, text, ok := f.name, f.text, true
	if f.name == "digest" {
		form = "sha256"
		text, ok = strings.CutPrefix(f.text, "sha256:")
	}
	if f.text == "" || ok && deploy.MatchesForm(form, text) {
		return nil
	}
	return fmt.Errorf("it contains the %s %.80q, which is invalid", f.name, f.text)
}
