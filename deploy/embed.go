// Package deploy is the contract with a host, both halves of it: the scripts that run
// there, as data, and the Go types that speak with them. It knows neither AWS nor GitHub.
package deploy

import (
	"embed"
	"regexp"
)

//go:embed bootstrap/*.sh
var parts embed.FS

// Bootstrap is the constant script that an SSM command carries, bootstrap.sh without its comments. Script
// puts its quoted parameters in front of it.
var Bootstrap = commentLine.ReplaceAllString(join(
	"bootstrap/1_main.sh", "bootstrap/2_parameters.sh", "bootstrap/3_steps.sh", "bootstrap/4_status.sh", "lib/ambient.sh", "lib/engine.sh", "lib/history.sh",
	"lib/identity.sh", "lib/killed.sh", "lib/judge.sh", "lib/unit_file.sh", "bootstrap/5_report.sh"), "")

func join(names ...string) (text string) {
	for _, name := range names {
		part, err := parts.ReadFile(name)
		if err != nil { // one that ec2_deploy.sh has as well
			part, err = Files.ReadFile(name)
		}
		if err != nil {
			panic(err) // the name is wrong
		}
		text += string(part)
	}
	return text
}

var commentLine = regexp.MustCompile(`(?m)^[ \t]*#(?:[^!\n].*)?\n`)

// Files are the defaults of a bundle, which a repository's own files replace: ec2_deploy.sh
// with its lib, .env.example, and two units of which a bundle holds one, under the service's
// name.
//
//go:embed ec2_deploy.sh lib/*.sh .env.example systemd/*.service
var Files embed.FS

// The paths in Files of the units that serve any service.
const (
	JobUnit     = "systemd/atta.service"
	ServiceUnit = "systemd/daemon.service"
)
