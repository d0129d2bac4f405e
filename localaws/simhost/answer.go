package simhost

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/org/atta-deploy-action/deploy"
	"github.com/org/atta-deploy-action/localaws"
)

// call is a parsed command.
type call struct {
	line, command string
	parameters    map[string]string
}

// parameter matches a parameter with a value, which a document puts in quotes.
var parameter = regexp.MustCompile(`--([a-z0-9-]+)=([^\s']+)`)

func parseScript(script string) call {
	c := call{parameters: map[string]string{}}
	lines := strings.SplitN(script, "\n", 3)
	if len(lines) < 2 {
		return c
	}
	c.line = strings.TrimPrefix(lines[1], "set -- ")
	c.command, _, _ = strings.Cut(c.line, " ")
	for _, match := range parameter.FindAllStringSubmatch(c.line, -1) {
		c.parameters[match[1]] = match[2]
	}
	return c
}

func (c call) int64Parameter(name string) int64 {
	n, _ := strconv.ParseInt(c.parameters[name], 10, 64)
	return n
}

func (c call) imageDigest() string {
	_, digest, _ := strings.Cut(c.parameters["image"], "@")
	return digest
}

// isOlder reports whether version a is older than b; an empty version is not older than any.
func isOlder(a, b string) bool {
	var x, y [3]int
	_, wrongA := fmt.Sscanf(a, "%d.%d.%d", &x[0], &x[1], &x[2])
	_, wrongB := fmt.Sscanf(b, "%d.%d.%d", &y[0], &y[1], &y[2])
	if wrongA != nil || wrongB != nil {
		return false
	}
	for i := range x {
		if x[i] != y[i] {
			return x[i] < y[i]
		}
	}
	return false
}

// answerStatus answers a status command; from then on, commands of earlier generations are refused.
func (h *Host) answerStatus(c call) localaws.Exit {
	seen := h.generation
	if generation := c.int64Parameter("generation"); generation > seen {
		h.generation = generation
	}
	about := ""
	if asked := c.parameters["about"]; asked != "" {
		about = deploy.AboutNone
		if h.busy != "" {
			about = deploy.AboutUnderWay
		}
		for _, e := range h.history {
			if e.deployment == asked {
				about = fmt.Sprintf("%s:%d", e.verdict.outcome, e.verdict.code)
			}
		}
	}
	releases := []string{}
	for _, verified := range []bool{true, false} {
		for _, r := range slices.Backward(h.releases) {
			if r.verified == verified {
				releases = append(releases, r.version)
			}
		}
	}
	outcome := deploy.OutcomeStatus
	if h.installed.version == "" {
		outcome = deploy.OutcomeAbsent
	}
	drift := slices.Clone(h.drift)
	if evidence := h.currentEvidence(); h.busy == "" && (evidence == deploy.EvidenceNone || evidence == deploy.EvidenceOtherImage) {
		drift = append(drift, "container")
	} else if h.busy == "" && evidence == deploy.EvidenceFailed {
		drift = append(drift, "inactive")
	}
	more := map[string]any{"about": about, "busy": h.busy != "", "previous": h.previous, "releases": releases, "time": time.Now().Unix(), "generation": seen, "drift": drift}
	held := cmp.Or(c.parameters["version"], h.previous)
	if r, ok := h.findRelease(held); ok {
		more["held"], more["bundle"], more["image"] = held, r.bundle, r.digest
		more["proved"] = r.verified
	}
	if h.installed.verified {
		more["since"] = h.installed.since.Unix()
	}
	exit := h.resultLine(c, verdict{outcome: outcome, message: "status"}, more)
	if strings.Contains(about, ":") && !strings.HasSuffix(about, ":0") {
		exit.Stdout = append(exit.Stdout, logLine...)
	}
	return exit
}

// answerCheck answers a check, which changes nothing.
func (h *Host) answerCheck(c call) localaws.Exit {
	c.command = "deploy"
	_, reason, problem := h.resolveTarget(c)
	switch {
	case h.Unfit != "":
		return h.resultLine(c, refused(deploy.ExitPreflight, deploy.ReasonEngineUnavailable, h.Unfit), nil)
	case problem != "":
		return h.resultLine(c, refused(deploy.ExitPreflight, reason, problem), nil)
	}
	return h.resultLine(c, verdict{outcome: deploy.OutcomeReady, message: "it can be deployed"}, nil)
}

// answerDoctor answers whether the host is ready for a deploy.
func (h *Host) answerDoctor(c call) localaws.Exit {
	if h.Unfit != "" {
		return h.resultLine(c, refused(deploy.ExitPreflight, deploy.ReasonEngineUnavailable, h.Unfit), nil)
	}
	return h.resultLine(c, verdict{outcome: deploy.OutcomeReady, message: "ready for a deploy"}, nil)
}

// answerCommand returns a result line. If remember is set, a copy of the command gets the same
// line.
func (h *Host) answerCommand(c call, v verdict, remember bool) localaws.Exit {
	exit := h.resultLine(c, v, nil)
	if remember {
		h.history = append(h.history, pastCommand{deployment: c.parameters["deployment"], answer: exit, verdict: v})
	}
	return exit
}

// logLine is the end of the log of a command that failed.
const logLine = "a line of its log\n"

// verdict is how a command ended.
type verdict struct {
	outcome deploy.Outcome
	code    deploy.ExitCode
	reason  deploy.Reason
	message string
}

func refused(code deploy.ExitCode, reason deploy.Reason, message string) verdict {
	return verdict{deploy.OutcomeRefused, code, reason, message}
}

// currentEvidence is what the host sees of the installed release.
func (h *Host) currentEvidence() deploy.Evidence {
	switch {
	case h.installed.version == "":
		return deploy.EvidenceUnsaid
	case h.container.digest == "" && h.installed.job:
		return deploy.EvidenceNotRun
	case h.container.digest == "":
		return deploy.EvidenceNone
	case h.container.digest != h.installed.digest:
		return deploy.EvidenceOtherImage
	case h.container.hasFailed():
		return deploy.EvidenceFailed
	}
	return h.container.evidence
}

func (h *Host) resultLine(c call, v verdict, more map[string]any) localaws.Exit {
	unit := "active"
	if h.unitFailed || h.container.hasFailed() {
		unit = "failed"
	}
	result := map[string]any{
		"v": 1, "deployment": c.parameters["deployment"], "service": c.parameters["service"], "phase": c.command,
		"outcome": v.outcome, "code": v.code, "reason": v.reason, "message": v.message,
		"wanted": c.parameters["version"], "version": h.installed.version, "digest": h.installed.digest, "verified": h.installed.verified, "evidence": h.currentEvidence(),
		"before": h.before, "generation": h.generation, "unit": unit,
	}
	maps.Copy(result, more)
	text, _ := json.Marshal(result) // plain values always encode
	exit := localaws.Exit{Code: int(v.code), Stdout: []byte(deploy.ReportMark + string(text) + "\n")}
	if v.code != deploy.ExitOK {
		exit.Stdout = append(exit.Stdout, logLine...)
	}
	return exit
}
