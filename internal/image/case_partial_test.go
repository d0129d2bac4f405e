package image

import (
	"strings"
	"testing"
)

// An index names two platforms, and the layout has the content of one: https://github.com/docker/cli/issues/5476
func TestCaseTheAbsentPlatformOfALayoutIsNamed(t *testing.T) {
	if err := refused(t, write(t, partialIndex(t, layoutOf(t, randomImage(1))).tar())); !strings.Contains(err.Error(), "linux/arm64: ") {
		t.Errorf("error is %q", err)
	}
}
