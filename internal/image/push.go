package image

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

// Pushed is an image that the registry has confirmed.
type Pushed struct {
	URI      string // host/name@sha256:…
	Tag      string
	Digest   string // sha256:…
	Uploaded bool   // false when the tag already named this very image, and nothing was sent
	Bytes    int64  // bytes of layers and configs sent
}

// Push makes tag name src. Everything is sent by digest first, checked on the way, and the tag is written last, so an
// error leaves no tag behind. A tag that already names this image is success; one that names another is a
// TagConflictError. progress may be nil.
func (r *Repository) Push(ctx context.Context, src *Source, tag string, progress Progress) (Pushed, error) {
	reference, err := r.reference(tag)
	if err != nil {
		return Pushed{}, err
	}
	pusher, err := remote.NewPusher(r.options...)
	if err != nil {
		return Pushed{}, fmt.Errorf("push %s: %w", reference, err)
	}
	engine := &engine{repo: r.name, pusher: pusher, meter: newMeter(progress)}
	have, err := r.Resolve(ctx, tag)
	switch {
	case errors.Is(err, ErrNotFound):
		if err := engine.send(ctx, src.root); err != nil {
			return Pushed{}, fmt.Errorf("push %s: %w", reference, err)
		}
		if err := r.put(ctx, pusher, tag, rawManifest{src.root.raw, src.root.MediaType}); err != nil {
			return Pushed{}, err
		}
	case err != nil:
		return Pushed{}, err
	default:
		// The tag decides already: whatever src is, nothing is to be sent.
		if err := engine.seal(ctx, src.root); err != nil {
			return Pushed{}, fmt.Errorf("push %s: %w", reference, err)
		}
		if want := src.Digest(); have != want {
			return Pushed{}, &TagConflictError{Ref: reference.String(), Have: have, Want: want}
		}
	}
	digest := src.Digest()
	for _, ref := range []string{tag, digest} {
		if err := r.verify(ctx, ref, digest); err != nil {
			return Pushed{}, err
		}
	}
	return Pushed{
		URI:      r.URI(digest),
		Tag:      tag,
		Digest:   digest,
		Uploaded: have == "",
		Bytes:    engine.sent.Load(),
	}, nil
}

// put writes tag. Losing a race for an immutable tag is success when the winner pushed the same image. ECR answers
// ImageTagAlreadyExistsException as TAG_INVALID: https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-tag-mutability.html
func (r *Repository) put(ctx context.Context, pusher *remote.Pusher, tag string, m rawManifest) error {
	reference, err := r.reference(tag)
	if err != nil {
		return err
	}
	err = pusher.Put(ctx, reference, m)
	if err == nil {
		return nil
	}
	var answer *transport.Error
	if errors.As(err, &answer) && answer.StatusCode/100 == 4 {
		want := digestOf(m.raw).String()
		if have, resolveErr := r.Resolve(ctx, tag); resolveErr == nil && have == want {
			return nil
		} else if resolveErr == nil && tagTaken(answer) {
			return &TagConflictError{Ref: reference.String(), Have: have, Want: want}
		}
	}
	return fmt.Errorf("tag %s: %w", reference, explain(err))
}

func tagTaken(answer *transport.Error) bool {
	for _, e := range answer.Errors {
		if e.Code == "TAG_INVALID" || e.Code == "ImageTagAlreadyExistsException" {
			return true
		}
	}
	return false
}

// verify asks the registry itself what ref names now.
func (r *Repository) verify(ctx context.Context, ref, want string) error {
	have, err := r.Resolve(ctx, ref)
	if err != nil {
		return fmt.Errorf("verify push: %w", err)
	}
	if have != want {
		return fmt.Errorf("verify push: the registry answers %s for %s/%s, not %s", have, r.name, ref, want)
	}
	return nil
}
