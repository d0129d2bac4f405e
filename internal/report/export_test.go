package report

import (
	"fmt"
	"strings"
)

// Row is a row of docs/troubleshooting.md.
type Row struct {
	Sign, Remedy, Page string
	OnPageOnly         bool
}

// ErrorRows, StateRows and ReasonRows are the rows of the page.
var (
	ErrorRows  = rowsOf(errorHints)
	StateRows  = rowsOf(stateHints)
	ReasonRows = rowsOf(reasonHints)
)

func rowsOf(hints []hint) (rows []Row) {
	for _, h := range hints {
		page := strings.ReplaceAll(strings.TrimSpace(h.remedy+" "+h.more), "|", "&#124;")
		rows = append(rows, Row{h.sign, h.remedy, describeValues(page), h.onError == nil && h.onHost == nil})
	}
	return rows
}

// describeValues writes the values of a remedy as the page does.
func describeValues(text string) string {
	words := map[string]string{"next": "the next version", "version": "this version", "current": "the version that should run", "immutable": "", "other": "that version", "before": "the previous version"}
	end, out := 0, ""
	for _, at := range valueName.FindAllStringSubmatchIndex(text, -1) {
		name := text[at[2]:at[3]]
		word, ok := words[name]
		if !ok {
			word = "<" + name + ">"
			if strings.Count(text[:at[0]], "`")%2 == 0 {
				word = "`" + word + "`"
			}
		}
		out, end = out+text[end:at[0]]+word, at[1]
	}
	return out + text[end:]
}

// PageTable returns the rows as a table of the page.
func PageTable(first string, rows []Row) string {
	text := fmt.Sprintf("| %s | what to do |\n|---|---|\n", first)
	for _, row := range rows {
		text += fmt.Sprintf("| %s | %s |\n", row.Sign, row.Page)
	}
	return text
}
