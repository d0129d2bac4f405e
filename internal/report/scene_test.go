package report_test

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/org/atta-deploy-action/deploy"
	"github.com/org/atta-deploy-action/internal/bundle"
	"github.com/org/atta-deploy-action/internal/fleet"
	"github.com/org/atta-deploy-action/internal/image"
	"github.com/org/atta-deploy-action/internal/release"
	"github.com/org/atta-deploy-action/internal/rollout"
)

// scenes are the runs whose summaries `make screenshots` shows, by golden file.
var scenes = map[string]func() (rollout.Result, error){
	"scenes/one-host":        oneHost,
	"scenes/failed-canary":   failedCanary,
	"scenes/300-hosts":       threeHundredHosts,
	"scenes/rollback":        rollbackOfTwelve,
	"scenes/status":          statusWithDrift,
	"scenes/plan":            planOfTwelve,
	"scenes/doctor":          doctorWithProblems,
	"scenes/doctor-no-fault": doctorWithoutProblems,
}

// instance returns a host with an ID and a name as EC2 gives them.
func instance(n int, state rollout.State, before, runs, message string) *rollout.Host {
	h := host(fmt.Sprintf("i-0%016x", uint64(n+1)*0x9e3779b97f4a7c15), state, before, runs, message)
	h.Name = fmt.Sprintf("ip-10-0-%d-%d", n/200, 10+n%200)
	return h
}

// instances returns hosts of a wave.
func instances(from, to, wave int, state rollout.State, before, runs, message string) (hosts []*rollout.Host) {
	for n := from; n < to; n++ {
		h := instance(n, state, before, runs, message)
		h.Wave = wave
		hosts = append(hosts, h)
	}
	return hosts
}

// ofWorkflow adds the workflow run and the commits.
func ofWorkflow(result rollout.Result) rollout.Result {
	result.Plan.Holder.RunURL, result.Plan.Holder.Actor = "https://github.com/org/atta/actions/runs/42", "mona"
	result.Plan.Commit, result.Current.Commit, result.Current.Version = strings.Repeat("d", 40), strings.Repeat("e", 40), "0.1.29-dev"
	return result
}

func oneHost() (rollout.Result, error) {
	hosts := instances(0, 1, 1, rollout.Deployed, "0.1.29-dev", "0.1.30-dev", "0.1.30-dev ran and succeeded")
	timed(hosts[0], 12, 41, map[string]int64{"preflight": 800, "pull": 9100, "open": 1900, "stop": 300, "start": 8200, "health": 4600})
	return withSteps(ofWorkflow(finished(hosts...)), false, []string{"Read", "Preflight", "Push image", "Upload bundle", "Roll out", "Move tags"}, 1, 3, 7, 1, 29, 1), nil
}

// exitedWith1 makes a host one on which the release, of a service, exited with status 1, and was rolled back.
func exitedWith1(h *rollout.Host, sent int) {
	h.State, h.Message = rollout.RolledBack, "atta.service failed: result exit-code, exit status 1; 0.1.29-dev is back"
	h.Report = &deploy.Report{Version: "0.1.29-dev", Digest: oldDigest, Outcome: deploy.OutcomeRolledBack, Reason: deploy.ReasonUnhealthy, Exit: 1, Unit: "active"}
	h.Log = strings.Join([]string{
		"2026-01-02T03:04:22Z 0.1.30-dev: start", "Job for atta.service failed.", "2026-01-02T03:04:30Z 0.1.30-dev: health",
		"Traceback (most recent call last):", `  File "/app/main.py", line 12, in <module>`, `    serve(connect(os.environ["DATABASE_URL"]))`, "ConnectionError: db.internal refused the connection",
		"atta.service: Main process exited, code=exited, status=1/FAILURE",
		"2026-01-02T03:04:31Z 0.1.30-dev: rollback", "atta-0.1.30-dev", "failed to run commands: exit status 40",
	}, "\n")
	timed(h, sent, sent+26, map[string]int64{"preflight": 800, "pull": 6100, "open": 90, "stop": 1200, "start": 7400, "health": 2600, "rollback": 3300})
}

// failedCanary returns a deploy to twelve hosts that ended with the first.
func failedCanary() (rollout.Result, error) {
	hosts := append(instances(0, 1, 1, rollout.Deployed, "0.1.29-dev", "", ""), instances(1, 12, 2, rollout.NotStarted, "0.1.29-dev", "0.1.29-dev", "")...)
	exitedWith1(hosts[0], 14)
	result, err := unhealthy(finished(hosts...), rollout.OutcomeRolledBack)
	return withSteps(ofWorkflow(result), true, []string{"Read", "Preflight", "Push image", "Upload bundle", "Check: 12 instances", "Roll out, wave 1 of 2: 1 instance"}, 1, 3, 6, 1, 3, 27), err
}

// threeHundredHosts returns a deploy in 25 waves. In the 13th, three hosts exit and one has no space, so that every other host is
// rolled back.
func threeHundredHosts() (rollout.Result, error) {
	const perWave, failedWave = 12, 13
	var hosts []*rollout.Host
	titles, seconds := []string{"Read", "Preflight", "Check: 300 instances"}, []int{1, 8, 12}
	for wave := range 25 {
		from, to := wave*perWave, (wave+1)*perWave
		if wave >= failedWave {
			hosts = append(hosts, instances(from, to, wave+1, rollout.NotStarted, "0.1.29-dev", "0.1.29-dev", "")...)
			continue
		}
		titles, seconds = append(titles, fmt.Sprintf("Roll out, wave %d of 25: 12 instances", wave+1)), append(seconds, 30)
		for n, h := range instances(from, to, wave+1, rollout.RolledBack, "0.1.29-dev", "0.1.29-dev", "ran the release, and was rolled back") {
			h.Report.Outcome = deploy.OutcomeDeployed
			hosts = append(hosts, timed(h, 21+30*wave, 41+30*wave+n/2, map[string]int64{"pull": 5000 + int64(n)*100, "start": 4000, "health": 6000}))
		}
	}
	last := hosts[perWave*(failedWave-1) : perWave*failedWave]
	for _, n := range []int{2, 5, 9} {
		exitedWith1(last[n], 21+30*(failedWave-1))
	}
	last[7].State, last[7].Message = rollout.NotDeployed, "not enough room for the image: /var/lib/docker has 212 MB free, 1310 MB are needed"
	last[7].Report = &deploy.Report{Version: "0.1.29-dev", Digest: oldDigest, Outcome: deploy.OutcomeRefused, Reason: deploy.ReasonNoSpace}
	result := ofWorkflow(finished(hosts...))
	result.Status, result.Elapsed = rollout.OutcomeRolledBack, 452*time.Second
	result = withSteps(result, false, append(titles, "Roll back: 152 instances"), append(seconds, 41)...)
	result.Steps[len(result.Steps)-2].Failed = true
	return result, &rollout.UnhealthyError{Hosts: []*rollout.Host{last[2], last[5], last[7], last[9]}, Of: 300, RolledBack: 152, Untouched: 144}
}

func rollbackOfTwelve() (rollout.Result, error) {
	hosts := instances(0, 12, 1, rollout.Deployed, "0.1.31-dev", "0.1.30-dev", "0.1.30-dev is installed; run by its timer or systemctl start atta")
	for n, h := range hosts {
		timed(h, 4, 20+n/4, map[string]int64{"preflight": 800, "pull": 500, "stop": 1100, "start": 7000, "health": 2000})
	}
	result := ofWorkflow(finished(hosts...))
	result.Plan.Operation, result.Plan.Phases.Image, result.Plan.Phases.Bundle = rollout.Rollback, false, false
	result.Image, result.Bundle, result.Elapsed = image.Pushed{}, bundle.Stored{}, 24*time.Second
	return withSteps(result, false, []string{"Preflight", "Roll out", "Move tags"}, 4, 19, 1), nil
}

// asked returns the result of an operation that changes nothing.
func asked(operation rollout.Operation, hosts ...*rollout.Host) rollout.Result {
	result := finished(hosts...)
	result.Plan.Operation, result.Plan.Release.Version, result.Current.Version = operation, release.Version{}, "0.1.30-dev"
	result.Image, result.Bundle, result.CommandIDs = image.Pushed{}, bundle.Stored{}, nil
	return withSteps(result, false, []string{"Preflight"}, 4)
}

func statusWithDrift() (rollout.Result, error) {
	hosts := instances(0, 12, 0, rollout.InSync, "0.1.30-dev", "0.1.30-dev", "runs 0.1.30-dev, verified since 2026-01-02T03:04:05Z, unit active")
	hosts[4].State, hosts[4].Drift, hosts[4].Message = rollout.Drifted, []string{"unit-file"}, "runs 0.1.30-dev, verified since 2026-01-02T03:04:05Z, unit active; differs in unit-file"
	hosts[9].State, hosts[9].Drift, hosts[9].Message = rollout.Drifted, []string{"version"}, "runs 0.1.29-dev, unit active; differs in version; should run 0.1.30-dev"
	hosts[9].Report.Version = "0.1.29-dev"
	return asked(rollout.Status, hosts...), nil
}

func planOfTwelve() (rollout.Result, error) {
	hosts := append(instances(0, 1, 1, rollout.NotStarted, "", "", "would go from nothing to 0.1.30-dev"),
		instances(1, 12, 2, rollout.NotStarted, "0.1.29-dev", "", "would go from 0.1.29-dev to 0.1.30-dev")...)
	last := hosts[11]
	last.Wave, last.Before, last.Message = 3, "0.1.30-dev", "runs 0.1.30-dev already: it would be checked, and deployed again if it is not healthy"
	result := ofWorkflow(finished(hosts...))
	result.Plan.DryRun, result.Status, result.CommandIDs = true, rollout.OutcomePlanned, nil
	return withSteps(result, false, []string{"Preflight"}, 5), nil
}

func doctorWithoutProblems() (rollout.Result, error) {
	return asked(rollout.Doctor, instances(0, 12, 0, rollout.NotStarted, "", "", "ready for a deploy")...), nil
}

func doctorWithProblems() (rollout.Result, error) {
	hosts := instances(0, 11, 0, rollout.NotStarted, "", "", "ready for a deploy")
	unfit := hosts[3]
	unfit.State, unfit.Message = rollout.NotDeployed, "/opt/atta is not owned by root, or others may write to it, and scripts below it are run as root: chown root /opt/atta && chmod go-w /opt/atta"
	unfit.Report = &deploy.Report{Outcome: deploy.OutcomeRefused, Reason: deploy.ReasonUnsafeFolder}
	offline := instance(11, rollout.NotDeployed, "", "", "is not online: the SSM agent's status is ConnectionLost, last heartbeat at 2026-01-02T03:04:05Z")
	result := asked(rollout.Doctor, append(hosts, offline)...)
	result.Status = rollout.OutcomeFailed
	return result, errors.Join(
		fmt.Errorf("check 123456789012.dkr.ecr.us-east-1.amazonaws.com/atta: %w", image.ErrNoRepository),
		&fleet.NotReadyError{Instance: offline.Instance, Problem: fleet.NotOnline, Reason: offline.Message},
		&rollout.UnhealthyError{Hosts: []*rollout.Host{unfit}},
	)
}
