package report

import (
	"errors"
	"fmt"
	"strings"

	"github.com/org/atta-deploy-action/internal/rollout"
)

// Error is one error annotation.
type Error struct{ Title, Message string }

// maxAnnotation limits the characters of an annotation to what GitHub shows. A long error is truncated to keep its remedies.
const maxAnnotation = 4000

// Failure returns the error annotation of a run: what went wrong and what to do about it.
func Failure(result rollout.Result, err error) Error {
	hints := strings.Join(append([]string{""}, Hints(result, err)...), "\n")
	return Error{
		Title:   failureVerdict(result, err),
		Message: truncateText(err.Error(), max(maxVerdictCause, maxAnnotation-len(hints))) + hints,
	}
}

// HostErrors returns one error annotation for each message of the hosts that are not known to run
// the release; none for a single host, since it would repeat the error of the run.
func HostErrors(err error) []Error {
	var unhealthy *rollout.UnhealthyError
	if !errors.As(err, &unhealthy) || unhealthy.Of == 1 || unhealthy.Of == 0 && len(unhealthy.Hosts) == 1 {
		return nil
	}
	var list []Error
	for _, hosts := range groupHosts(unhealthy.Hosts, func(h *rollout.Host) string { return string(h.State) + " " + h.Message }) {
		names := nameHosts(hosts, func(h *rollout.Host) string { return h.ID })
		list = append(list, Error{Title: fmt.Sprintf("%s: %s", names, hosts[0].State), Message: hosts[0].Message})
	}
	return list
}
