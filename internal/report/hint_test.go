package report_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"testing"

	"github.com/aws/smithy-go"
	"github.com/google/go-cmp/cmp"

	"github.com/org/atta-deploy-action/deploy"
	"github.com/org/atta-deploy-action/internal/bundle"
	"github.com/org/atta-deploy-action/internal/fleet"
	"github.com/org/atta-deploy-action/internal/image"
	"github.com/org/atta-deploy-action/internal/lease"
	"github.com/org/atta-deploy-action/internal/report"
	"github.com/org/atta-deploy-action/internal/rollout"
)

// call is an AWS call that was answered with an error.
func call(service, operation, code, message string) error {
	return &smithy.OperationError{ServiceID: service, OperationName: operation, Err: &smithy.GenericAPIError{Code: code, Message: message}}
}

const (
	ownAccount = ", and check that what it names belongs to this account."
	notValid   = "The AWS credentials are not valid, or not any more."
	nextOne    = "A version is released once. Release the change as 0.1.31-dev."
	thisOrNext = "A version is released once. Release the change as 0.1.31-dev, or deploy the image that is there: image: r/atta:0.1.30-dev"
	movable    = "Let the ECR repository move this tag: exclude latest-* from its tag immutability, or set image-tags: none."
	tags       = "Which instances have the tags, and are managed by SSM, in region us-east-1? One whose agent has never registered has no tags there."
	online     = "Is the instance running, in region us-east-1, with the SSM agent up and AmazonSSMManagedInstanceCore in its instance profile?"
	noBundle   = "The bundle is not there: run the bundle phase, or check version, deploy-bucket and bundle-prefix."
)

func TestHints(t *testing.T) {
	nobody := &smithy.OperationError{ServiceID: "STS", OperationName: "GetCallerIdentity",
		Err: errors.New("get identity: get credentials: failed to refresh cached credentials, no EC2 IMDS role found")}
	assume := &smithy.OperationError{ServiceID: "STS", OperationName: "GetCallerIdentity",
		Err: fmt.Errorf("get identity: %w", call("STS", "AssumeRoleWithWebIdentity", "AccessDenied", "Not authorized"))}
	tests := map[string]struct {
		err  error
		want []string
	}{
		"nothing":           {nil, nil},
		"anything":          {errors.New("anything"), nil},
		"tag taken":         {fmt.Errorf("push: %w", &image.TagConflictError{Ref: "r/atta:0.1.30-dev"}), []string{thisOrNext}},
		"alias taken":       {fmt.Errorf("move: %w", &image.TagConflictError{Ref: "r/atta:latest-dev"}), []string{movable}},
		"bundle taken":      {&bundle.ConflictError{}, []string{nextOne}},
		"both taken":        {errors.Join(&bundle.ConflictError{}, &bundle.ConflictError{}), []string{nextOne}},
		"not ready":         {&fleet.NotReadyError{Instance: fleet.Instance{ID: "i-1"}}, []string{online}},
		"too few":           {fmt.Errorf("find: %w", &rollout.TooFewError{}), []string{tags}},
		"none":              {fmt.Errorf("find: %w", fleet.ErrNoInstance), []string{tags}},
		"in quarantine":     {&rollout.QuarantineError{}, []string{"Release the fix as 0.1.31-dev, or set allow-quarantined: true if the cause was elsewhere."}},
		"drift":             {&rollout.DriftError{}, []string{"Deploy a version again: an instance that has drifted is deployed to, the others are not touched."}},
		"no file":           {fmt.Errorf("read image: %w", fs.ErrNotExist), []string{"Paths are relative to the workspace. Did an earlier step of this job write the file, or download it from the job that did?"}},
		"no repository":     {fmt.Errorf("push: %w", image.ErrNoRepository), []string{"Create the repository in ECR first, with immutable tags except latest-*, or set create-repository: true."}},
		"lock held":         {fmt.Errorf("lock: %w", &lease.HeldError{}), []string{"Wait for that run to end and start this one again, or let it wait longer with lock-timeout. The lock of a run that died is free after about two minutes."}},
		"lock lost":         {errors.Join(fmt.Errorf("follow: %w: %w", lease.ErrLost, context.DeadlineExceeded)), []string{"Start the run again: it skips the instances that run the release already."}},
		"no image":          {fmt.Errorf("resolve: %w", image.ErrNotFound), []string{"The image is not in the repository: run the image phase, or check ecr-repository and image-digest."}},
		"S3 refuses":        {call("S3", "PutObject", "AccessDenied", "Access Denied"), []string{"Grant s3:PutObject to the role that deploys" + ownAccount}},
		"S3 refuses a HEAD": {call("S3", "HeadObject", "Forbidden", "Forbidden"), []string{"Grant s3:GetObject and s3:ListBucket to the role that deploys" + ownAccount}},
		"SSM refuses":       {fmt.Errorf("send command: %w", call("SSM", "SendCommand", "AccessDeniedException", "no")), []string{"Grant ssm:SendCommand to the role that deploys" + ownAccount}},
		"ECR refuses":       {call("ECR", "GetAuthorizationToken", "AccessDeniedException", "no"), []string{"Grant ecr:GetAuthorizationToken to the role that deploys" + ownAccount}},
		"the role refuses":  {assume, []string{"Allow sts:AssumeRoleWithWebIdentity in the trust policy of role-to-assume, for this repository and environment."}},
		"no bucket":         {call("S3", "PutObject", "NoSuchBucket", "no"), []string{"Is deploy-bucket the right name, and in this region?"}},
		"no bundle":         {call("S3", "HeadObject", "NotFound", "no"), []string{noBundle}},
		"no bundle on GET":  {call("S3", "GetObject", "NoSuchKey", "no"), []string{noBundle}},
		"expired":           {call("STS", "GetCallerIdentity", "ExpiredToken", "no"), []string{notValid}},
		"wrong key":         {call("SSM", "SendCommand", "UnrecognizedClientException", "no"), []string{notValid}},
		"wrong secret":      {call("S3", "PutObject", "SignatureDoesNotMatch", "no"), []string{notValid}},
		"no credentials":    {nobody, []string{"No AWS credentials. For role-to-assume, grant the job permissions: id-token: write; or run aws-actions/configure-aws-credentials in an earlier step."}},
		"another code":      {call("SSM", "SendCommand", "ThrottlingException", "Rate exceeded"), nil},
		"no answer":         {&smithy.OperationError{ServiceID: "SSM", OperationName: "SendCommand", Err: errors.New("connection refused")}, nil},
		"too long": {fmt.Errorf("follow command: %w", context.DeadlineExceeded),
			[]string{"If the run was longer than timeout allows: start it again, it skips what is done, or give it more time."}},
		"several": {errors.Join(&fleet.NotReadyError{Instance: fleet.Instance{ID: "i-1"}}, errors.Join(
			call("S3", "HeadObject", "Forbidden", "no"), call("SSM", "SendCommand", "AccessDeniedException", "no")), &fleet.NotReadyError{Instance: fleet.Instance{ID: "i-2"}}),
			[]string{online, "Grant s3:GetObject and s3:ListBucket to the role that deploys" + ownAccount, "Grant ssm:SendCommand to the role that deploys" + ownAccount}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, report.Hints(finished(), test.err)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestHintsNameEachStateOnce(t *testing.T) {
	const logs = "journalctl -u atta and /var/log/atta-deploy.log."
	back := "rolled-back: the instance runs the previous release again. The cause is in the log of this step, and on the instance in " + logs
	failed := "rollback-failed: act now, the instance may run nothing: systemctl status atta, " + logs
	unknown := "unknown: ask the instance what it runs: /opt/atta/current/deploy/ec2_deploy.sh status. Deploying this version again is safe."
	grant := "Grant ssm:SendCommand on every instance, such as i-5, to the role that deploys."
	unreached := denied(host("i-5", rollout.NotDeployed, "", "", "x"))
	result, err := unhealthy(finished(
		host("i-1", rollout.RolledBack, "", "", "x"), host("i-2", rollout.RolledBack, "", "", "x"), host("i-3", rollout.Unknown, "", "", "x"),
		host("i-4", rollout.RollbackFailed, "", "", "x"), unreached,
		host("i-6", rollout.NotDeployed, "", "0.1.29-dev", "s3://x cannot be downloaded: AccessDenied"),
	), rollout.OutcomeRollbackFailed)
	if diff := cmp.Diff([]string{failed, unknown, back, grant}, report.Hints(result, err)); diff != "" {
		t.Error(diff)
	}
	said := func(id string, state rollout.State, code deploy.ExitCode, reason deploy.Reason) *rollout.Host {
		h := host(id, state, "0.1.29-dev", "0.1.29-dev", "its words")
		h.Report.Code, h.Report.Reason = code, reason
		return h
	}
	result, err = unhealthy(finished(
		said("i-1", rollout.NotDeployed, 10, deploy.ReasonQuarantined), said("i-2", rollout.NotDeployed, 51, deploy.ReasonJobRunning), said("i-3", rollout.NotDeployed, 50, deploy.ReasonStale),
		said("i-4", rollout.RollbackFailed, 41, deploy.ReasonUnhealthy), said("i-5", rollout.NotDeployed, 10, deploy.ReasonNoSpace), said("i-6", rollout.NotDeployed, 51, deploy.ReasonBusy),
	), rollout.OutcomeRollbackFailed)
	if diff := cmp.Diff([]string{
		failed,
		"The instance has found this image unhealthy before: release the fix as 0.1.31-dev, or set allow-quarantined: true if the cause was elsewhere.",
		"A job or another deploy was at work on the instance: start the run again when it has ended. For a long job, raise drain-timeout or set on-running: kill.",
		"The command came too late, or after a newer one, and was not run: start the run again if this version is still wanted.",
		"Free disk space on the instance, or lower keep-releases.",
	}, report.Hints(result, err)); diff != "" {
		t.Error(diff)
	}
	result, err = unhealthy(finished(said("i-4", rollout.RollbackFailed, 41, deploy.ReasonUnhealthy)), rollout.OutcomeRollbackFailed)
	if diff := cmp.Diff([]string{failed}, report.Hints(result, err)); diff != "" {
		t.Error(diff)
	}
	result.Status = rollout.OutcomeCancelled
	if got := report.Hints(result, err)[0]; got != "Start the run again when you are ready: it skips what is done." {
		t.Errorf("cancelled: %s", got)
	}
}
