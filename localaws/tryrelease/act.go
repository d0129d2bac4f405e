package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
)

// workflow is that of a repository that uses the action.
const workflow = `name: Try
on: workflow_dispatch
permissions: {}
jobs:
  deploy:
    uses: org/atta-deploy-action/.github/workflows/deploy.yml@v%s
    permissions:
      contents: read
      id-token: write
    with:
      environment: dev
      version: %s
      service: atta
      image: image.tar
`

// deploy runs the workflow in a new repository and returns its log, which it also prints.
func (r release) deploy(ctx context.Context, act, folder string, t *target) (log string, err error) {
	repository := filepath.Join(folder, "repository")
	path := filepath.Join(repository, ".github", "workflows", "try.yml")
	if err := errors.Join(
		os.MkdirAll(filepath.Dir(path), 0o750),
		os.WriteFile(path, fmt.Appendf(nil, workflow, r.version, deployed), 0o600),
		os.Rename(t.image, filepath.Join(repository, "image.tar")),
	); err != nil {
		return "", err
	}
	for _, args := range [][]string{
		{"init", "--quiet", "--initial-branch=main"}, {"add", ".github"},
		{"-c", "user.name=try", "-c", "user.email=try@example.com", "commit", "--quiet", "--no-gpg-sign", "--message=Begin"},
		{"remote", "add", "origin", "https://github.com/org/atta.git"}, // where act reads the repository's name
	} {
		if _, err := commandOutput(ctx, repository, "git", args...); err != nil {
			return "", err
		}
	}
	// act does not know queue: https://github.com/nektos/act/blob/v0.2.89/pkg/schema/workflow_schema.json
	if _, err := commandOutput(ctx, r.tagFolder(), "sed", "--in-place", "/^ *queue: max$/d", ".github/workflows/deploy.yml"); err != nil {
		return "", err
	}
	args := []string{
		"workflow_dispatch", "--workflows", ".github/workflows/try.yml", "--pull=false", "--action-offline-mode", "--no-cache-server", "--network", "bridge", "--bind",
		// The job needs no more than a shell, which the action's image has for runners on Kubernetes.
		"--platform", "ubuntu-latest=" + r.image,
		"--local-repository", "org/atta-deploy-action@v" + r.version + "=" + r.tagFolder(),
		"--local-repository", "org/atta-deploy-action@" + r.commit + "=" + r.commitFolder(),
		"--env", "AWS_ENDPOINT_URL=" + t.aws.URL(),
	}
	for _, entry := range t.aws.OIDCEnv() {
		args = append(args, "--env", entry)
	}
	for name, value := range map[string]string{
		"AWS_REGION": "us-east-1", "ECR_REGISTRY": t.aws.RegistryHost(), "ECR_REPOSITORY": module.Repository, "DEPLOY_BUCKET": module.Bucket,
		"EC2_INSTANCE_ID": instanceID, "SSM_DOCUMENT": module.DocumentName("deploy"), "AWS_ROLE_ARN": "arn:aws:iam::123456789012:role/" + module.RoleName("deploy"),
	} {
		args = append(args, "--var", name+"="+value)
	}
	command := exec.CommandContext(ctx, act, args...)
	command.Dir = repository
	command.Env = append(os.Environ(), "HOME="+filepath.Join(folder, "home"), "XDG_CACHE_HOME="+filepath.Join(folder, "cache"))
	var text bytes.Buffer
	command.Stdout = io.MultiWriter(os.Stdout, &text)
	command.Stderr = command.Stdout
	if err := command.Run(); err != nil {
		return "", fmt.Errorf("the released action did not deploy: %w", err)
	}
	return text.String(), nil
}
