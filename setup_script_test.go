package main

import (
	"cmp"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/org/atta-deploy-action/deploy"
)

// recordAWS takes the place of the AWS CLI in a new account: it appends its arguments to a file, each followed by a NUL
// and a call by another, and finds nothing, except for "ssm describe-document" if EXISTS is that.
const recordAWS = `#!/usr/bin/env bash
printf '%s\0' "$@" '' >>"$CALLS"
case "$1 $2" in
  'sts get-caller-identity') printf 'arn:aws:sts::123456789012:assumed-role/admin/me\n' ;;
  "$EXISTS") printf '3\n' ;;
  'logs describe-'*) ;;
  *' get-'* | *' head-'* | *' describe-'*) exit 254 ;;
  'ssm update-document') printf 'An error occurred (DuplicateDocumentContent)\n' >&2 && exit 254 ;;
esac
`

// runSetupScript returns the calls of the AWS CLI that examples/account/setup.sh makes, by their first two words and the
// name of a role or a document, and what the script prints. The call that exists, if any, finds something.
func runSetupScript(t *testing.T, exists string, env ...string) (calls map[string][]string, printed string) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "aws"), []byte(recordAWS), 0o755); err != nil {
		t.Fatal(err)
	}
	script := exec.CommandContext(t.Context(), "examples/account/setup.sh", "atta", "dev", "org/atta", "1234567", "987654321")
	script.Env = append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"), "CALLS="+filepath.Join(dir, "calls"), "EXISTS="+exists, "AWS_REGION=us-east-1")
	script.Env = append(script.Env, env...)
	var errors strings.Builder
	script.Stderr = &errors
	out, err := script.Output()
	if err != nil {
		t.Fatal(err, errors.String())
	}
	calls = map[string][]string{}
	for call := range strings.SplitSeq(strings.TrimSuffix(readFile(t, filepath.Join(dir, "calls")), "\x00\x00"), "\x00\x00") {
		words := strings.Split(call, "\x00")
		calls[strings.TrimSpace(words[0]+" "+words[1]+" "+cmp.Or(option(words, "--role-name"), option(words, "--name")))] = words
	}
	return calls, string(out)
}

// option returns the value of an option of a command, or "".
func option(words []string, name string) string {
	if i := slices.Index(words, name); i >= 0 && i+1 < len(words) {
		return words[i+1]
	}
	return ""
}

func TestSetupScriptCreatesWhatTheModuleCreates(t *testing.T) {
	calls, printed := runSetupScript(t, "")
	wanted := policies(t)
	trust := map[string]string{"instance": wanted["instance-trust.json"]}
	for _, role := range []string{"deploy", "rollback", "status", "instance"} {
		if document := calls["ssm create-document "+role+"-atta-dev"]; role != "instance" && deploy.DocumentUseOf(option(document, "--content"), "atta") != deploy.DocumentUse(role) {
			t.Errorf("the document for %s is created with %.200q", role, document)
		}
		name := "atta-" + role + "-dev"
		if got := option(calls["iam put-role-policy "+name], "--policy-document") + "\n"; got != wanted[role+".json"] {
			t.Errorf("the policy of %s is\n%s", name, got)
		}
		for call, document := range map[string]string{"create-role": "--assume-role-policy-document", "update-assume-role-policy": "--policy-document"} {
			if got := option(calls["iam "+call+" "+name], document) + "\n"; got != cmp.Or(trust[role], wanted["trust.json"]) {
				t.Errorf("%s trusts, by %s,\n%s", name, call, got)
			}
		}
	}
	if got := option(calls["s3api put-bucket-policy"], "--policy") + "\n"; got != wanted["bucket.json"] {
		t.Errorf("the policy of the bucket is\n%s", got)
	}
	// What is not in a file that both read: a value of the script, and the line of the module that sets the same.
	for _, same := range []struct{ call, value, file, line string }{
		{"cloudformation deploy", "/terraform/repository.json", "repository", `file("${path.module}/repository.json")`},
		{"cloudformation deploy", "Name=atta-dev", "repository", "{ Name = local.repository }"},
		{"s3api create-bucket", "atta-dev-deploy-123456789012", "bucket", "bucket = local.bucket"},
		{"s3api put-public-access-block", "BlockPublicAcls=true", "bucket", "block_public_acls = true"},
		{"s3api put-public-access-block", "BlockPublicPolicy=true", "bucket", "block_public_policy = true"},
		{"s3api put-public-access-block", "IgnorePublicAcls=true", "bucket", "ignore_public_acls = true"},
		{"s3api put-public-access-block", "RestrictPublicBuckets=true", "bucket", "restrict_public_buckets = true"},
		{"s3api put-bucket-ownership-controls", "ObjectOwnership=BucketOwnerEnforced", "bucket", `object_ownership = "BucketOwnerEnforced"`},
		{"s3api put-bucket-encryption", `"SSEAlgorithm":"AES256"`, "bucket", `sse_algorithm = "AES256"`},
		{"s3api put-bucket-versioning", "Status=Enabled", "bucket", `status = "Enabled"`},
		{"s3api put-bucket-lifecycle-configuration", `"Filter":{"Prefix":"deployments/"}`, "bucket", `prefix = "deployments/"`},
		{"s3api put-bucket-lifecycle-configuration", `"NoncurrentDays":1,`, "bucket", "noncurrent_days = 1\n"},
		{"s3api put-bucket-lifecycle-configuration", `"NewerNoncurrentVersions":10}`, "bucket", "newer_noncurrent_versions = 10"},
		{"iam create-open-id-connect-provider", "https://token.actions.githubusercontent.com", "roles", `url = "https://token.actions.githubusercontent.com"`},
		{"iam create-open-id-connect-provider", "sts.amazonaws.com", "roles", `client_id_list = ["sts.amazonaws.com"]`},
		{"iam attach-role-policy atta-instance-dev", "arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore", "roles", "policy/AmazonSSMManagedInstanceCore"},
		{"iam add-role-to-instance-profile atta-instance-dev", "atta-instance-dev", "roles", "name = aws_iam_role.instance.name"},
	} {
		module := regexp.MustCompile(` += `).ReplaceAllString(readFile(t, "terraform/"+same.file+".tf"), " = ")
		if !strings.Contains(module, same.line) || !strings.Contains(strings.Join(calls[same.call], " "), same.value) {
			t.Errorf("aws %s must have %s, as terraform/%s.tf has %s; it is %q", same.call, same.value, same.file, same.line, calls[same.call])
		}
	}
	// The module's own test has the same commands, for another repository.
	test := strings.NewReplacer("Org/atta-jobs", "org/atta", "\n      ", "\n").Replace(readFile(t, "terraform/tests/instance.tftest.hcl"))
	if printed == "" || !strings.Contains(test, printed) {
		t.Errorf("the script prints other commands than the module:\n%s", printed)
	}
	for _, variable := range regexp.MustCompile(`variable set (\S+)`).FindAllStringSubmatch(printed, -1) {
		if !strings.Contains(readFile(t, "docs/workflows.md"), "| `"+variable[1]+"` |") {
			t.Errorf("docs/workflows.md has no row for the variable %s", variable[1])
		}
	}
}

func TestSetupScriptCreatesTheRoleOfAPlan(t *testing.T) {
	calls, printed := runSetupScript(t, "", "PLAN_ENVIRONMENT=dev-plan")
	trusted, wanted := option(calls["iam create-role atta-plan-dev"], "--assume-role-policy-document")+"\n", policies(t)
	if trusted != strings.ReplaceAll(wanted["trust.json"], ":environment:dev\"", ":environment:dev-plan\"") || trusted == wanted["trust.json"] {
		t.Errorf("the role of a plan trusts\n%s", trusted)
	}
	if got := option(calls["iam put-role-policy atta-plan-dev"], "--policy-document") + "\n"; got != wanted["plan.json"] {
		t.Errorf("the policy of a plan is\n%s", got)
	}
	if got := option(calls["iam create-role atta-deploy-dev"], "--assume-role-policy-document") + "\n"; got != wanted["trust.json"] {
		t.Errorf("the role of a deploy trusts\n%s", got)
	}
	test := strings.NewReplacer("Org/atta-jobs", "org/atta", "\n      ", "\n").Replace(readFile(t, "terraform/tests/plan.tftest.hcl"))
	if _, printed, _ = strings.Cut(printed, "status-atta-dev'\n"); printed == "" || !strings.Contains(test, printed) {
		t.Errorf("for the plan, the script prints other commands than the module:\n%s", printed)
	}
}

// The rules of an environment that exists are the user's.
func TestPrintedCommandsLimitOnlyANewEnvironment(t *testing.T) {
	_, printed := runSetupScript(t, "")
	for exists, want := range map[string][]string{
		"true": {
			"api --silent repos/org/atta/environments/dev",
			"api repos/org/atta/environments/dev --jq .deployment_branch_policy == null",
		},
		"false": {
			"api --silent repos/org/atta/environments/dev",
			"api --silent --method PUT repos/org/atta/environments/dev -F deployment_branch_policy[protected_branches]=false -F deployment_branch_policy[custom_branch_policies]=true",
			"api --silent repos/org/atta/environments/dev/deployment-branch-policies -f type=tag -f name=*-dev",
			"api repos/org/atta --jq .default_branch",
			"api --silent repos/org/atta/environments/dev/deployment-branch-policies -f type=branch -f name=main",
		},
	} {
		dir := t.TempDir()
		gh := "#!/bin/sh\necho \"$*\" >>" + dir + "/calls\ncase $* in *'== null') echo true ;; *--jq*) echo main ;; *environments/dev) " + exists + " ;; esac\n"
		if err := os.WriteFile(filepath.Join(dir, "gh"), []byte(gh), 0o755); err != nil {
			t.Fatal(err)
		}
		sh := exec.CommandContext(t.Context(), "sh")
		sh.Env, sh.Stdin = append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH")), strings.NewReader(printed)
		out, err := sh.CombinedOutput()
		if err != nil {
			t.Fatal(err, string(out))
		}
		if warned := strings.Contains(string(out), "the environment dev existed and has no rules"); warned != (exists == "true") {
			t.Errorf("if that the environment exists is %s, the commands print %q", exists, out)
		}
		calls := strings.Split(strings.TrimSpace(readFile(t, filepath.Join(dir, "calls"))), "\n")
		calls = slices.DeleteFunc(calls, func(call string) bool { return strings.HasPrefix(call, "variable ") })
		if !slices.Equal(calls, want) {
			t.Errorf("if that the environment exists is %s, gh is called with\n%s", exists, strings.Join(calls, "\n"))
		}
	}
}

// One repository may have several services, each of which needs its own environment.
func TestPrintedCommandsKeepTheEnvironmentOfAnotherService(t *testing.T) {
	_, printed := runSetupScript(t, "", "PLAN_ENVIRONMENT=dev-plan")
	for repository, refused := range map[string]bool{"": false, "atta-dev": false, "web-dev": true} {
		dir := t.TempDir()
		gh := "#!/bin/sh\ncase $* in *'get ECR_REPOSITORY'*) echo '" + repository + "' ;; *) echo >>" + dir + "/changed ;; esac\n"
		if err := os.WriteFile(filepath.Join(dir, "gh"), []byte(gh), 0o755); err != nil {
			t.Fatal(err)
		}
		sh := exec.CommandContext(t.Context(), "sh")
		sh.Env, sh.Stdin = append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH")), strings.NewReader(printed)
		out, err := sh.CombinedOutput()
		_, unchanged := os.Stat(filepath.Join(dir, "changed"))
		if (err != nil) != refused || (unchanged != nil) != refused || strings.Contains(string(out), "of another service") != refused {
			t.Errorf("for an environment with the repository %q: %v, %v\n%s", repository, err, unchanged, out)
		}
	}
}

// The list may name other instances.
func TestPrintedCommandsKeepAListOfInstances(t *testing.T) {
	line := regexp.MustCompile(`gh variable get EC2_INSTANCE_ID .*--body 'i-0123456789abcdef0'`).FindString(readFile(t, "terraform/tests/instance.tftest.hcl"))
	for list, want := range map[string]string{
		"i-0123456789abcdef0":                      "i-0123456789abcdef0",
		"i-0fedcba9876543210, i-0123456789abcdef0": "i-0fedcba9876543210, i-0123456789abcdef0",
		"i-0fedcba9876543210":                      "i-0fedcba9876543210", // the instance may be left out on purpose
		"":                                         "i-0123456789abcdef0", // not set, or a gh that cannot read a variable
	} {
		dir := t.TempDir()
		write(t, filepath.Join(dir, "list"), list)
		gh := "#!/bin/sh\ncase $2 in get) cat " + dir + "/list; [ -s " + dir + "/list ] ;; set) printf %s \"$9\" >" + dir + "/list ;; esac\n"
		if err := os.WriteFile(filepath.Join(dir, "gh"), []byte(gh), 0o755); err != nil {
			t.Fatal(err)
		}
		sh := exec.CommandContext(t.Context(), "sh", "-c", line)
		sh.Env = append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"))
		if out, err := sh.CombinedOutput(); err != nil {
			t.Fatal(err, string(out))
		}
		if got := readFile(t, filepath.Join(dir, "list")); got != want {
			t.Errorf("the variable %q becomes %q, want %q", list, got, want)
		}
	}
}

func TestSetupScriptGrantsTheKeyOfTheSettings(t *testing.T) {
	t.Setenv("SETTINGS_KEY_ARN", exampleNames["settings_key"])
	calls, _ := runSetupScript(t, "")
	if got := option(calls["iam put-role-policy atta-instance-dev"], "--policy-document") + "\n"; got != policies(t)["settings-key.json"] {
		t.Errorf("the policy of the key is\n%s", got)
	}
}

func TestSetupScriptUpdatesDocuments(t *testing.T) {
	calls, _ := runSetupScript(t, "ssm describe-document")
	for _, operation := range []string{"deploy", "rollback", "status"} {
		name := operation + "-atta-dev"
		update, publish := calls["ssm update-document "+name], calls["ssm update-document-default-version "+name]
		if calls["ssm create-document "+name] != nil || deploy.DocumentUseOf(option(update, "--content"), "atta") != deploy.DocumentUse(operation) || option(update, "--document-version") != "$LATEST" {
			t.Errorf("the document %s is updated with %.200q", name, update)
		}
		if option(publish, "--document-version") != "3" {
			t.Errorf("the latest version of %s does not become its default version: %q", name, publish)
		}
	}
}

// A role has several policies, so these are found by the last one that was put.
func TestSetupScriptCreatesTheLogGroup(t *testing.T) {
	calls, printed := runSetupScript(t, "", "LOG_GROUP=/deploy/atta-dev")
	for role, file := range map[string]string{"deploy": "log-read", "rollback": "log-read", "instance": "log-write", "status": "status"} {
		call := calls["iam put-role-policy atta-"+role+"-dev"]
		if option(call, "--policy-name") != file || option(call, "--policy-document")+"\n" != policies(t)[file+".json"] {
			t.Errorf("the last policy of %s is %q", role, call)
		}
	}
	if option(calls["logs create-log-group"], "--log-group-name") != "/deploy/atta-dev" || option(calls["logs put-retention-policy"], "--retention-in-days") != "30" {
		t.Errorf("calls are %q", calls)
	}
	if !strings.Contains(printed, "gh variable set LOG_GROUP --env dev --repo org/atta --body '/deploy/atta-dev'\n") {
		t.Errorf("the script prints\n%s", printed)
	}
	if calls, printed := runSetupScript(t, ""); calls["logs put-retention-policy"] != nil || strings.Contains(printed, "LOG_GROUP") {
		t.Errorf("without LOG_GROUP, there are calls for logs, or the script prints it:\n%s", printed)
	}
}

func TestSetupScriptRefusesWildcards(t *testing.T) {
	valid := []string{"atta", "dev", "org/atta", "1234567", "987654321"}
	for i := range valid {
		arguments := slices.Clone(valid)
		arguments[i] += "*"
		script := exec.CommandContext(t.Context(), "examples/account/setup.sh", arguments...)
		script.Env = append(os.Environ(), "PATH="+t.TempDir()+":/usr/bin:/bin", "AWS_ENDPOINT_URL=http://127.0.0.1:1")
		if out, err := script.CombinedOutput(); err == nil || script.ProcessState.ExitCode() != 2 {
			t.Errorf("%v: %v\n%s", arguments, err, out)
		}
	}
}
