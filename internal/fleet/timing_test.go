package fleet_test

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ssm"

	"github.com/org/atta-deploy-action/internal/fleet"
	"github.com/org/atta-deploy-action/localaws"
)

// followRequests returns the requests that follow commands.
func followRequests(s *localaws.Server) (list []localaws.Call) {
	for _, call := range s.Calls() {
		switch call.Operation {
		case "ssm:ListCommands", "ssm:ListCommandInvocations", "ssm:GetCommandInvocation":
			list = append(list, call)
		}
	}
	return list
}

// delayBy makes an instance's script take d.
func delayBy(d time.Duration) func(localaws.Invocation) *localaws.DeliveryFault {
	return func(localaws.Invocation) *localaws.DeliveryFault { return &localaws.DeliveryFault{Delay: d} }
}

func TestRunSeesTheEndOfASmallFleetWithinASecondAndAHalf(t *testing.T) {
	for _, work := range []time.Duration{0, 700 * time.Millisecond, 10 * time.Second, 29 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			s := startServer(t, localaws.Options{})
			on := addManyInstances(s, 20, func(_ int, i *localaws.Instance) { i.InjectFault = delayBy(work) })
			began := time.Now()
			run, err := fleet.New(ssm.NewFromConfig(s.Config()), delivery).Run(t.Context(), script, on, nil)
			if err != nil || strings.Contains(formatOutcomes(run), "unknown") {
				t.Fatal(err)
			}
			if late := time.Since(began) - work; late > 1500*time.Millisecond {
				t.Errorf("after a script of %s, Run returned %s later", work, late)
			}
		})
	}
}

func TestPollsMakeTwoRequestsASecond(t *testing.T) {
	for _, n := range []int{1, 50, 1000} {
		synctest.Test(t, func(t *testing.T) {
			s := startServer(t, localaws.Options{})
			on := addManyInstances(s, n, func(n int, i *localaws.Instance) {
				i.InjectFault = delayBy(time.Duration(n%29) * time.Second)
				if n%100 == 99 {
					i.Machine = fixedMachine{stdout: reportLine, code: 40}
				}
			})
			run, err := fleet.New(ssm.NewFromConfig(s.Config()), delivery).Run(t.Context(), script, on, nil)
			if err != nil || strings.Contains(formatOutcomes(run), "unknown") {
				t.Fatal(err)
			}
			list := followRequests(s)
			span := list[len(list)-1].Time.Sub(list[0].Time)
			if most := int(span.Seconds()*2) + 4 + 1; len(list) > most {
				t.Errorf("%d instances: %d requests in %s, want at most %d", n, len(list), span, most)
			}
			t.Logf("%d instances: %d requests in %s", n, len(list), span)
		})
	}
}

// A poll of ten commands that have ended at the same time makes eleven requests: four at
// once, and the others at two a second.
func TestPollsMakeBurstsOfFourRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := startServer(t, localaws.Options{})
		end := time.Now().Add(25 * time.Second)
		on := addManyInstances(s, 10*fleet.MaxInstanceIDs, func(_ int, i *localaws.Instance) {
			i.InjectFault = func(localaws.Invocation) *localaws.DeliveryFault {
				return &localaws.DeliveryFault{Delay: time.Until(end)}
			}
		})
		if _, err := fleet.New(ssm.NewFromConfig(s.Config()), delivery).Run(t.Context(), script, on, nil); err != nil {
			t.Fatal(err)
		}
		list := followRequests(s)
		last := list[len(list)-11:] // of the last poll
		burst := slices.IndexFunc(last, func(call localaws.Call) bool { return call.Time.Sub(last[0].Time) > 300*time.Millisecond })
		if span := last[10].Time.Sub(last[0].Time); burst != 4 || span.Round(500*time.Millisecond) != 3500*time.Millisecond {
			t.Errorf("%d requests at once, and eleven in %s", burst, span)
		}
	})
}

// longestPause returns the longest time between two requests.
func longestPause(list []localaws.Call) (longest time.Duration) {
	for i := range list[1:] {
		longest = max(longest, list[i+1].Time.Sub(list[i].Time))
	}
	return longest
}

func TestPollsSlowDownAndAreJittered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := startServer(t, localaws.Options{})
		on := addManyInstances(s, 1, func(_ int, i *localaws.Instance) { i.InjectFault = delayBy(29 * time.Second) })
		if _, err := fleet.New(ssm.NewFromConfig(s.Config()), delivery).Run(t.Context(), script, on, nil); err != nil {
			t.Fatal(err)
		}
		list := followRequests(s)
		if first := list[0].Time.Sub(callsOf(s, "ssm:SendCommand")[0].Time); first < 200*time.Millisecond || first > 400*time.Millisecond { // 250 ms, the jitter, and the request itself
			t.Errorf("the first poll came after %s", first)
		}
		if pause := longestPause(list); pause < time.Second || pause > 1500*time.Millisecond { // 1.2 s and the jitter
			t.Errorf("the longest pause between polls was %s", pause)
		}
		gaps := map[time.Duration]bool{}
		for i := range list[1:] {
			gaps[list[i+1].Time.Sub(list[i].Time)] = true
		}
		if first, last := list[1].Time.Sub(list[0].Time), list[len(list)-1].Time.Sub(list[len(list)-2].Time); first*2 > last || len(gaps) < len(list)/2 {
			t.Errorf("first %s, last %s, %d different ones of %d", first, last, len(gaps), len(list))
		}
	})
}
