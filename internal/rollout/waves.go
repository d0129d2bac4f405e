package rollout

import (
	"fmt"
	"slices"
)

// Wave is how many hosts are deployed to when it has ended, those of the waves before
// among them: a number, or a percentage, which is rounded up.
type Wave struct{ Hosts, Percent int }

func (w Wave) end(of int) int {
	if w.Percent > 0 {
		return min(of, (of*w.Percent+99)/100)
	}
	return min(of, w.Hosts)
}

// cut parts hosts into waves. A wave that would add nobody to the one before is left out,
// and the last one has everybody who is left.
func cut(hosts []*Host, waves []Wave) [][]*Host {
	var parts [][]*Host
	begin := 0
	for i, wave := range waves {
		end := wave.end(len(hosts))
		if i == len(waves)-1 {
			end = len(hosts)
		}
		if end > begin {
			parts = append(parts, hosts[begin:end])
			begin = end
		}
	}
	for i, part := range parts {
		for _, host := range part {
			host.Wave = i + 1
		}
	}
	return parts
}

// inOrder puts those first that have the least to lose; the first wave is the canary.
func inOrder(hosts []*Host) {
	slices.SortStableFunc(hosts, func(a, b *Host) int {
		switch {
		case a.unwell() == b.unwell():
			return 0
		case a.unwell():
			return -1
		}
		return 1
	})
}

// Instances says how many there are, in words.
func Instances(n int) string {
	if n == 1 {
		return "1 instance"
	}
	return fmt.Sprintf("%d instances", n)
}
