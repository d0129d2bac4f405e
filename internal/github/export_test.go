package github

import "io"

// ShowOn makes the action show progress on a terminal.
func (a *Action) ShowOn(terminal io.Writer) { a.progress.terminal = terminal }
