package github

import (
	"errors"
	"fmt"
	"os"
)

// Output sets an output of the step at once, so that it is there after a failure too. Outside GitHub it is logged.
func (a *Action) Output(name, value string) error {
	file := a.gh.Getenv("GITHUB_OUTPUT")
	if file == "" {
		a.Info("output %s=%s", name, value)
		return nil
	}
	if err := appendTo(file, formatEntry(name, value)); err != nil {
		return fmt.Errorf("write output %s: %w", name, err)
	}
	return nil
}

// formatEntry is one value of a command file. A fixed delimiter, which go-githubactions uses, lets a value that holds it set
// further outputs; this one cannot be known before:
// https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands#multiline-strings
func formatEntry(name, value string) string {
	delimiter := tokenNotIn(value)
	return name + "<<" + delimiter + "\n" + value + "\n" + delimiter + "\n"
}

func appendTo(file, text string) error {
	f, err := os.OpenFile(file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}

// SaveState keeps a value for the step that tidies up after this one, which finds it with State. Outside GitHub there is no
// such step: https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands#sending-values-to-the-pre-and-post-actions
func (a *Action) SaveState(name, value string) error {
	file := a.gh.Getenv("GITHUB_STATE")
	if file == "" {
		return nil
	}
	if err := appendTo(file, formatEntry(name, value)); err != nil {
		return fmt.Errorf("keep %s for the post step: %w", name, err)
	}
	return nil
}

// State is a value that the step before has kept, or empty.
func (a *Action) State(name string) string { return a.gh.Getenv("STATE_" + name) }
