package report

import (
	"slices"
	"strings"

	"github.com/org/atta-deploy-action/deploy"
	"github.com/org/atta-deploy-action/internal/fleet"
	"github.com/org/atta-deploy-action/internal/rollout"
)

// hostHints are in the order in which they are shown: urgent states, reasons, other states. Each that
// matches a host applies.
var hostHints = slices.Concat(stateHints[:2], reasonHints, stateHints[2:])

var stateHints = []hint{
	{sign: "status `rollback-failed`", onHost: hasState(rollout.RollbackFailed),
		remedy: "rollback-failed: act now, the instance may run nothing: `systemctl status {service}`, `journalctl -u {service}` and `/var/log/{service}-deploy.log`.",
		inRun: func(result rollout.Result, host *rollout.Host, _ int) string {
			if host.Before == result.Plan.Release.Version.String() && !isUp(host) {
				return "rollback-failed: act now: {version} was installed on {instances} before as well, and failed again. See `journalctl -u {service}`, repair the cause and deploy {version} again, or go back to an earlier version with `operation: rollback`. A job is also run again by its timer."
			}
			if !failedBack(host) || result.Plan.Operation == rollout.Rollback {
				return ""
			}
			return "rollback-failed: act now: {before} is back on {instances}, but is not healthy either. The cause is probably outside both releases, such as a database: once that is repaired, {before} recovers without a deploy, and {version} can be deployed again [with `allow-quarantined: true`](workflows.md#quarantine)."
		}},
	{sign: "status `unknown`", onHost: hasState(rollout.Unknown), remedy: askInstance + "Deploying this version again is safe. " + ifGone,
		inRun: func(result rollout.Result, host *rollout.Host, _ int) string {
			switch {
			case result.Plan.Operation == rollout.Rollback:
				return askInstance + "Starting the rollback again, with `version: {version}`, is safe. " + ifGone
			case hasReason(deploy.ReasonUnhealthy)(host):
				return askInstance
			}
			return ""
		}},
	{sign: "status `busy`", onHost: hasState(rollout.Busy),
		remedy: "A deploy is at work on the instance: start the run again when it has ended."},
	{sign: "`last-run` in a status", named: true, onHost: hasFailedRun,
		remedy: "The last run of the job failed: see `journalctl -u {service}` on the instance. Repair the cause, and wait for the next run or start it with `systemctl start {service}`: one that succeeds ends the drift. A deploy of the same version runs the job again, and fails as long as the cause lasts."},
	rolledBackHint,
	{sign: "`SSM did not deliver the command: AccessDenied`", onHost: func(h *rollout.Host) bool { return h.Status == fleet.StatusAccessDenied },
		remedy: "Grant `ssm:SendCommand` on every instance, such as {instance}, to the deploying role. See [permissions.md](permissions.md#the-deploying-role)."},
	{sign: "`the command ended as DeliveryTimedOut`", onHost: func(h *rollout.Host) bool {
		return h.Status == fleet.StatusDeliveryTimedOut && h.State == rollout.Unknown && h.Report == nil
	},
		remedy: "The SSM agent does not run: `systemctl restart amazon-ssm-agent`."},
	{sign: "`ExecutionTimedOut`", onHost: func(h *rollout.Host) bool { return h.Status == fleet.StatusExecutionTimedOut },
		remedy: "The command took longer than `command-timeout`: its log, also in `/var/log/{service}-deploy.log`, ends with the step. In the step `pull`, Docker or the instance's network hangs (`systemctl restart docker`), or the image is large: raise `command-timeout`."},
	{sign: "`a deploy was cut off`", onHost: func(h *rollout.Host) bool { return h.Report != nil && slices.Contains(h.Report.Drift, "cut-off") },
		remedy: "A deploy was cut off on the instance: deploy again, which rolls it back first, or run `/opt/{service}/recover recover` on the instance."},
}

// Sentences for an instance whose result is not known.
const (
	askInstance = "unknown: ask the instance what it runs: `/opt/{service}/current/deploy/ec2_deploy.sh status`. "
	ifGone      = "If the instance is gone, take it out of `instance-ids` (the variable `EC2_INSTANCE_ID`) first."
)

var rolledBackHint = hint{sign: "status `rolled-back`", onHost: hasState(rollout.RolledBack),
	remedy: "Do not roll back by hand: {before} is back, and a rollback would install an earlier version. " + bothLogs,
	more:   "A service that was down before the deploy still is, and the message says so.",
	inRun: func(result rollout.Result, host *rollout.Host, _ int) string {
		switch {
		case host.Report != nil && host.Report.Version == "" && host.Before == "":
			return "As before, no release is installed on {instances}. " + bothLogs
		case result.Plan.Operation == rollout.Rollback:
			return "The rollback did not succeed on {instances}: {before}, which was to be replaced, is back. " + bothLogs
		case slices.ContainsFunc(result.Hosts, mayHaveRelease):
			return "On {instances}, {before} is back, but not on every instance: a rollback without `version` would roll these back further. " + bothLogs
		}
		return ""
	}}

const bothLogs = "On the instance, `journalctl -u {service}` shows the log of the program, in every version, and `/var/log/{service}-deploy.log` is the deploy log."

// mayHaveRelease reports whether a host may run the new release.
func mayHaveRelease(host *rollout.Host) bool {
	return host.State != rollout.RolledBack && host.State != rollout.NotStarted && host.State != rollout.NotDeployed
}

// failedBack reports whether a host could not roll back on its own, although what was there before is up.
func failedBack(host *rollout.Host) bool {
	return host.State == rollout.RollbackFailed && isUp(host) && host.Report.Version == host.Before &&
		(host.Report.Outcome == deploy.OutcomeRollbackFailed || strings.HasPrefix(host.Report.About, string(deploy.OutcomeRollbackFailed)))
}

// isUp reports whether the unit of a host was active, or about to be, when it reported a release.
func isUp(host *rollout.Host) bool {
	return host.Report != nil && host.Report.Version != "" && (host.Report.Unit == "active" || host.Report.Unit == "activating")
}

// unhealthyHint is for a release that came up unhealthy: whether the release or its surroundings are at fault, only a
// comparison shows.
var unhealthyHint = hint{sign: "`unhealthy`", named: true, onHost: hasReason(deploy.ReasonUnhealthy),
	remedy: "See the program's last log lines. " + releaseFix + ofQuarantined,
	more:   "An image that is healthy on other instances is not quarantined: look for what is different on this one.",
	inRun: func(result rollout.Result, host *rollout.Host, others int) string {
		again := ofQuarantined
		if others > 0 || result.Current.Verified && result.Current.Digest == result.Image.Digest {
			again = ofHealthyBefore
		}
		switch {
		case result.Plan.Operation == rollout.Rollback:
			return "The version to roll back to is not healthy now: see the program's last log lines. Repair the cause, such as a database or a setting, and start the rollback again, or set `version` to another healthy version."
		case failedBack(host):
			return "If the program's last log lines show a bug instead, release the fix as {next}."
		case others > 0:
			return "The release came up on {others}: check first what differs on {instances}, then limits that all share, such as database connections. " + releaseFix + again
		case host.State == rollout.RolledBack && isUp(host) && host.Report.Version == result.Plan.Release.Version.String():
			return "{before} is up again, with its earlier settings and health checks: check what this run has changed, such as `health-url`, `health-command` or a parameter."
		case host.State == rollout.RolledBack && isUp(host) && len(result.Hosts) > 1:
			return sinceUpAgain + "If it does, run the same on another instance: the same error there means that something shared is down, such as a database; if there is none, check the network and the settings of this instance. " + noError + releaseFix + again
		case host.State == rollout.RolledBack && isUp(host):
			return sinceUpAgain + "If it does, something that both versions need is down, such as a database. " + noError + releaseFix + again
		}
		return "See the program's last log lines. " + releaseFix + again
	}}

// Sentences of unhealthyHint.
const (
	sinceUpAgain    = "First check whether {before}, which is up again, logs the same error: `systemctl status {service} --lines=50` on {instance}. "
	noError         = "If it does not, check what the release changes, and its new settings. "
	releaseFix      = "If you fix the program, release it as {next}. "
	ofQuarantined   = "If you fix something else, [set `allow-quarantined: true`](workflows.md#quarantine), as this image is now refused: release {next} for a file in the repository, such as the workflow or `deploy/docker.env`; deploy {version} again for anything outside it."
	ofHealthyBefore = "If you fix something else, release {next} for a file in the repository, such as the workflow or `deploy/docker.env`, and deploy {version} again for anything outside it, [with `allow-quarantined: true`](workflows.md#quarantine) if the image is refused."
)

// reasonHints are those for the reason in a host's report.
var reasonHints = []hint{
	unhealthyHint,
	forReleaseFault(deploy.ReasonStartFailed, "`the engine did not start the container`", "Correct what the message of Docker or systemd names. If it is on the instance, such as a port that is taken, start the run again; if it is in `deploy/`, such as an option that Docker does not take, release it as {next}.",
		"The image is not quarantined."),
	forReleaseFault(deploy.ReasonStepFailed, "`the container was never started`", "A step of the unit failed before the container was started, such as a migration (`ExecStartPre=`): see its last lines. Correct it and release it as {next}; if the cause was outside the release, start the run again.",
		"The image is not quarantined, as its program was not started."),
	forReason(deploy.ReasonStopped, "", "If somebody stopped the unit during the deploy, start the run again. Otherwise its command does not wait for the container: remove `--detach` (`-d`) from `docker run`, in the unit or in `deploy/docker.env`, and release that as {next}.", ""),
	{sign: "`cut-off`", named: true, onHost: hasReason(deploy.ReasonCutOff), remedy: "The deploy was killed, or the instance rebooted, before the deploy had ended: start the run again.",
		inRun: func(_ rollout.Result, host *rollout.Host, _ int) string {
			if host.State != rollout.NotDeployed {
				return ""
			}
			return "An earlier deploy was cut off, and cannot be rolled back: `/opt/{service}/recover recover` on the instance says why. Repair that, and start the run again."
		}},
	forReason(deploy.ReasonNotSeen, "", "The engine did not show what the message names: the unit has to run `${IMAGE}` with `--name=%N` ([instance.md](instance.md#your-deploy-folder)), and the image's HEALTHCHECK, if it has one, to pass within `health-timeout`. Docker runs it for the first time after its interval, 30 seconds by default.", ""),
	forReason(deploy.ReasonSettingsMissing, "`/opt/<service>/.env lacks …`", "Add the missing settings to `/opt/{service}/.env` on the instance or, with `settings-from`, to Parameter Store, then start the run again.",
		"The release's `.env.example` names keys that the instance's settings do not have."),
	forReason(deploy.ReasonSettingsInvalid, "", "Correct that line of `/opt/{service}/.env` on the instance, or the parameters that the message names, and start the run again; or release a `deploy/.env.example` without that line as {next}.",
		"Docker takes lines of the form `KEY=value`: no `export`, no blanks around the `=`, and no value of several lines. Encode a value of several lines, such as a key in PEM, as one line: `base64 -w0`."),
	forReason(deploy.ReasonSettingsForbidden, "", "Move these settings from `/opt/{service}/.env` on the instance to Parameter Store, or set `allow-env-file: true`.", ""),
	forReason(deploy.ReasonSettingsUnavailable, "`the parameters in … cannot be read`", "The instance's role needs `ssm:GetParametersByPath` on the path in `settings-from`, and `kms:Decrypt` on the key of parameters that are encrypted with a key of yours. See [these permissions](permissions.md#the-instances-role).",
		"*The ciphertext refers to a customer master key that … you are not allowed to access* is a missing `kms:Decrypt`. With Default Host Management, the role is not that of the instance profile."),
	forReleaseFault(deploy.ReasonUnitInvalid, "", "Correct the unit as the message says, and release it as {next}.",
		"systemd would not start the release's unit, or a deploy could not see what it runs; the message names both."),
	forReason(deploy.ReasonImageUnavailable, "`the credentials of this host are those of …`", "Docker's or the AWS CLI's message says why the image is not available. The instance's role needs [these permissions](permissions.md#the-instances-role).",
		"With Default Host Management, the role is not that of the instance profile: grant the permission to the role that the message names. A subnet without internet access needs [endpoints](instance.md#requirements). A clock that is wrong is set by `timedatectl set-ntp true`."),
	forReason(deploy.ReasonBundleUnavailable, "`cannot be downloaded`", "The message of the AWS CLI says why the bundle is not available. The instance's role needs [these permissions](permissions.md#the-instances-role).",
		"With Default Host Management, the role is not that of the instance profile: grant the permission to the role that the message names. A clock that is wrong is set by `timedatectl set-ntp true`."),
	forReason(deploy.ReasonBundleInvalid, "", "The bundle is not what this action wrote, or holds what it must not: release {next}, and check who else may write to the bucket.", ""),
	forReason(deploy.ReasonReleaseChanged, "", "The release's folder on the instance was changed, or is from another bundle or image: restore it, or release {next}.", ""),
	forReason(deploy.ReasonQuarantined, "`this image is quarantined`", "The image was unhealthy on this instance: release the fix as {next}, or [deploy this version with `allow-quarantined: true`](workflows.md#quarantine) if the image was not the cause.", ""),
	forReason(deploy.ReasonJobRunning, "`a run of … has not ended within`", "A job was running on the instance: start the run again when it has ended, raise `drain-timeout`, or set `on-running: kill`. If the program is to stay up, set `mode: service` and, once, `on-running: kill`.", ""),
	forReason(deploy.ReasonBusy, "", "Another deploy was running on the instance: start the run again when it has ended.", ""),
	{sign: "`no-space`", named: true, onHost: hasReason(deploy.ReasonNoSpace), remedy: "Free space on the instance, in the folder that the message names, or lower `keep-releases`.",
		inRun: func(_ rollout.Result, host *rollout.Host, _ int) string {
			if host.Report.Phase != deploy.PhaseDownload {
				return ""
			}
			return "Free space on the instance. It is too little to fetch the bundle, and old releases are removed only after that."
		}},
	forReason(deploy.ReasonArchitecture, "", "Build the image for the architecture that the message names, or for several: `docker buildx build --platform linux/amd64,linux/arm64`.", ""),
	forReason(deploy.ReasonToolMissing, "", "Install what the message names on the instance, which needs bash, Docker, systemd, the AWS CLI, tar, gzip, findutils, diffutils and util-linux. See [the requirements](instance.md#requirements).", ""),
	forReason(deploy.ReasonEngineUnfit, "", "Install Docker as a package of the instance's system: https://docs.docker.com/engine/install/. See [the requirements](instance.md#requirements).",
		"Docker is a snap, rootless, or has no unit on this host."),
	forReason(deploy.ReasonEngineUnavailable, "", "Docker or systemd does not answer on the instance: `systemctl status docker`.", ""),
	forReason(deploy.ReasonStale, "", "The command arrived late, or after a newer one, and was not run: start the run again if this version is still wanted.", ""),
	forReason(deploy.ReasonDowngrade, "", "A newer version runs: set `allow-downgrade: true`, or use `operation: rollback`.", ""),
	forReason(deploy.ReasonOtherEnvironment, "", "The instance runs a release of another environment: check `environment`, and `instance-ids` or `target-tags`.", ""),
	forReason(deploy.ReasonForeignContainer, "", "A container of the service's name exists that no release made: remove it, or choose another `service`.", ""),
	forReason(deploy.ReasonForeignUnit, "", "A unit of that name exists that was not installed by a release: remove it, or choose another `service`.", ""),
	forReason(deploy.ReasonUnsafeFolder, "", "Run the command at the end of the message on the instance: root runs scripts from this folder, so nobody else may own it or write to it.", ""),
	forReason(deploy.ReasonNotInstalled, "", "No release of `{service}` is installed on the instance: deploy one, or check `service`.", ""),
	forReason(deploy.ReasonNoPrevious, "", "No earlier release was healthy on the instance: set `version`, or deploy.", ""),
	forReason(deploy.ReasonNotVerified, "", "That release was never healthy on the instance: set `version` to one that the message lists, or deploy it.", ""),
	forReason(deploy.ReasonBadParameter, "", "Remove copies of this action's scripts from your `deploy/` folder, unless you have changed them on purpose: they may be of another version than the action.", ""),
	forReason(deploy.ReasonScriptFailed, "", "The message names the command that failed on the instance; `/var/log/{service}-deploy.log` there has its output.", ""),
}

func hasState(state rollout.State) func(*rollout.Host) bool {
	return func(h *rollout.Host) bool { return h.State == state }
}

func hasReason(reason deploy.Reason) func(*rollout.Host) bool {
	return func(h *rollout.Host) bool { return h.Report != nil && h.Report.Reason == reason }
}

// forReason returns the hint for a reason, whose message is mostly the given one.
func forReason(reason deploy.Reason, message, remedy, more string) hint {
	sign := "`" + string(reason) + "`"
	if message != "" {
		sign += ": " + message
	}
	return hint{sign: sign, remedy: remedy, more: more, named: true, onHost: hasReason(reason)}
}

// forReleaseFault is forReason for a fault of the release, unless that is the earlier one of a rollback.
func forReleaseFault(reason deploy.Reason, message, remedy, more string) hint {
	h := forReason(reason, message, remedy, more)
	h.inRun = func(result rollout.Result, _ *rollout.Host, _ int) string {
		if result.Plan.Operation != rollout.Rollback {
			return ""
		}
		return "{version} cannot be started now, as the message says: repair that on the instance, such as a port that is taken, and start the rollback again, set `version` to another healthy version, or release a fix as {next}. A database that a newer version has changed may need that version."
	}
	return h
}
