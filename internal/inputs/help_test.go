package inputs_test

import (
	"errors"
	"regexp"
	"strings"
	"testing"

	"github.com/org/atta-deploy-action/internal/inputs"
)

func TestHelpListsEveryInputWithItsDefault(t *testing.T) {
	for _, flag := range []string{"--help", "-h"} {
		if _, err := read(t, nil, "--nonsense", flag); !errors.Is(err, inputs.ErrHelp) {
			t.Errorf("%s: %v", flag, err)
		}
	}
	d := definition(t)
	help := d.Help()
	for _, input := range d.Inputs {
		entry := regexp.MustCompile(`(?m)^  --` + input.Name + `[=\[].*\n      (.*)$`).FindStringSubmatch(help)
		if entry == nil || entry[1] != input.Description || !strings.Contains(entry[0], input.Default) {
			t.Errorf("%s is described as %q", input.Name, entry)
		}
	}
}
