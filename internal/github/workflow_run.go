// Package github is GitHub as the rest of the program sees it: inputs, log, annotations, outputs, masks and the summary.
// It knows nothing of AWS.
package github

import (
	"sync"

	"github.com/sethvargo/go-githubactions"
)

// Action talks to the workflow run. It is safe for concurrent use, and works outside GitHub too: what has no file to go
// to is logged or dropped.
type Action struct {
	gh *githubactions.Action

	mu     sync.Mutex // held while lines that belong together are printed
	issued map[string]int
}

// New wraps gh, which brings the environment, the log's writer and the HTTP client.
func New(gh *githubactions.Action) *Action {
	return &Action{gh: gh, issued: map[string]int{}}
}

// RunURL is the address of the workflow run, or empty outside GitHub.
func (a *Action) RunURL() string {
	server, repository, id := a.gh.Getenv("GITHUB_SERVER_URL"), a.Repository(), a.gh.Getenv("GITHUB_RUN_ID")
	if server == "" || repository == "" || id == "" {
		return ""
	}
	return server + "/" + repository + "/actions/runs/" + id
}

// Actor is the login of who started the run, or empty outside GitHub.
func (a *Action) Actor() string { return a.gh.Getenv("GITHUB_ACTOR") }

// Repository is owner/name, or empty outside GitHub.
func (a *Action) Repository() string { return a.gh.Getenv("GITHUB_REPOSITORY") }
