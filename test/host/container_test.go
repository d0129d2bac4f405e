//go:build e2e

package host_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/org/atta-deploy-action/localaws/container"
	"github.com/org/atta-deploy-action/test/tier"
)

// counter makes names that are used once.
var counter atomic.Int64

// guest is an instance that is a container.
type guest struct {
	machine
	*container.Container
}

// sampled are tests that wait for minutes, or have a like on the stand-in.
var sampled = []string{
	"TestE2EACancelledCommandIsRolledBack",
	"TestE2EADeployIsRolledBackWhenTheWholeAgentIsKilled",
	"TestE2EAFirstDeployThatARebootCutsOffLeavesNothing",
	"TestE2EAFullDiskLeavesTheReleaseThatRuns",
	"TestE2EAJobStartsOfflineAfterARebootInTheMiddle",
	"TestE2EAPrunedInstanceStartsWithoutARegistry",
	"TestE2EARebootInTheMiddleEndsInOneOfTheTwoReleases",
	"TestE2EATimerComesAndGoesWithItsRelease",
	"TestE2ECaseAClockThatIsWrongIsNamed",
	"TestE2ECaseWhatRunsComesBackAfterAnUpgradeOfTheEngine",
	"TestE2EKillPointsLeaveTheHostAsBeforeOrAsIntended",
	"TestE2ENoLineOfABurstIsLost",
	"TestE2EOldReleasesLeaveNoImage",
	"TestE2EOperatorRollsBackTwiceWithoutANetwork",
	"TestE2EReleaseWorkflowMovesTheMajorTagOnceItHasDeployed",
	"TestE2ERunningJobIsWaitedForOrKilledAsOnRunningSays",
	"TestE2EShutdownDuringADeployDoesNotQuarantine",
	"TestE2ETheUnitsAreAcceptedWithoutAWarning",
	"TestOnEachMachineACheckSaysWhatADeployWouldRefuse",
	"TestOnEachMachineAFailedDeployLeavesTheSettingsOfEachRelease",
	"TestOnEachMachineAFailedJobIsRolledBackWhole",
	"TestOnEachMachineAJobThatRunsAnotherImageIsNotDeployed",
	"TestOnEachMachineAServiceThatDoesNotStayUpIsRolledBack",
	"TestOnEachMachineCaseAHealthcheckThatHasNotRunYetIsNamed",
	"TestOnEachMachineCaseALoginNeedsNoCredentialHelper",
	"TestOnEachMachineCaseAServiceIsStoppedWithTheSignalOfItsImage",
	"TestOnEachMachineCaseAUnitAtItsStartLimitIsStarted",
	"TestOnEachMachineCaseSettingsAreReadAsDockerReadsThem",
	"TestOnEachMachineCaseTheHabitsOfAnOperatorKeepWorking",
	"TestOnEachMachineCaseUnitsAreCheckedAsTheyWillBe",
	"TestOnEachMachineCaseWhatAHealthcheckPrintsIsInTheMessage",
	"TestOnEachMachineTheLogOfAFailedReleaseIsThatOfItsRun",
	"TestOnEachMachineWhatTheEngineRefusesToStartIsNotTheImagesFault",
}

func prepareMachines(ctx context.Context, _ string) (listen string, stop func() error, err error) {
	if err := tier.MarkSampled(sampled...); err != nil {
		return "", nil, err
	}
	stop, err = container.Engine(ctx)
	if err != nil {
		return "", nil, err
	}
	if listen, err = container.Gateway(ctx); err != nil {
		return "", nil, errors.Join(err, stop())
	}
	return listen, stop, nil
}

// images build those of all instances, by the names of their recipes.
var images = func() map[string]func() (string, error) {
	all := map[string]func() (string, error){}
	for _, recipe := range container.Recipes {
		all[recipe.Name] = sync.OnceValues(func() (string, error) { return container.Build(context.Background(), recipe) })
	}
	return all
}()

// usual is the instance that most tests run on; INSTANCE names another recipe.
var usual = cmp.Or(os.Getenv("INSTANCE"), container.Bookworm.Name)

// boot starts the usual instance.
func boot(t *testing.T) guest {
	t.Helper()
	return bootOf(t, usual)
}

// onEachMachine runs a scenario on every kind of instance: here, on a container of each recipe.
func onEachMachine(t *testing.T, scenario func(t *testing.T, m machine)) {
	t.Helper()
	onEach(t, func(t *testing.T, m guest) { scenario(t, m.machine) })
}

// onEach runs a test on the usual instance and, in the long tests, on Debian bullseye, unless
// INSTANCE asks for one only: to build an image takes minutes.
func onEach(t *testing.T, test func(t *testing.T, m guest)) {
	t.Parallel() // or each test would wait for the previous one
	recipes := []string{usual}
	if tier.Long && os.Getenv("INSTANCE") == "" {
		recipes = append(recipes, container.Bullseye.Name)
	}
	for _, recipe := range recipes {
		t.Run(recipe, func(t *testing.T) {
			t.Parallel()
			test(t, bootOf(t, recipe))
		})
	}
}

func bootOf(t *testing.T, recipe string) guest {
	t.Helper()
	key, err := cloud.Config().Credentials.Retrieve(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return bootWith(t, recipe, key)
}

// bootWith starts an instance with credentials.
func bootWith(t *testing.T, recipe string, key aws.Credentials) guest {
	t.Helper()
	build, ok := images[recipe]
	if !ok {
		t.Fatalf("unknown instance %q", recipe)
	}
	image, err := build()
	if err != nil {
		t.Fatal(err)
	}
	name := fmt.Sprintf("atta-e2e-%d-%d", os.Getpid(), counter.Add(1))
	c, err := container.Start(t.Context(), image, container.Options{
		Name: name, Endpoint: cloud.URL(), AccessKeyID: key.AccessKeyID, SecretAccessKey: key.SecretAccessKey, SessionToken: key.SessionToken,
	})
	if err != nil {
		t.Fatal(err)
	}
	m := guest{machine{instance: c, t: t, name: name, service: "atta", healthTimeout: "30", port: "8081", engine: recipe}, c}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("log of the instance:\n%s", m.run("tail -n 60 /var/log/*-deploy.log; journalctl --no-pager --lines=60 _PID=1; ps axf; systemctl list-jobs").stdout)
		}
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	cloud.CreateRepository(m.name, "IMMUTABLE_WITH_EXCLUSION")
	cloud.CreateBucket(m.name)
	m.output(hooks)
	return m
}

// of is the same instance as the host of another service.
func (m guest) of(service string) guest {
	m.service = service
	return m
}

// engineEvents reads the engine's own. Docker's filter takes the beginning of a name as well.
func (m machine) engineEvents() (events []engineEvent) {
	m.t.Helper()
	format := "{{.Actor.Attributes.name}} {{.Action}} {{.Actor.Attributes.image}} {{.Actor.Attributes.exitCode}}"
	if m.isPodman() {
		format = "{{.Name}} {{.Status}} {{.Image}} {{.ContainerExitCode}}"
	}
	text := m.output(`docker events --since 1 --until "$(date +%s.%N)" --filter "container=$s" --filter event=start --filter event=die --filter event=died --format '` + format + `'`)
	for line := range strings.Lines(text) {
		if fields := append(strings.Fields(line), "", "", "", ""); fields[0] == m.service {
			events = append(events, engineEvent{image: fields[2], ended: fields[1] != "start", exit: fields[3]})
		}
	}
	return events
}
