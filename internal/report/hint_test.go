package report_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"strings"
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
	"github.com/org/atta-deploy-action/internal/storage"
)

// call returns the SDK error of an AWS call.
func call(service, operation, code, message string) error {
	return &smithy.OperationError{ServiceID: service, OperationName: operation, Err: &smithy.GenericAPIError{Code: code, Message: message}}
}

const (
	docs       = "https://github.com/org/atta-deploy-action/blob/v1/docs/"
	ownAccount = ", and check that the resource belongs to this account. The whole policy is in permissions.md (" + docs + "permissions.md#the-deploying-role)."
	ofS3       = " to the deploying role, or set service to the one that the role was created for; if a key of yours encrypts the bucket, the role needs kms:GenerateDataKey and kms:Decrypt on it. If the bucket belongs to another account, set bucket-owner; if its policy requires encryption, set server-side-encryption. See permissions.md (" +
		docs + "permissions.md#the-repository-and-the-bucket)."
	notValid   = "The AWS credentials are invalid or have expired."
	nextOne    = "A version is released once. Release the change as 0.1.31-dev."
	thisOrNext = "A version is released once. Release the change as 0.1.31-dev, or deploy the existing image: image: r/atta:0.1.30-dev."
	movable    = "Exclude latest-* from the tag immutability of the ECR repository, or set image-tags: none."
	tags       = "Which instances have the tags and are managed by SSM in region us-east-1? SSM does not list an instance that is stopped, or whose agent has never registered." + restart
	online     = "SSM does not list the instance: start it, or check its ID and aws-region (us-east-1). It needs AmazonSSMManagedInstanceCore in its instance profile, or Default Host Management." + restart + without
	noBundle   = "The bundle is not in the bucket: run the bundle phase, or check version, deploy-bucket and bundle-prefix."
)

// restart is what an instance that SSM does not list may need.
const restart = " If its role was attached while it ran, restart the agent (systemctl restart amazon-ssm-agent), which tries again only after up to an hour. A subnet without internet access needs endpoints (https://github.com/org/atta-deploy-action/blob/v1/docs/instance.md#requirements)."

const without = " To deploy without it, remove it from instance-ids (the variable EC2_INSTANCE_ID); with target-tags, stop it or remove its tag. Deploy the version again when it is back."

func TestHints(t *testing.T) {
	noCredentials := &smithy.OperationError{ServiceID: "STS", OperationName: "GetCallerIdentity",
		Err: errors.New("get identity: get credentials: failed to refresh cached credentials, no EC2 IMDS role found")}
	assume := func(operation, code string) error {
		return &smithy.OperationError{ServiceID: "STS", OperationName: "GetCallerIdentity", Err: fmt.Errorf("get identity: %w", call("STS", operation, code, "no"))}
	}
	refused := func(refusal rollout.Refusal, claims rollout.Claims) error {
		return &rollout.RoleError{Claims: claims, Refusal: refusal, Err: assume("AssumeRoleWithWebIdentity", "AccessDenied")}
	}
	const github = "https://token.actions.githubusercontent.com"
	tests := map[string]struct {
		err  error
		want []string
	}{
		"nothing":       {nil, nil},
		"anything":      {errors.New("anything"), nil},
		"tag taken":     {fmt.Errorf("push: %w", &image.TagConflictError{Ref: "r/atta:0.1.30-dev"}), []string{thisOrNext}},
		"alias taken":   {fmt.Errorf("move: %w", &image.TagConflictError{Ref: "r/atta:latest-dev"}), []string{movable}},
		"bundle taken":  {&bundle.ConflictError{}, []string{nextOne}},
		"both taken":    {errors.Join(&bundle.ConflictError{}, &bundle.ConflictError{}), []string{nextOne}},
		"not ready":     {&fleet.NotReadyError{Instance: fleet.Instance{ID: "i-1"}, Problem: fleet.NotListed}, []string{online}},
		"too few":       {fmt.Errorf("find: %w", &rollout.TooFewError{}), []string{tags}},
		"none":          {fmt.Errorf("find: %w", fleet.ErrNoInstance), []string{tags}},
		"in quarantine": {&rollout.QuarantineError{}, []string{"Release the fix as 0.1.31-dev, or deploy this version with allow-quarantined: true (https://github.com/org/atta-deploy-action/blob/v1/docs/workflows.md#quarantine) if the image was not the cause."}},
		"drift":         {&rollout.DriftError{Hosts: []*rollout.Host{{State: rollout.Drifted}}}, []string{"Deploy a version again: instances that are in sync and healthy stay as they are."}},
		"no file":       {fmt.Errorf("read image: %w", fs.ErrNotExist), []string{"Paths are relative to the workspace. Did an earlier step of this job create the file, or download it from another job? Of the runner's other folders, a container action sees only runner.temp, and only in an input that begins with it."}},
		"no login":      {fmt.Errorf("read image: %w", image.ErrNoLogin), []string{"A docker login of an earlier step is not visible to a container action, unless both steps set DOCKER_CONFIG to ${{ runner.temp }}/docker. Or pull and docker save the image in an earlier step, and set image to the archive. See images.md (" + docs + "images.md#where-the-image-comes-from)."}},

		"upload hung up on": {fmt.Errorf("push: %w", image.ErrHungUp), []string{"Does the repository exist, and may the deploying role push to it? If not, ECR closes the connection: create the repository, or set create-repository: true, and grant ecr:InitiateLayerUpload on it."}},
		"no repository":     {fmt.Errorf("push: %w", image.ErrNoRepository), []string{"Create the repository in ECR first, with immutable tags except latest-*, or set create-repository: true."}},
		"lock held":         {fmt.Errorf("lock: %w", &lease.HeldError{}), []string{"Another run deploys the service to the environment. Wait for that run to end and start this one again, or raise lock-timeout. The lock of a killed run expires after about two minutes."}},
		"lock lost":         {errors.Join(fmt.Errorf("follow: %w: %w", lease.ErrLost, context.DeadlineExceeded)), []string{"Start the run again: instances that run the release and are healthy stay as they are."}},
		"no image":          {fmt.Errorf("resolve: %w", image.ErrNotFound), []string{"The image is not in the repository: run the image phase, or check ecr-repository and image-digest. If a lifecycle policy has expired it, push it again as 0.1.31-dev, and let the policy keep the images of versions."}},
		"S3 refuses":        {call("S3", "PutObject", "AccessDenied", "Access Denied"), []string{"Grant s3:PutObject" + ofS3}},
		"an SCP denies": {call("S3", "PutObject", "AccessDenied", "User: x is not authorized to perform: s3:PutObject on resource: y with an explicit deny in a service control policy: arn:aws:organizations::1:policy/o/p"),
			[]string{"The service control policy denies this, whatever the role's other policies allow: allow s3:PutObject in it, or meet its condition. For encryption, set server-side-encryption; for a network (aws:SourceVpce, aws:SourceIp), use a runner inside that network. See permissions.md (https://github.com/org/atta-deploy-action/blob/v1/docs/permissions.md#the-repository-and-the-bucket)."}},
		"no policy allows": {call("SSM", "SendCommand", "AccessDeniedException", "User: x is not authorized to perform: ssm:SendCommand on resource: y because no identity-based policy allows the ssm:SendCommand action"),
			[]string{"Grant ssm:SendCommand to the deploying role" + ownAccount}},
		"S3 refuses a HEAD": {call("S3", "HeadObject", "Forbidden", "Forbidden"), []string{"Grant s3:GetObject and s3:ListBucket" + ofS3}},
		"archived object":   {fmt.Errorf("read: %w", storage.ErrArchived), []string{"A lifecycle rule of the bucket has archived the object that the message names: restore it (aws s3api restore-object), and exclude bundle-prefix and deployments/ from the rule."}},
		"damaged image":     {fmt.Errorf("push: %w", image.ErrContent), []string{"Build or save the image again, for example with docker buildx build --output type=oci,dest=image.tar. If another job made the file, compare its SHA-256 there and here."}},
		"SSM refuses":       {fmt.Errorf("send command: %w", call("SSM", "SendCommand", "AccessDeniedException", "no")), []string{"Grant ssm:SendCommand to the deploying role" + ownAccount}},
		"ECR refuses":       {call("ECR", "GetAuthorizationToken", "AccessDeniedException", "no"), []string{"Grant ecr:GetAuthorizationToken to the deploying role" + ownAccount}},
		"the role refuses": {assume("AssumeRole", "AccessDenied"), []string{"Allow sts:AssumeRole in the trust policy of role-to-assume for the identity that the message names, " +
			"and grant that identity sts:AssumeRole on the role. If the trust policy requires an external ID, set role-external-id."}},
		"the role refuses the token": {refused(rollout.RefusedSubject, rollout.Claims{Issuer: github, Subject: "repo:o@1/r@2:environment:dev", Audience: "sts.amazonaws.com"}),
			[]string{`Does role-to-assume exist, and does its trust policy (` + docs + `permissions.md#the-deploying-role) allow sts:AssumeRoleWithWebIdentity for this job? The OIDC token has the sub repo:o@1/r@2:environment:dev and the aud sts.amazonaws.com; ` +
				`this condition matches: {"StringEquals":{"token.actions.githubusercontent.com:aud":"sts.amazonaws.com","token.actions.githubusercontent.com:sub":"repo:o@1/r@2:environment:dev"}}. ` +
				"The sub has the IDs of the owner and the repository, as those of all repositories created, renamed or transferred since 2026-07-15."}},
		"a token of another server": {refused(rollout.RefusedToken, rollout.Claims{Issuer: "https://ghe.example/_services/token"}),
			[]string{"AWS reads the keys of https://ghe.example/_services/token to verify the token: it has to be reachable from the internet. If it is, start the run again."}},
		"session too long": {assume("AssumeRole", "ValidationError"), []string{"Lower role-duration-seconds, or raise the maximum session duration of role-to-assume. " +
			"A role that is assumed with another role's credentials lasts at most 3600 seconds."}},
		"no bucket": {fmt.Errorf("write: %w", &storage.UnusableError{Bucket: "b", Region: "us-east-1"}), []string{"Create the bucket, or check deploy-bucket."}},
		"bucket elsewhere": {fmt.Errorf("read: %w", &storage.UnusableError{Bucket: "b", Region: "us-east-1", Actual: "eu-west-1"}),
			[]string{"Set deploy-bucket to a bucket in us-east-1, or aws-region to eu-west-1: the bucket, the registry and the instances are in one region."}},
		"unknown CA": {&smithy.OperationError{ServiceID: "STS", OperationName: "GetCallerIdentity", Err: fmt.Errorf("get credentials: %w",
			&url.Error{Op: "Post", URL: "https://sts.us-east-1.amazonaws.com/", Err: &tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}}})},
			[]string{"The server, or a proxy that inspects TLS, has a CA that this action does not know: copy its certificate into the workspace, and set SSL_CERT_FILE: ${{ github.workspace }}/ca.pem in the env of this step. See workflows.md (" + docs + "workflows.md#a-custom-ca)."}},
		"no bundle":        {call("S3", "HeadObject", "NotFound", "no"), []string{noBundle}},
		"no bundle on GET": {call("S3", "GetObject", "NoSuchKey", "no"), []string{noBundle}},
		"expired":          {call("STS", "GetCallerIdentity", "ExpiredToken", "no"), []string{notValid}},
		"wrong key":        {call("SSM", "SendCommand", "UnrecognizedClientException", "no"), []string{notValid}},
		"wrong secret":     {call("S3", "PutObject", "SignatureDoesNotMatch", "no"), []string{notValid}},
		"no credentials":   {noCredentials, []string{"No AWS credentials. For role-to-assume, grant the job permissions: id-token: write; or run aws-actions/configure-aws-credentials in an earlier step."}},
		"another code":     {call("SSM", "SendCommand", "ThrottlingException", "Rate exceeded"), nil},
		"no answer":        {&smithy.OperationError{ServiceID: "SSM", OperationName: "SendCommand", Err: errors.New("connection refused")}, nil},
		"too long": {fmt.Errorf("follow command: %w", context.DeadlineExceeded),
			[]string{"If the run exceeded the input timeout, start it again, which continues with what is left, or raise timeout."}},
		"several": {errors.Join(&fleet.NotReadyError{Instance: fleet.Instance{ID: "i-1"}, Problem: fleet.NotListed}, errors.Join(
			call("S3", "HeadObject", "Forbidden", "no"), call("SSM", "SendCommand", "AccessDeniedException", "no")), &fleet.NotReadyError{Instance: fleet.Instance{ID: "i-2"}, Problem: fleet.NotListed}),
			[]string{online, "Grant s3:GetObject and s3:ListBucket" + ofS3, "Grant ssm:SendCommand to the deploying role" + ownAccount}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, report.Hints(finished(), test.err)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestHintsNameEachStateAndReasonOnce(t *testing.T) {
	const (
		failed  = "rollback-failed: act now, the instance may run nothing: systemctl status atta, journalctl -u atta and /var/log/atta-deploy.log."
		unknown = "unknown: ask the instance what it runs: /opt/atta/current/deploy/ec2_deploy.sh status. Deploying this version again is safe. If the instance is gone, take it out of instance-ids (the variable EC2_INSTANCE_ID) first."
		back    = "On i-1 and 1 more, what was there before is back, but not on every instance: a rollback without version would roll these back further. On the instance, journalctl -u atta shows the log of the program, in every version, and /var/log/atta-deploy.log is the deploy log."
		grant   = "Grant ssm:SendCommand on every instance, such as i-5, to the deploying role. See permissions.md (" + docs + "permissions.md#the-deploying-role)."
	)
	result, err := unhealthy(finished(
		host("i-1", rollout.RolledBack, "", "", "x"), host("i-2", rollout.RolledBack, "", "", "x"), host("i-3", rollout.Unknown, "", "", "x"),
		host("i-4", rollout.RollbackFailed, "", "", "x"), denied(host("i-5", rollout.NotDeployed, "", "", "x")),
		host("i-6", rollout.NotDeployed, "", "0.1.29-dev", "s3://x cannot be downloaded: AccessDenied"),
	), rollout.OutcomeRollbackFailed)
	if diff := cmp.Diff([]string{failed, unknown, back, grant}, report.Hints(result, err)); diff != "" {
		t.Error(diff)
	}
	result, err = unhealthy(finished(
		reasoned("i-1", rollout.NotDeployed, deploy.ReasonNoSpace), reasoned("i-2", rollout.NotDeployed, deploy.ReasonStale),
		reasoned("i-3", rollout.NotDeployed, deploy.ReasonNoSpace), reasoned("i-4", rollout.RollbackFailed, deploy.ReasonNone),
	), rollout.OutcomeRollbackFailed)
	if diff := cmp.Diff([]string{
		failed,
		"i-1 and 1 more: Free space on the instance, in the folder that the message names, or lower keep-releases.",
		"i-2: The command arrived late, or after a newer one, and was not run: start the run again if this version is still wanted.",
	}, report.Hints(result, err)); diff != "" {
		t.Error(diff)
	}
	result.Status = rollout.OutcomeCancelled
	if got := report.Hints(result, err)[0]; got != "Start the run again when you are ready: it continues with what is left." {
		t.Errorf("cancelled: %s", got)
	}
}

func TestValuesInAHintAreShownLiterally(t *testing.T) {
	refused := &rollout.RoleError{Claims: rollout.Claims{Subject: "repo:o/r:ref:refs/heads/`<b>*x*"}, Refusal: rollout.RefusedSubject, Err: errors.New("no")}
	result := finished()
	result.Status = rollout.OutcomeFailed
	if summary := report.Summary(result, refused); strings.Contains(summary, "heads/`") || !strings.Contains(summary, "`repo:o/r:ref:refs/heads/'<b>*x*`") {
		t.Errorf("the summary is\n%s", summary)
	}
}

// reasoned returns a host whose report has a reason.
func reasoned(id string, state rollout.State, reason deploy.Reason) *rollout.Host {
	h := host(id, state, "0.1.29-dev", "0.1.29-dev", "its words")
	h.Report.Reason = reason
	return h
}

// The main step was killed while its commands were at work. The post step cannot set up AWS (the file of AWS_CA_BUNDLE is gone from the
// workspace), so nobody knows what the instances run.
func TestThePostStepThatCannotBeginDoesNotSayThatNothingWasTouched(t *testing.T) {
	result := finished()
	plan := rollout.Plan{Operation: rollout.CleanUp, Release: result.Plan.Release, Phases: result.Plan.Phases,
		Leftover: rollout.Leftover{Deployment: "d-1", Commands: []string{"01234567-89ab-cdef-0123-456789abcdef"}}}
	summary := report.Summary(rollout.Result{Plan: plan, Status: rollout.OutcomeFailed}, errors.New("AWS_CA_BUNDLE is /github/workspace/ca.pem, which …"))
	if strings.Contains(summary, "no instance was touched") || strings.Contains(summary, "was not deployed") {
		t.Errorf("commands were sent, and the summary says:\n%s", summary)
	}
}

// The organization has customized the subject, in which the environment is the first claim or none:
// https://docs.github.com/en/actions/reference/security/oidc#customizing-the-token-claims
func TestACustomSubjectDoesNotSayThatAJobHasNoEnvironment(t *testing.T) {
	for _, subject := range []string{"environment:dev:repo:org/atta", "repo:org/atta:job_workflow_ref:org/atta/.github/workflows/deploy-dev.yml@refs/tags/0.1.30-dev"} {
		refused := &rollout.RoleError{Claims: rollout.Claims{Subject: subject, Audience: "sts.amazonaws.com"}, Refusal: rollout.RefusedSubject,
			Err: call("STS", "AssumeRoleWithWebIdentity", "AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity")}
		if hints := strings.Join(report.Hints(finished(), refused), "\n"); strings.Contains(hints, "This job has no environment:") {
			t.Errorf("%s: %s", subject, hints)
		}
	}
}

// A self-hosted runner on EC2, whose instance profile deploys: role-to-assume is empty on purpose, and the job has id-token: write for
// another step. The metadata service does not answer a container: that is what to repair.
func TestARunnerWhoseMetadataDoesNotAnswerIsNotToldToSetARole(t *testing.T) {
	imds := &smithy.OperationError{ServiceID: "ec2imds", OperationName: "GetMetadata", Err: fmt.Errorf("request canceled, %w", context.DeadlineExceeded)}
	err := fmt.Errorf("get AWS caller identity: %w", &smithy.OperationError{ServiceID: "STS", OperationName: "GetCallerIdentity",
		Err: fmt.Errorf("get identity: get credentials: %w", &rollout.RoleError{Refusal: rollout.NoRole, Err: fmt.Errorf("failed to refresh cached credentials, no EC2 IMDS role found, %w", imds)})})
	result := finished()
	result.Status = rollout.OutcomeFailed
	if hints := strings.Join(report.Hints(result, err), "\n"); !strings.Contains(hints, "hop limit of 2") {
		t.Error(hints)
	}
}
