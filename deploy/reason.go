package deploy

// Reason is why a command did not end well, for programs; Report.Message says it to people.
type Reason string

// The reasons that the host scripts report. A command that ended well has none.
const (
	ReasonNone                Reason = ""
	ReasonBadParameter        Reason = "bad-parameter"
	ReasonToolMissing         Reason = "tool-missing"
	ReasonEngineUnavailable   Reason = "engine-unavailable" // Docker or systemd does not answer
	ReasonEngineUnfit         Reason = "engine-unfit"       // a snap, without root, or with no unit
	ReasonUnitInvalid         Reason = "unit-invalid"
	ReasonForeignUnit         Reason = "foreign-unit"      // a unit of that name is not this service's
	ReasonForeignContainer    Reason = "foreign-container" // a container of that name is not this service's
	ReasonUnsafeFolder        Reason = "unsafe-folder"     // somebody else could change scripts that run as root
	ReasonOtherEnvironment    Reason = "other-environment"
	ReasonDowngrade           Reason = "downgrade"
	ReasonQuarantined         Reason = "quarantined"
	ReasonSettingsMissing     Reason = "settings-missing"
	ReasonSettingsInvalid     Reason = "settings-invalid"     // Docker does not take the settings file, or a parameter as a setting
	ReasonSettingsForbidden   Reason = "settings-forbidden"   // the operator's settings file sets something
	ReasonSettingsUnavailable Reason = "settings-unavailable" // Parameter Store cannot be read
	ReasonNoSpace             Reason = "no-space"
	ReasonArchitecture        Reason = "architecture"
	ReasonImageUnavailable    Reason = "image-unavailable"  // no login, no pull, or it cannot be kept
	ReasonBundleUnavailable   Reason = "bundle-unavailable" // no download
	ReasonBundleInvalid       Reason = "bundle-invalid"     // another checksum, or a content that is not allowed
	ReasonReleaseChanged      Reason = "release-changed"    // the release folder differs from the bundle
	ReasonNotInstalled        Reason = "not-installed"      // no release to roll back from
	ReasonNoPrevious          Reason = "no-previous"        // no release to roll back to
	ReasonNotVerified         Reason = "not-verified"       // the rollback's target was never seen healthy
	ReasonBusy                Reason = "busy"               // another deploy is at work
	ReasonJobRunning          Reason = "job-running"        // a job did not end within the drain time-out
	ReasonStale               Reason = "stale"
	ReasonCutOff              Reason = "cut-off"      // killed or rebooted on the way
	ReasonStartFailed         Reason = "start-failed" // systemd did not start the unit
	ReasonStepFailed          Reason = "step-failed"  // a step before the program failed, so that was not started
	ReasonStopped             Reason = "stopped"      // somebody stopped the unit on the way
	ReasonUnhealthy           Reason = "unhealthy"    // started, and its health was not proved
	ReasonNotSeen             Reason = "not-seen"     // started, and the engine does not show its image in the unit's container
	ReasonScriptFailed        Reason = "script-failed"
)
