package iam_test

import (
	"testing"

	"github.com/org/atta-deploy-action/localaws/iam"
)

// parse returns a policy of statements.
func parse(t *testing.T, statements string) iam.Policy {
	t.Helper()
	p, err := iam.Parse(`{"Version":"2012-10-17","Statement":[` + statements + `]}`)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestStatementsApplyAsInAWS(t *testing.T) {
	read := iam.Request{Action: "s3:GetObject", Resource: "arn:aws:s3:::b/dev/atta/k"}
	with := func(keys map[string]string) iam.Request { r := read; r.Keys = keys; return r }
	by := func(kind, name string) iam.Request {
		r := read
		r.Principal = iam.Principal{Kind: kind, Names: []string{name}}
		return r
	}
	for name, test := range map[string]struct {
		statements string
		request    iam.Request
		want       iam.Decision
	}{
		"exact":                        {`{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::b/dev/atta/k"}`, read, iam.Allowed},
		"actions ignore case":          {`{"Effect":"Allow","Action":"s3:getobject","Resource":"*"}`, read, iam.Allowed},
		"wildcards":                    {`{"Effect":"Allow","Action":"s3:Get*","Resource":"arn:aws:s3:::?/dev/*/k"}`, read, iam.Allowed},
		"a star takes slashes":         {`{"Effect":"Allow","Action":"s3:*","Resource":"arn:aws:s3:::b/*"}`, read, iam.Allowed},
		"another action":               {`{"Effect":"Allow","Action":"s3:PutObject","Resource":"*"}`, read, iam.NotAllowed},
		"another resource":             {`{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::b/dev/other/*"}`, read, iam.NotAllowed},
		"resources do not ignore case": {`{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::B/*"}`, read, iam.NotAllowed},
		"a prefix does not match":      {`{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::b/dev"}`, read, iam.NotAllowed},
		"one of several":               {`{"Effect":"Allow","Action":["s3:PutObject","s3:GetObject"],"Resource":["x","*"]}`, read, iam.Allowed},
		"deny wins":                    {`{"Effect":"Deny","Action":"s3:*","Resource":"*"},{"Effect":"Allow","Action":"*","Resource":"*"}`, read, iam.Denied},
		"NotAction":                    {`{"Effect":"Deny","NotAction":"s3:GetObject","Resource":"*"},{"Effect":"Allow","NotAction":"iam:*","Resource":"*"}`, read, iam.Allowed},
		"StringEquals":                 {`{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"StringEquals":{"ssm:resourceTag/Env":["x","dev"]}}}`, with(map[string]string{"ssm:resourcetag/env": "dev"}), iam.Allowed},
		"StringEquals, another":        {`{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"StringEquals":{"ssm:resourceTag/Env":"dev"}}}`, with(map[string]string{"ssm:resourcetag/env": "Dev"}), iam.NotAllowed},
		"StringEquals, missing":        {`{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"StringEquals":{"ssm:resourceTag/Env":"dev"}}}`, read, iam.NotAllowed},
		"all keys count":               {`{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"StringEquals":{"ssm:resourceTag/Env":"dev","ssm:resourceTag/S":"a"}}}`, with(map[string]string{"ssm:resourcetag/env": "dev"}), iam.NotAllowed},
		"StringNotEquals, missing":     {`{"Effect":"Deny","Action":"*","Resource":"*","Condition":{"StringNotEquals":{"s3:x-amz-server-side-encryption":"aws:kms"}}}`, read, iam.Denied},
		"StringLike":                   {`{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"StringLike":{"token.actions.githubusercontent.com:sub":"repo:org/*:dev"}}}`, with(map[string]string{"token.actions.githubusercontent.com:sub": "repo:org/atta:dev"}), iam.Allowed},
		"Bool":                         {`{"Effect":"Deny","Action":"*","Resource":"*","Condition":{"Bool":{"aws:SecureTransport":"false"}}}`, with(map[string]string{"aws:securetransport": "false"}), iam.Denied},
		"Bool, another":                {`{"Effect":"Deny","Action":"*","Resource":"*","Condition":{"Bool":{"aws:SecureTransport":"false"}}}`, with(map[string]string{"aws:securetransport": "true"}), iam.NotAllowed},
		"Null, missing":                {`{"Effect":"Deny","Action":"*","Resource":"*","Condition":{"Null":{"s3:if-none-match":"true"}}}`, read, iam.Denied},
		"Null, present":                {`{"Effect":"Deny","Action":"*","Resource":"*","Condition":{"Null":{"s3:if-none-match":"true"}}}`, with(map[string]string{"s3:if-none-match": "*"}), iam.NotAllowed},
		"everybody":                    {`{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}`, by("AWS", "arn:x"), iam.Allowed},
		"somebody":                     {`{"Effect":"Allow","Principal":{"AWS":["arn:x"]},"Action":"*","Resource":"*"}`, by("AWS", "arn:x"), iam.Allowed},
		"somebody else":                {`{"Effect":"Allow","Principal":{"AWS":"arn:y"},"Action":"*","Resource":"*"}`, by("AWS", "arn:x"), iam.NotAllowed},
		"another kind of principal":    {`{"Effect":"Allow","Principal":{"Service":"arn:x"},"Action":"*","Resource":"*"}`, by("AWS", "arn:x"), iam.NotAllowed},
	} {
		t.Run(name, func(t *testing.T) {
			if got := iam.Evaluate(test.request, parse(t, test.statements)); got != test.want {
				t.Errorf("the decision is %d, want %d", got, test.want)
			}
		})
	}
}

// A condition that nobody here has thought of must not pass unseen.
func TestPoliciesThatAreNotUnderstoodAreRefused(t *testing.T) {
	for name, document := range map[string]string{
		"operator":     `{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"ForAnyValue:StringEquals":{"aws:SecureTransport":"x"}}}`,
		"key":          `{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"StringEquals":{"aws:SourceIp":"x"}}}`,
		"key of a tag": `{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"StringEquals":{"ssm:resourceTag/":"x"}}}`,
		"element":      `{"Effect":"Allow","Action":"*","NotResource":"x"}`,
		"effect":       `{"Effect":"allow","Action":"*","Resource":"*"}`,
		"no action":    `{"Effect":"Allow","Resource":"*"}`,
		"action":       `{"Effect":"Allow","Action":"s3 GetObject","Resource":"*"}`,
		"principal":    `{"Effect":"Allow","Principal":{"CanonicalUser":"x"},"Action":"*"}`,
		"variable":     `{"Effect":"Allow","Action":"*","Resource":"${aws:username}"}`,
		"in a value":   `{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"StringEquals":{"ssm:resourceTag/a":"${x}"}}}`,
	} {
		if p, err := iam.Parse(`{"Version":"2012-10-17","Statement":[` + document + `]}`); err == nil {
			t.Errorf("%s: it is read as %v", name, p)
		}
	}
	if _, err := iam.Parse(`{"Version":"2008-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`); err == nil {
		t.Error("an old version is read")
	}
}

func TestGrantsAreEachActionOnEachResource(t *testing.T) {
	p := parse(t, `{"Effect":"Allow","Action":["s3:GetObject","s3:Put*"],"Resource":["a","b/*"]},{"Effect":"Deny","Action":"*","Resource":"*"}`)
	grants := p.Grants()
	if len(grants) != 4 || grants[3] != (iam.Grant{Action: "s3:Put*", Resource: "b/*"}) {
		t.Fatalf("grants are %v", grants)
	}
	if !grants[3].Covers("s3:PutObject", "b/c") || grants[3].Covers("s3:PutObject", "a") || grants[3].Covers("s3:GetObject", "b/c") {
		t.Errorf("%v covers something else", grants[3])
	}
}
