package lease

import (
	"context"
	"slices"
	"time"
)

// Current is what should run in the environment: the last release that every instance has got,
// and the images that were found unhealthy.
type Current struct {
	Format      int          `json:"v"`
	Generation  int64        `json:"generation"`        // of the run that wrote this object
	Version     string       `json:"version,omitempty"` // empty until a run has succeeded
	Image       string       `json:"image,omitempty"`   // by digest
	Digest      string       `json:"digest,omitempty"`
	Deployment  string       `json:"deployment,omitempty"`
	Since       time.Time    `json:"since,omitzero"`          // by that run's clock
	Commit      string       `json:"commit,omitempty"`        // of the run that has pushed the image; may be empty
	Verified    bool         `json:"verified"`                // it was seen to run, or to succeed, on every instance
	Before      string       `json:"before,omitempty"`        // the previous current version
	BeforeImage string       `json:"before_digest,omitempty"` // of the version before, if that was verified
	Quarantined []Quarantine `json:"quarantined,omitempty"`
}

// Quarantine is an image that was found unhealthy.
type Quarantine struct {
	Digest     string    `json:"digest"`
	Version    string    `json:"version"`
	Deployment string    `json:"deployment"`
	Since      time.Time `json:"since"`
}

const currentName = "current.json"

// maxQuarantined limits the list. The oldest entries are dropped; instances have their own lists.
const maxQuarantined = 100

// ReadCurrent returns what should run, or the zero value before the first deployment.
func (s *Store) ReadCurrent(ctx context.Context) (Current, error) {
	var current Current
	_, err := s.readObject(ctx, currentName, &current)
	return current, err
}

// UpdateCurrent changes what should run. generation is that of the caller's lease; the
// error is ErrLost if a run with a higher generation has already written.
func (s *Store) UpdateCurrent(ctx context.Context, generation int64, change func(*Current)) error {
	var current Current
	return s.updateObject(ctx, currentName, &current, func() (any, error) {
		if current.Generation > generation {
			return nil, ErrLost
		}
		next := current
		next.Quarantined = slices.Clone(current.Quarantined)
		change(&next)
		next.Format, next.Generation = 1, generation
		next.Quarantined = next.Quarantined[max(0, len(next.Quarantined)-maxQuarantined):]
		current = Current{} // a retry decodes into current again
		return next, nil
	})
}

// Quarantine adds an image unless it is already quarantined.
func (c *Current) Quarantine(q Quarantine) {
	if c.quarantineIndex(q.Digest) < 0 {
		c.Quarantined = append(c.Quarantined, q)
	}
}

// LiftQuarantine removes an image from the quarantine.
func (c *Current) LiftQuarantine(digest string) {
	if i := c.quarantineIndex(digest); i >= 0 {
		c.Quarantined = slices.Delete(c.Quarantined, i, i+1)
	}
}

// FindQuarantine returns the quarantine of an image, or nil if it is not quarantined.
func (c *Current) FindQuarantine(digest string) *Quarantine {
	if i := c.quarantineIndex(digest); i >= 0 {
		return &c.Quarantined[i]
	}
	return nil
}

func (c *Current) quarantineIndex(digest string) int {
	return slices.IndexFunc(c.Quarantined, func(q Quarantine) bool { return q.Digest == digest })
}
