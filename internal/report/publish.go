package report

import (
	"errors"

	"github.com/org/atta-deploy-action/internal/rollout"
)

type publisher interface {
	Info(format string, args ...any)
	Warning(title, format string, args ...any)
	Error(title, format string, args ...any)
	Fail(title, format string, args ...any)
	Output(name, value string) error
	Summary(markdown string) error
}

// Publish reports the result of the run: errors, outputs and, if summary is set, the summary.
func Publish(to publisher, result rollout.Result, err error, summary bool) error {
	if result.Idle && err == nil {
		return nil
	}
	var problems []error
	for _, output := range Outputs(result) {
		problems = append(problems, to.Output(output.Name, output.Value))
	}
	if summary {
		if problem := to.Summary(Summary(result, err)); problem != nil {
			to.Warning("No summary", "%v", problem)
		}
	}
	if err == nil {
		to.Info("%s", runVerdict(result, err))
		err = errors.Join(problems...)
		if err != nil {
			to.Fail("The outputs are incomplete", "%v", err)
		}
		return err
	}
	for _, e := range HostErrors(err) {
		to.Error(e.Title, "%s", e.Message)
	}
	failure := Failure(result, err)
	to.Fail(failure.Title, "%s", failure.Message)
	return errors.Join(problems...)
}
