//go:build !e2e

package host_test

import (
	"maps"
	"math/rand/v2"
	"slices"

	"github.com/org/atta-deploy-action/test/tier"
)

// quick are the tests of `make test`: one for each thing that the host scripts promise.
var quick = []string{
	"TestADamagedBundleIsRefusedBeforeItIsUnpacked",
	"TestADeployIsRolledBackWhenTheWholeAgentIsKilled",
	"TestAJobInFlightIsWaitedFor",
	"TestALateCommandIsRefused",
	"TestALateDuplicateGetsTheAnswerOfTheFirst",
	"TestAReleaseReplacesThePreviousOne",
	"TestAServiceIsStartedAgainByARollback",
	"TestAVersionIsNeverReused",
	"TestAnImageThatDoesNotFitIsRefusedBeforeItIsPulled",
	"TestAnInstanceKnowsTheRegistriesOfEachPartition",
	"TestAnOperatorIsToldHowToAsk",
	"TestKilledAnywhereTheHostIsAsBeforeOrAsIntended",
	"TestStatusOfAHostThatHasNothing",
	"TestStatusSaysWhatRuns",
	"TestTheCommandIsConstantAndSmall",
	"TestTheFirstReleaseEverFailsBeforeItsUnitIsThere",
	"TestTheLogIsSeenWhileTheJobIsAtWork",
	"TestWhatIsNotFitIsRefusedAndNothingChanges",
}

// sampleOf returns a random half of the cases where a sample is enough. Otherwise it returns those of these names in the quick
// tests, and all in the long ones, or if there are no names.
func sampleOf[T any](cases map[string]T, names ...string) map[string]T {
	switch {
	case tier.Sampled:
		names = slices.Collect(maps.Keys(cases))
		rand.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
		names = names[:(len(names)+1)/2]
	case tier.Long || len(names) == 0:
		return cases
	}
	few := map[string]T{}
	for _, name := range names {
		few[name] = cases[name]
	}
	return few
}
