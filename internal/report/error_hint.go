package report

import (
	"context"
	"crypto/x509"
	"errors"
	"io/fs"
	"slices"
	"strings"

	"github.com/org/atta-deploy-action/internal/bundle"
	"github.com/org/atta-deploy-action/internal/fleet"
	"github.com/org/atta-deploy-action/internal/image"
	"github.com/org/atta-deploy-action/internal/lease"
	"github.com/org/atta-deploy-action/internal/release"
	"github.com/org/atta-deploy-action/internal/rollout"
	"github.com/org/atta-deploy-action/internal/storage"
)

// restartAgent is what an agent needs whose role was attached after its start: https://github.com/aws/amazon-ssm-agent/issues/202
const restartAgent = " If its role was attached while it ran, restart the agent (`systemctl restart amazon-ssm-agent`), which tries again only after up to an hour. A subnet without internet access needs [endpoints](instance.md#requirements)."

// withoutInstance is how the others get a release that cannot wait for one of them.
const withoutInstance = " To deploy without it, remove it from `instance-ids` (the variable `EC2_INSTANCE_ID`); with `target-tags`, stop it or remove its tag. Deploy the version again when it is back."

const whichInstances = "Which instances have the tags and are managed by SSM in region {region}? SSM does not list an instance that is stopped, or whose agent has never registered." + restartAgent

// errorHints are in order of precedence: the first that matches an error applies.
var errorHints = []hint{
	{sign: "`is stopped, or not managed by SSM in this account and region`", onError: forProblem(fleet.NotListed),
		remedy: "SSM does not list the instance: start it, or check its ID and `aws-region` ({region}). It needs `AmazonSSMManagedInstanceCore` in its instance profile, or Default Host Management." + restartAgent + withoutInstance},
	{sign: "`is not online: the SSM agent's status is ConnectionLost`", onError: forProblem(fleet.NotOnline),
		remedy: "Start the instance or its `amazon-ssm-agent`." + withoutInstance},
	{sign: "`has SSM agent …`", onError: forProblem(fleet.OldAgent),
		remedy: "Update the SSM agent, for example with the document `AWS-UpdateSSMAgent`." + withoutInstance},
	{sign: "`no running instance that SSM manages in this account and region has the tags`", onError: forError(fleet.ErrNoInstance), remedy: whichInstances},
	{sign: "`min-instances is …`", onError: forType(func(*rollout.TooFewError) values { return values{} }), remedy: whichInstances},
	// A container action has the CAs of its image only: https://github.com/EnricoMi/publish-unit-test-result-action/issues/637
	{sign: "`x509: certificate signed by unknown authority`", onError: forType(func(x509.UnknownAuthorityError) values { return values{} }),
		remedy: "The server, or a proxy that inspects TLS, has a CA that this action does not know: copy its certificate into the workspace, and set `SSL_CERT_FILE: ${{ github.workspace }}/ca.pem` in the `env` of this step. See [workflows.md](workflows.md#a-custom-ca)."},
	{
		sign:   "`ec2imds: GetMetadata, request canceled`",
		remedy: "No AWS credentials: the metadata service of EC2 does not answer. On a self-hosted runner on EC2, it answers a container only with a hop limit of 2: `aws ec2 modify-instance-metadata-options --http-put-response-hop-limit 2 --instance-id <the runner's>`. Or use `role-to-assume`, and grant the job `permissions: id-token: write`.",
		onError: func(err error) values {
			// https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-retrieval.html
			call := innermostCall(err)
			return valuesIf(isMetadataCall(call) && !isAPIError(call) && errors.Is(err, context.DeadlineExceeded))
		},
	},
	{sign: "`get credentials: … no EC2 IMDS role found` in a job that may have a token", onError: forRefusal(rollout.NoRole),
		remedy: "`role-to-assume` is empty: set the variable or secret `AWS_ROLE_ARN` in the GitHub environment of the job. A reusable workflow sees secrets only with `secrets: inherit`, within one organization or enterprise; variables, it always sees."},
	{
		sign:   "`no EC2 IMDS role found`",
		remedy: "No AWS credentials. For `role-to-assume`, grant the job `permissions: id-token: write`; or run `aws-actions/configure-aws-credentials` in an earlier step.",
		onError: func(err error) values {
			call := innermostCall(err)
			return valuesIf(call != nil && !isAPIError(call) && strings.Contains(err.Error(), "credentials"))
		},
	},
	{sign: "`DurationSeconds exceeds`", onError: func(err error) values { return valuesIf(isAssumeRole(err) && hasCode(err, "ValidationError")) },
		remedy: "Lower `role-duration-seconds`, or raise the maximum session duration of `role-to-assume`. A role that is assumed with another role's credentials lasts at most 3600 seconds."},
	{sign: "`Incorrect token audience`", onError: forRefusal(rollout.RefusedAudience),
		remedy: "The OIDC token has the aud `{audience}`: set `audience` to one that the identity provider {provider} accepts, usually `sts.amazonaws.com`, or add this one to the provider."},
	{sign: "`No OpenIDConnect provider found in your account`", onError: forRefusal(rollout.NoProvider),
		remedy: "Create the OIDC identity provider `https://{provider}` with the audience `{audience}` in the account of `role-to-assume`, or correct the account ID in `role-to-assume`."},
	{sign: "`Couldn't retrieve verification key from your identity provider`", onError: forRefusal(rollout.RefusedToken),
		remedy: "AWS reads the keys of `https://{provider}` to verify the token: it has to be reachable from the internet. If it is, start the run again."},
	{sign: "`Not authorized to perform sts:AssumeRoleWithWebIdentity`, for a job without an environment", onError: forJobWithoutEnvironment,
		remedy: "This job has no `environment:`, so the rules of the GitHub environment do not protect it, and a role that trusts the environment does not trust it: add `environment: {environment}` to the job, next to the input of that name. Only if the role is to trust every such job: the OIDC token has the sub `{subject}` and the aud `{audience}`; this condition matches: `{condition}`.{immutable} See [permissions.md](permissions.md#the-deploying-role)."},
	{sign: "`Not authorized to perform sts:AssumeRoleWithWebIdentity` for another job", onError: forRefusal(rollout.RefusedSubject),
		remedy: "Does `role-to-assume` exist, and does [its trust policy](permissions.md#the-deploying-role) allow `sts:AssumeRoleWithWebIdentity` for this job? The OIDC token has the sub `{subject}` and the aud `{audience}`; this condition matches: `{condition}`.{immutable}"},
	{
		sign:   "`not authorized to perform: sts:AssumeRole`",
		remedy: "Allow `{permission}` in the trust policy of `role-to-assume` for the identity that the message names, and grant that identity `{permission}` on the role. If the trust policy requires an external ID, set `role-external-id`.",
		onError: func(err error) values {
			if !isAssumeRole(err) || !hasCode(err, "AccessDenied") {
				return nil
			}
			return values{"permission": requiredPermission(innermostCall(err))}
		},
	},
	{sign: "`the bucket … does not exist`", onError: forType(func(e *storage.UnusableError) values { return valuesIf(e.Actual == "") }),
		remedy: "Create the bucket, or check `deploy-bucket`."},
	{
		sign:   "`the bucket … is in region …, not in …`",
		remedy: "Set `deploy-bucket` to a bucket in {here}, or `aws-region` to {there}: the bucket, the registry and the instances are in one region.",
		onError: forType(func(e *storage.UnusableError) values {
			return values{"here": e.Region, "there": e.Actual}
		}),
	},
	{sign: "`it is archived`, `InvalidObjectState`", onError: forError(storage.ErrArchived),
		remedy: "A lifecycle rule of the bucket has archived the object that the message names: restore it (`aws s3api restore-object`), and exclude `bundle-prefix` and `deployments/` from the rule."},
	{sign: "`with an explicit deny in a service control policy`, `because no permissions boundary allows …`", onError: overruledCall,
		remedy: "The {policy} denies this, whatever the role's other policies allow: allow {permission} in it, or meet its condition. For encryption, set `server-side-encryption`; for a network (`aws:SourceVpce`, `aws:SourceIp`), use a runner inside that network. See [permissions.md](permissions.md#the-repository-and-the-bucket)."},
	{sign: "an `AccessDenied` error of S3", onError: func(err error) values { return deniedCall(err, true) },
		remedy: "Grant {permission} to the deploying role, or set `service` to the one that the role was created for; if a key of yours encrypts the bucket, the role needs `kms:GenerateDataKey` and `kms:Decrypt` on it. If the bucket belongs to another account, set `bucket-owner`; if its policy requires encryption, set `server-side-encryption`. See [permissions.md](permissions.md#the-repository-and-the-bucket)."},
	{sign: "another `AccessDenied` error", onError: func(err error) values { return deniedCall(err, false) },
		remedy: "Grant {permission} to the deploying role, and check that the resource belongs to this account. The whole policy is in [permissions.md](permissions.md#the-deploying-role)."},
	{sign: "`InvalidClientTokenId` and the like when a role is assumed", onError: func(err error) values { return valuesIf(isAssumeRole(err) && hasInvalidCredentials(err)) },
		remedy: "The AWS credentials in the environment of the job are invalid or have expired. For `role-to-assume`, grant the job `permissions: id-token: write`; no other credentials are needed then."},
	{
		sign:   "`ExpiredToken`, `UnrecognizedClientException`, `SignatureDoesNotMatch`",
		remedy: "The AWS credentials are invalid or have expired.",
		onError: func(err error) values {
			return valuesIf(hasInvalidCredentials(err))
		},
	},
	{sign: "`the SSM document … has another content`, `… does not exist`, `… is for operation: …`", onError: forType(func(e *rollout.DocumentError) values { return values{"document": e.Name} }),
		remedy: "The document is that of another version of the action, of another service, of another region or of another operation. With the Terraform module of this version: `terraform init -upgrade && terraform apply`; without Terraform, run its `examples/account/setup.sh` again, which calls `aws ssm create-document` or `update-document` for `{document}` ([permissions.md](permissions.md#the-ssm-document)). Or leave `document-name` empty to use `AWS-RunShellScript`, if the role may send that."},
	{sign: "`the registry closes the connection when an upload starts`", onError: forError(image.ErrHungUp),
		remedy: "Does the repository exist, and may the deploying role push to it? If not, ECR closes the connection: create the repository, or set `create-repository: true`, and grant `ecr:InitiateLayerUpload` on it."},
	{sign: "`the repository does not exist`", onError: forError(image.ErrNoRepository),
		remedy: "Create the repository in ECR first, with immutable tags except `latest-*`, or set `create-repository: true`."},
	{sign: "`the registry denies access`", onError: forError(image.ErrDenied),
		remedy: "Grant the permission that the message names to the deploying role. A repository of another account has to grant it as well, in its own policy. See [permissions.md](permissions.md#the-deploying-role)."},
	{sign: "`a quota of ECR is reached`", onError: forError(image.ErrQuota),
		remedy: "The repository has as many images, or this image as many tags, as ECR allows. Delete images that nothing runs, or have [the quota](https://docs.aws.amazon.com/AmazonECR/latest/userguide/service-quotas.html) raised; for tags, change the image, for example with a label."},
	{
		sign:   "`tag …:latest-… already names …`",
		remedy: "Exclude `latest-*` from the tag immutability of the ECR repository, or set `image-tags: none`.",
		onError: forType(func(e *image.TagConflictError) values {
			_, err := release.ParseVersion(e.Ref[strings.LastIndexByte(e.Ref, ':')+1:])
			return valuesIf(err != nil)
		}),
	},
	{sign: "`tag … already names …`", onError: forType(func(e *image.TagConflictError) values { return values{"tag": e.Ref} }),
		remedy: "A version is released once. Release the change as {next}, or deploy the existing image: `image: {tag}`."},
	{sign: "`the tag … names commit …`", onError: forType(func(*rollout.MovedTagError) values { return values{} }),
		remedy: "A version is released once, also if its tag is moved or made later: release the change as {next}. If the image that was pushed is right, put the tag on its commit."},
	{sign: "`holds another bundle`", onError: forType(func(*bundle.ConflictError) values { return values{} }),
		remedy: "A version is released once. Release the change as {next}."},
	{
		sign:   "`the bundle is not in the bucket`, `NoSuchKey`",
		remedy: "The bundle is not in the bucket: run the bundle phase, or check `version`, `deploy-bucket` and `bundle-prefix`.",
		onError: func(err error) values {
			return valuesIf(errors.Is(err, bundle.ErrNotFound) || hasCode(err, "NotFound", "NoSuchKey"))
		},
	},
	{sign: "`not in the registry`", onError: forError(image.ErrNotFound),
		remedy: "The image is not in the repository: run the image phase, or check `ecr-repository` and `image-digest`. If a lifecycle policy has expired it, push it again as {next}, and let the policy keep the images of versions."},
	{sign: "`this image is quarantined in …`", onError: forType(func(*rollout.QuarantineError) values { return values{} }),
		remedy: "Release the fix as {next}, or [deploy this version with `allow-quarantined: true`](workflows.md#quarantine) if the image was not the cause."},
	{sign: "`neither a file or folder nor a full registry reference`", onError: forError(fs.ErrNotExist),
		remedy: "Paths are relative to the workspace. Did an earlier step of this job create the file, or download it from another job? Of the runner's other folders, a container action sees only `runner.temp`, and only in an input that begins with it."},
	{sign: "`is a link to …, which this action cannot see`",
		remedy: "Bazel and Nix leave links out of the workspace: copy the image with `cp -rL`."},
	{sign: "`not logged in to the registry`", onError: forError(image.ErrNoLogin),
		remedy: "A docker login of an earlier step is not visible to a container action, unless both steps set `DOCKER_CONFIG` to `${{ runner.temp }}/docker`. Or pull and `docker save` the image in an earlier step, and set `image` to the archive. See [images.md](images.md#where-the-image-comes-from)."},
	{sign: "`as in the config`, `damaged`, `truncated`, `lists 0 layers, its config 2`", onError: forError(image.ErrContent),
		remedy: "Build or save the image again, for example with `docker buildx build --output type=oci,dest=image.tar`. If another job made the file, compare its SHA-256 there and here.",
		more:   "The image is incomplete or was changed on its way."},
	{sign: "`a folder without the index.json of an OCI layout, but with image.tar in it`",
		remedy: "A downloaded artifact is a folder: name the archive in it."},
	{sign: "`it contains 2 images: …; save only one`",
		remedy: "Use `docker save` with one name or ID, or an OCI layout of one image."},
	{sign: "`not an image: …`, `not a container image for Linux: …`",
		remedy: "The file is what the message says; [images.md](images.md#what-is-read) lists what is read."},
	{sign: "`it is missing`, `it is not in the archive`",
		remedy: "The tool left out layers that its engine shares with another image: pull the image again and use `docker save --platform`, or let the build write it with `type=oci`."},
	{sign: "`the lock is held by …`", onError: forType(func(*lease.HeldError) values { return values{} }),
		remedy: "Another run deploys the service to the environment. Wait for that run to end and start this one again, or raise `lock-timeout`. The lock of a killed run expires after about two minutes."},
	{sign: "`the deploy lock was lost`", onError: forError(lease.ErrLost),
		remedy: "Start the run again: instances that run the release and are healthy stay as they are."},
	{sign: "`not an object that this action wrote`", onError: forError(lease.ErrInvalidObject),
		remedy: "Something else wrote the object that the message names, `lock.json` or `current.json`: restore an earlier version of it, or delete it. The next deploy writes it again, and instances need no change."},
	{sign: "`nobody knows the service`", onError: forError(rollout.ErrUnknownService),
		remedy: "If `{service}` was deployed to `{environment}` before, check `service` and `environment`; if not, its first deploy has not succeeded yet."},
	{sign: "`has nothing to roll back to`", onError: forError(rollout.ErrNoPrevious),
		remedy: "No earlier release was healthy on the instance: set `version`, or deploy."},
	{sign: "`… out of sync`, and all instances run a newer version", onError: forDrift(func(e *rollout.DriftError) bool { return e.Newer && e.Alone }),
		remedy: "Deploy {other} again, which was not recorded: that records it, and leaves healthy instances as they are. To return to {current} instead, use `operation: rollback` with that `version`."},
	{sign: "`… out of sync`, and a newer version runs", onError: forDrift(func(e *rollout.DriftError) bool { return e.Newer }),
		remedy: "Roll back to {current}, with `operation: rollback` and that `version`. Instances that are in sync and healthy stay as they are."},
	{sign: "`… out of sync`, and an older version runs", onError: forDrift(func(*rollout.DriftError) bool { return true }),
		remedy: "If somebody rolled back on the instance on purpose, make {other} what should run: `operation: rollback` with that `version`. If not, deploy {current} again. Instances that are in sync and healthy stay as they are."},
	{sign: "`… out of sync` with the version that should run", onError: forType(func(e *rollout.DriftError) values {
		return valuesIf(slices.ContainsFunc(e.Hosts, func(h *rollout.Host) bool { return h.State != rollout.Busy && !isOnlyFailedRun(h) }))
	}),
		remedy: "Deploy {current} again: instances that are in sync and healthy stay as they are."},
}

func hasInvalidCredentials(err error) bool {
	return hasCode(err, "ExpiredToken", "ExpiredTokenException", "UnrecognizedClientException", "InvalidClientTokenId", "InvalidSignatureException", "SignatureDoesNotMatch")
}

// valuesIf returns values, which are none, if the condition holds.
func valuesIf(holds bool) values {
	if holds {
		return values{}
	}
	return nil
}

// forError matches an error that is the target.
func forError(target error) func(error) values {
	return func(err error) values { return valuesIf(errors.Is(err, target)) }
}

// forType matches an error of a type, for which read returns values.
func forType[E error](read func(E) values) func(error) values {
	return func(err error) values {
		var found E
		if errors.As(err, &found) {
			return read(found)
		}
		return nil
	}
}

func forProblem(problem fleet.Problem) func(error) values {
	return forType(func(e *fleet.NotReadyError) values { return valuesIf(e.Problem == problem) })
}

// forDrift matches hosts that run another version than what should run, if matches does.
func forDrift(matches func(*rollout.DriftError) bool) func(error) values {
	return forType(func(e *rollout.DriftError) values {
		if e.Other == "" || !matches(e) {
			return nil
		}
		return values{"other": e.Other}
	})
}
