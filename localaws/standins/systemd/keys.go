package systemd

import "strings"

// knownKeys are the settings of systemd.unit(5), systemd.service(5),
// systemd.exec(5), systemd.kill(5), systemd.resource-control(5) and
// systemd.timer(5) that units of deployed services use. Those that only harden
// or tune a service are read and have no effect.
var knownKeys = map[string][]string{
	"Unit": strings.Fields(`Description Documentation After Before Requires Wants BindsTo PartOf Requisite Conflicts Upholds OnFailure OnSuccess
		ConditionPathExists ConditionPathIsDirectory ConditionFileNotEmpty ConditionVirtualization AssertPathExists DefaultDependencies
		StartLimitIntervalSec StartLimitBurst StartLimitAction RequiresMountsFor RefuseManualStart RefuseManualStop StopWhenUnneeded
		CollectMode JobTimeoutSec JobRunningTimeoutSec SourcePath FailureAction SuccessAction IgnoreOnIsolate`),
	"Service": strings.Fields(`Type ExecStart ExecStartPre ExecStartPost ExecCondition ExecReload ExecStop ExecStopPost RemainAfterExit GuessMainPID
		PIDFile BusName NotifyAccess Restart RestartSec RestartPreventExitStatus RestartForceExitStatus SuccessExitStatus TimeoutSec
		TimeoutStartSec TimeoutStopSec TimeoutAbortSec TimeoutStartFailureMode TimeoutStopFailureMode RuntimeMaxSec WatchdogSec StartLimitInterval
		StartLimitBurst OOMPolicy Environment EnvironmentFile PassEnvironment UnsetEnvironment WorkingDirectory RootDirectory User Group
		DynamicUser SupplementaryGroups UMask Nice OOMScoreAdjust IOSchedulingClass IOSchedulingPriority CPUSchedulingPolicy
		StandardInput StandardOutput StandardError SyslogIdentifier SyslogFacility SyslogLevel LogLevelMax LogRateLimitIntervalSec
		LogRateLimitBurst KillMode KillSignal SendSIGKILL SendSIGHUP FinalKillSignal RestartKillSignal RuntimeDirectory
		RuntimeDirectoryMode RuntimeDirectoryPreserve StateDirectory StateDirectoryMode CacheDirectory LogsDirectory LogsDirectoryMode
		ConfigurationDirectory NoNewPrivileges PrivateTmp PrivateDevices PrivateNetwork PrivateUsers PrivateMounts ProtectSystem ProtectHome
		ProtectKernelTunables ProtectKernelModules ProtectKernelLogs ProtectControlGroups ProtectClock ProtectHostname ProtectProc ProcSubset
		RestrictAddressFamilies RestrictNamespaces RestrictRealtime RestrictSUIDSGID LockPersonality MemoryDenyWriteExecute RemoveIPC
		SystemCallFilter SystemCallArchitectures SystemCallErrorNumber CapabilityBoundingSet AmbientCapabilities SecureBits KeyringMode
		ReadWritePaths ReadOnlyPaths InaccessiblePaths ExecPaths NoExecPaths TemporaryFileSystem BindPaths BindReadOnlyPaths MountFlags
		LimitNOFILE LimitNPROC LimitCORE LimitMEMLOCK LimitAS LimitFSIZE TasksMax MemoryMax MemoryHigh MemoryLow MemorySwapMax
		MemoryAccounting CPUQuota CPUWeight CPUAccounting TasksAccounting IOWeight IOAccounting IPAddressAllow IPAddressDeny Slice Delegate
		DeviceAllow DevicePolicy LoadCredential SetCredential`),
	"Timer": strings.Fields(`OnActiveSec OnBootSec OnStartupSec OnUnitActiveSec OnUnitInactiveSec OnCalendar AccuracySec RandomizedDelaySec
		FixedRandomDelay OnClockChange OnTimezoneChange Unit Persistent WakeSystem RemainAfterElapse`),
	"Install": strings.Fields(`WantedBy RequiredBy UpheldBy Alias Also DefaultInstance`),
}
