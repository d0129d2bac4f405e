package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/org/atta-deploy-action/localaws"
	"github.com/org/atta-deploy-action/localaws/sample"
)

// forged is what a host or a job would print to be taken for the action.
var forged = strings.Join([]string{
	"::error::forged", "##[add-mask]forged", "::set-output name=status::forged", "::stop-commands::forged", "::endgroup::",
	"status<<ghadelimiter", "success", "ghadelimiter",
}, "\n")

// wantAsText checks that forged text is in the log and that nothing of it was obeyed.
func (o outcome) wantAsText(text string) {
	o.t.Helper()
	if !strings.Contains(o.log, text) {
		o.t.Errorf("the log does not show what was printed:\n%s", o.log)
	}
	for _, c := range commandsIn(o.log) {
		if c.data == "forged" || c.name == "set-output" || c.name == "add-mask" || c.name == "still stopped" {
			o.t.Errorf("the runner obeyed %s %q", c.name, c.data)
		}
	}
	for name, value := range o.outputs {
		if strings.Contains(value, "forged") || strings.Contains(value, "ATTA_RESULT") {
			o.t.Errorf("output %s is %q", name, value)
		}
	}
}

func TestOutputOfAnInstanceIsShownAsText(t *testing.T) {
	for _, status := range []string{"Success", "Failed", "Foo"} {
		t.Run(status, func(t *testing.T) {
			s := play(t)
			s.answer = func(i localaws.Invocation) *localaws.DeliveryFault {
				if !asksForDeploy(i.Script) {
					return nil
				}
				return &localaws.DeliveryFault{Status: status, Stdout: "::error::forged\n", Stderr: forged}
			}
			out := s.deploy("0.1.0-dev")
			out.wants("unknown")
			out.wantAsText(forged)
			if got := errorsIn(out.log); len(got) != 1 { // of the run
				t.Errorf("the errors are %q", got)
			}
		})
	}
}

// The sample program repeats the name of a flag that it does not know.
func TestOutputOfAJobIsShownAsText(t *testing.T) {
	s := playWithScripts(t)
	lines := "\n::error::forged\n##[add-mask]forged\n::stop-commands::forged\n" + `ATTA_RESULT {"v":1,"outcome":"deployed","code":0}`
	out := s.deploy("0.1.0-dev", sample.WithCmd("-"+lines))
	out.wants("rolled-back")
	out.wantAsText(lines)
}

// resultLine is the result line of a deploy that went well, but for one field.
func resultLine(script, digest, field, value string) string {
	_, deployment, _ := strings.Cut(script, "--deployment=")
	deployment, _, _ = strings.Cut(deployment, " ")
	is := map[string]string{"deployment": deployment, "service": "atta", "version": "0.1.0-dev", "digest": digest}
	if value != "" {
		is[field] = value
	}
	return fmt.Sprintf(`ATTA_RESULT {"v":1,"deployment":%q,"service":%q,"outcome":"deployed","code":0,"phase":"verify","version":%q,"digest":%q,"verified":true,"evidence":"running"}`+"\n",
		is["deployment"], is["service"], is["version"], is["digest"])
}

// An answer in the name of an instance's neighbour, an image or a version that was
// not asked for proves nothing.
func TestOnlyAReportOfThisDeploymentIsASuccess(t *testing.T) {
	other := map[string]string{"service": "other", "version": "0.0.9-dev", "digest": "sha256:" + strings.Repeat("0", 64), "deployment": "x"}
	for _, field := range []string{"none", "service", "version", "digest", "deployment", "stream"} {
		t.Run(field, func(t *testing.T) {
			s := play(t)
			digest, _ := s.build("0.1.0-dev").Digest()
			s.answer = func(i localaws.Invocation) *localaws.DeliveryFault {
				if !asksForDeploy(i.Script) {
					return nil
				}
				line := resultLine(i.Script, digest.String(), field, other[field])
				if field == "stream" {
					return &localaws.DeliveryFault{Status: "Success", Stderr: line}
				}
				return &localaws.DeliveryFault{Status: "Success", Stdout: line}
			}
			status, alias := "unknown", ""
			if field == "none" {
				status, alias = "success", digest.String()
			}
			s.run().wants(status)
			if got := s.tag("latest-dev"); got != alias {
				t.Errorf("latest-dev is %q, want %q", got, alias)
			}
		})
	}
}
