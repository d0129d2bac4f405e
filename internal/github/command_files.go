package github

import (
	"errors"
	"fmt"
	"os"
)

// Output sets an output of the step immediately, so that it is available even if the step fails later. Outside GitHub it is
// logged.
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

// formatEntry formats one value for an environment file. go-githubactions uses a fixed delimiter, so that a value containing
// it could set further outputs; a random delimiter cannot be predicted:
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

// SaveState saves a value that the post step reads with State. Outside GitHub there is no post step, and it does nothing:
// https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands#sending-values-to-the-pre-and-post-actions
func (a *Action) SaveState(name, value string) error {
	file := a.gh.Getenv("GITHUB_STATE")
	if file == "" {
		return nil
	}
	if err := appendTo(file, formatEntry(name, value)); err != nil {
		return fmt.Errorf("save state %s: %w", name, err)
	}
	return nil
}

// State returns the value that the main step saved, or an empty string.
func (a *Action) State(name string) string { return a.gh.Getenv("STATE_" + name) }
