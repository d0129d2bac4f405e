// Package table writes the results of benchmarks into documents.
package table

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Rewrite replaces what stands in a Markdown file between the comments <!-- mark --> and <!-- /mark -->.
func Rewrite(file, mark, text string) error {
	content, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	before, rest, ok := strings.Cut(string(content), "<!-- "+mark+" -->\n")
	_, after, closed := strings.Cut(rest, "<!-- /"+mark+" -->")
	if !ok || !closed {
		return fmt.Errorf("%s has no place for the table %s", filepath.Base(file), mark)
	}
	return os.WriteFile(file, []byte(before+"<!-- "+mark+" -->\n"+text+"<!-- /"+mark+" -->"+after), 0o600) //nolint:gosec // whoever runs the benchmark names the file
}
