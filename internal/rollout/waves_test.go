package rollout

import (
	"fmt"
	"strings"
	"testing"

	"github.com/org/atta-deploy-action/deploy"
	"github.com/org/atta-deploy-action/internal/fleet"
	"github.com/org/atta-deploy-action/internal/inputs"
)

func TestWavesHaveTheRequestedSizes(t *testing.T) {
	percent, hosts := func(n int) inputs.Wave { return inputs.Wave{Percent: n} }, func(n int) inputs.Wave { return inputs.Wave{Hosts: n} }
	for _, test := range []struct {
		of    int
		waves []inputs.Wave
		want  string
	}{
		{0, []inputs.Wave{percent(100)}, "[]"},
		{1, []inputs.Wave{percent(100)}, "[1]"},
		{10, []inputs.Wave{percent(100)}, "[10]"},
		{10, []inputs.Wave{hosts(1), percent(25), percent(100)}, "[1 2 7]"},
		{20, []inputs.Wave{hosts(1), percent(25), percent(100)}, "[1 4 15]"},
		{1, []inputs.Wave{hosts(1), percent(25), percent(100)}, "[1]"},
		{2, []inputs.Wave{hosts(1), percent(25), percent(100)}, "[1 1]"},
		{4, []inputs.Wave{hosts(1), percent(25), percent(100)}, "[1 3]"},
		{3, []inputs.Wave{hosts(5), percent(100)}, "[3]"},
		{100, []inputs.Wave{percent(1), percent(10), percent(100)}, "[1 9 90]"},
		{7, []inputs.Wave{percent(10), percent(50), percent(100)}, "[1 3 3]"},
		{10000, []inputs.Wave{hosts(1), hosts(50), percent(100)}, "[1 49 9950]"},
		{6, nil, "[]"},
	} {
		list := make([]*Host, test.of)
		for i := range list {
			list[i] = &Host{}
		}
		sizes := []int{}
		waves := splitIntoWaves(list, test.waves)
		numberWaves(waves)
		for i, part := range waves {
			sizes = append(sizes, len(part))
			for _, host := range part {
				if host.Wave != i+1 {
					t.Errorf("a host of wave %d has number %d", i+1, host.Wave)
				}
			}
		}
		if got := fmt.Sprint(sizes); got != test.want {
			t.Errorf("%d in %v: %s, want %s", test.of, test.waves, got, test.want)
		}
	}
}

func TestUnhealthyHostsComeFirst(t *testing.T) {
	host := func(id string, report *deploy.Report) *Host {
		return &Host{Instance: fleet.Instance{ID: id}, Report: report}
	}
	list := []*Host{
		host("healthy", &deploy.Report{Verified: true, Unit: "active"}),
		host("failed", &deploy.Report{Verified: true, Unit: "failed"}),
		host("also-healthy", &deploy.Report{Verified: true, Unit: "inactive"}),
		host("drifted", &deploy.Report{Verified: true, Unit: "active", Drift: []string{"image"}}),
		host("never-healthy", &deploy.Report{Unit: "active"}),
	}
	list = append([]*Host{host("met", &deploy.Report{Version: "0.1.30-dev", Digest: "sha256:1", Verified: true, Evidence: deploy.EvidenceRunning, Unit: "active"})}, list...)
	if met := sortByRisk(list, expectation{version: "0.1.30-dev"}); met != 1 {
		t.Errorf("%d are met", met)
	}
	var ids []string
	for _, h := range list {
		ids = append(ids, h.ID)
	}
	if got := strings.Join(ids, " "); got != "failed drifted never-healthy healthy also-healthy met" {
		t.Error(got)
	}
}
