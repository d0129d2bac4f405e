package deploy

// Evidence is what a host sees of the installed release at the moment of a report: the engine's
// container of the unit, whose image ID is compared with that of the release's image.
type Evidence string

// The evidence that the host scripts report. A command that was refused before it looked says
// nothing.
const (
	EvidenceUnsaid     Evidence = ""
	EvidenceNone       Evidence = "none"        // the unit is a service and has no container
	EvidenceNotRun     Evidence = "not-run"     // the unit is a job, and no run of it is to be seen
	EvidenceOtherImage Evidence = "other-image" // the unit's container has another image
	EvidenceRunning    Evidence = "running"     // the container runs, and is meant to
	EvidenceAtWork     Evidence = "at-work"     // the container runs a job that has not ended
	EvidenceSucceeded  Evidence = "succeeded"   // the container has ended with exit status 0
	EvidenceFailed     Evidence = "failed"      // the container has ended with another one
)
