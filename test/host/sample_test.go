//go:build !e2e

package host_test

import (
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

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
	"TestAnOperatorIsToldHowToAsk",
	"TestKilledAnywhereTheHostIsAsBeforeOrAsIntended",
	"TestStatusOfAHostThatHasNothing",
	"TestStatusSaysWhatRuns",
	"TestTheFirstReleaseEverFailsBeforeItsUnitIsThere",
	"TestTheLogIsSeenWhileTheJobIsAtWork",
	"TestWhatIsNotFitIsRefusedAndNothingChanges",
}

func TestTheQuickTestsAreThere(t *testing.T) {
	files, err := filepath.Glob("*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	all := ""
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		all += string(text)
	}
	for _, name := range quick {
		if !strings.Contains(all, "\nfunc "+name+"(") {
			t.Error("there is no ", name)
		}
	}
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
