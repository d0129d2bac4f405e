package deploy

// Outcome is how a command ended on a host, in the host's own words.
type Outcome string

// The outcomes that the host scripts report.
const (
	OutcomeDeployed       Outcome = "deployed"        // runs the release now
	OutcomeUnchanged      Outcome = "unchanged"       // ran the release already
	OutcomeRefused        Outcome = "refused"         // changed nothing
	OutcomeRolledBack     Outcome = "rolled-back"     // tried, and runs the previous release again
	OutcomeRollbackFailed Outcome = "rollback-failed" // tried, and could not roll back
	OutcomeReady          Outcome = "ready"           // answers a check: the release could be deployed
	OutcomeUnknown        Outcome = "unknown"         // the release's script ended without a result
	OutcomeStatus         Outcome = "status"          // answers a status command
	OutcomeAbsent         Outcome = "absent"          // answers a status command: no release is installed
)

// What a status command reports of the deployment it was asked about, next to an outcome.
const (
	AboutNone     = "none"      // the host has no trace of it
	AboutBegun    = "begun"     // its command came, and ended before it changed anything
	AboutUnderWay = "under-way" // a deploy or its recovery is at work
	AboutCutOff   = "cut-off"   // it ended in the middle, and nobody waits to roll it back
)
