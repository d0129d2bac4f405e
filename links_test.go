package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	link    = regexp.MustCompile(`(?:\]\(|src="|srcset=")([^)"\s]+)[)"]`)
	heading = regexp.MustCompile(`(?m)^#+ (.*)$`)
)

func TestLinksInDocsHaveTargets(t *testing.T) {
	checked := 0
	for file, text := range documents(t) {
		for _, match := range link.FindAllStringSubmatch(text, -1) {
			if strings.Contains(match[1], "://") {
				continue
			}
			checked++
			path, anchor, _ := strings.Cut(match[1], "#")
			target := file
			if path != "" {
				target = filepath.Join(filepath.Dir(file), path)
			}
			if _, err := os.Stat(target); err != nil {
				t.Errorf("%s links to %s, which does not exist", file, match[1])
			} else if anchor != "" && !hasAnchor(readFile(t, target), anchor) {
				t.Errorf("%s links to %s, which has no such heading", file, match[1])
			}
		}
	}
	if checked < 40 {
		t.Errorf("the docs have %d links into this repository", checked)
	}
}

func TestEveryScreenshotIsShown(t *testing.T) {
	var all strings.Builder
	for _, text := range documents(t) {
		all.WriteString(text)
	}
	images := trackedFiles(t, "docs/screenshots")
	for _, image := range images {
		if !strings.Contains(all.String(), "screenshots/"+filepath.Base(image)+`"`) {
			t.Errorf("no page shows %s", image)
		}
	}
	if len(images) < 4 {
		t.Errorf("there are %d screenshots", len(images))
	}
}

var docsURL = regexp.MustCompile(`DocsURL \+ "([a-z]+\.md)#([a-z-]+)"`)

func TestWarningsLinkToHeadingsInDocs(t *testing.T) {
	files, err := filepath.Glob("internal/*/*.go")
	if err != nil {
		t.Fatal(err)
	}
	checked := 0
	for _, file := range files {
		for _, match := range docsURL.FindAllStringSubmatch(readFile(t, file), -1) {
			checked++
			if !hasAnchor(readFile(t, "docs/"+match[1]), match[2]) {
				t.Errorf("%s links to docs/%s#%s, which does not exist", file, match[1], match[2])
			}
		}
	}
	if checked < 5 {
		t.Errorf("%d links", checked)
	}
}

// hasAnchor reports whether GitHub gives a heading of the text this anchor.
func hasAnchor(text, anchor string) bool {
	for _, match := range heading.FindAllStringSubmatch(text, -1) {
		slug := regexp.MustCompile(`[^\p{L}\p{N} _-]`).ReplaceAllString(strings.ToLower(match[1]), "")
		if strings.ReplaceAll(slug, " ", "-") == anchor {
			return true
		}
	}
	return false
}
