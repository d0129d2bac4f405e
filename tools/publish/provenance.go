package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
)

const predicateType = "https://slsa.dev/provenance/v1"

// builder is a run of a workflow.
type builder struct {
	id         string // the workflow's URL; empty: not in a workflow
	run        string // the run's URL
	repository string // the URL of this repository
}

// builderOf returns the run of a workflow by the variables that GitHub sets:
// https://docs.github.com/en/actions/reference/workflows-and-actions/variables
func builderOf(environ []string) builder {
	variables := map[string]string{}
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		variables[name] = value
	}
	if variables["GITHUB_WORKFLOW_REF"] == "" {
		return builder{}
	}
	repository := variables["GITHUB_SERVER_URL"] + "/" + variables["GITHUB_REPOSITORY"]
	return builder{
		id: variables["GITHUB_SERVER_URL"] + "/" + variables["GITHUB_WORKFLOW_REF"], repository: repository,
		run: repository + "/actions/runs/" + variables["GITHUB_RUN_ID"] + "/attempts/" + variables["GITHUB_RUN_ATTEMPT"],
	}
}

// provenance is an in-toto statement: https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md
// with a predicate of SLSA: https://slsa.dev/spec/v1.0/provenance
type provenance struct {
	Type          string     `json:"_type"`
	Subject       []resource `json:"subject"`
	PredicateType string     `json:"predicateType"`
	Predicate     struct {
		BuildDefinition struct {
			BuildType          string            `json:"buildType"`
			ExternalParameters map[string]string `json:"externalParameters"`
			Dependencies       []resource        `json:"resolvedDependencies"`
		} `json:"buildDefinition"`
		RunDetails struct {
			Builder struct {
				ID string `json:"id"`
			} `json:"builder"`
			Metadata struct {
				Invocation string `json:"invocationId"`
			} `json:"metadata"`
		} `json:"runDetails"`
	} `json:"predicate"`
}

type resource struct {
	Name   string            `json:"name,omitempty"`
	URI    string            `json:"uri,omitempty"`
	Digest map[string]string `json:"digest"`
}

// newProvenance states from which commit and base the workflow built the image.
func (p publication) newProvenance(ctx context.Context, published name.Digest, base string) (s provenance, err error) {
	commit, err := p.sourceCommit(ctx)
	if err != nil {
		return provenance{}, err
	}
	s.Type, s.PredicateType = "https://in-toto.io/Statement/v1", predicateType
	s.Subject = []resource{imageResource(published)}
	b := &s.Predicate.BuildDefinition
	b.BuildType = p.builder.repository + "/tree/main/tools/publish"
	b.ExternalParameters = map[string]string{"version": p.version, "repository": p.repository, "platforms": strings.Join(p.platforms, ",")}
	b.Dependencies = []resource{{URI: "git+" + p.builder.repository, Digest: map[string]string{"gitCommit": commit}}}
	if pinned, err := name.NewDigest(base); err == nil {
		b.Dependencies = append(b.Dependencies, imageResource(pinned))
	}
	s.Predicate.RunDetails.Builder.ID = p.builder.id
	s.Predicate.RunDetails.Metadata.Invocation = p.builder.run
	return s, nil
}

func imageResource(image name.Digest) resource {
	return resource{Name: image.Context().Name(), Digest: map[string]string{"sha256": strings.TrimPrefix(image.DigestStr(), "sha256:")}}
}

// sourceCommit returns the commit that is checked out, and is an error if a file differs from it.
func (p publication) sourceCommit(ctx context.Context) (string, error) {
	git := func(args ...string) (string, error) {
		command := exec.CommandContext(ctx, "git", args...)
		command.Dir = p.root
		out, err := command.Output()
		if err != nil {
			return "", fmt.Errorf("git %s: %w", args[0], err)
		}
		return strings.TrimSpace(string(out)), nil
	}
	changed, err := git("status", "--porcelain")
	if err != nil {
		return "", err
	}
	if changed != "" {
		return "", errors.New("files differ from the commit that the provenance would name:\n" + changed)
	}
	return git("rev-parse", "HEAD")
}
