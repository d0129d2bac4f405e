package host_test

import (
	"context"
	"encoding/base64"
	"errors"
	"log"
	"os"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/google/go-containerregistry/pkg/authn"

	"github.com/org/atta-deploy-action/localaws"
	"github.com/org/atta-deploy-action/localaws/sample"
)

// What all tests share. Each has its own machine, repository and bucket.
var (
	cloud    *localaws.Server
	program  string // in the sample image
	registry authn.Authenticator
)

func TestMain(m *testing.M) {
	code, err := run(context.Background(), m)
	if err != nil {
		log.Print(err)
		code = 1
	}
	os.Exit(code)
}

func run(ctx context.Context, m *testing.M) (code int, err error) {
	dir, err := os.MkdirTemp("", "sample-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	listen, stop, err := prepareMachines(ctx, dir)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, stop()) }()
	if program, err = sample.BuildProgram(ctx, dir); err != nil {
		return 0, err
	}
	if cloud, err = localaws.Start(localaws.Options{Listen: listen}); err != nil {
		return 0, err
	}
	defer cloud.Close()
	if registry, err = login(ctx); err != nil {
		return 0, err
	}
	return m.Run(), nil
}

func login(ctx context.Context) (authn.Authenticator, error) {
	out, err := ecr.NewFromConfig(cloud.Config()).GetAuthorizationToken(ctx, nil)
	if err != nil {
		return nil, err
	}
	token, err := base64.StdEncoding.DecodeString(*out.AuthorizationData[0].AuthorizationToken)
	if err != nil {
		return nil, err
	}
	user, password, _ := strings.Cut(string(token), ":")
	return &authn.Basic{Username: user, Password: password}, nil
}
