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

// sampleOf are the cases of these names in the quick tests, all in the long ones, and a random half where a
// sample is enough.
func sampleOf[T any](cases map[string]T, names ...string) map[string]T {
	switch {
	case tier.Sampled:
		names = slices.Collect(maps.Keys(cases))
		rand.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
		names = names[:(len(names)+1)/2]
	case tier.Long:
		return cases
	}
	few := map[string]T{}
	for _, name := range names {
		few[name] = cases[name]
	}
	return few
}
