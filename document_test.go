package main

import (
	"os"
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
