package fleet

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
)

// RunShellScript is a document of AWS that exists in every account and region, and runs any script.
const RunShellScript = "AWS-RunShellScript"

// ErrNoDocument means that an account and region have no document of a name.
var ErrNoDocument = errors.New("the SSM document does not exist")

// Document is one version of an SSM document of the account. The content of a version never changes.
type Document struct{ Name, Version string }

// ReadDocument returns the default version of a document and its content. The content is compared instead of the hash that
// DescribeDocument returns, since AWS does not document what is hashed.
// https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_GetDocument.html
func (f *Fleet) ReadDocument(ctx context.Context, name string) (Document, string, error) {
	out, err := f.ssm.GetDocument(ctx, &ssm.GetDocumentInput{Name: &name, DocumentFormat: types.DocumentFormatJson})
	var missing *types.InvalidDocument
	switch {
	case errors.As(err, &missing):
		return Document{}, "", fmt.Errorf("%w: %s", ErrNoDocument, name)
	case err != nil:
		return Document{}, "", fmt.Errorf("read document %s: %w", name, err)
	}
	return Document{Name: name, Version: aws.ToString(out.DocumentVersion)}, aws.ToString(out.Content), nil
}
