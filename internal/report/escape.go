package report

import "strings"

// markdownEscaper escapes every character that Markdown interprets or that mentions a user.
var markdownEscaper = strings.NewReplacer(
	"&", "&amp;", "<", "&lt;", ">", "&gt;", "|", "&#124;", "`", "&#96;", "*", "&#42;", "_", "&#95;", "$", "&#36;",
	"[", "&#91;", "]", "&#93;", "@", "&#64;", "#", "&#35;", "~", "&#126;", `\`, "&#92;", "\n", "<br>", "\r", "",
)

// escapeCell returns untrusted text as one table cell, or one line, that is shown literally.
func escapeCell(text string) string { return markdownEscaper.Replace(text) }

// codeSpan returns a value of a fixed format in code style; empty stays empty.
func codeSpan(value string) string {
	if value == "" {
		return ""
	}
	return "`" + value + "`"
}
