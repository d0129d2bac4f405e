package main

import (
	"cmp"
	"debug/buildinfo"
	"fmt"
	"maps"
	"net/url"
	"path/filepath"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
)

// sbom is a software bill of materials in CycloneDX: https://cyclonedx.org/docs/1.6/json/
type sbom struct {
	Format      string `json:"bomFormat"`
	SpecVersion string `json:"specVersion"`
	Version     int    `json:"version"`
	Metadata    struct {
		Component component `json:"component"`
	} `json:"metadata"`
	Components []component `json:"components"`
}

type component struct {
	Type    string `json:"type"`
	Ref     string `json:"bom-ref"`
	Name    string `json:"name"`
	Version string `json:"version"`
	// PURL is a package URL: https://github.com/package-url/purl-spec
	PURL string `json:"purl"`
}

// newSBOM lists the image, its base and the Go modules of its programs.
func (p publication) newSBOM(published name.Digest, base, folder string) (sbom, error) {
	s := sbom{Format: "CycloneDX", SpecVersion: "1.6", Version: 1}
	s.Metadata.Component = imageComponent(published)
	found := map[string]component{}
	if pinned, err := name.NewDigest(base); err == nil { // a test builds on an archive
		found[base] = imageComponent(pinned)
	}
	for _, platform := range p.platforms {
		_, arch, _ := strings.Cut(platform, "/")
		info, err := buildinfo.ReadFile(filepath.Join(folder, arch, program))
		if err != nil {
			return sbom{}, fmt.Errorf("list the modules for %s: %w", platform, err)
		}
		stdlib := moduleComponent("stdlib", strings.TrimPrefix(info.GoVersion, "go"))
		found[stdlib.Ref] = stdlib
		for _, module := range info.Deps {
			c := moduleComponent(module.Path, module.Version)
			found[c.Ref] = c
		}
	}
	s.Components = slices.SortedFunc(maps.Values(found), func(a, b component) int { return cmp.Compare(a.Ref, b.Ref) })
	return s, nil
}

func moduleComponent(path, version string) component {
	purl := "pkg:golang/" + strings.ToLower(path) + "@" + version
	return component{Type: "library", Ref: purl, Name: path, Version: version, PURL: purl}
}

func imageComponent(image name.Digest) component {
	repository := image.Context().Name()
	purl := "pkg:oci/" + repository[strings.LastIndex(repository, "/")+1:] + "@" + url.QueryEscape(image.DigestStr()) + "?repository_url=" + url.QueryEscape(repository)
	return component{Type: "container", Ref: purl, Name: repository, Version: image.DigestStr(), PURL: purl}
}
