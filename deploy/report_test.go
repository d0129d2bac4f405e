package deploy_test

import (
	"regexp"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/org/atta-deploy-action/deploy"
)

func TestTheFirstResultLineCounts(t *testing.T) {
	const line = `ATTA_RESULT {"v":1,"deployment":"d-1","service":"atta","outcome":"rolled-back","code":40,"phase":"health","version":"0.1.29-dev",` +
		`"digest":"sha256:ab","verified":true,"before":"0.1.29-dev","unit":"inactive","result":"exit-code","exit":3,"wanted":"0.1.30-dev","generation":12,"ms":{"pull":1200,"roll-back":7},"message":"it failed"}`
	want := &deploy.Report{
		Deployment: "d-1", Service: "atta", Outcome: "rolled-back", Code: 40, Phase: "health", Version: "0.1.29-dev", Digest: "sha256:ab", Verified: true,
		Before: "0.1.29-dev", Unit: "inactive", Result: "exit-code", Exit: 3, Wanted: "0.1.30-dev", Generation: 12, Millis: map[string]int64{"pull": 1200, "roll-back": 7}, Message: "it failed",
	}
	for name, output := range map[string]string{
		"alone":               line,
		"after other output":  "pulling\n" + line + "\n",
		"before a second one": line + "\n" + good,
		"with a field more":   strings.Replace(line, `"v":1`, `"v":1,"later":{"x":[1]}`, 1),
	} {
		got, err := deploy.ParseReport(output)
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%s: %v\n%s", name, err, diff)
		}
	}
}

func TestAMessageIsOneBoundedLine(t *testing.T) {
	got, err := deploy.ParseReport(`ATTA_RESULT {"v":1,"outcome":"refused","phase":"pull","message":"a\n::error::b\r\u001b[31mé` + strings.Repeat("é", 700) + `"}`)
	if err != nil {
		t.Fatal(err)
	}
	if want := "a ::error::b  [31mé"; !strings.HasPrefix(got.Message, want) || utf8.RuneCountInString(got.Message) != 600 || !strings.HasSuffix(got.Message, "é…") {
		t.Errorf("message of %d characters is %q", utf8.RuneCountInString(got.Message), got.Message)
	}
}

const good = `ATTA_RESULT {"v":1,"deployment":"d-1","service":"atta","outcome":"deployed","code":0,"phase":"verify","version":"0.1.30-dev","verified":true}` + "\n"

func TestMalformedReportsAreNone(t *testing.T) {
	malformed := func(pair string) string {
		return `ATTA_RESULT {"v":1,"outcome":"deployed","phase":"verify",` + pair + "}\n"
	}
	for name, test := range map[string][2]string{
		"silence":                    {"", "no result line"},
		"a mark inside a line":       {"x " + good, "no result line"},
		"another format":             {`ATTA_RESULT {"v":2,"outcome":"deployed","phase":"verify"}` + "\n", "unknown format 2"},
		"no JSON":                    {"ATTA_RESULT yes\n", "unreadable result line"},
		"a huge number":              {malformed(`"code":99999999999999999999`), "unreadable result line"},
		"a code that is none":        {malformed(`"code":4294967296`), "malformed result line"},
		"a negative exit status":     {malformed(`"exit":-1`), "malformed result line"},
		"a malformed version":        {malformed(`"version":"1.0.0; rm -rf /"`), "malformed result line"},
		"a malformed wanted version": {malformed(`"wanted":"a b"`), "malformed result line"},
		"a malformed reason":         {malformed(`"reason":"<b>"`), "malformed result line"},
		"a negative generation":      {malformed(`"generation":-1`), "malformed result line"},
		"a huge generation":          {malformed(`"generation":1000000001`), "malformed result line"},
		"a malformed phase":          {malformed(`"ms":{"<b>":1}`), "malformed result line"},
	} {
		if report, err := deploy.ParseReport(test[0]); err == nil || report != nil || !strings.Contains(err.Error(), test[1]) {
			t.Errorf("%s: %+v, %v", name, report, err)
		}
	}
}

// plain is every character that a field of a report may have.
var plain = regexp.MustCompile(`^[A-Za-z0-9.:-]*$`)

func FuzzParseReport(f *testing.F) {
	f.Add(good)
	f.Add(`ATTA_RESULT {"v":1,"outcome":"deployed","phase":"x","version":"<b>","ms":{"a|b":1},"code":-1}`)
	f.Add(`ATTA_RESULT {"v":1,"outcome":"deployed\n","phase":"x","message":"a\nb"}`)
	f.Add(`ATTA_RESULT {"v":1,"outcome":"deployed","phase":"x","wanted":"a b","generation":-1}`)
	f.Add("x\nATTA_RESULT {\"V\":1,\"OUTCOME\":\"a\",\"phase\":\"b\",\"Exit\":256}")
	f.Fuzz(func(t *testing.T, output string) {
		report, err := deploy.ParseReport(output)
		if (err == nil) != (report != nil) {
			t.Fatalf("report is %+v, error %v", report, err)
		}
		if err != nil {
			return
		}
		fields := []string{report.Deployment, report.Service, string(report.Outcome), report.Phase, report.Version, report.Digest, report.Before, report.Wanted, report.Unit, report.Result}
		for phase := range report.Millis {
			fields = append(fields, phase)
		}
		for _, field := range fields {
			if !plain.MatchString(field) || len(field) > 128 {
				t.Errorf("a field is %q", field)
			}
		}
		if report.Generation < 0 {
			t.Errorf("generation is %d", report.Generation)
		}
		if min(int(report.Code), report.Exit) < 0 || max(int(report.Code), report.Exit) > 255 {
			t.Errorf("exit statuses are %d and %d", report.Code, report.Exit)
		}
		if strings.ContainsFunc(report.Message, unicode.IsControl) || utf8.RuneCountInString(report.Message) > 600 {
			t.Errorf("message is %q", report.Message)
		}
	})
}

func TestLogEndIsWhatFollowsTheResultLine(t *testing.T) {
	for output, want := range map[string]string{
		"":                               "",
		"a line\nanother\n":              "",
		"ATTA_RESULT {}\n":               "",
		"ATTA_RESULT {}":                 "",
		"ATTA_RESULT {}\none\ntwo\n":     "one\ntwo\n",
		"x\nATTA_RESULT {}\none\n":       "one\n",
		"x ATTA_RESULT {}\none\n":        "",
		"ATTA_RESULT 1\nATTA_RESULT 2\n": "ATTA_RESULT 2\n",
	} {
		if got := deploy.LogEnd(output); got != want {
			t.Errorf("of %q it is %q, want %q", output, got, want)
		}
	}
}
