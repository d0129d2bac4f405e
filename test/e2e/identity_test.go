package e2e

import (
	"regexp"
	"strings"
	"testing"

	"github.com/org/atta-deploy-action/localaws"
)

// withOIDC is a step that has a token of the job and nothing else.
func (s *stage) withOIDC(settings ...string) *step {
	p := s.step(append([]string{"role-to-assume=" + role}, settings...)...).withoutKeys()
	p.Env = append(p.Env, s.aws.OIDCEnv()...)
	return p
}

// AWS says only that the call is not allowed.
func TestRefusedOIDCTokenIsExplained(t *testing.T) {
	for name, test := range map[string]struct {
		options  localaws.Options
		trusted  string // subject; empty: those of the module
		settings []string
		want     []string
	}{
		"subject with IDs": {
			localaws.Options{}, "repo:org/atta:*", nil,
			[]string{"the sub repo:org@1234567/atta@987654321:environment:dev and the aud sts.amazonaws.com", `"token.actions.githubusercontent.com:sub":"repo:org@1234567/atta@987654321:environment:dev"}}`, "since 2026-07-15"},
		},
		"subject of another environment": {
			localaws.Options{Subject: "repo:org/atta:environment:prod"}, "", nil,
			[]string{"the sub repo:org/atta:environment:prod", `{"StringEquals":{"`, `:aud":"sts.amazonaws.com",`, `:sub":"repo:org/atta:environment:prod"}}`},
		},
		"subject of a tag": {
			localaws.Options{Subject: "repo:org/atta:ref:refs/tags/0.1.0-dev"}, "", nil,
			[]string{"the sub repo:org/atta:ref:refs/tags/0.1.0-dev", `"StringLike":{"`, `:sub":"repo:org/atta:ref:refs/tags/*-dev"}}`},
		},
		"audience": {
			localaws.Options{}, "", []string{"audience=https://github.com/org"},
			[]string{"the aud https://github.com/org", "set audience"},
		},
		"no provider": {
			localaws.Options{Provider: localaws.Provider{Missing: true}}, "", nil,
			[]string{"Create the OIDC identity provider https://token.actions.githubusercontent.com with the audience sts.amazonaws.com"},
		},
		"duration": {
			localaws.Options{}, "", []string{"role-duration-seconds=7200"},
			[]string{"Lower role-duration-seconds"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := begin(t, false, test.options)
			if test.trusted != "" {
				s.trustSubject(test.trusted)
			}
			s.build("0.1.0-dev")
			out := s.withOIDC(test.settings...).run()
			out.wants("failed")
			out.says(test.want...)
			if shown := regexp.MustCompile("(?m)^::add-mask::.*").ReplaceAllString(out.log+out.summary, ""); strings.Contains(shown, "eyJ") {
				t.Errorf("the token is shown:\n%s", shown)
			}
			if strings.Contains(out.log, "set audience") != (name == "audience") {
				t.Errorf("hints are mixed:\n%s", out.log)
			}
		})
	}
}

func TestDeniedRoleNamesBothPolicies(t *testing.T) {
	s := play(t)
	s.build("0.1.0-dev")
	out := s.run("role-to-assume=arn:aws:iam::999999999999:role/atta-deploy-dev")
	out.wants("failed")
	out.says(":assumed-role/atta-deploy-dev/step is not authorized", "grant that identity sts:AssumeRole", "role-external-id")
}

func TestDeployInEveryPartition(t *testing.T) {
	for region, console := range map[string]string{
		"eusc-de-east-1": "https://eusc-de-east-1.console.amazonaws-eusc.eu/systems-manager/run-command/",
		"us-isob-east-1": "https://us-isob-east-1.console.sc2shome.sgov.gov/systems-manager/run-command/",
		"cn-north-1":     "https://cn-north-1.console.amazonaws.cn/systems-manager/run-command/",
	} {
		t.Run(region, func(t *testing.T) {
			s := begin(t, true, localaws.Options{Region: region})
			s.build("0.1.0-dev")
			out := s.run("aws-region=" + region)
			out.wants("success")
			s.wantRuns("0.1.0-dev")
			if got := out.outputs["console-url"]; !strings.HasPrefix(got, console) {
				t.Errorf("console-url is %s", got)
			}
		})
	}
}
