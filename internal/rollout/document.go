package rollout

import (
	"context"
	"errors"
	"fmt"

	"github.com/org/atta-deploy-action/deploy"
	"github.com/org/atta-deploy-action/internal/fleet"
)

// DocumentError means that the SSM document cannot be used, so no command was sent.
type DocumentError struct {
	Name    string
	Problem string
}

func (e *DocumentError) Error() string {
	return fmt.Sprintf("document-name: the SSM document %s %s", e.Name, e.Problem)
}

// checkDocument requires the document of document-name to be the one of this version of the action, for the service and the
// operation. Commands are then sent with the version that was checked.
func (r *run) checkDocument(ctx context.Context) error {
	name, service := r.plan.Rollout.Document, r.plan.Release.Service
	if name == "" {
		return nil
	}
	document, content, err := r.services.Fleet.ReadDocument(ctx, name)
	if errors.Is(err, fleet.ErrNoDocument) {
		return &DocumentError{name, "does not exist in region " + r.plan.Region}
	}
	if err != nil {
		return err
	}
	use, needed := deploy.DocumentUseOf(content, service), r.documentUse()
	switch {
	case use == "":
		return &DocumentError{name, fmt.Sprintf("has another content in version %s than this version of the action requires for the service %s", document.Version, service)}
	case !use.Includes(needed):
		return &DocumentError{name, fmt.Sprintf("is for operation: %s, not for operation: %s", use, needed)}
	case r.plan.Operation == Rollback && use != deploy.DocumentForDeploy && r.plan.Rollout.Policy.HealthCommand != "":
		return &DocumentError{name, "does not allow a health-command, which instances run as root; only that for operation: deploy does"}
	}
	r.document = document
	return nil
}

// documentUse is the use of the document that the operation requires.
func (r *run) documentUse() deploy.DocumentUse {
	switch {
	case r.plan.DryRun: // only asks
	case r.plan.Operation == Deploy:
		return deploy.DocumentForDeploy
	case r.plan.Operation == Rollback:
		return deploy.DocumentForRollback
	}
	return deploy.DocumentForStatus
}

// newCommand returns the command that has hosts run a request: with the document that was checked, or as a script.
func (c *commander) newCommand(request deploy.Request) (command fleet.Command, err error) {
	switch {
	case c.document.Name == "":
		command.Lines, err = deploy.Script(request)
	case c.document.Version == "":
		err = fmt.Errorf("the SSM document %s was not checked", c.document.Name)
	default:
		command.Document = c.document
		command.Parameters, err = deploy.DocumentParameters(request)
	}
	return command, err
}
