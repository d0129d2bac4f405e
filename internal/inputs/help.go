package inputs

import (
	"fmt"
	"strings"
)

// Help describes every input and its default for a terminal.
func (d Definition) Help() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s\n\nEvery input of the action can be set with a flag.\n", d.Name, d.Description)
	for _, input := range d.Inputs {
		fmt.Fprintf(&b, "\n  %s", input.flagName())
		switch {
		case input.isBoolean():
			fmt.Fprintf(&b, "[=false] (default %s)", input.Default)
		case input.Required:
			b.WriteString("=VALUE (required)")
		case input.Default != "":
			fmt.Fprintf(&b, "=VALUE (default %s)", input.Default)
		default:
			b.WriteString("=VALUE")
		}
		fmt.Fprintf(&b, "\n      %s\n", strings.ReplaceAll(input.Description, "\n", "\n      "))
	}
	return b.String()
}

func (i Input) flagName() string { return "--" + i.Name }
