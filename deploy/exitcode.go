package deploy

// ExitCode is how a host script ends. The container's own exit code is never passed on:
// the SSM agent takes 168 for success, 169 for a skip and 194 for a reboot request.
// https://docs.aws.amazon.com/systems-manager/latest/userguide/send-commands-reboot.html
type ExitCode int

// The exit codes of the host scripts.
const (
	ExitOK             ExitCode = 0  // the release runs and was seen healthy
	ExitPreflight      ExitCode = 10 // refused; nothing was changed
	ExitIntegrity      ExitCode = 20 // the bundle or the release is not what was asked for; nothing was changed
	ExitStart          ExitCode = 30 // not started or not seen, stopped, or cut off; rolled back
	ExitUnhealthy      ExitCode = 40 // started and found unhealthy; rolled back
	ExitRollbackFailed ExitCode = 41 // the rollback failed as well
	ExitStale          ExitCode = 50 // too late, or of an earlier generation; nothing was changed
	ExitBusy           ExitCode = 51 // a job or another deploy did not end in time; nothing was changed
)
