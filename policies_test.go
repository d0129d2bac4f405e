package main

import (
	"encoding/json"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// exampleNames are the values of the policies' placeholders in the documentation.
var exampleNames = map[string]string{
	"account": "123456789012", "bucket": "atta-dev-deploy-123456789012", "document_owner": "123456789012",
	"environment": "dev", "github_environment": "dev", "github_name": "atta", "github_owner": "org", "github_owner_id": "1234567", "github_repository_id": "987654321",
	"log_group": "/deploy/atta-dev", "partition": "aws", "region": "us-east-1", "repository": "atta-dev", "service": "atta", "settings_path": "/atta/dev",
	"settings_key": "arn:aws:kms:us-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab",
}

var placeholder = regexp.MustCompile(`\$\{([a-z_]+)\}`)

// policies returns the policies of the module, by the name of their file, with the example names.
func policies(t *testing.T) map[string]string {
	t.Helper()
	files, err := filepath.Glob("terraform/policies/*.json")
	if err != nil || len(files) != 11 {
		t.Fatal(err, files)
	}
	found := map[string]string{}
	for _, file := range files {
		found[filepath.Base(file)] = placeholder.ReplaceAllStringFunc(readFile(t, file), func(name string) string {
			value, ok := exampleNames[placeholder.FindStringSubmatch(name)[1]]
			if name == "${document_name}" {
				operation := strings.TrimSuffix(filepath.Base(file), ".json")
				value, ok = strings.Replace(operation, "plan", "status", 1)+"-atta-dev", true // a plan only asks
			}
			if !ok {
				t.Errorf("%s has the placeholder %s", file, name)
			}
			return value
		})
	}
	return found
}

// actions returns the actions of a policy.
func actions(t *testing.T, policy string) (list []string) {
	t.Helper()
	var document struct{ Statement []struct{ Action any } }
	if err := json.Unmarshal([]byte(policy), &document); err != nil {
		t.Fatal(err)
	}
	for _, statement := range document.Statement {
		switch action := statement.Action.(type) {
		case string:
			list = append(list, action)
		case []any:
			for _, one := range action {
				list = append(list, one.(string))
			}
		}
	}
	return list
}

func TestPermissionsPageShowsThePoliciesOfTheModule(t *testing.T) {
	page := readFile(t, "docs/permissions.md")
	all := policies(t)
	var shown []string
	for _, block := range jsonBlock.FindAllStringSubmatch(page, -1) {
		shown = append(shown, block[1])
	}
	if !slices.Contains(shown, all["deploy.json"]) {
		t.Errorf("docs/permissions.md does not show terraform/policies/deploy.json, which reads with its example names\n%s", all["deploy.json"])
	}
	for file, policy := range all {
		for _, action := range actions(t, policy) {
			if !strings.Contains(page, "`"+action+"`") && !strings.Contains(page, `"`+action+`"`) && action != "s3:*" {
				t.Errorf("docs/permissions.md does not name %s of terraform/policies/%s", action, file)
			}
		}
	}
}

func TestOnlyTheInstancesRoleReadsParameters(t *testing.T) {
	for file, policy := range policies(t) {
		reads := slices.ContainsFunc(actions(t, policy), func(action string) bool {
			return strings.Contains(action, "Parameter") || strings.HasPrefix(action, "kms:")
		})
		if want := file == "instance.json" || file == "settings-key.json"; reads != want {
			t.Errorf("terraform/policies/%s reads parameters: %t, want %t", file, reads, want)
		}
	}
}

func TestDeployPolicyAllowsEveryAWSCall(t *testing.T) {
	allowed := append(actions(t, policies(t)["deploy.json"]), "ecr:CreateRepository") // with create-repository only
	allowed = append(allowed, actions(t, policies(t)["log-read.json"])...)            // with log-group only
	files, err := filepath.Glob("internal/*/*.go")
	if err != nil || len(files) == 0 {
		t.Fatal(err, "no sources")
	}
	calls := map[string]bool{}
	for _, file := range files {
		for _, call := range awsCall.FindAllStringSubmatch(readFile(t, file), -1) {
			action := strings.NewReplacer("HeadObject", "GetObject", "cloudwatchlogs:", "logs:").Replace(call[1] + ":" + call[2])
			calls[action] = true
			if !strings.HasSuffix(file, "_test.go") && !slices.Contains(allowed, action) {
				t.Errorf("%s calls %s, which terraform/policies/deploy.json does not allow", file, action)
			}
		}
	}
	for _, action := range allowed {
		// The registry protocol and S3's answer to a missing key need the other permissions.
		if service, _, _ := strings.Cut(action, ":"); (service == "ssm" || service == "logs") && !calls[action] {
			t.Errorf("a policy of the deploy role allows %s, which the action never calls", action)
		}
	}
}
