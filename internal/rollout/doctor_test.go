package rollout_test

import (
	"strings"
	"testing"

	"github.com/org/atta-deploy-action/internal/rollout"
	"github.com/org/atta-deploy-action/localaws"
)

// doctorPlan checks the instances.
func (f *fixture) doctorPlan(ids ...string) rollout.Plan {
	plan := f.statusPlan(ids...)
	plan.Operation, plan.DeploymentID = rollout.Doctor, "doctor-1"
	return plan
}

func TestDoctorFindsNothingWrongBeforeTheFirstDeploy(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		f.createDocuments()
		ids, hosts := f.addHosts(2, "")
		plan := f.doctorPlan(ids...)
		plan.Rollout.Document = "status-atta-dev"
		result, err := f.runPlan(plan)
		if err != nil || result.Status != rollout.OutcomeSuccess {
			t.Fatalf("%s: %v", result.Status, err)
		}
		log := strings.Join(f.console.log, "\n")
		for _, line := range []string{
			"✓ repository  has no tag latest-dev yet", "✓ bucket      should run: nothing yet", "✓ document    status-atta-dev, version 1", "✓ instances   2 found, 2 ready",
			"✓ instance    i-01 (name-of-i-01) ready for a deploy", "✓ instance    i-02 (name-of-i-02) ready for a deploy",
		} {
			if !strings.Contains(log, line) {
				t.Errorf("no line %q in\n%s", line, log)
			}
		}
		wantLines(t, "documents", f.sentDocuments(), "status-atta-dev:1")
		if len(changedHosts(hosts)) != 0 || hosts[0].State().Generation != 0 {
			t.Errorf("the doctor has changed %v", changedHosts(hosts))
		}
	})
}

func TestDoctorReportsEveryProblemAtOnce(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		ids, hosts := f.addHosts(3, "0.1.29-dev")
		hosts[1].Unfit = "the Docker engine does not answer"
		f.repository = f.newRepository("missing")
		f.AddInstance(localaws.Instance{ID: "i-05", PingStatus: "ConnectionLost"})
		f.AddInstance(localaws.Instance{ID: "i-06"}) // prints nothing
		result, err := f.runPlan(f.doctorPlan(append(ids, "i-05", "i-06")...))
		if err == nil || result.Status != rollout.OutcomeFailed {
			t.Fatalf("%s: %v", result.Status, err)
		}
		for _, problem := range []string{"the repository does not exist", "instance i-05 is not online", "i-02 (name-of-i-02): not-deployed: the Docker engine does not answer", "i-06: not-deployed: the command ended as Success"} {
			if !strings.Contains(err.Error(), problem) {
				t.Errorf("no %q in\n%v", problem, err)
			}
		}
		log := strings.Join(f.console.log, "\n")
		if strings.Count(log, "✗") != 4 || !strings.Contains(log, "✓ document    AWS-RunShellScript: whoever may send it is root on the instances") {
			t.Errorf("the log is\n%s", log)
		}
		if states(result) != "i-05 not-deployed, i-01 not-started, i-02 not-deployed, i-03 not-started, i-06 not-deployed" {
			t.Error(states(result))
		}
	})
}

func TestDoctorAsksNoInstanceWithoutAUsableDocument(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		ids, _ := f.addHosts(1, "0.1.29-dev")
		plan := f.doctorPlan(ids...)
		plan.Rollout.Document = "deploy-atta-dev"
		if _, err := f.runPlan(plan); err == nil || !strings.Contains(err.Error(), "deploy-atta-dev does not exist") {
			t.Error(err)
		}
		wantLines(t, "requests", f.mutatingRequests())
	})
}
