package main

import (
	"regexp"
	"strings"
	"testing"
)

var (
	namedTest   = regexp.MustCompile(`\[((?:Test|Fuzz)\w+)\]\(([^)]+)\)`)
	moduleTests = regexp.MustCompile(`\(terraform/tests/\w+\.tftest\.hcl\)`)
)

// A claim about an attacker links to the test that shows it, or says that there is none.
func TestClaimsOfSECURITYNameTheirTests(t *testing.T) {
	_, claims, ok := strings.Cut(readFile(t, "SECURITY.md"), "\n## What an attacker can do with one credential\n")
	if !ok {
		t.Fatal("SECURITY.md has no such heading")
	}
	checked := 0
	for line := range strings.Lines(claims) {
		if !strings.HasPrefix(line, "| can") {
			continue
		}
		checked++
		cells := strings.Split(line, "|")
		shown := strings.TrimSpace(cells[min(4, len(cells)-1)])
		tests := namedTest.FindAllStringSubmatch(shown, -1)
		if len(cells) != 6 || len(tests) == 0 && !moduleTests.MatchString(shown) && shown != "not tested" {
			t.Errorf("the claim names neither its test nor that it has none: %s", line)
		}
		for _, test := range tests {
			if !strings.Contains(readFile(t, test[2]), "\nfunc "+test[1]+"(") {
				t.Errorf("%s has no %s", test[2], test[1])
			}
		}
	}
	if checked < 40 {
		t.Errorf("SECURITY.md has %d claims", checked)
	}
}
