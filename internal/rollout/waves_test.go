package rollout

import (
	"fmt"
	"strings"
	"testing"

	"github.com/org/atta-deploy-action/internal/fleet"
)

func TestWavesHaveTheSizesThatWereAskedFor(t *testing.T) {
	percent, hosts := func(n int) Wave { return Wave{Percent: n} }, func(n int) Wave { return Wave{Hosts: n} }
	for _, test := range []struct {
		of    int
		waves []Wave
		want  string
	}{
		{0, []Wave{percent(100)}, "[]"},
		{1, []Wave{percent(100)}, "[1]"},
		{10, []Wave{percent(100)}, "[10]"},
		{10, []Wave{hosts(1), percent(25), percent(100)}, "[1 2 7]"},
		{20, []Wave{hosts(1), percent(25), percent(100)}, "[1 4 15]"},
		{1, []Wave{hosts(1), percent(25), percent(100)}, "[1]"},
		{2, []Wave{hosts(1), percent(25), percent(100)}, "[1 1]"},
		{4, []Wave{hosts(1), percent(25), percent(100)}, "[1 3]"},
		{3, []Wave{hosts(5), percent(100)}, "[3]"},
		{100, []Wave{percent(1), percent(10), percent(100)}, "[1 9 90]"},
		{7, []Wave{percent(10), percent(50), percent(100)}, "[1 3 3]"},
		{10000, []Wave{hosts(1), hosts(50), percent(100)}, "[1 49 9950]"},
		{6, nil, "[]"},
	} {
		list := make([]*Host, test.of)
		for i := range list {
			list[i] = &Host{}
		}
		sizes := []int{}
		for i, part := range cut(list, test.waves) {
			sizes = append(sizes, len(part))
			for _, host := range part {
				if host.Wave != i+1 {
					t.Errorf("a host of wave %d says %d", i+1, host.Wave)
				}
			}
		}
		if got := fmt.Sprint(sizes); got != test.want {
			t.Errorf("%d in %v: %s, want %s", test.of, test.waves, got, test.want)
		}
	}
}

func TestThoseThatAreUnwellComeFirst(t *testing.T) {
	host := func(id string, report *fleet.Report) *Host {
		return &Host{Instance: fleet.Instance{ID: id}, Report: report}
	}
	list := []*Host{
		host("well", &fleet.Report{Verified: true, Unit: "active"}),
		host("failed", &fleet.Report{Verified: true, Unit: "failed"}),
		host("also-well", &fleet.Report{Verified: true, Unit: "inactive"}),
		host("drifted", &fleet.Report{Verified: true, Unit: "active", Drift: []string{"image"}}),
		host("never-healthy", &fleet.Report{Unit: "active"}),
	}
	inOrder(list)
	var ids []string
	for _, h := range list {
		ids = append(ids, h.ID)
	}
	if got := strings.Join(ids, " "); got != "failed drifted never-healthy well also-well" {
		t.Error(got)
	}
}
