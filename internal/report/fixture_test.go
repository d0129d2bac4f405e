package report_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/org/atta-deploy-action/deploy"
	"github.com/org/atta-deploy-action/internal/bundle"
	"github.com/org/atta-deploy-action/internal/fleet"
	"github.com/org/atta-deploy-action/internal/image"
	"github.com/org/atta-deploy-action/internal/inputs"
	"github.com/org/atta-deploy-action/internal/release"
	"github.com/org/atta-deploy-action/internal/rollout"
)

var (
	oldDigest = "sha256:" + strings.Repeat("a", 64)
	newDigest = "sha256:" + strings.Repeat("b", 64)
)

// finished returns a successful run of all phases on the hosts.
func finished(hosts ...*rollout.Host) rollout.Result {
	rel, err := release.New("atta", "dev", "0.1.30-dev")
	if err != nil {
		panic(err)
	}
	return rollout.Result{
		Plan: rollout.Plan{
			Operation: rollout.Deploy, Release: rel, DeploymentID: "20260102T030405Z-abcdefgh", Region: "us-east-1", Phases: inputs.Phases{Image: true, Bundle: true, Rollout: true}, Image: inputs.Image{Source: "image.tar"},
		},
		Status:     rollout.OutcomeSuccess,
		Account:    "123456789012",
		Console:    "us-east-1.console.aws.amazon.com",
		Image:      image.Pushed{URI: "123456789012.dkr.ecr.us-east-1.amazonaws.com/atta@" + newDigest, Tag: "0.1.30-dev", Digest: newDigest, Uploaded: true},
		Bundle:     bundle.Stored{URI: "s3://artifacts/bundles/dev/atta/deploy-bundle-0.1.30-dev.tar.gz", SHA256: strings.Repeat("c", 64)},
		CommandIDs: []string{"01234567-89ab-cdef-0123-456789abcdef"},
		Hosts:      hosts,
		Elapsed:    83 * time.Second,
	}
}

// denied returns a host whose command SSM denied.
func denied(h *rollout.Host) *rollout.Host {
	h.Status = fleet.StatusAccessDenied
	return h
}

func host(id string, state rollout.State, before, runs, message string) *rollout.Host {
	h := &rollout.Host{Instance: fleet.Instance{ID: id, Name: "ip-10-0-0-" + id[2:]}, State: state, Before: before, Message: message}
	if runs != "" {
		h.Report = &deploy.Report{Version: runs, Digest: oldDigest, Unit: "inactive", Result: "success"}
		if state == rollout.Deployed {
			h.Report.Digest = newDigest
		}
	}
	return h
}

// unhealthy returns the run and the error for the hosts that are not deployed.
func unhealthy(result rollout.Result, status rollout.Outcome) (rollout.Result, error) {
	result.Status = status
	bad := &rollout.UnhealthyError{Of: len(result.Hosts)}
	for _, h := range result.Hosts {
		switch h.State {
		case rollout.Deployed:
		case rollout.NotStarted:
			bad.Untouched++
		default:
			bad.Hosts = append(bad.Hosts, h)
		}
	}
	return result, bad
}

// statusVerdict returns a status in which one of two hosts has drifted.
func statusVerdict() rollout.Result {
	result := finished(
		host("i-1", rollout.InSync, "0.1.30-dev", "0.1.30-dev", "runs 0.1.30-dev, verified since 2026-01-02T03:04:05Z, unit active"),
		host("i-2", rollout.Drifted, "0.1.29-dev", "0.1.29-dev", "runs 0.1.29-dev, unit active; differs in unit-file, version; should run 0.1.30-dev"),
	)
	result.Plan.Operation, result.Plan.Release.Version, result.Current.Version = rollout.Status, release.Version{}, "0.1.30-dev"
	result.Image, result.Bundle, result.CommandIDs = image.Pushed{}, bundle.Stored{}, nil
	return result
}

func refusedBeforeRollout() (rollout.Result, error) {
	result := finished()
	result.Status, result.CommandIDs, result.Image, result.Bundle = rollout.OutcomeFailed, nil, image.Pushed{}, bundle.Stored{}
	result.Plan.Phases.Image, result.Plan.Phases.Bundle, result.Elapsed = false, false, 1400*time.Millisecond
	return result, errors.Join(
		fmt.Errorf("read s3://artifacts/bundles/dev/atta/deploy-bundle-0.1.30-dev.tar.gz: %w", call("S3", "HeadObject", "NotFound", "Not Found")),
		errors.Join(
			&fleet.NotReadyError{Instance: fleet.Instance{ID: "i-2"}, Problem: fleet.NotListed, Reason: "is stopped, or not managed by SSM in this account and region"},
			&fleet.NotReadyError{Instance: fleet.Instance{ID: "i-3"}, Problem: fleet.NotOnline, Reason: "is not online: the SSM agent's status is ConnectionLost, last heartbeat at 2026-01-02T03:04:05Z"},
		),
		fmt.Errorf("look up: %w", call("SSM", "SendCommand", "AccessDeniedException", "User: arn:aws:sts::123456789012:assumed-role/deploy is not authorized")),
	)
}

func cancelled() (rollout.Result, error) {
	result, err := unhealthy(finished(
		host("i-1", rollout.Deployed, "0.1.29-dev", "0.1.30-dev", "0.1.30-dev runs"),
		host("i-2", rollout.Unknown, "0.1.29-dev", "", "last seen as InProgress, then: interrupt signal received"),
	), rollout.OutcomeCancelled)
	return result, errors.Join(fmt.Errorf("follow command %s: %w", result.CommandIDs[0], context.Canceled), err)
}

const untrustedText = "a|b `c` <script>alert(1)</script> @user $x$ *d* _e_ [f](http://g) \\ #1 </pre>\n::error::x\r\n| h |"

func hostile() (rollout.Result, error) {
	h := host("i-1", rollout.Unknown, "", "", untrustedText)
	h.Name, h.Log = untrustedText, untrustedText
	return unhealthy(finished(h), rollout.OutcomeUnknown)
}

var began = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// withSteps adds steps that follow each other, of which the last may have failed, each so many seconds long.
func withSteps(result rollout.Result, failed bool, titles []string, seconds ...int) rollout.Result {
	at := began
	for i, title := range titles {
		end := at.Add(time.Duration(seconds[i]) * time.Second)
		result.Steps = append(result.Steps, rollout.Step{Title: title, Began: at, Ended: end, Failed: failed && i == len(titles)-1})
		at = end
	}
	result.Elapsed = at.Sub(began)
	return result
}

// timed adds when a host's command was sent and had ended, in seconds after the run began, and its phases.
func timed(h *rollout.Host, sent, ended int, millis map[string]int64) *rollout.Host {
	h.CommandID, h.Sent, h.Ended = "01234567-89ab-cdef-0123-456789abcdef", began.Add(time.Duration(sent)*time.Second), began.Add(time.Duration(ended)*time.Second)
	h.Report.Millis = millis
	return h
}
