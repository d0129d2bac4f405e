package image

import "testing"

// A version is pushed again, such as by a run that is started again. The recent image has the same config, and layers that are
// compressed in another way.
func TestAVersionIsPushedAgainNextToARecentImageWithTheSameConfig(t *testing.T) {
	s := newServer(t)
	repo := s.repository(t, "app")
	ref := savedAs(t, imageOf(50_000))
	first, err := repo.Push(t.Context(), opened(t, ref), "1", PushOptions{})
	if err != nil {
		t.Fatal(err)
	}
	second, err := repo.Push(t.Context(), opened(t, ref), "2", PushOptions{Compression: Zstd})
	if err != nil || second.Digest == first.Digest {
		t.Fatal(second, err)
	}
	if again, err := repo.Push(t.Context(), opened(t, ref), "1", PushOptions{Recent: []string{second.Digest}}); err != nil || again.Digest != first.Digest || again.Uploaded {
		t.Errorf("%+v, %v", again, err)
	}
}
