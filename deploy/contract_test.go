package deploy_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/org/atta-deploy-action/deploy"
)

// scripts are the two sides of the wire that are bash: what travels in the command, and what
// a release brings.
func scripts(t *testing.T) (bootstrap, release string) {
	t.Helper()
	text, err := fs.ReadFile(deploy.Files, "ec2_deploy.sh")
	if err != nil {
		t.Fatal(err)
	}
	release = string(text)
	parts, err := fs.Glob(deploy.Files, "lib/*.sh")
	if err != nil || len(parts) == 0 {
		t.Fatalf("no lib: %v", err)
	}
	for _, part := range parts {
		text, err := fs.ReadFile(deploy.Files, part)
		if err != nil {
			t.Fatal(err)
		}
		release += string(text)
	}
	return deploy.Bootstrap, release
}

// constants are the values that this package gives a type, read from its source.
func constants(t *testing.T, typeName string) []string {
	t.Helper()
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	var values []string
	for _, name := range files {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			spec, ok := n.(*ast.ValueSpec)
			if !ok {
				return true
			}
			if id, ok := spec.Type.(*ast.Ident); ok && id.Name == typeName {
				for _, value := range spec.Values {
					text := value.(*ast.BasicLit).Value
					if unquoted, err := strconv.Unquote(text); err == nil {
						text = unquoted
					}
					values = append(values, text)
				}
			}
			return true
		})
	}
	if len(values) == 0 {
		t.Fatalf("no constants of type %s", typeName)
	}
	return values
}

// found are the distinct first groups of an expression, sorted, without empty ones.
func found(text string, expressions ...string) []string {
	set := map[string]bool{}
	for _, expression := range expressions {
		for _, match := range regexp.MustCompile(`(?m)`+expression).FindAllStringSubmatch(text, -1) {
			for _, group := range match[1:] {
				set[group] = true
			}
		}
	}
	delete(set, "")
	return slices.Sorted(maps.Keys(set))
}

func wantSame(t *testing.T, what string, goSide, bash []string) {
	t.Helper()
	goSide = slices.DeleteFunc(slices.Compact(slices.Sorted(slices.Values(goSide))), func(s string) bool { return s == "" })
	if diff := cmp.Diff(goSide, bash); diff != "" {
		t.Errorf("%s differ (-Go +bash):\n%s", what, diff)
	}
}

// How the scripts end, and what they report of it.
var (
	reasonCalls = []string{
		`\brefuse ([a-z-]+) "`, `\breject_command ([a-z-]+) "`, `\babort_command \d+ [a-z-]+ ([a-z-]+) "`, `\broll_back \d+ ([a-z-]+) "`,
		`\bend_unchanged [a-z-]+ \d+ ([a-z-]+) "`, `\bend_change [a-z-]+ \d+ "\$\{REASON:-([a-z-]+)\}"`, `\bformat_report [a-z-]+ \d+ ([a-z-]+) "`,
		`\bprint_report [a-z-]+ \d+ ([a-z-]+) `, `REASON=([a-z-]+)\b`, `\bfind_unwell \d+ ([a-z-]+) "`,
	}
	codeCalls = []string{
		`\babort_command (\d+) `, `\broll_back (\d+) `, `\bend_unchanged [a-z-]+ (\d+) `, `\bend_change [a-z-]+ (\d+) `, `\bformat_report [a-z-]+ (\d+) `,
		`\bprint_report [a-z-]+ (\d+) `, `\bSTARTED=(\d+)`, `\bfind_unwell (\d+) `, `\bexit (\d+)$`, `\bexit (\d+) `, `\bCODE=(\d+)\b`,
	}
	outcomeCalls = []string{`\bend_unchanged ([a-z-]+) \d+`, `\bend_change ([a-z-]+) `, `\bformat_report ([a-z-]+) \d+`, `\bprint_report ([a-z-]+) `, `\boutcome=([a-z]+)$`}
)

func TestBothHalvesHaveTheSameReasons(t *testing.T) {
	bootstrap, release := scripts(t)
	wantSame(t, "reasons", constants(t, "Reason"), found(bootstrap+release, reasonCalls...))
}

func TestBothHalvesHaveTheSameExitCodes(t *testing.T) {
	bootstrap, release := scripts(t)
	codes := found(bootstrap+release, codeCalls...)
	wantSame(t, "exit codes", constants(t, "ExitCode"), codes)
	// What bootstrap.sh passes on, and the table that an operator reads.
	passed := append(strings.Split(found(bootstrap, `^    ([0-9 |]+)\) exit "\$1"`)[0], " | "), "0")
	slices.Sort(passed)
	wantSame(t, "exit codes that are passed on", constants(t, "ExitCode"), passed)
	table := append(found(release, `^#   +(\d+)  `), "20", "50") // these two are bootstrap.sh's own
	slices.Sort(table)
	wantSame(t, "exit codes in the table", constants(t, "ExitCode"), table)
}

func TestBothHalvesHaveTheSameOutcomes(t *testing.T) {
	bootstrap, release := scripts(t)
	wantSame(t, "outcomes", constants(t, "Outcome"), found(bootstrap+release, outcomeCalls...))
	for _, about := range []string{deploy.AboutNone, deploy.AboutBegun, deploy.AboutUnderWay, deploy.AboutCutOff} {
		if !strings.Contains(bootstrap, "found="+about+"\n") {
			t.Errorf("bootstrap.sh never reports %q of a deployment", about)
		}
	}
}

func TestBothHalvesHaveTheSameEvidence(t *testing.T) {
	bootstrap, release := scripts(t)
	wantSame(t, "evidence of bootstrap.sh", constants(t, "Evidence"), found(bootstrap, `\b(?:EVIDENCE|unseen)=([a-z-]+)`))
	wantSame(t, "evidence of ec2_deploy.sh", constants(t, "Evidence"), found(release, `\b(?:EVIDENCE|unseen)=([a-z-]+)`))
}

func TestBothHalvesHaveTheSameFields(t *testing.T) {
	bootstrap, release := scripts(t)
	fields := []string{"v"}
	for _, field := range reflect.VisibleFields(reflect.TypeFor[deploy.Report]()) {
		fields = append(fields, field.Tag.Get("json"))
	}
	atStatus := []string{"about", "bundle", "busy", "drift", "held", "image", "previous", "proved", "releases", "since", "time"} // only bootstrap.sh reports these
	ofTheRun := []string{"exit", "ms", "result"}                                                                                 // and only a release's script these
	for script, test := range map[string]struct {
		text    string
		without []string
	}{"bootstrap.sh": {bootstrap, ofTheRun}, "ec2_deploy.sh": {release, atStatus}} {
		lines := found(test.text, `printf (?:-v REPLY )?'(?:ATTA_RESULT )?([{,]".*)'`, `MORE\+=(.*)$`)
		want := slices.DeleteFunc(slices.Clone(fields), func(name string) bool { return slices.Contains(test.without, name) })
		wantSame(t, "fields of "+script, want, found(strings.Join(lines, "\n"), `\\?"([a-z]+)\\?":`))
		if !strings.Contains(test.text, fmt.Sprintf(`{"v":%d,`, reportFormat(t))) {
			t.Errorf("%s prints another format", script)
		}
	}
	if !strings.Contains(bootstrap, `"`+deploy.ReportMark+`%s`) && !strings.Contains(bootstrap, `'`+deploy.ReportMark+`{`) {
		t.Errorf("bootstrap.sh prints no %s", deploy.ReportMark)
	}
}

// reportFormat is the one that this package reads.
func reportFormat(t *testing.T) (format int) {
	for format = range 10 {
		if _, err := deploy.ParseReport(fmt.Sprintf(`%s{"v":%d,"outcome":"status","phase":"status"}`, deploy.ReportMark, format)); err == nil {
			return format
		}
	}
	t.Fatal("no format is read")
	return 0
}

func TestBothHalvesHaveTheSameBounds(t *testing.T) {
	bootstrap, release := scripts(t)
	for what, test := range map[string][2]string{
		"message of bootstrap.sh":  {bootstrap, fmt.Sprintf("text=${1:0:%d}", deploy.MaxMessage)},
		"message of ec2_deploy.sh": {release, fmt.Sprintf("text=${1:0:%d}", deploy.MaxMessage)},
		"result line":              {bootstrap, fmt.Sprintf("line=${line:0:%d}", deploy.MaxReportLine)},
		"bundle":                   {bootstrap, fmt.Sprintf("MAX_BUNDLE=%d", deploy.MaxBundle)},
		"releases":                 {bootstrap, fmt.Sprintf("head -n %d", deploy.MaxReleasesListed)},
	} {
		if !strings.Contains(test[0], test[1]) {
			t.Errorf("the bound of the %s is not %s", what, test[1])
		}
	}
}

func TestThePhaseOfADownloadIsThatOfTheScript(t *testing.T) {
	bootstrap, _ := scripts(t)
	if !strings.Contains(bootstrap, "abort_command 10 "+deploy.PhaseDownload+" no-space ") {
		t.Error("a host that has no room for the bundle names another phase")
	}
}

func TestTheScriptsShareNoFunctionNameWithAnotherMeaning(t *testing.T) {
	bootstrap, release := scripts(t)
	const names = `^([a-z_]+)\(\)`
	shared := []string{
		"add_to_history", "add_unit_value", "confirm_marks", "describe_unfit_engine", "disregard_stopped_run", "explain_refusal", "find_in_history", "flush_to_disk", "forget_rollout", "has_finished", "ignore_ambient_settings", "is_success_status", "json_string", "judge_container", "last_log_line", "last_message", "last_unit_value",
		"main", "mark_rollback", "name_identity", "observe_container", "print_log", "put_back_release", "read_properties", "restore_rollout", "settle_killed_command", "settle_rollout", "starts_at_boot", "unit_setting",
	}
	var both []string
	for _, name := range found(bootstrap, names) {
		if slices.Contains(found(release, names), name) {
			both = append(both, name)
		}
	}
	if diff := cmp.Diff(shared, both); diff != "" {
		t.Errorf("functions in both scripts (-allowed +found):\n%s", diff)
	}
}

func TestTheScriptsAreShort(t *testing.T) {
	files, err := filepath.Glob("*.sh")
	for _, folder := range []string{"lib/*.sh", "bootstrap/*.sh"} {
		more, problem := filepath.Glob(folder)
		if files = append(files, more...); problem != nil || len(more) == 0 {
			t.Fatalf("%s: %v", folder, problem)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if lines := strings.Count(string(text), "\n"); err != nil || lines > 300 {
			t.Errorf("%s has %d lines: %v", name, lines, err)
		}
	}
}

func TestEveryFunctionThatTheScriptsCallIsThere(t *testing.T) {
	bootstrap, release := scripts(t)
	for name, text := range map[string]string{"bootstrap.sh": bootstrap, "ec2_deploy.sh": release} {
		defined := found(text, `^([a-z_]+)\(\)`)
		code := regexp.MustCompile(`(?m)^\s*#.*$`).ReplaceAllString(text, "")
		called := found(code, `(?:^|\$\(|&&|\|\||;|!|\b(?:if|elif|while|then|do|else))[ \t]*([a-z]+_[a-z_]+)(?:[ );|&]|$)`)
		if len(called) < 20 {
			t.Fatalf("%s calls %q only", name, called)
		}
		for _, function := range called {
			if !slices.Contains(defined, function) {
				t.Errorf("%s calls %s, which is not defined", name, function)
			}
		}
	}
}

// A trap that runs while bash 5.2 is at the second substitution of one command ends in a syntax
// error, and the script goes on as if there had been no signal.
func TestNoSignalCanArriveBetweenTwoSubstitutions(t *testing.T) {
	_, release := scripts(t)
	code := strings.ReplaceAll(regexp.MustCompile(`(?m)^\s*#.*$`).ReplaceAllString(release, ""), "\\\n", " ")
	substitution := regexp.MustCompile(`\$\([^(]`)
	word := regexp.MustCompile(`^\s*(?:case|while|until)\b.*\$\([^(]`)
	for line := range strings.Lines(code) {
		if len(substitution.FindAllString(line, -1)) > 1 || word.MatchString(line) {
			t.Errorf("a trap can run in the middle of %q: put the text in a variable first", strings.TrimSpace(line))
		}
	}
}
