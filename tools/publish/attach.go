package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// statement is a document about an image.
type statement struct {
	file        string // its name when it is downloaded
	mediaType   types.MediaType
	content     any // encoded as JSON
	annotations map[string]string
}

// attachStatements attaches the SBOM and, in a workflow, the provenance to the published image.
func (p publication) attachStatements(ctx context.Context, published name.Digest, base, folder string, auth authn.Authenticator) error {
	sbom, err := p.newSBOM(published, base, folder)
	if err != nil {
		return err
	}
	statements := []statement{{file: "sbom.cdx.json", mediaType: "application/vnd.cyclonedx+json", content: sbom}}
	if p.builder.id != "" {
		provenance, err := p.newProvenance(ctx, published, base)
		if err != nil {
			return err
		}
		statements = append(statements, statement{
			file: "provenance.json", mediaType: "application/vnd.in-toto+json", content: provenance,
			annotations: map[string]string{"in-toto.io/predicate-type": predicateType},
		})
	}
	options := []remote.Option{remote.WithContext(ctx), remote.WithAuth(auth)}
	subject, err := remote.Head(published, options...)
	if err != nil {
		return fmt.Errorf("read %s: %w", published, err)
	}
	for _, s := range statements {
		if err := s.attach(published.Context(), *subject, options); err != nil {
			return fmt.Errorf("attach %s to %s: %w", s.mediaType, published, err)
		}
	}
	return nil
}

// attach pushes the statement as a manifest that refers to the subject:
// https://github.com/opencontainers/image-spec/blob/v1.1.1/manifest.md#guidelines-for-artifact-usage
func (s statement) attach(repository name.Repository, subject v1.Descriptor, options []remote.Option) error {
	text, err := json.Marshal(s.content)
	if err != nil {
		return err
	}
	config, layer := static.NewLayer([]byte("{}"), "application/vnd.oci.empty.v1+json"), static.NewLayer(text, s.mediaType)
	m := v1.Manifest{
		SchemaVersion: 2, MediaType: types.OCIManifestSchema1, ArtifactType: string(s.mediaType), Annotations: s.annotations,
		Subject: &v1.Descriptor{MediaType: subject.MediaType, Digest: subject.Digest, Size: subject.Size},
	}
	for _, blob := range []v1.Layer{config, layer} {
		if err := remote.WriteLayer(repository, blob, options...); err != nil {
			return err
		}
		digest, err := blob.Digest()
		if err != nil {
			return err
		}
		size, err := blob.Size()
		if err != nil {
			return err
		}
		mediaType, err := blob.MediaType()
		if err != nil {
			return err
		}
		m.Layers = append(m.Layers, v1.Descriptor{MediaType: mediaType, Digest: digest, Size: size})
	}
	m.Config, m.Layers = m.Layers[0], m.Layers[1:]
	m.Layers[0].Annotations = map[string]string{"org.opencontainers.image.title": s.file}
	raw, err := json.Marshal(m)
	if err != nil {
		return err
	}
	digest, _, err := v1.SHA256(bytes.NewReader(raw))
	if err != nil {
		return err
	}
	return remote.Put(repository.Digest(digest.String()), artifact(raw), options...)
}

// artifact is the manifest of a statement.
type artifact []byte

// RawManifest implements remote.Taggable.
func (a artifact) RawManifest() ([]byte, error) { return a, nil }

// MediaType is the content type with which remote.Put sends the manifest.
func (a artifact) MediaType() (types.MediaType, error) { return types.OCIManifestSchema1, nil }
