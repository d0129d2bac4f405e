//go:build long

package rollout_test

import "testing"

func TestSimulationOfManyFleets(t *testing.T) { simulateFleets(t, 1_000, 150) }

func TestRequestsGrowWithEveryFiftyOfAThousandInstances(t *testing.T) { checkRequests(t, 1000) }
