package rollout_test

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/org/atta-deploy-action/internal/rollout"
	"github.com/org/atta-deploy-action/localaws"
	"github.com/org/atta-deploy-action/localaws/simhost"
)

var (
	simulations = flag.Int("simulations", 50, "how many fleets are simulated")
	seed        = flag.Uint64("seed", 0, "simulate only this fleet")
)

// Random fleets with random faults, deployed to by one or two runs that may be cancelled or
// killed: the real SDK and the real rollout on virtual time. Whatever happens, what a run
// reports must be true of the hosts. A seed gives the same fleet and the same faults each
// time; what is drawn elsewhere, such as the jitter between polls, is not part of it.
func TestSimulation(t *testing.T) {
	first, n := uint64(1), uint64(*simulations)
	if *seed > 0 {
		first, n = *seed, 1
	}
	simulateFleets(t, first, n)
}

// simulateFleets runs n simulations, from the seed first on.
func simulateFleets(t *testing.T, first, n uint64) {
	var tally tally
	t.Run("fleets", func(t *testing.T) {
		var next atomic.Uint64
		next.Store(first)
		for range runtime.GOMAXPROCS(0) {
			t.Run("", func(t *testing.T) {
				t.Parallel()
				for number := next.Add(1) - 1; number < first+n && !t.Failed(); number = next.Add(1) - 1 {
					synctest.Test(t, func(t *testing.T) { newSimulation(t, number).run(&tally) })
				}
			})
		}
	})
	t.Logf("%d simulations: %s", n, tally.String())
}

// tally counts the outcomes of runs, so that it shows when one is never seen.
type tally struct {
	sync.Mutex
	outcomes map[string]int
}

func (t *tally) add(outcome string) {
	t.Lock()
	defer t.Unlock()
	if t.outcomes == nil {
		t.outcomes = map[string]int{}
	}
	t.outcomes[outcome]++
}

func (t *tally) String() string {
	var list []string
	for outcome, n := range t.outcomes {
		list = append(list, fmt.Sprintf("%d %s", n, outcome))
	}
	slices.Sort(list)
	return strings.Join(list, ", ")
}

// simulation is one fleet and the runs on it.
type simulation struct {
	t      *testing.T
	seed   uint64
	rand   *rand.Rand
	server *localaws.Server
	ids    []string
	hosts  map[string]*simhost.Host
	before map[string]string // the version that a host ran at first
}

// interruption is how a run ends early, if it does.
type interruption int

const (
	cancelled interruption = iota
	killed
	uninterrupted
)

// run starts one or two runs, one more after them, and checks the fleet at the end.
func (s *simulation) run(tally *tally) {
	defer func() {
		time.Sleep(30 * time.Minute) // until every host is idle
		if err := s.server.Close(); err != nil {
			s.t.Error(err)
		}
		time.Sleep(time.Minute)
	}()
	var group sync.WaitGroup
	for i := range 1 + s.rand.IntN(2) {
		r := s.newRunner(i + 1)
		plan, delay, how, after := r.plan(), time.Duration(i)*s.duration(60), min(interruption(s.rand.IntN(6)), uninterrupted), s.duration(300)
		group.Go(func() {
			time.Sleep(delay)
			s.runPlan(r, plan, how, after, tally)
		})
	}
	group.Wait()
	last := s.newRunner(9)
	s.runPlan(last, last.plan(), uninterrupted, 0, tally)
	s.checkFinalState()
}

// runPlan is one run, which may be interrupted after a while, and mostly the post step.
func (s *simulation) runPlan(r *runner, plan rollout.Plan, how interruption, after time.Duration, tally *tally) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Until(plan.Deadline))
	defer cancel()
	var cancelledAt atomic.Int64
	switch how {
	case cancelled:
		defer time.AfterFunc(after, func() { cancelledAt.Store(time.Now().UnixNano()); cancel() }).Stop()
	case killed:
		defer time.AfterFunc(after, func() { r.dead.Store(true) }).Stop()
	}
	result, err := rollout.Run(ctx, plan, r, r)
	if at := cancelledAt.Load(); at > 0 && time.Since(time.Unix(0, at)) > 10*time.Second && !r.dead.Load() {
		s.fail(r, result, "it ended %s after the signal", time.Since(time.Unix(0, at)))
	}
	if r.dead.Load() {
		tally.add("killed")
	} else {
		tally.add(string(result.Status))
		s.checkResult(r, result, err)
	}
	if how == uninterrupted || how == killed && s.seed%3 == 0 {
		return
	}
	r.dead.Store(false) // the post step can reach the network
	post := plan
	post.Operation, post.Leftover = rollout.CleanUp, r.leftover()
	result, err = rollout.Run(context.Background(), post, r, r)
	if err == nil && !result.Idle {
		s.checkHosts(r, result)
	}
}
