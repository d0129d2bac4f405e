package image

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// wire writes to one repository: https://github.com/opencontainers/distribution-spec/blob/main/spec.md
type wire struct {
	repo        name.Repository
	auth        authn.Authenticator
	wait        time.Duration // before the second attempt, doubled from attempt to attempt
	idleTimeout time.Duration // how long nothing may move on a connection

	mu     sync.Mutex
	opened *http.Client
}

// connect asks the registry once how to log in.
func (w *wire) connect(ctx context.Context) (*http.Client, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.opened != nil {
		return w.opened, nil
	}
	opened, err := transport.NewWithContext(ctx, w.repo.Registry, w.auth, newTransport(w.idleTimeout), []string{w.repo.Scope(transport.PushScope)})
	if err != nil {
		return nil, err
	}
	w.opened = &http.Client{Transport: opened, CheckRedirect: checkRedirect}
	return w.opened, nil
}

// request is one to the registry.
type request struct {
	method, address string
	body            io.Reader
	size            int64 // of body; -1: unknown
	mediaType       string
	want            []int // statuses
}

// reply is the answer to one.
type reply struct {
	status    int
	body      []byte // at most maxJSON
	mediaType types.MediaType
	next      string // where an upload goes on
}

func (w *wire) sendRequest(ctx context.Context, r request) (*reply, error) {
	client, err := w.connect(ctx)
	if err != nil {
		return nil, err
	}
	out, err := http.NewRequestWithContext(ctx, r.method, r.address, r.body)
	if err != nil {
		return nil, err
	}
	if r.size != 0 {
		out.ContentLength = r.size
	}
	if r.mediaType != "" {
		out.Header.Set("Content-Type", r.mediaType)
	}
	if r.method == http.MethodGet || r.method == http.MethodHead {
		out.Header.Set("Accept", strings.Join([]string{
			string(types.DockerManifestSchema2), string(types.DockerManifestList), string(types.OCIManifestSchema1), string(types.OCIImageIndex), "*/*",
		}, ", "))
	}
	in, err := client.Do(out)
	if err != nil {
		return nil, err
	}
	defer in.Body.Close()
	if err := refusalError(in, r.want); err != nil {
		return nil, err
	}
	kind, _, _ := mime.ParseMediaType(in.Header.Get("Content-Type"))
	answer := &reply{status: in.StatusCode, mediaType: types.MediaType(kind)}
	if answer.body, err = io.ReadAll(io.LimitReader(in.Body, maxJSON)); err != nil {
		return nil, fmt.Errorf("%w: %w", errAnswer, err)
	}
	if location := in.Header.Get("Location"); location != "" {
		next, err := in.Request.URL.Parse(location)
		if err != nil || next.Host == "" {
			return nil, fmt.Errorf("%w: it leads to %q", errAnswer, location)
		}
		if err := checkTarget(in.Request.URL, next); err != nil {
			return nil, err
		}
		answer.next = next.String()
	}
	return answer, nil
}

// refusalError is the error that an answer is, unless its status is wanted. Also an answer that breaks off has one.
func refusalError(in *http.Response, want []int) error {
	err := transport.CheckError(in, want...)
	if err == nil {
		return nil
	}
	if !errors.As(err, new(*transport.Error)) {
		err = fmt.Errorf("%w, and its reason could not be read: %w", &transport.Error{StatusCode: in.StatusCode, Request: in.Request}, err)
	}
	after := in.Header.Get("Retry-After")
	if seconds, notSeconds := strconv.Atoi(after); notSeconds == nil {
		return busyError{err, time.Duration(seconds) * time.Second}
	}
	if date, noDate := http.ParseTime(after); noDate == nil {
		return busyError{err, time.Until(date)}
	}
	return err
}

func (w *wire) endpoint(kind, reference string) string {
	return w.repo.Scheme() + "://" + w.repo.RegistryStr() + "/v2/" + w.repo.RepositoryStr() + "/" + kind + "/" + reference
}

// isAbsent reports whether err says that there is nothing. A registry that makes repositories by itself does not know the
// name before the first push; one that does not says so again when an upload begins.
func isAbsent(err error) bool {
	var answer *transport.Error
	return errors.As(err, &answer) && answer.StatusCode == http.StatusNotFound
}

// hasBlob asks once whether the repository holds a blob. An answer to HEAD has no body, in which ECR says that a token has
// expired, so what is forbidden is left to the next request to tell.
func (w *wire) hasBlob(ctx context.Context, digest v1.Hash) (bool, error) {
	_, err := w.sendRequest(ctx, request{method: http.MethodHead, address: w.endpoint("blobs", digest.String()), want: []int{http.StatusOK}})
	var answer *transport.Error
	if isAbsent(err) || errors.As(err, &answer) && answer.StatusCode == http.StatusForbidden {
		return false, nil
	}
	return err == nil, err
}

// fetchManifest reads what reference names; nil when there is nothing.
func (w *wire) fetchManifest(ctx context.Context, reference string) (m *manifest, err error) {
	err = w.retryRequest(ctx, func() error {
		answer, err := w.sendRequest(ctx, request{method: http.MethodGet, address: w.endpoint("manifests", reference), want: []int{http.StatusOK}})
		if err != nil {
			if isAbsent(err) {
				return nil
			}
			return err
		}
		m = &manifest{raw: answer.body, Descriptor: v1.Descriptor{MediaType: answer.mediaType, Digest: digestOf(answer.body), Size: int64(len(answer.body))}}
		return nil
	})
	return m, err
}

// fetchJSON reads a small blob.
func (w *wire) fetchJSON(ctx context.Context, digest v1.Hash, v any) error {
	return w.retryRequest(ctx, func() error {
		answer, err := w.sendRequest(ctx, request{method: http.MethodGet, address: w.endpoint("blobs", digest.String()), want: []int{http.StatusOK}})
		if err != nil {
			return err
		}
		if digestOf(answer.body) != digest {
			return fmt.Errorf("%w: %s is damaged", errAnswer, digest)
		}
		return json.Unmarshal(answer.body, v)
	})
}

// isSameRegistry reports whether ref is in the same registry.
func (w *wire) isSameRegistry(ref name.Reference) bool {
	return ref.Context().RegistryStr() == w.repo.RegistryStr()
}

// beginUpload starts an upload and returns where it goes on: nowhere when the registry has taken the blob over from another
// of its repositories.
func (w *wire) beginUpload(ctx context.Context, b *blob) (next string, err error) {
	address := w.endpoint("blobs", "uploads/")
	if b.from != nil && w.isSameRegistry(b.from) {
		address += "?" + url.Values{"mount": {b.Digest.String()}, "from": {b.from.Context().RepositoryStr()}}.Encode()
	}
	answer, err := w.sendRequest(ctx, request{method: http.MethodPost, address: address, want: []int{http.StatusAccepted, http.StatusCreated}})
	switch {
	case err != nil:
		return "", err
	case answer.status == http.StatusCreated:
		return "", nil
	case answer.next == "":
		return "", fmt.Errorf("%w: it begins an upload that leads nowhere", errAnswer)
	}
	return answer.next, nil
}

// streamUpload sends the bytes of an upload and returns where it goes on.
func (w *wire) streamUpload(ctx context.Context, address string, body io.Reader, size int64) (string, error) {
	answer, err := w.sendRequest(ctx, request{
		method: http.MethodPatch, address: address, body: body, size: size, mediaType: "application/octet-stream",
		want: []int{http.StatusAccepted, http.StatusNoContent, http.StatusCreated},
	})
	if err != nil {
		return "", uploadLost(err)
	}
	if answer.next == "" {
		return address, nil
	}
	return answer.next, nil
}

// finishUpload ends an upload, with the rest of its bytes: the registry compares the digest with what it has got.
func (w *wire) finishUpload(ctx context.Context, address string, digest v1.Hash, rest io.Reader, size int64) error {
	to, err := url.Parse(address)
	if err != nil {
		return fmt.Errorf("%w: %w", errAnswer, err)
	}
	query := to.Query()
	query.Set("digest", digest.String())
	to.RawQuery = query.Encode()
	if size == 0 {
		rest = nil // what has no size would be sent in chunks
	}
	_, err = w.sendRequest(ctx, request{
		method: http.MethodPut, address: to.String(), body: rest, size: size, mediaType: "application/octet-stream",
		want: []int{http.StatusCreated},
	})
	return uploadLost(err)
}

// uploadLost tells an upload that the registry does not know any more, or has led to the wrong place, from a missing repository.
func uploadLost(err error) error {
	if isAbsent(err) {
		return fmt.Errorf("%w: it does not know the upload that it has begun: %w", errAnswer, err)
	}
	return err
}

// putManifest writes a manifest.
func (w *wire) putManifest(ctx context.Context, reference string, m *manifest) error {
	return w.retryRequest(ctx, func() error {
		_, err := w.sendRequest(ctx, request{
			method: http.MethodPut, address: w.endpoint("manifests", reference), body: bytes.NewReader(m.raw), mediaType: string(m.MediaType),
			want: []int{http.StatusOK, http.StatusCreated, http.StatusAccepted},
		})
		return err
	})
}
