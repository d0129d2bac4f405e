package main

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/org/atta-deploy-action/deploy"
)

const documentFile = "terraform/document.json"

func TestDocumentFileIsUpToDate(t *testing.T) {
	want := deploy.DocumentTemplate()
	if *update {
		if err := os.WriteFile(documentFile, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got := readFile(t, documentFile); got != want {
		t.Errorf("%s is not what the scripts and the forms of deploy/ make it; run make golden", documentFile)
	}
}

// The module repeats these values, since Terraform cannot ask the code.
func TestModuleLimitsItsDocumentsAsTheCodeDoes(t *testing.T) {
	module := readFile(t, "terraform/documents.tf")
	limits := regexp.MustCompile(`(\w+) += \{ commands = "(.+)", health_command = "(.+)", generation = "(.+)" \}`).FindAllStringSubmatch(module, -1)
	if len(limits) != 3 {
		t.Fatalf("terraform/documents.tf has the limits %q", limits)
	}
	for _, limit := range limits {
		content := strings.NewReplacer("${service}", "atta", "${commands}", limit[2], "${health_command}", limit[3], "${generation}", limit[4]).Replace(readFile(t, documentFile))
		if use := deploy.DocumentUseOf(content, "atta"); string(use) != limit[1] {
			t.Errorf("the document that the module creates for %s is one for %q", limit[1], use)
		}
	}
}
