package image

import (
	"errors"
	"testing"
)

func TestPushThatIsRefusedByDigestWritesNoManifest(t *testing.T) {
	for way, ref := range bothWays(t, randomImage(2)) {
		s, refused := newServer(t), errors.New("not this one")
		repo := s.repository(t, "app")
		pushed, err := repo.Push(t.Context(), opened(t, ref), "1", PushOptions{})
		if err != nil {
			t.Fatal(err)
		}
		s.resetCounts()
		var asked []string
		options := PushOptions{Refuse: func(digest string) error {
			asked = append(asked, digest)
			return refused
		}}
		if _, err := repo.Push(t.Context(), opened(t, ref), "2", options); !errors.Is(err, refused) || len(asked) != 1 || asked[0] != pushed.Digest {
			t.Errorf("%s: asked for %v, and the error is %v", way, asked, err)
		}
		if s.countWrites("/manifests/") != 0 || way == "OCI layout" && s.countWrites("") != 0 {
			t.Errorf("%s: the writes are %v", way, s.writes)
		}
		if _, err := repo.Push(t.Context(), opened(t, ref), "1", options); err != nil {
			t.Errorf("%s: what is pushed already is refused: %v", way, err)
		}
	}
}
