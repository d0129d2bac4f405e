package rollout

import (
	"fmt"
	"slices"

	"github.com/org/atta-deploy-action/internal/inputs"
)

// waveEnd is how many of so many hosts have the release when a wave has ended, the previous
// waves included. A percentage is rounded up.
func waveEnd(wave inputs.Wave, total int) int {
	if wave.Percent > 0 {
		return min(total, (total*wave.Percent+99)/100)
	}
	return min(total, wave.Hosts)
}

// splitIntoWaves leaves out a wave that would add no host to the previous one. The last one
// has all that are left.
func splitIntoWaves(hosts []*Host, waves []inputs.Wave) [][]*Host {
	var parts [][]*Host
	begin := 0
	for i, wave := range waves {
		end := waveEnd(wave, len(hosts))
		if i == len(waves)-1 {
			end = len(hosts)
		}
		if end > begin {
			parts = append(parts, hosts[begin:end])
			begin = end
		}
	}
	return parts
}

// numberWaves tells each host the number of its wave.
func numberWaves(waves [][]*Host) {
	for i, wave := range waves {
		for _, host := range wave {
			host.Wave = i + 1
		}
	}
}

// sortByRisk moves the hosts with the least to lose to the front, since the first wave is the canary, and
// those that seem to run what is wanted to the end. It returns the number of the latter.
func sortByRisk(hosts []*Host, want expectation) (running int) {
	rank := map[*Host]int{}
	for _, host := range hosts {
		switch {
		case want.isMetBy(host.Report):
			rank[host] = 2
			running++
		case !host.hasNothingToLose():
			rank[host] = 1
		}
	}
	slices.SortStableFunc(hosts, func(a, b *Host) int { return rank[a] - rank[b] })
	return running
}

// Instances is a number of instances in words.
func Instances(n int) string {
	if n == 1 {
		return "1 instance"
	}
	return fmt.Sprintf("%d instances", n)
}
