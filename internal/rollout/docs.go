package rollout

// DocsURL is where the pages of this action's documentation are, by their file names.
const DocsURL = "https://github.com/org/atta-deploy-action/blob/v1/docs/"
