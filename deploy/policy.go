package deploy

import "time"

// Policy says how a host changes from one release to another. Durations are whole seconds.
type Policy struct {
	AllowDowngrade   bool
	AllowQuarantined bool          // deploys an image that was found unhealthy before
	RunOnDeploy      bool          // runs a job at once; otherwise its timer does
	OnRunning        string        // wait or kill: a run of the previous release's job
	DrainTimeout     time.Duration // for such a run to end
	HealthCommand    string        // for bash; may be empty
	HealthURL        string        // may be empty
	HealthTimeout    time.Duration
	MinHealthyTime   time.Duration // for a service to stay up; less than HealthTimeout
	KeepReleases     int           // verified ones, in addition to the current and the previous release
	SettingsFrom     string        // path in Parameter Store whose parameters are settings; may be empty
	AllowEnvFile     bool          // with SettingsFrom: the operator's settings file may set something, and wins
}
