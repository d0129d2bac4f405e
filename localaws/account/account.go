// Package account creates in a local AWS what the Terraform module of this repository creates in an account of AWS: the
// repository, the bucket, the SSM documents and the roles, with the module's own policies. The working directory must be
// in the repository.
package account

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"

	"github.com/org/atta-deploy-action/deploy"
	"github.com/org/atta-deploy-action/localaws"
	"github.com/org/atta-deploy-action/localaws/iam"
)

// Module is the module with the values of its variables, for the repository org/atta on GitHub.
type Module struct {
	Service, Environment string
	Repository, Bucket   string
	Document             string // that every role sends; empty: each has a separate one
	LogGroup             string // empty: none
}

// Operations are those that have a role and a document.
var Operations = []string{"deploy", "rollback", "status"}

// Create creates everything.
func (m Module) Create(s *localaws.Server) error {
	s.CreateRepository(m.Repository, "IMMUTABLE_WITH_EXCLUSION")
	problems := []error{m.CreateBucket(s)}
	if m.Document == "" {
		problems = append(problems, m.CreateDocuments(s))
	}
	for _, name := range append(Operations, "plan", "instance") {
		role, err := m.Role(s.Options(), name)
		if err == nil {
			err = s.CreateRole(role)
		}
		problems = append(problems, err)
	}
	return errors.Join(problems...)
}

// CreateBucket creates the bucket with its policy, or replaces one of that name.
func (m Module) CreateBucket(s *localaws.Server, options ...localaws.BucketOption) error {
	text, err := m.Policy(s.Options(), "bucket")
	if err != nil {
		return err
	}
	policy, err := iam.Parse(text)
	if err != nil {
		return fmt.Errorf("create bucket %s: %w", m.Bucket, err)
	}
	s.CreateBucket(m.Bucket, append([]localaws.BucketOption{localaws.WithPolicy(policy)}, options...)...)
	return nil
}

// CreateDocuments creates the document of each operation.
func (m Module) CreateDocuments(s *localaws.Server) (err error) {
	for _, operation := range Operations {
		err = errors.Join(err, s.CreateDocument(m.DocumentName(operation), deploy.Document(m.Service, deploy.DocumentUse(operation))))
	}
	return err
}

// DocumentName returns the name of the document that the role of an operation may send.
func (m Module) DocumentName(operation string) string {
	if m.Document != "" {
		return m.Document
	}
	if operation == "plan" { // only asks, as a status does
		operation = "status"
	}
	return operation + "-" + m.Service + "-" + m.Environment
}

// RoleName returns the name of the role of an operation, or of the instances.
func (m Module) RoleName(name string) string { return m.Service + "-" + name + "-" + m.Environment }

// Role returns the role of an operation, or of the instances, as the module creates it. That of a plan is for the GitHub
// environment <environment>-plan.
func (m Module) Role(o localaws.Options, name string) (localaws.Role, error) {
	trust := "trust"
	if name == "instance" || name == "plan" {
		trust = name + "-trust"
	}
	trusted, err := m.Policy(o, trust)
	if err != nil {
		return localaws.Role{}, err
	}
	role := localaws.Role{Name: m.RoleName(name), Trust: trusted}
	files := []string{name}
	switch {
	case m.LogGroup == "" || name == "status" || name == "plan":
	case name == "instance":
		files = append(files, "log-write")
	default:
		files = append(files, "log-read")
	}
	for _, file := range files {
		policy, err := m.Policy(o, file)
		if err != nil {
			return role, err
		}
		role.Policies = append(role.Policies, policy)
	}
	return role, nil
}

var placeholder = regexp.MustCompile(`\$\{([a-z_]+)\}`)

// Policy returns a policy of terraform/policies, as Terraform's templatefile fills it in; plan-trust is trust for the GitHub
// environment of plans.
func (m Module) Policy(o localaws.Options, name string) (text string, err error) {
	trusted := m.Environment
	if name == "plan-trust" {
		name, trusted = "trust", m.Environment+"-plan"
	}
	folder, err := policyFolder()
	if err != nil {
		return "", err
	}
	template, err := os.ReadFile(filepath.Join(folder, name+".json"))
	if err != nil {
		return "", fmt.Errorf("read policy: %w", err)
	}
	values := map[string]string{
		"account": o.Account, "partition": o.Partition, "region": o.Region,
		"service": m.Service, "environment": m.Environment, "repository": m.Repository, "bucket": m.Bucket,
		"github_environment": trusted, "github_owner": "org", "github_owner_id": "1234567", "github_name": "atta", "github_repository_id": "987654321",
		"document_name": m.DocumentName(name), "document_owner": o.Account,
		"log_group": m.LogGroup, "settings_path": "/" + m.Service + "/" + m.Environment,
	}
	if m.Document == "AWS-RunShellScript" { // documents of AWS belong to no account
		values["document_owner"] = ""
	}
	return placeholder.ReplaceAllStringFunc(string(template), func(found string) string {
		value, ok := values[placeholder.FindStringSubmatch(found)[1]]
		if !ok {
			err = fmt.Errorf("policy %s has the placeholder %s, which is unknown", name, found)
		}
		return value
	}), err
}

// policyFolder returns terraform/policies of the repository in which the working directory is.
func policyFolder() (string, error) {
	dir, err := os.Getwd()
	for ; err == nil; dir = filepath.Dir(dir) {
		folder := filepath.Join(dir, "terraform", "policies")
		if _, missing := os.Stat(folder); missing == nil {
			return folder, nil
		}
		if dir == filepath.Dir(dir) {
			return "", errors.New("find terraform/policies: not in or above the working directory")
		}
	}
	return "", fmt.Errorf("find terraform/policies: %w", err)
}
