package awscli

import (
	"context"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"

	"github.com/org/atta-deploy-action/localaws/standins/instance"
)

// The JMESPath expressions that are understood.
const (
	namesQuery  = "Parameters[].[Name]"
	valuesQuery = "Parameters[].[contains(Value, `\"\\n\"`), Name, Value]"
)

// printParameters is aws ssm get-parameters-by-path with one of these queries and --output text, which reads every page.
func printParameters(ctx context.Context, config aws.Config, given instance.Options) error {
	query := given.Last("query")
	if query != namesQuery && query != valuesQuery {
		return exitError{usageError, fmt.Errorf("Bad value for --query %s", query)}
	}
	pages := ssm.NewGetParametersByPathPaginator(ssm.NewFromConfig(config), &ssm.GetParametersByPathInput{
		Path: aws.String(given.Last("path")), Recursive: aws.Bool(given.Has("recursive")), WithDecryption: aws.Bool(given.Has("with-decryption")),
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return apiError("GetParametersByPath", err)
		}
		for _, p := range page.Parameters {
			switch {
			case query == namesQuery:
				fmt.Println(*p.Name)
			case strings.Contains(*p.Value, "\n"):
				fmt.Printf("True\t%s\t%s\n", *p.Name, *p.Value)
			default:
				fmt.Printf("False\t%s\t%s\n", *p.Name, *p.Value)
			}
		}
	}
	return nil
}
