package rollout

import (
	"strings"
	"testing"

	"github.com/org/atta-deploy-action/deploy"
	"github.com/org/atta-deploy-action/internal/fleet"
	"github.com/org/atta-deploy-action/internal/lease"
)

func TestPreviousVersionIsThatOfTheHostsOnTheCurrentOne(t *testing.T) {
	for name, test := range map[string]struct {
		current string
		hosts   string // version<previous of each
		want    string // of the version, or of the error
	}{
		"all on current":                   {"0.1.30-dev", "0.1.30-dev<0.1.29-dev 0.1.30-dev<0.1.29-dev", "0.1.29-dev"},
		"some rolled back already":         {"0.1.30-dev", "0.1.29-dev<0.1.28-dev 0.1.30-dev<0.1.29-dev", "0.1.29-dev"},
		"a new one runs nothing":           {"0.1.30-dev", "< 0.1.30-dev<0.1.29-dev", "0.1.29-dev"},
		"some on a newer one":              {"0.1.30-dev", "0.1.31-dev<0.1.30-dev 0.1.30-dev<0.1.29-dev", "run different releases: 0.1.30-dev (i-1); 0.1.31-dev (i-1); set version"},
		"only a straggler on current":      {"0.1.29-dev", "0.1.30-dev<0.1.29-dev 0.1.30-dev<0.1.29-dev 0.1.29-dev<0.1.28-dev", "run different releases: 0.1.29-dev (i-1); 0.1.30-dev (i-1, i-1); set version"},
		"none on current: newest":          {"0.1.31-dev", "0.1.9-dev<0.1.8-dev 0.1.10-dev<0.1.9-dev", "0.1.9-dev"},
		"nothing is current yet: newest":   {"", "0.1.28-dev<0.1.27-dev 0.1.29-dev<0.1.28-dev", "0.1.28-dev"},
		"newest, others on something else": {"", "0.1.28-dev<0.1.27-dev 0.1.29-dev<0.1.26-dev", "run different releases: 0.1.28-dev (i-1); 0.1.29-dev (i-1); set version"},
		"newest, and two of them disagree": {"0.1.31-dev", "0.1.30-dev<0.1.29-dev 0.1.30-dev<0.1.28-dev", "do not agree which version was healthy before 0.1.30-dev"},
		"newest, without a previous one":   {"0.1.31-dev", "0.1.30-dev< 0.1.29-dev<0.1.28-dev", "instance i-1 has nothing to roll back to: no release before 0.1.30-dev was seen healthy there; it holds no other release"},
		"nothing is installed":             {"0.1.31-dev", "< <", "run no release that they could roll back from"},
	} {
		t.Run(name, func(t *testing.T) {
			var hosts []*Host
			for text := range strings.FieldsSeq(test.hosts) {
				version, previous, _ := strings.Cut(text, "<")
				hosts = append(hosts, &Host{Instance: fleet.Instance{ID: "i-1"}, Before: version, Report: &deploy.Report{Version: version, Previous: previous}})
			}
			got, err := previousVersion(hosts, lease.Current{Version: test.current})
			if err == nil && got.String() != test.want || err != nil && !strings.Contains(err.Error(), test.want) {
				t.Errorf("%s, %v; want %s", got, err, test.want)
			}
		})
	}
}

// Layers are learned from images that were seen healthy on every instance.
func TestLayersAreLearnedFromVerifiedImagesOnly(t *testing.T) {
	current := lease.Current{Digest: "sha256:current", Verified: true, BeforeImage: "sha256:before"}
	for want, verified := range map[string]bool{"sha256:current sha256:before": true, "sha256:before": false} {
		current.Verified = verified
		a := artifacts{result: &Result{Current: current}}
		if got := strings.Join(a.recentImages(), " "); got != want {
			t.Errorf("if that the current image is verified is %t, %q", verified, got)
		}
	}
}
