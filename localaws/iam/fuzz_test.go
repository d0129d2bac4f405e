package iam

import (
	"regexp"
	"strings"
	"testing"
)

// FuzzMatchesWildcard compares the matcher with a regular expression.
func FuzzMatchesWildcard(f *testing.F) {
	f.Add("arn:aws:s3:::b/*/k", "arn:aws:s3:::b/dev/atta/k")
	f.Add("a*b?c", "aXXbbYc")
	f.Add("**", "")
	f.Add("?", "")
	f.Fuzz(func(t *testing.T, pattern, text string) {
		if strings.ContainsFunc(pattern+text, func(r rune) bool { return r > 126 || r < 32 }) || len(pattern) > 50 {
			return // ARNs are printable ASCII
		}
		expression := strings.NewReplacer(`\*`, ".*", `\?`, ".").Replace(regexp.QuoteMeta(pattern))
		if want := regexp.MustCompile("^" + expression + "$").MatchString(text); matchesWildcard(pattern, text) != want {
			t.Errorf("%q matches %q: want %t", pattern, text, want)
		}
	})
}

// FuzzParse looks for documents that crash the parser.
func FuzzParse(f *testing.F) {
	f.Add(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":["*"],"Principal":"*","Condition":{"Null":{"s3:if-none-match":"true"}}}]}`)
	f.Add(`{"Version":"2012-10-17","Statement":{}}`)
	f.Fuzz(func(_ *testing.T, document string) {
		if p, err := Parse(document); err == nil {
			_, _ = p.Grants(), Evaluate(Request{Action: "s3:GetObject", Resource: "x"}, p)
		}
	})
}
