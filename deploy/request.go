package deploy

import (
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"al.essio.dev/pkg/shellescape"
)

// Request is one command of bootstrap.sh with its parameters: a ReleaseRequest, a
// RollbackRequest, a StatusRequest or a DoctorRequest.
type Request interface {
	// Command is the first word of the command line.
	Command() string
	parameters() parameters
}

// Header is what the requests have in common.
type Header struct {
	Service      string
	DeploymentID string
	Generation   int64     // the lease's fencing generation; 0: not fenced
	NotAfter     time.Time // hosts refuse the command later than this, by their own clock; zero in a status
	LiveLog      bool      // a deploy or a rollback writes its log to stderr while it is at work
}

// ReleaseRequest makes a host run a release, or only check that it could.
type ReleaseRequest struct {
	Header
	CheckOnly    bool
	Rollback     bool // the release replaces a newer one that the host must not roll back to
	Version      string
	Image        string // <host>/<repository>@sha256:<digest>
	ImageBytes   int64  // of the compressed image
	Region       string
	BundleURI    string // s3://<bucket>/<key>
	BundleSHA256 string // hex
	Policy       Policy
}

// RollbackRequest makes a host run a release that it holds.
type RollbackRequest struct {
	Header
	Version string // empty: the host's previous verified release
}

// StatusRequest changes nothing that runs. With a Generation the host refuses every
// command of an earlier one from then on.
type StatusRequest struct {
	Header
	About   string // the deployment to report on; may be empty
	Version string // the release to describe, if the host holds it; empty: its previous one
}

// DoctorRequest makes a host report whether it has what a deploy needs, and changes nothing.
type DoctorRequest struct {
	Header
	Region       string
	SettingsFrom string // path whose parameters the host has to be able to read; may be empty
}

// Command implements Request.
func (r ReleaseRequest) Command() string {
	if r.CheckOnly {
		return "check"
	}
	return "deploy"
}

// Command implements Request.
func (RollbackRequest) Command() string { return "rollback" }

// Command implements Request.
func (StatusRequest) Command() string { return "status" }

// Command implements Request.
func (DoctorRequest) Command() string { return "doctor" }

func (r ReleaseRequest) parameters() parameters {
	p := r.Header.parameters()
	p.add("version", r.Version)
	p.add("image", r.Image)
	p.add("image-bytes", r.ImageBytes)
	p.add("region", r.Region)
	p.add("bundle", r.BundleURI)
	p.add("sha256", r.BundleSHA256)
	p.add("allow-downgrade", r.Policy.AllowDowngrade)
	p.add("allow-quarantined", r.Policy.AllowQuarantined)
	p.add("rollback", r.Rollback)
	p.add("on-running", r.Policy.OnRunning)
	p.addSeconds("drain-timeout", r.Policy.DrainTimeout)
	p.add("run-on-deploy", r.Policy.RunOnDeploy)
	p.addSeconds("health-timeout", r.Policy.HealthTimeout)
	p.addSeconds("min-healthy-time", r.Policy.MinHealthyTime)
	p.add("keep-releases", r.Policy.KeepReleases)
	p.addText("health-command", r.Policy.HealthCommand)
	p.addText("health-url", r.Policy.HealthURL)
	if r.Policy.SettingsFrom != "" {
		p.add("settings-from", r.Policy.SettingsFrom)
		p.add("allow-env-file", r.Policy.AllowEnvFile)
	}
	return p
}

func (r RollbackRequest) parameters() parameters {
	p := r.Header.parameters()
	p.addText("version", r.Version)
	return p
}

func (r StatusRequest) parameters() parameters {
	p := r.Header.parameters()
	p.addText("about", r.About)
	p.addText("version", r.Version)
	return p
}

func (r DoctorRequest) parameters() parameters {
	p := r.Header.parameters()
	p.add("region", r.Region)
	p.addText("settings-from", r.SettingsFrom)
	return p
}

func (h Header) parameters() parameters {
	var p parameters
	p.add("service", h.Service)
	p.add("deployment", h.DeploymentID)
	if h.Generation > 0 {
		p.add("generation", h.Generation)
	}
	if !h.NotAfter.IsZero() {
		p.add("not-after", h.NotAfter.Unix())
	}
	if h.LiveLog {
		p.add("live-log", true)
	}
	return p
}

// parameters are a request's, as --name=value.
type parameters []string

func (p *parameters) add(name string, value any) {
	*p = append(*p, fmt.Sprintf("--%s=%v", name, value))
}

func (p *parameters) addSeconds(name string, d time.Duration) { p.add(name, int(d/time.Second)) }

// addText adds a parameter that may be absent.
func (p *parameters) addText(name, value string) {
	if value != "" {
		p.add(name, value)
	}
}

// Script renders a request as the lines of an SSM document's command: Bootstrap, with the
// request as its arguments. Parameters are data; each becomes one quoted argument. One that
// the host would refuse is an error. The agent runs the lines as one file with
// `sh -c`, so the first line decides that bash reads the rest.
// https://docs.aws.amazon.com/systems-manager/latest/userguide/documents-command-ssm-plugin-reference.html#aws-runShellScript
func Script(r Request) ([]string, error) {
	if err := r.parameters().checkForms(); err != nil {
		return nil, err
	}
	arguments := append([]string{r.Command()}, r.parameters()...)
	return []string{"#!/bin/bash", "set -- " + quoteArguments(arguments), Bootstrap}, nil
}

// checkForms reports a parameter that a host would refuse.
func (p parameters) checkForms() error {
	for _, parameter := range p {
		if err := checkForm(parameter); err != nil {
			return err
		}
		if strings.ContainsFunc(parameter, unicode.IsControl) || !utf8.ValidString(parameter) {
			return fmt.Errorf("parameter %.80q holds a control character", parameter)
		}
	}
	return nil
}

// quoteArguments quotes for bash and keeps SSM from replacing {{ name }}, which it does
// anywhere in a command, quoted or not. A brace is always quoted; closing and opening the
// quotes after it separates two of them, and bash ignores the empty string in between.
// https://docs.aws.amazon.com/systems-manager/latest/userguide/sysman-doc-syntax-data-elements-parameters.html
func quoteArguments(arguments []string) string {
	return strings.ReplaceAll(shellescape.QuoteCommand(arguments), "{", "{''")
}
