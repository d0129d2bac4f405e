package localaws

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"regexp"
	"strings"

	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// ecrRegistry adds ECR's rules to a plain registry: it requires a login, an existing
// repository and complete images, and refuses to move immutable tags.
type ecrRegistry struct {
	ecr  *ecr
	next http.Handler
}

func newRegistry(e *ecr) *ecrRegistry {
	return &ecrRegistry{ecr: e, next: registry.New(
		registry.WithBlobHandler(blobs{e}),
		registry.Logger(log.New(io.Discard, "", 0)),
	)}
}

// errHangUp closes the connection without a response, as ECR does when an upload starts to a repository that does not
// exist, or without ecr:InitiateLayerUpload: https://github.com/aws/containers-roadmap/issues/1970
var errHangUp = errors.New("close the connection")

var v2Path = regexp.MustCompile(`^/v2/(.+)/(manifests|blobs|tags)/(.*)$`)

func isBlob(path string) bool {
	parts := v2Path.FindStringSubmatch(path)
	return parts != nil && parts[2] == "blobs"
}

func (g *ecrRegistry) name(r *request) (string, string) {
	parts := v2Path.FindStringSubmatch(r.URL.Path)
	if parts == nil {
		return "registry:" + r.Method + " base", ""
	}
	repository, kind, reference := parts[1], strings.TrimSuffix(parts[2], "s"), parts[3]
	if strings.HasPrefix(reference, "uploads") {
		reference = r.URL.Query().Get("digest")
	}
	separator := ":"
	if strings.Contains(reference, ":") {
		separator = "@"
	}
	return "registry:" + r.Method + " " + kind, strings.TrimSuffix(repository+separator+reference, ":")
}

func (g *ecrRegistry) serve(w http.ResponseWriter, r *request) error {
	if err := g.checkLogin(w, r); err != nil {
		return err
	}
	parts := v2Path.FindStringSubmatch(r.URL.Path)
	if parts == nil {
		g.next.ServeHTTP(w, r.Request)
		return nil
	}
	if err := g.authorize(r, parts[1], parts[2]); err != nil {
		return err
	}
	repository, ok := g.ecr.findRepository(parts[1])
	if !ok && r.Method == http.MethodPost {
		return errHangUp
	}
	if !ok {
		return &Error{Status: http.StatusNotFound, Code: "NAME_UNKNOWN", Message: fmt.Sprintf(
			"The repository with name '%s' does not exist in the registry with id '%s'", parts[1], g.ecr.account)}
	}
	if parts[2] == "manifests" {
		return g.putManifest(w, r, repository, parts[3])
	}
	if r.Method == http.MethodDelete {
		return &Error{Status: http.StatusMethodNotAllowed, Code: "UNSUPPORTED", Message: "The operation is unsupported."}
	}
	g.next.ServeHTTP(w, r.Request)
	return nil
}

func (g *ecrRegistry) checkLogin(w http.ResponseWriter, r *request) error {
	user, password, _ := r.BasicAuth()
	g.ecr.mu.Lock()
	defer g.ecr.mu.Unlock()
	login, ok := g.ecr.logins[password]
	if user != "AWS" || !ok {
		w.Header().Set("WWW-Authenticate", fmt.Sprintf("Basic realm=%q,service=%q", "http://"+g.ecr.host+"/", "ecr.amazonaws.com"))
		return &Error{Status: http.StatusUnauthorized, Code: "UNAUTHORIZED", Message: "Not Authorized"}
	}
	if !g.ecr.now().Before(login.expires) {
		return &Error{Status: http.StatusForbidden, Code: "DENIED", Message: "Your authorization token has expired. Reauthenticate and try again."}
	}
	r.principal = login.principal
	return nil
}

func (g *ecrRegistry) putManifest(w http.ResponseWriter, r *request, into *repository, reference string) error {
	into.mu.Lock()
	defer into.mu.Unlock()
	r.Body = io.NopCloser(strings.NewReader(string(r.body)))
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		_, tagged := into.tags[reference]
		if _, pushed := into.images[reference]; !tagged && !pushed {
			return &Error{Status: http.StatusNotFound, Code: "MANIFEST_UNKNOWN", Message: "Requested image not found"}
		}
		g.next.ServeHTTP(w, r.Request)
		return nil
	case http.MethodPut:
		return g.pushManifest(w, r, into, reference)
	}
	return &Error{Status: http.StatusMethodNotAllowed, Code: "UNSUPPORTED", Message: "The operation is unsupported."}
}

// pushManifest is called with the repository locked.
func (g *ecrRegistry) pushManifest(w http.ResponseWriter, r *request, into *repository, reference string) error {
	digest := "sha256:" + hexSHA256(r.body)
	isDigest := strings.Contains(reference, ":")
	if isDigest && reference != digest {
		return &Error{Code: "DIGEST_INVALID", Message: "The provided digest does not match the manifest: " + digest}
	}
	pushed, err := g.inspectManifest(r, into)
	if err != nil {
		return err
	}
	if old, exists := into.tags[reference]; exists && old != digest && into.isImmutable(reference) {
		return &Error{Code: "TAG_INVALID", Message: fmt.Sprintf(
			"The image tag '%s' already exists in the '%s' repository and cannot be overwritten because the tag is immutable.", reference, into.name)}
	}
	out := &reply{ResponseWriter: w}
	g.next.ServeHTTP(out, r.Request)
	if out.status != http.StatusCreated {
		return nil
	}
	if _, exists := into.images[digest]; !exists {
		into.images[digest] = pushed
	}
	if !isDigest {
		into.tags[reference] = digest
	}
	return nil
}

// inspectManifest refuses a manifest whose blobs or manifests are missing in the repository.
func (g *ecrRegistry) inspectManifest(r *request, in *repository) (image, error) {
	type descriptor struct {
		MediaType types.MediaType
		Digest    string
		Size      int64
	}
	var manifest struct {
		MediaType, ArtifactType string
		Config                  *descriptor
		Layers, Manifests       []descriptor
	}
	if err := json.Unmarshal(r.body, &manifest); err != nil {
		return image{}, &Error{Code: "MANIFEST_INVALID", Message: err.Error()}
	}
	found := image{mediaType: r.Header.Get("Content-Type"), artifactType: manifest.ArtifactType, pushed: g.ecr.now()}
	if manifest.Config != nil {
		manifest.Layers = append(manifest.Layers, *manifest.Config)
		if found.artifactType == "" {
			found.artifactType = string(manifest.Config.MediaType)
		}
	}
	for _, layer := range manifest.Layers {
		found.size += layer.Size
		if _, ok := in.blobs[layer.Digest]; !ok && layer.MediaType.IsDistributable() {
			return image{}, &Error{Code: "BLOB_UPLOAD_UNKNOWN", Message: fmt.Sprintf(
				"Layers with digests '[%s]' required for pushing image into repository with name '%s' in the registry with id '%s' do not exist",
				layer.Digest, in.name, g.ecr.account)}
		}
	}
	for _, child := range manifest.Manifests {
		known, ok := in.images[child.Digest]
		if !ok {
			return image{}, &Error{Code: "MANIFEST_BLOB_UNKNOWN", Message: fmt.Sprintf(
				"Images with digests '[%s]' required for pushing image into repository with name '%s' in the registry with id '%s' do not exist",
				child.Digest, in.name, g.ecr.account)}
		}
		found.size += known.size
	}
	return found, nil
}

func (g *ecrRegistry) refuse(w http.ResponseWriter, _ *request, err *Error) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(err.Status)
	_ = json.NewEncoder(w).Encode(object{"errors": []object{{"code": err.Code, "message": err.Message}}})
}
