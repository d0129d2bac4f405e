// Package report turns what a run has come to into text: the summary, the errors,
// the outputs, and what to do next. What it publishes goes through an interface.
package report

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/org/atta-deploy-action/internal/bundle"
	"github.com/org/atta-deploy-action/internal/fleet"
	"github.com/org/atta-deploy-action/internal/image"
	"github.com/org/atta-deploy-action/internal/rollout"
)

// Hints says what to do about an error, a sentence each; none when nothing is
// known that the error does not say itself.
func Hints(result rollout.Result, err error) []string {
	var hints []string
	add := func(format string, args ...any) { hints = append(hints, fmt.Sprintf(format, args...)) }

	var (
		tagged   *image.TagConflictError
		stored   *bundle.ConflictError
		notReady *fleet.NotReadyError
		hosts    *rollout.UnhealthyError
	)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, context.Canceled):
		add("The run was cancelled. An instance shown as unknown may be in the middle of the deploy: start the run again, it skips what is done.")
	case errors.Is(err, context.DeadlineExceeded):
		add("The run took longer than timeout allows. Start it again, it skips what is done; or give it more time.")
	case errors.As(err, &hosts):
		hints = hostHints(result, hosts.Hosts)
	}
	if errors.As(err, &tagged) || errors.As(err, &stored) {
		add("A version is released once. Release the change as %s.", result.Plan.Release.Version.Next())
	}
	if errors.As(err, &notReady) {
		add("Is the instance running, in region %s, with the SSM agent up and AmazonSSMManagedInstanceCore in its instance profile?", result.Plan.Region)
	}
	if errors.Is(err, fs.ErrNotExist) {
		add("Paths are relative to the workspace. Did an earlier step of this job write the file, or download it from the job that did?")
	}
	if errors.Is(err, image.ErrNoRepository) {
		add("Create the repository in ECR first, with immutable tags except latest-*.")
	}
	return append(hints, awsHints(err)...)
}

func hostHints(result rollout.Result, hosts []rollout.Host) []string {
	var hints []string
	seen := map[rollout.State]bool{}
	service := result.Plan.Release.Service
	for _, host := range hosts {
		if host.Report == nil && strings.Contains(strings.ReplaceAll(host.Message, " ", ""), "AccessDenied") {
			hints = append(hints, fmt.Sprintf("Grant ssm:SendCommand on instance %s to the role that deploys.", host.ID))
		}
		if seen[host.State] {
			continue
		}
		seen[host.State] = true
		switch host.State {
		case rollout.RolledBack:
			hints = append(hints, fmt.Sprintf("The instance is back on what it ran before. Its log is above; more on the instance: journalctl -u %s, /var/log/%s-deploy.log.", service, service))
		case rollout.RollbackFailed:
			hints = append(hints, fmt.Sprintf("Look after the instance now: systemctl status %s, journalctl -u %s, /var/log/%s-deploy.log.", service, service, service))
		case rollout.Unknown:
			hints = append(hints, fmt.Sprintf("Nobody knows what the instance runs. Ask it: /opt/%s/current/deploy/ec2_deploy.sh status. A new run of this version is safe.", service))
		}
	}
	return hints
}

// apiError and operation are what the AWS SDK's errors answer to.
// https://docs.aws.amazon.com/sdk-for-go/v2/developer-guide/handle-errors.html
type (
	apiError interface {
		error
		ErrorCode() string
	}
	operation interface {
		error
		Service() string
		Operation() string
	}
)

func awsHints(err error) []string {
	var api apiError
	var call operation
	if !errors.As(err, &call) {
		return nil
	}
	if !errors.As(err, &api) {
		if strings.Contains(err.Error(), "credentials") {
			return []string{"No AWS credentials. Set role-to-assume and grant the job permissions: id-token: write, or run aws-actions/configure-aws-credentials in an earlier step."}
		}
		return nil
	}
	switch api.ErrorCode() {
	case "AccessDenied", "AccessDeniedException", "Forbidden", "UnauthorizedOperation":
		return []string{fmt.Sprintf("Grant %s to the role that deploys, and check that what it names belongs to this account.", permission(call))}
	case "NoSuchBucket":
		return []string{"Is deploy-bucket the right name, and in this region?"}
	case "NotFound", "NoSuchKey":
		return []string{"The bundle is not there: run the bundle phase, or check bundle-prefix."}
	case "ExpiredToken", "ExpiredTokenException", "UnrecognizedClientException", "InvalidClientTokenId", "InvalidSignatureException", "SignatureDoesNotMatch":
		return []string{"The AWS credentials are not valid, or not any more."}
	}
	return nil
}

// permission is the IAM action of a call; a HEAD is allowed by the action of GET.
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html
func permission(call operation) string {
	name := strings.ToLower(call.Service()) + ":" + call.Operation()
	switch name {
	case "s3:HeadObject":
		return "s3:GetObject"
	case "sts:AssumeRoleWithWebIdentity":
		return name + " in the trust policy of the role"
	}
	return name
}
