package inputs_test

import (
	"reflect"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/org/atta-deploy-action/internal/inputs"
)

// logGroup matches the names of log groups, which may have a # and are never part of a script:
// https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_CreateLogGroup.html
var logGroup = regexp.MustCompile(`^[A-Za-z0-9_./#-]*$`)

// plain matches every text in Inputs except Image.Source, Image.Recipe, Bundle.Path, Reporting.LogGroup, Rollout.HealthCommand and
// Rollout.HealthURL.
var plain = regexp.MustCompile(`^[A-Za-z0-9_+=,.@:/-]*$`)

// injected sets every input to value in turn, and fails unless it is refused by name or is harmless data.
func injected(t *testing.T, value string) {
	t.Helper()
	for _, input := range definition(t).Inputs {
		env := minimal()
		if strings.HasPrefix(input.Name, "image-") {
			env["INPUT_IMAGE-FILES"] = "app:/app"
		}
		env["INPUT_"+strings.ToUpper(input.Name)] = value
		got, err := read(t, env)
		if err != nil {
			if !strings.Contains(err.Error(), input.Name) {
				t.Errorf("%s %q: the error does not name it: %v", input.Name, value, err)
			}
			continue
		}
		if input.Name == "image" && strings.TrimSpace(value) != "" && got.Image.Source != strings.TrimSpace(value) {
			t.Errorf("image %q arrived as %q", value, got.Image.Source)
		}
		if input.Name == "health-command" && got.Rollout.Policy.HealthCommand != strings.TrimSpace(value) {
			t.Errorf("health-command %q arrived as %q", value, got.Rollout.Policy.HealthCommand)
		}
		if strings.ContainsAny(got.Rollout.Policy.HealthURL, " \"'`$\\{}<>|") {
			t.Errorf("health-url %q arrived", got.Rollout.Policy.HealthURL)
		}
		if strings.ContainsAny(got.Image.Source+got.Bundle.Path+got.Rollout.Policy.HealthCommand+got.Rollout.Policy.HealthURL, "\n\r\x00\x1b") {
			t.Errorf("%s %q left a control character in %+v", input.Name, value, got)
		}
		for _, text := range texts(reflect.ValueOf(got.Image.Recipe)) {
			if strings.ContainsAny(text, "\n\r\x00\x1b\u2028") || !utf8.ValidString(text) {
				t.Errorf("%s %q left %q in the recipe", input.Name, value, text)
			}
		}
		if !logGroup.MatchString(got.Reporting.LogGroup) {
			t.Errorf("log-group %q arrived as %q", value, got.Reporting.LogGroup)
		}
		got.Image.Recipe, got.Reporting.LogGroup = inputs.Recipe{}, ""
		got.Image.Source, got.Bundle.Path, got.Rollout.Policy.HealthCommand, got.Rollout.Policy.HealthURL = "", "", "", ""
		for _, text := range texts(reflect.ValueOf(got)) {
			if !plain.MatchString(text) {
				t.Errorf("%s %q put %q into %+v", input.Name, value, text, got)
			}
		}
	}
}

func texts(v reflect.Value) (all []string) {
	switch v.Kind() {
	case reflect.String:
		return []string{v.String()}
	case reflect.Map:
		for key, value := range v.Seq2() {
			all = append(append(all, texts(key)...), texts(value)...)
		}
	case reflect.Slice:
		for i := range v.Len() {
			all = append(all, texts(v.Index(i))...)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			all = append(all, texts(v.Field(i))...)
		}
	}
	return all
}

var injections = []string{
	"'", `"`, "`id`", "$(id)", "${IFS}", "$$", ";id", "a;b", "a b", "a\nb", "a\r\nb", "a\x00b", "a\x1b[0m", "{{ssm:/x}}",
	"a|b", "a&b", "a>b", "*", "~", "a\\b", "--help", "../../etc", "::error::x", "i-01234567'", "true\n;id", "\u2028", "\xff",
	`' " $( ) ; ` + "\n" + ` {{ssm:/x}} $$`,
}

func TestInjectedTextIsRefusedOrTreatedAsData(t *testing.T) {
	for _, text := range injections {
		injected(t, text)
	}
}

func FuzzInjectedTextIsRefusedOrTreatedAsData(f *testing.F) {
	for _, text := range injections {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) { injected(t, text) })
}
