package e2e

import (
	"regexp"
	"strings"

	"github.com/org/atta-deploy-action/localaws"
	"github.com/org/atta-deploy-action/localaws/account"
)

// usualModule is the Terraform module with the names that a step has by default.
var usualModule = account.Module{Service: "atta", Environment: "dev", Repository: "atta", Bucket: bucket, Document: "AWS-RunShellScript"}

// roleEnv creates the roles of the module whose names are those of a step's inputs, and returns the environment of the
// role that the step's operation needs, as aws-actions/configure-aws-credentials leaves it.
func (s *stage) roleEnv(inputs map[string]string) []string {
	s.t.Helper()
	module := moduleFor(inputs)
	for _, name := range append(account.Operations, "plan", "instance") {
		role, err := module.Role(s.aws.Options(), name)
		if err != nil {
			s.t.Fatal(err)
		}
		if name == "deploy" {
			role.Policies = append(role.Policies, s.otherPermissions(module, inputs)...)
		}
		if s.changeRole != nil {
			s.changeRole(&role)
		}
		if err := s.aws.CreateRole(role); err != nil {
			s.t.Fatal(err)
		}
	}
	return s.aws.RoleEnv(module.RoleName(roleOf(inputs)), "step")
}

// roleOf returns the name of the role that an operation needs: docs/permissions.md#what-each-permission-is-for.
func roleOf(inputs map[string]string) string {
	switch operation := inputs["operation"]; {
	case operation == "plan", operation == "doctor" && inputs["ecr-repository"] != "":
		return "plan"
	case operation == "rollback":
		return "rollback"
	case operation == "status", operation == "doctor":
		return "status"
	}
	return "deploy"
}

var plainName = regexp.MustCompile(`^[A-Za-z0-9/-]+$`)

// moduleFor returns the module for a step. A name that the step will refuse is not for the module either.
func moduleFor(inputs map[string]string) account.Module {
	m := usualModule
	for name, field := range map[string]*string{
		"service": &m.Service, "environment": &m.Environment, "ecr-repository": &m.Repository, "deploy-bucket": &m.Bucket, "document-name": &m.Document,
		"log-group": &m.LogGroup,
	} {
		if plainName.MatchString(inputs[name]) {
			*field = inputs[name]
		}
	}
	if strings.HasSuffix(m.Document, "-"+m.Service+"-"+m.Environment) {
		m.Document = "" // those of the module
	}
	return m
}

// otherPermissions are the policies that inputs need in addition: docs/permissions.md#the-deploying-role.
func (s *stage) otherPermissions(m account.Module, inputs map[string]string) (policies []string) {
	allow := func(actions, repository string) {
		o := s.aws.Options()
		policies = append(policies, `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["`+strings.ReplaceAll(actions, " ", `","`)+
			`"],"Resource":"arn:`+o.Partition+":ecr:"+o.Region+":"+o.Account+":repository/"+repository+`"}]}`)
	}
	if inputs["create-repository"] == "true" {
		allow("ecr:CreateRepository", m.Repository)
	}
	if reference, ok := strings.CutPrefix(inputs["image"], s.aws.RegistryHost()+"/"); ok {
		repository, _, _ := strings.Cut(reference, "@")
		repository, _, _ = strings.Cut(repository, ":")
		allow("ecr:BatchGetImage ecr:GetDownloadUrlForLayer", repository)
	}
	return policies
}

// trustSubject has the module's roles trust another subject, in which * matches any text.
func (s *stage) trustSubject(subject string) {
	s.changeRole = func(r *localaws.Role) {
		r.Trust = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sts:AssumeRoleWithWebIdentity",
			"Principal":{"Federated":"arn:aws:iam::` + accountID + `:oidc-provider/token.actions.githubusercontent.com"},
			"Condition":{"StringLike":{"token.actions.githubusercontent.com:sub":"` + subject + `"}}}]}`
	}
}
