package rollout

// DocsURL is where the pages of this action's documentation are, by their file names.
const DocsURL = "https://github.com/org/atta-deploy-action/blob/v1/docs/"

// The pages that warnings link to.
const (
	clockPage       = DocsURL + "instance.md#requirements"
	liveLogPage     = DocsURL + "rollouts.md#the-live-log"
	leftoverPage    = DocsURL + "rollouts.md#what-is-kept-in-the-bucket"
	permissionsPage = DocsURL + "permissions.md#the-deploying-role"
	operationsPage  = DocsURL + "rollouts.md#operations"
	unhealthyPage   = DocsURL + "rollouts.md#when-an-instance-is-not-healthy"
	versionsPage    = DocsURL + "rollouts.md#versions"
)
