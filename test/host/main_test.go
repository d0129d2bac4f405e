package host_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"log"
	"os"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/google/go-containerregistry/pkg/authn"

	"github.com/org/atta-deploy-action/localaws"
	"github.com/org/atta-deploy-action/localaws/host"
	"github.com/org/atta-deploy-action/localaws/sample"
)

// What all tests share. Each has a host, a repository and a bucket of its own.
var (
	cloud    *localaws.Server
	program  string // in the sample image
	tools    string // does the work of docker, systemctl and aws
	registry authn.Authenticator
)

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "sample-")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	if program, err = sample.BuildProgram(context.Background(), dir); err != nil {
		log.Print(err)
		return 1
	}
	if tools, err = host.BuildStandins(context.Background(), dir); err != nil {
		log.Print(err)
		return 1
	}
	if cloud, err = localaws.Start(localaws.Options{}); err != nil {
		log.Print(err)
		return 1
	}
	defer cloud.Close()
	if registry, err = login(context.Background()); err != nil {
		log.Print(err)
		return 1
	}
	code := m.Run()
	if points := swept.points.Load(); points > 0 {
		fmt.Printf("%d kill points, %d consistent\n", points, swept.consistent.Load())
	}
	return code
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
