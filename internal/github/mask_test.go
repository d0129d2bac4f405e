package github_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestEveryLineOfASecretIsMasked(t *testing.T) {
	var log strings.Builder
	a := newAction(&log, nil)
	a.Mask("-----BEGIN-----\r\nab%c\n\n  \n-----END-----\n")
	a.Mask("")
	want := "::add-mask::-----BEGIN-----\n::add-mask::ab%25c\n::add-mask::-----END-----\n"
	if diff := cmp.Diff(want, log.String()); diff != "" {
		t.Error(diff)
	}
}
