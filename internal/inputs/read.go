package inputs

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/org/atta-deploy-action/deploy"
	"github.com/org/atta-deploy-action/internal/release"
)

// Read takes each input from the arguments (--name=value), else from the environment (INPUT_<NAME>), else from the
// definition's default; empty counts as unset. Every problem is reported, one line each, naming its input. The error is
// ErrHelp when the arguments ask for help.
func (d Definition) Read(environ, args []string) (Inputs, error) {
	values, problems := d.values(environ, args)
	if slices.Contains(problems, ErrHelp) {
		return Inputs{}, ErrHelp
	}
	r := &reader{values: values, asked: map[string]bool{}, problems: problems}
	inputs := r.inputs(variables(environ))
	if err := errors.Join(r.problems...); err != nil {
		return Inputs{}, err
	}
	return inputs, nil
}

func (r *reader) inputs(env map[string]string) Inputs {
	what, rollout := r.what(env), r.rollout()
	return Inputs{
		What:      what,
		Identity:  r.identity(env),
		Image:     r.image(what, env["GITHUB_WORKSPACE"]),
		Bundle:    r.bundle(what, env["GITHUB_WORKSPACE"]),
		Targets:   r.targets(what),
		Rollout:   rollout,
		Time:      r.time(what, rollout.Policy),
		Reporting: Reporting{StepSummary: r.boolean("step-summary"), FailOnDrift: r.boolean("fail-on-drift")},
	}
}

func (r *reader) what(env map[string]string) What {
	operation := r.text("operation", oneOf("deploy", "rollback", "status", "plan"))
	what := What{Operation: operation, DryRun: r.boolean("dry-run")}
	if operation == "plan" {
		what.Operation, what.DryRun = "deploy", true
	}
	version := r.value("version")
	if what.Operation == "deploy" && version == "" {
		version, _ = release.VersionFromRef(env["GITHUB_REF_TYPE"], env["GITHUB_REF_NAME"])
	}
	if what.Operation == "status" {
		version = "" // the tag that a workflow runs on says nothing of what should run
	}
	_, repository, _ := strings.Cut(env["GITHUB_REPOSITORY"], "/")
	service, environment := cmp.Or(r.value("service"), repository), r.value("environment")
	var err error
	if what.Operation == "deploy" || version != "" {
		what.Release, err = release.New(service, environment, version)
	} else {
		what.Release, err = release.Unversioned(service, environment)
	}
	if err != nil {
		r.problems = append(r.problems, err)
	}
	phases := r.list("phases", oneOf("image", "bundle", "rollout"))
	what.Phases = Phases{
		Image:   slices.Contains(phases, "image"),
		Bundle:  slices.Contains(phases, "bundle"),
		Rollout: slices.Contains(phases, "rollout"),
	}
	if what.Operation != "deploy" {
		what.Phases = Phases{Rollout: true}
	}
	return what
}

func (r *reader) identity(env map[string]string) Identity {
	// Where the SDK looks for a region, and where configure-aws-credentials leaves it.
	if r.value("aws-region") == "" {
		r.values["aws-region"] = cmp.Or(env["AWS_REGION"], env["AWS_DEFAULT_REGION"])
	}
	r.require("aws-region", region.words)
	if r.value("role-to-assume") == "" {
		r.forbid("role-external-id", "role-to-assume is not set")
	}
	return Identity{
		Region:            r.text("aws-region", region),
		Role:              r.text("role-to-assume", role),
		SessionName:       r.text("role-session-name", sessionName),
		SessionDuration:   time.Duration(r.number("role-duration-seconds", 900, 43200)) * time.Second,
		ExternalID:        r.text("role-external-id", externalID),
		Audience:          r.text("audience", audience),
		AllowedAccountIDs: r.list("allowed-account-ids", accountID),
	}
}

// maxMoving is how many filters of tags a repository has beside the one for latest-*:
// https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-tag-mutability.html
const maxMoving = 4

func (r *reader) image(what What, workspace string) Image {
	switch phases := what.Phases; {
	case phases.Image:
		if !what.DryRun { // which may come before the build
			r.require("image", "a path or a registry reference, since the image phase pushes it")
		}
		r.forbid("image-digest", "the image phase finds it out")
	case what.Operation == "deploy" && phases.Rollout:
		r.require("image-digest", imageDigest.words)
	}
	if what.Operation == "deploy" && (what.Phases.Image || what.Phases.Rollout) {
		r.require("ecr-repository", repository.words)
	}
	tags := r.list("image-tags", imageTag)
	for _, tag := range tags {
		if _, err := release.ParseVersion(tag); err == nil {
			r.reject("image-tags", tag, "tags that may move, which a version's does not")
		}
	}
	switch {
	case tags == nil:
		tags = []string{what.Release.Alias()}
	case slices.Equal(tags, []string{"none"}):
		tags = nil
	}
	create := r.boolean("create-repository")
	others := slices.DeleteFunc(slices.Clone(tags), func(tag string) bool { return strings.HasPrefix(tag, "latest-") })
	if create && len(others) > maxMoving {
		r.reject("image-tags", r.value("image-tags"), fmt.Sprintf("at most %d tags beside latest-*, since ECR lets no more move in a repository that create-repository makes", maxMoving))
	}
	if what.Operation != "deploy" && r.value("ecr-repository") == "" {
		tags = nil // there is no repository in which a tag could move
	}
	return Image{
		Source:     r.text("image", printable),
		Registry:   r.text("ecr-registry", registry),
		Repository: r.text("ecr-repository", repository),
		Create:     create,
		Tags:       tags,
		Digest:     r.text("image-digest", imageDigest),

		Compression: r.text("compression", oneOf("gzip", "zstd")),
		Recipe:      r.recipe(workspace),
	}
}

func (r *reader) bundle(what What, workspace string) Bundle {
	switch phases := what.Phases; {
	case phases.Bundle:
		r.forbid("bundle-sha256", "the bundle phase finds it out")
	case what.Operation == "deploy" && phases.Rollout:
		r.require("bundle-sha256", bundleSHA256.words)
	}
	if what.Phases.Bundle || what.Phases.Rollout {
		r.require("deploy-bucket", bucket.words)
	}
	prefix := cmp.Or(r.text("bundle-prefix", keyPrefix), what.Release.BundlePrefix())
	return Bundle{
		Path:   r.path("bundle-path", workspace),
		Bucket: r.text("deploy-bucket", bucket),
		Prefix: strings.TrimSuffix(prefix, "/") + "/",
		Mode:   r.text("mode", oneOf("job", "service")),
		KMSKey: r.text("kms-key-id", kmsKey),
		SHA256: r.text("bundle-sha256", bundleSHA256),
	}
}

// maxTags is how many filters one request takes, with room to spare:
// https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_DescribeInstanceInformation.html
const maxTags = 10

func (r *reader) targets(what What) Targets {
	if r.value("target-tags") != "" {
		r.forbid("instance-ids", "target-tags says already which instances")
	} else if what.Phases.Rollout {
		r.require("instance-ids", instanceID.words+"; or give target-tags")
	}
	targets := Targets{InstanceIDs: r.list("instance-ids", instanceID), MinInstances: r.number("min-instances", 1, 100000)}
	tags := r.list("target-tags", targetTag)
	if len(tags) > maxTags {
		r.problems = append(r.problems, fmt.Errorf("target-tags holds %d tags: want at most %d", len(tags), maxTags))
	}
	for _, tag := range tags {
		key, value, _ := strings.Cut(tag, "=")
		targets.Tags = append(targets.Tags, Tag{strings.TrimSpace(key), strings.TrimSpace(value)})
	}
	return targets
}

// waves are read from sizes that have to rise, as far as that can be known before there
// are instances, and to reach all of them.
func (r *reader) waves() (waves []Wave) {
	sizes := r.list("waves", wave)
	for i, size := range sizes {
		var next Wave
		n, _ := strconv.Atoi(strings.TrimSuffix(size, "%"))
		if strings.HasSuffix(size, "%") {
			next.Percent = n
		} else {
			next.Hosts = n
		}
		for _, before := range waves {
			if next.Percent > 0 && next.Percent <= before.Percent || next.Hosts > 0 && next.Hosts <= before.Hosts {
				r.reject("waves", size, "each wave larger than those before it, since a wave counts their instances, too")
			}
		}
		if last := i == len(sizes)-1; last && next.Percent != 100 {
			r.reject("waves", size, "100% as the last wave, so that no instance is left out")
		}
		waves = append(waves, next)
	}
	return waves
}

func (r *reader) rollout() Rollout {
	if r.value("mode") == "service" && r.value("run-on-deploy") == "false" {
		r.reject("run-on-deploy", "false", "true, since mode is service and only a job can be left to its timer")
	}
	return Rollout{Waves: r.waves(), RollbackOnFailure: r.text("rollback-on-failure", oneOf("all", "wave", "none")), Policy: deploy.Policy{
		AllowDowngrade:   r.boolean("allow-downgrade"),
		AllowQuarantined: r.boolean("allow-quarantined"),
		RunOnDeploy:      r.boolean("run-on-deploy"),
		OnRunning:        r.text("on-running", oneOf("wait", "kill")),
		DrainTimeout:     r.duration("drain-timeout", time.Second, 24*time.Hour),
		HealthCommand:    r.text("health-command", healthCommand),
		HealthURL:        r.text("health-url", healthURL),
		HealthTimeout:    r.duration("health-timeout", time.Second, 24*time.Hour),
		MinHealthyTime:   r.duration("min-healthy-time", time.Second, 24*time.Hour),
		KeepReleases:     r.number("keep-releases", 1, 100),
	}}
}

// time holds the limits that nest: staying up within health, waiting and health within a command, the lock, delivery and
// a command within the run. The bounds of delivery-timeout and command-timeout are those of SendCommand's TimeoutSeconds and
// AWS-RunShellScript's executionTimeout: https://docs.aws.amazon.com/systems-manager/latest/userguide/monitor-commands.html
func (r *reader) time(what What, rollout deploy.Policy) Time {
	limits := Time{
		Lock:     r.duration("lock-timeout", 0, 24*time.Hour),
		Delivery: r.duration("delivery-timeout", 30*time.Second, 720*time.Hour),
		Command:  r.duration("command-timeout", time.Minute, 48*time.Hour),
		Run:      r.duration("timeout", time.Minute, 120*time.Hour),
	}
	wrong := slices.Contains([]time.Duration{limits.Delivery, limits.Command, limits.Run, rollout.DrainTimeout, rollout.HealthTimeout, rollout.MinHealthyTime}, 0)
	if !what.Phases.Rollout || what.Operation == "status" || wrong {
		return limits
	}
	if rollout.HealthTimeout <= rollout.MinHealthyTime {
		r.reject("health-timeout", r.value("health-timeout"),
			"more than min-healthy-time, "+short(rollout.MinHealthyTime)+", which is part of it")
	}
	parts, work := "health-timeout", rollout.HealthTimeout
	if rollout.OnRunning == "wait" {
		parts, work = "drain-timeout and health-timeout together", work+rollout.DrainTimeout
	}
	if limits.Command <= work {
		r.reject("command-timeout", r.value("command-timeout"), "more than "+parts+", "+short(work)+", which is part of it")
	}
	if parts := limits.Lock + limits.Delivery + limits.Command; limits.Run < parts {
		r.reject("timeout", r.value("timeout"), "at least lock-timeout, delivery-timeout and command-timeout together, "+short(parts))
	}
	return limits
}

func variables(environ []string) map[string]string {
	env := map[string]string{}
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		env[name] = value
	}
	return env
}
