// Package report turns the result of a run into text: the summary, the errors, the outputs
// and the hints. It publishes them through an interface.
package report

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/org/atta-deploy-action/deploy"
	"github.com/org/atta-deploy-action/internal/bundle"
	"github.com/org/atta-deploy-action/internal/fleet"
	"github.com/org/atta-deploy-action/internal/image"
	"github.com/org/atta-deploy-action/internal/lease"
	"github.com/org/atta-deploy-action/internal/rollout"
	"github.com/org/atta-deploy-action/internal/storage"
)

// Hints returns hints on what to do about an error, if there are any.
func Hints(result rollout.Result, err error) []string {
	if err == nil {
		return nil
	}
	var hints []string
	add := func(more ...string) {
		for _, hint := range more {
			if hint != "" && !slices.Contains(hints, hint) {
				hints = append(hints, hint)
			}
		}
	}
	switch {
	case result.Status == rollout.OutcomeCancelled:
		add("Start the run again when you are ready: it skips what is already done.")
	case errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, lease.ErrLost) && !isMetadataCall(innermostCall(err)):
		add("If the run exceeded the input timeout, start it again, since it skips what is already done, or raise timeout.")
	}
	for _, part := range joinedErrors(err) {
		var hosts *rollout.UnhealthyError
		if errors.As(part, &hosts) {
			add(hostHints(result, hosts.Hosts)...)
		}
		add(phaseHint(result, part), awsHint(result, part))
	}
	return hints
}

// joinedErrors returns the errors that were joined, each a separate problem.
func joinedErrors(err error) []error {
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return []error{err}
	}
	var list []error
	for _, e := range joined.Unwrap() {
		list = append(list, joinedErrors(e)...)
	}
	return list
}

func phaseHint(result rollout.Result, err error) string {
	var (
		tagged   *image.TagConflictError
		stored   *bundle.ConflictError
		notReady *fleet.NotReadyError
		held     *lease.HeldError
		tooFew   *rollout.TooFewError
		unfit    *rollout.QuarantineError
		drift    *rollout.DriftError
		unusable *storage.UnusableError
		document *rollout.DocumentError
	)
	switch {
	case errors.As(err, &tagged) && !strings.HasSuffix(tagged.Ref, result.Plan.Release.ImageTag()):
		return "Exclude latest-* from the tag immutability of the ECR repository, or set image-tags: none."
	case errors.As(err, &tagged):
		return fmt.Sprintf("A version is released once. Release the change as %s, or deploy the existing image: image: %s", result.Plan.Release.Version.Next(), tagged.Ref)
	case errors.As(err, &stored):
		return fmt.Sprintf("A version is released once. Release the change as %s.", result.Plan.Release.Version.Next())
	case errors.As(err, &notReady):
		return fmt.Sprintf("Is the instance running, in region %s, with the SSM agent up, and AmazonSSMManagedInstanceCore in its instance profile or Default Host Management?", result.Plan.Region)
	case errors.As(err, &held):
		return "Wait for that run to end and start this one again, or raise lock-timeout. The lock of a killed run expires after about two minutes."
	case errors.Is(err, lease.ErrLost):
		return "Start the run again: it skips the instances that run the release already."
	case errors.As(err, &tooFew), errors.Is(err, fleet.ErrNoInstance):
		return fmt.Sprintf("Which instances have the tags and are managed by SSM in region %s? SSM does not list an instance that is stopped, or whose agent has never registered.", result.Plan.Region)
	case errors.As(err, &unfit):
		return fmt.Sprintf("Release the fix as %s, or set allow-quarantined: true if the image was not the cause.", result.Plan.Release.Version.Next())
	case errors.As(err, &drift):
		return fmt.Sprintf("Deploy %s again: it changes only the instances that have drifted.", or(result.Current.Version, "a version"))
	case errors.As(err, &document):
		return fmt.Sprintf("With the terraform/ module of this version of the action: terraform init -upgrade && terraform apply. Without Terraform, run its examples/account/setup.sh again, "+
			"which calls aws ssm create-document or update-document for %s. Or leave document-name empty to use AWS-RunShellScript, if the role may send that.", document.Name)
	case errors.As(err, &unusable) && unusable.Actual == "":
		return "Create the bucket, or check deploy-bucket."
	case errors.As(err, &unusable):
		return fmt.Sprintf("Set deploy-bucket to a bucket in %s, or aws-region to %s: the bucket, the registry and the instances are in one region.", unusable.Region, unusable.Actual)
	case errors.Is(err, fs.ErrNotExist):
		return "Paths are relative to the workspace. Did an earlier step of this job create the file, or download it from another job? Of the runner's other folders, a container action sees only runner.temp, and only in an input that begins with it."
	case errors.Is(err, image.ErrNoLogin):
		return "A docker login of an earlier step is not visible to a container action, unless both steps set DOCKER_CONFIG to ${{ runner.temp }}/docker. Or pull and docker save the image in an earlier step, and set image to the archive."
	case errors.Is(err, image.ErrNoRepository):
		return "Create the repository in ECR first, with immutable tags except latest-*, or set create-repository: true."
	case errors.Is(err, image.ErrHungUp):
		return "Does the repository exist, and may the deploying role push to it? ECR closes the connection if either is not so: create the repository, or set create-repository: true, and grant ecr:InitiateLayerUpload on it."
	case errors.Is(err, image.ErrNotFound):
		return "The image is not in the repository: run the image phase, or check ecr-repository and image-digest."
	case errors.Is(err, image.ErrContent):
		return "Build or save the image again, for example with docker buildx build --output type=oci,dest=image.tar. If another job made the file, compare its SHA-256 there and here."
	}
	return ""
}

// reasonHint returns what to do about a host's reason, if that needs more than the hint for its state.
func reasonHint(reason deploy.Reason, result rollout.Result) string {
	switch reason {
	case deploy.ReasonStale:
		return "The command arrived late, or after a newer one, and was not run: start the run again if this version is still wanted."
	case deploy.ReasonBusy, deploy.ReasonJobRunning:
		return "A job or another deploy was running on the instance: start the run again when it has ended. For a long job, raise drain-timeout or set on-running: kill."
	case deploy.ReasonQuarantined:
		return fmt.Sprintf("The image was found unhealthy on the instance before: release the fix as %s, or set allow-quarantined: true if the image was not the cause.", result.Plan.Release.Version.Next())
	case deploy.ReasonNoSpace:
		return "Free disk space on the instance, or lower keep-releases."
	case deploy.ReasonSettingsMissing:
		return fmt.Sprintf("Add the missing settings to /opt/%s/.env on the instance, then start the run again.", result.Plan.Release.Service)
	case deploy.ReasonSettingsInvalid:
		return fmt.Sprintf("Correct that line of /opt/%s/.env on the instance, then start the run again.", result.Plan.Release.Service)
	case deploy.ReasonEngineUnfit:
		return "Install Docker as a package of the instance's system: https://docs.docker.com/engine/install/"
	case deploy.ReasonToolMissing:
		return "Install the missing tool on the instance, which needs bash, Docker, systemd, the AWS CLI, tar and util-linux."
	}
	return ""
}

// hostHints returns what to do on the hosts, for each state and each reason.
func hostHints(result rollout.Result, hosts []*rollout.Host) []string {
	service := result.Plan.Release.Service
	logs := fmt.Sprintf("journalctl -u %s and /var/log/%s-deploy.log", service, service)
	states := map[rollout.State]bool{}
	var denied, reasons []string
	for _, host := range hosts {
		if host.Denied {
			denied = []string{"Grant ssm:SendCommand on every instance, such as " + host.ID + ", to the deploying role."}
			continue
		}
		states[host.State] = true
		if host.Report == nil {
			continue
		}
		if hint := reasonHint(host.Report.Reason, result); hint != "" && !slices.Contains(reasons, hint) {
			reasons = append(reasons, hint)
		}
	}
	var hints []string
	for _, hint := range []struct {
		state rollout.State
		text  string
	}{
		{rollout.RollbackFailed, fmt.Sprintf("rollback-failed: act now, the instance may run nothing: systemctl status %s, %s.", service, logs)},
		{rollout.Unknown, fmt.Sprintf("unknown: ask the instance what it runs: /opt/%s/current/deploy/ec2_deploy.sh status. Deploying this version again is safe.", service)},
		{rollout.RolledBack, fmt.Sprintf("rolled-back: the instance runs the previous release again. The cause is in the log of this step, and on the instance in %s.", logs)},
	} {
		if states[hint.state] {
			hints = append(hints, hint.text)
		}
	}
	return slices.Concat(hints, denied, reasons)
}

func or(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}

// apiError and operation are implemented by the AWS SDK's errors.
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
		Unwrap() error
	}
)

// innermostCall returns the call that failed, or nil, since any call may first have to assume a role.
func innermostCall(err error) (call operation) {
	var inner operation
	for rest := err; errors.As(rest, &inner); rest = inner.Unwrap() {
		call = inner
	}
	return call
}

// isMetadataCall reports whether a call went to the metadata service of EC2.
func isMetadataCall(call operation) bool { return call != nil && call.Service() == "ec2imds" }

func awsHint(result rollout.Result, err error) string {
	call := innermostCall(err)
	if call == nil {
		return ""
	}
	var api apiError
	if !errors.As(call, &api) {
		// https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-retrieval.html
		if isMetadataCall(call) && errors.Is(err, context.DeadlineExceeded) {
			return "No AWS credentials: the metadata service of EC2 does not answer. On a self-hosted runner on EC2, it answers a container only with a hop limit of 2: " +
				"aws ec2 modify-instance-metadata-options --http-put-response-hop-limit 2 --instance-id <the runner's>. Or grant the job permissions: id-token: write, for role-to-assume."
		}
		if strings.Contains(err.Error(), "credentials") {
			return "No AWS credentials. For role-to-assume, grant the job permissions: id-token: write; or run aws-actions/configure-aws-credentials in an earlier step."
		}
		return ""
	}
	if strings.HasPrefix(call.Operation(), "AssumeRole") {
		if hint := roleHint(result, err, call, api.ErrorCode()); hint != "" {
			return hint
		}
	}
	switch api.ErrorCode() {
	case "AccessDenied", "AccessDeniedException", "Forbidden", "UnauthorizedOperation":
		if call.Service() == "S3" {
			return fmt.Sprintf("Grant %s to the deploying role. If the bucket belongs to another account, set bucket-owner; if its policy requires encryption, set server-side-encryption.", requiredPermission(call))
		}
		return fmt.Sprintf("Grant %s to the deploying role, and check that the resource belongs to this account.", requiredPermission(call))
	case "NotFound", "NoSuchKey":
		return "The bundle is not in the bucket: run the bundle phase, or check version, deploy-bucket and bundle-prefix."
	case "ExpiredToken", "ExpiredTokenException", "UnrecognizedClientException", "InvalidClientTokenId", "InvalidSignatureException", "SignatureDoesNotMatch":
		return "The AWS credentials are invalid or have expired."
	}
	return ""
}

// requiredPermission returns the IAM action of a call. HeadObject requires the action of GetObject,
// and without s3:ListBucket S3 returns AccessDenied for a missing object.
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html
func requiredPermission(call operation) string {
	name := strings.ToLower(call.Service()) + ":" + call.Operation()
	if name == "s3:HeadObject" || name == "s3:GetObject" {
		return "s3:GetObject and s3:ListBucket"
	}
	return name
}
