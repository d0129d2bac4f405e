// Package deploy is the contract with a host, both halves of it: the scripts that run
// there, as data, and the Go types that speak with them. It knows neither AWS nor GitHub.
package deploy

import (
	"embed"
	"regexp"
)

var (
	//go:embed bootstrap/1_main.sh
	bootstrapMain string
	//go:embed bootstrap/2_parameters.sh
	bootstrapParameters string
	//go:embed bootstrap/3_steps.sh
	bootstrapSteps string
	//go:embed bootstrap/4_status.sh
	bootstrapStatus string
	//go:embed lib/history.sh
	history string
	//go:embed lib/identity.sh
	identity string
	//go:embed lib/killed.sh
	killed string
	//go:embed lib/judge.sh
	judge string
	//go:embed lib/unit_file.sh
	unitFile string
	//go:embed lib/ambient.sh
	ambient string
	//go:embed bootstrap/5_report.sh
	bootstrapReport string
)

// Bootstrap is the constant script that an SSM command carries, bootstrap.sh without its comments. Script
// puts its quoted parameters in front of it.
var Bootstrap = commentLine.ReplaceAllString(
	bootstrapMain+bootstrapParameters+bootstrapSteps+bootstrapStatus+ambient+history+identity+killed+judge+unitFile+bootstrapReport, "")

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
