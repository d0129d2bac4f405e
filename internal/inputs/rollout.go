package inputs

import (
	"strconv"
	"strings"
	"time"

	"github.com/org/atta-deploy-action/deploy"
)

// parseWaves requires increasing sizes, as far as they can be compared before the number of instances is known, that end
// with all instances.
func (p *parser) parseWaves() (waves []Wave) {
	sizes := p.parseList("waves", wave)
	for i, size := range sizes {
		var next Wave
		n, _ := strconv.Atoi(strings.TrimSuffix(size, "%"))
		if strings.HasSuffix(size, "%") {
			next.Percent = n
		} else {
			next.Hosts = n
		}
		for _, earlier := range waves {
			if next.Percent > 0 && next.Percent <= earlier.Percent || next.Hosts > 0 && next.Hosts <= earlier.Hosts {
				p.rejectValue("waves", size, "a larger wave than the previous ones, since it includes their instances")
			}
		}
		if last := i == len(sizes)-1; last && next.Percent != 100 {
			p.rejectValue("waves", size, "100% as the last wave, so that every instance is included")
		}
		waves = append(waves, next)
	}
	return waves
}

func (p *parser) parseRollout() Rollout {
	if p.rawValue("mode") == "service" && p.rawValue("run-on-deploy") == "false" {
		p.rejectValue("run-on-deploy", "false", "true, since mode is service and only a job can wait for its timer")
	}
	if p.rawValue("settings-from") == "" && p.rawValue("allow-env-file") == "false" {
		p.rejectValue("allow-env-file", "false", "true, since settings-from is not set and the file then has all settings")
	}
	return Rollout{Waves: p.parseWaves(), RollbackOnFailure: p.parseText("rollback-on-failure", oneOf("all", "wave", "none")), Document: p.parseDocument(), Policy: deploy.Policy{
		AllowDowngrade:   p.parseBool("allow-downgrade"),
		AllowQuarantined: p.parseBool("allow-quarantined"),
		RunOnDeploy:      p.parseBool("run-on-deploy"),
		OnRunning:        p.parseText("on-running", oneOf("wait", "kill")),
		DrainTimeout:     p.parseDuration("drain-timeout", time.Second, 24*time.Hour),
		HealthCommand:    p.parseText("health-command", healthCommand),
		HealthURL:        p.parseText("health-url", healthURL),
		HealthTimeout:    p.parseDuration("health-timeout", time.Second, 24*time.Hour),
		MinHealthyTime:   p.parseDuration("min-healthy-time", time.Second, 24*time.Hour),
		KeepReleases:     p.parseInt("keep-releases", 1, 100),
		SettingsFrom:     p.parseText("settings-from", settingsPath),
		AllowEnvFile:     p.parseBool("allow-env-file"),
	}}
}

// runShellScript is the document that is used without document-name. Naming it is the same.
const runShellScript = "AWS-RunShellScript"

func (p *parser) parseDocument() string {
	if p.rawValue("document-name") == runShellScript {
		return ""
	}
	return p.parseText("document-name", documentName)
}
