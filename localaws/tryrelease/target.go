package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/org/atta-deploy-action/localaws"
	"github.com/org/atta-deploy-action/localaws/account"
	"github.com/org/atta-deploy-action/localaws/container"
	"github.com/org/atta-deploy-action/localaws/host"
	"github.com/org/atta-deploy-action/localaws/sample"
)

const (
	deployed   = "0.1.0-dev" // the version of the service
	instanceID = "i-0123456789abcdef0"
)

// module names what the Terraform module would create in an account.
var module = account.Module{Service: "atta", Environment: "dev", Repository: "atta", Bucket: "atta-deploy"}

// target is what to deploy and where: an image, and an emulated AWS with one instance.
type target struct {
	image string // path of a docker save archive
	aws   *localaws.Server
	host  *host.Host
}

func newTarget(ctx context.Context, folder string) (_ *target, err error) {
	t := &target{image: filepath.Join(folder, "image.tar")}
	defer func() {
		if err != nil {
			err = errors.Join(err, t.close())
		}
	}()
	program, err := sample.BuildProgram(ctx, folder)
	if err != nil {
		return nil, err
	}
	image, err := sample.NewImage(program, sample.WithVersion(deployed))
	if err != nil {
		return nil, err
	}
	if err := sample.SaveDockerArchive(t.image, image, "atta:"+deployed); err != nil {
		return nil, err
	}
	standins, err := host.BuildStandins(ctx, folder)
	if err != nil {
		return nil, err
	}
	gateway, err := container.Gateway(ctx)
	if err != nil {
		return nil, err
	}
	if t.aws, err = localaws.Start(localaws.Options{Listen: gateway}); err != nil {
		return nil, err
	}
	if err := module.Create(t.aws); err != nil {
		return nil, err
	}
	key := t.aws.RoleCredentials(module.RoleName("instance"), instanceID)
	t.host, err = host.New(host.Options{
		Dir: filepath.Join(folder, "instance"), Endpoint: t.aws.URL(),
		AccessKeyID: key.AccessKeyID, SecretAccessKey: key.SecretAccessKey, SessionToken: key.SessionToken, AWSCLI: "standin", Standins: standins,
	})
	if err != nil {
		return nil, err
	}
	t.aws.AddInstance(localaws.Instance{
		ID: instanceID, Machine: t.host, Role: module.RoleName("instance"), Tags: map[string]string{"Environment": module.Environment, "Service": module.Service},
	})
	return t, nil
}

func (t *target) close() (err error) {
	if t.aws != nil {
		err = t.aws.Close()
	}
	if t.host != nil {
		err = errors.Join(err, t.host.Close())
	}
	return err
}

// checkDeployed checks that the instance runs the version.
func (t *target) checkDeployed() error {
	current, err := os.Readlink(t.host.Path("opt", module.Service, "current"))
	if err == nil && filepath.Base(current) != deployed {
		err = fmt.Errorf("the instance runs %q instead of %s", current, deployed)
	}
	return err
}
