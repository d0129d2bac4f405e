// Package awscli is a stand-in for the few commands of the AWS CLI that a
// deployment calls on an instance. It speaks to AWS_ENDPOINT_URL with the real
// SDK and fails with the CLI's messages and exit statuses.
package awscli

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"

	"github.com/org/atta-deploy-action/localaws/standins/instance"
)

// Exit statuses of the AWS CLI, version 2:
// https://docs.aws.amazon.com/cli/latest/userguide/cli-usage-returncodes.html
const (
	transferFailed = 1
	usageError     = 252
	configError    = 253
	serviceError   = 254
	generalError   = 255
)

const options = "region= endpoint-url= output= query= no-cli-pager cli-connect-timeout= cli-read-timeout= only-show-errors no-progress quiet expected-size= sse= sse-kms-key-id= checksum-mode= version debug no-verify-ssl path= with-decryption recursive"

type exitError struct {
	status int
	err    error
}

func (e exitError) Error() string { return e.err.Error() }

// Run is the aws command.
func Run(call *instance.Call) int {
	err := run(context.Background(), call.Args)
	if err == nil {
		return 0
	}
	fmt.Fprintf(os.Stderr, "\n%v\n", err)
	if exit := (exitError{}); errors.As(err, &exit) {
		return exit.status
	}
	return generalError
}

func run(ctx context.Context, args []string) error {
	given, rest, err := instance.Parse(args, options, true)
	if err != nil {
		return exitError{usageError, fmt.Errorf("Unknown options: %w", err)}
	}
	if given.Has("version") {
		fmt.Println("aws-cli/2.9.19 standin")
		return nil
	}
	region := cmp.Or(given.Last("region"), os.Getenv("AWS_REGION"), os.Getenv("AWS_DEFAULT_REGION"))
	if region == "" {
		return exitError{configError, errors.New(`You must specify a region. You can also configure your region by running "aws configure".`)}
	}
	config := aws.Config{
		Region: region, BaseEndpoint: aws.String(cmp.Or(given.Last("endpoint-url"), os.Getenv("AWS_ENDPOINT_URL"))),
		Credentials: credentials.NewStaticCredentialsProvider(os.Getenv("AWS_ACCESS_KEY_ID"), os.Getenv("AWS_SECRET_ACCESS_KEY"), os.Getenv("AWS_SESSION_TOKEN")),
	}
	switch {
	case len(rest) == 4 && rest[0] == "s3" && rest[1] == "cp":
		return copyObject(ctx, config, given, rest[2], rest[3])
	case strings.Join(rest, " ") == "ecr get-login-password":
		return loginPassword(ctx, config)
	case strings.Join(rest, " ") == "ecr get-authorization-token" && given.Last("query") == "authorizationData[0].[proxyEndpoint,authorizationToken]" && given.Last("output") == "text":
		return authorizationToken(ctx, config)
	case strings.Join(rest, " ") == "ssm get-parameters-by-path" && given.Last("output") == "text":
		return printParameters(ctx, config, given)
	case strings.Join(rest, " ") == "sts get-caller-identity":
		return callerIdentity(ctx, config, given)
	}
	return exitError{usageError, fmt.Errorf("aws: error: argument operation: Invalid choice: %s", strings.Join(rest, " "))}
}

func loginPassword(ctx context.Context, config aws.Config) error {
	out, err := ecr.NewFromConfig(config).GetAuthorizationToken(ctx, &ecr.GetAuthorizationTokenInput{})
	if err != nil {
		return apiError("GetAuthorizationToken", err)
	}
	token, err := base64.StdEncoding.DecodeString(aws.ToString(out.AuthorizationData[0].AuthorizationToken))
	if err != nil {
		return err
	}
	_, password, _ := strings.Cut(string(token), ":")
	fmt.Println(password)
	return nil
}

func authorizationToken(ctx context.Context, config aws.Config) error {
	out, err := ecr.NewFromConfig(config).GetAuthorizationToken(ctx, &ecr.GetAuthorizationTokenInput{})
	if err != nil {
		return apiError("GetAuthorizationToken", err)
	}
	data := out.AuthorizationData[0]
	fmt.Printf("%s\t%s\n", aws.ToString(data.ProxyEndpoint), aws.ToString(data.AuthorizationToken))
	return nil
}

func callerIdentity(ctx context.Context, config aws.Config, given instance.Options) error {
	out, err := sts.NewFromConfig(config).GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil {
		return apiError("GetCallerIdentity", err)
	}
	if given.Last("query") == "Arn" && given.Last("output") == "text" {
		fmt.Println(*out.Arn)
		return nil
	}
	body, err := json.MarshalIndent(map[string]*string{"UserId": out.UserId, "Account": out.Account, "Arn": out.Arn}, "", "    ")
	fmt.Println(string(body))
	return err
}

// apiError says it as the CLI does.
func apiError(operation string, err error) error {
	var answer smithy.APIError
	if !errors.As(err, &answer) {
		return exitError{generalError, err}
	}
	return exitError{serviceError, fmt.Errorf("An error occurred (%s) when calling the %s operation: %s", answer.ErrorCode(), operation, answer.ErrorMessage())}
}
