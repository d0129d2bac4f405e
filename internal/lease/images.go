package lease

import (
	"context"
	"time"
)

// Image is what a run has pushed as a version. Whoever may push to the repository can set the tag of a version that is
// still to come; only an image that is recorded is taken for one of ours.
type Image struct {
	Format     int       `json:"v"`
	Digest     string    `json:"digest"`
	Deployment string    `json:"deployment"`
	Since      time.Time `json:"since"`            // by that run's clock
	Commit     string    `json:"commit,omitempty"` // of that run
}

// WriteImage records the image of a version.
func (s *Store) WriteImage(ctx context.Context, version string, image Image) error {
	image.Format = 1
	return s.updateObject(ctx, imageName(version), new(any), func() (any, error) { return image, nil })
}

// ReadImage returns the recorded image of a version, or the zero value if there is none.
func (s *Store) ReadImage(ctx context.Context, version string) (Image, error) {
	var image Image
	_, err := s.readObject(ctx, imageName(version), &image)
	return image, err
}

func imageName(version string) string { return "images/" + version + ".json" }

func (i *Image) validate() error { return field{"digest", i.Digest}.validate() }
