package localaws

import "unicode/utf8"

// How much of the output the API returns. AWS counts characters; these are bytes, since the
// output of scripts is mostly ASCII
// (https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_GetCommandInvocation.html).
const (
	stdoutLimit = 24000
	stderrLimit = 8000
	listLimit   = 2500
)

// truncateText returns the first n bytes of text without splitting a character.
func truncateText(text string, n int) string {
	if len(text) <= n {
		return text
	}
	for n > 0 && !utf8.RuneStart(text[n]) {
		n--
	}
	return text[:n]
}

// summarizeOutput returns the output as lists show it. Each stream may use half of the limit,
// and what the other one does not use
// (https://github.com/aws/amazon-ssm-agent/blob/mainline/agent/framework/processor/executer/iohandler/iohandler.go).
func summarizeOutput(stdout, stderr string) string {
	const (
		stdoutMark = "\n---Output truncated---"
		stderrMark = "\n---Error truncated----"
	)
	title := ""
	if stderr != "" {
		title = "\n----------ERROR-------\n"
	}
	room := listLimit - len(title)
	switch {
	case len(stdout)+len(stderr) < room:
	case len(stdout) > room/2 && len(stderr) > room/2:
		half := (room - len(stdoutMark) - len(stderrMark)) / 2
		stdout, stderr = truncateText(stdout, half)+stdoutMark, truncateText(stderr, half)+stderrMark
	case len(stdout) < len(stderr):
		stderr = truncateText(stderr, room-len(stderrMark)-len(stdout)) + stderrMark
	default:
		stdout = truncateText(stdout, room-len(stdoutMark)-len(stderr)) + stdoutMark
	}
	return stdout + title + stderr
}
