package image

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ecr"
	ecrtypes "github.com/aws/aws-sdk-go-v2/service/ecr/types"
	"github.com/google/go-containerregistry/pkg/authn"
	v1 "github.com/google/go-containerregistry/pkg/v1"
)

func TestNewRepositoryRefusesInvalidNames(t *testing.T) {
	for _, tt := range [][2]string{{"", "app"}, {"host:1", ""}, {"host:1", "App"}, {"host/path", "app"}, {"host:1", "app:tag"}} {
		if r, err := NewRepository(tt[0], tt[1], authn.Anonymous); err == nil {
			t.Errorf("host %q, name %q: %v", tt[0], tt[1], r.name)
		}
	}
}

func TestSizeIsWhatAHostDownloads(t *testing.T) {
	stored := func(image v1.Image) int64 {
		m := must(image.Manifest())
		size := m.Config.Size
		for _, layer := range m.Layers {
			size += layer.Size
		}
		return size
	}
	s, one, both := newServer(t), randomImage(3), twoPlatforms()
	largest := int64(0)
	for _, platform := range must(both.IndexManifest()).Manifests {
		if platform.Platform.OS == "linux" { // no host downloads the others
			largest = max(largest, stored(must(both.Image(platform.Digest))))
		}
	}
	for name, test := range map[string]struct {
		tree tree
		want int64
	}{
		"docker save":      {dockerSaveOf(randomImage(4)), 0}, // shares no blob with the others
		"layout":           {layoutOf(t, one), stored(one)},
		"of two platforms": {layoutOf(t, both), largest},
	} {
		repo := s.repository(t, strings.ReplaceAll(name, " ", "-"))
		pushed, err := repo.Push(t.Context(), opened(t, write(t, test.tree.tar())), "1", PushOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if test.want == 0 {
			test.want = pushed.Bytes // everything is sent
		}
		if got, err := repo.Size(t.Context(), pushed.Digest); err != nil || got != test.want {
			t.Errorf("%s: %d bytes, want %d: %v", name, got, test.want, err)
		}
	}
	if _, err := s.repository(t, "layout").Size(t.Context(), "sha256:"+strings.Repeat("0", 64)); !errors.Is(err, ErrNotFound) {
		t.Errorf("for a missing image: %v", err)
	}
}

type creator func(*ecr.CreateRepositoryInput) error

func (c creator) CreateRepository(_ context.Context, in *ecr.CreateRepositoryInput, _ ...func(*ecr.Options)) (*ecr.CreateRepositoryOutput, error) {
	return &ecr.CreateRepositoryOutput{}, c(in)
}

// ECR says that a repository does not exist only to who reads, and hangs up on an upload.
func TestPushCreatesTheMissingRepository(t *testing.T) {
	for name, test := range map[string]struct {
		answer error
		want   string
	}{
		"created":      {nil, ""},
		"there by now": {&ecrtypes.RepositoryAlreadyExistsException{}, ""},
		"denied":       {errors.New("AccessDeniedException"), "create repository"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t)
			var exists atomic.Bool
			s.interceptWith(func(w http.ResponseWriter, r *http.Request) bool {
				missing := !exists.Load() && r.URL.Path != "/v2/"
				switch {
				case missing && r.Method == http.MethodPost:
					closeConnection(w)
				case missing:
					refuse(w, http.StatusNotFound, "NAME_UNKNOWN")
				}
				return missing
			})
			repo := s.repository(t, "team/new")
			calls := 0
			repo.CreateWith(creator(func(in *ecr.CreateRepositoryInput) error {
				calls++
				exists.Store(true)
				if *in.RepositoryName != "team/new" {
					t.Errorf("CreateRepository was called for %s", *in.RepositoryName)
				}
				return test.answer
			}), []string{"latest-dev"})
			if digest, err := repo.Check(t.Context(), "1"); err != nil || digest != "" {
				t.Error(digest, err)
			}
			got, err := repo.Push(t.Context(), opened(t, write(t, dockerSaveOf(randomImage(2)).tar())), "1", PushOptions{})
			switch {
			case calls != 1:
				t.Errorf("CreateRepository was called %d times", calls)
			case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
				t.Errorf("the error is %v", err)
			case test.want == "" && (err != nil || !got.Created):
				t.Errorf("pushed %+v, %v", got, err)
			}
		})
	}
}
