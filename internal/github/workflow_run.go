// Package github is the interface to the GitHub Actions runner. It does not know AWS.
package github

import (
	"os"
	"sync"

	"github.com/sethvargo/go-githubactions"
)

// Action is the running action. It is safe for concurrent use. Outside GitHub Actions, outputs are logged, and state and
// summary are dropped.
type Action struct {
	gh *githubactions.Action

	mu       sync.Mutex // held while related lines are printed
	issued   map[string]int
	progress progress
}

// New returns an Action that uses the environment, the log writer and the HTTP client of gh.
func New(gh *githubactions.Action) *Action {
	return &Action{gh: gh, issued: map[string]int{}, progress: progress{terminal: terminalOf(os.Stdout, gh.Getenv)}}
}

// RunURL returns the URL of the workflow run, or empty outside GitHub.
func (a *Action) RunURL() string {
	server, repository, id := a.gh.Getenv("GITHUB_SERVER_URL"), a.Repository(), a.gh.Getenv("GITHUB_RUN_ID")
	if server == "" || repository == "" || id == "" {
		return ""
	}
	return server + "/" + repository + "/actions/runs/" + id
}

// Actor returns the login of the user who started the run, or empty outside GitHub.
func (a *Action) Actor() string { return a.gh.Getenv("GITHUB_ACTOR") }

// Commit returns the commit that started the run, or empty outside GitHub.
func (a *Action) Commit() string { return a.gh.Getenv("GITHUB_SHA") }

// Tag returns the tag that the run is for, or empty for a branch or outside GitHub.
func (a *Action) Tag() string {
	if a.gh.Getenv("GITHUB_REF_TYPE") != "tag" {
		return ""
	}
	return a.gh.Getenv("GITHUB_REF_NAME")
}

// Repository returns owner/name, or empty outside GitHub.
func (a *Action) Repository() string { return a.gh.Getenv("GITHUB_REPOSITORY") }
