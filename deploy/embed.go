// Package deploy is the contract with a host, both halves of it: the scripts that run
// there, as data, and the Go types that speak with them. It knows neither AWS nor GitHub.
package deploy

import "embed"

// Bootstrap is the constant script that an SSM command carries. Script puts its quoted
// parameters in front of it.
//
//go:embed bootstrap.sh
var Bootstrap string

// Files are the defaults of a bundle, which a repository's own files replace:
// ec2_deploy.sh, .env.example, and two units of which a bundle holds one, under the
// service's name.
//
//go:embed ec2_deploy.sh .env.example systemd/*.service
var Files embed.FS

// The paths in Files of the units that serve any service.
const (
	JobUnit     = "systemd/atta.service"
	ServiceUnit = "systemd/daemon.service"
)
