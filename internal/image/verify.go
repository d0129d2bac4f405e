package image

import (
	"context"
	"crypto/sha256"
	"fmt"
	"hash"
	"io"
	"sync/atomic"

	"github.com/org/atta-deploy-action/internal/sha256x2"
)

// verify reads a compressed layer of a docker save and checks it against the config, sending nothing.
func (b *blob) verify(ctx context.Context, read func(int)) error {
	r, err := b.open(ctx)
	if err != nil {
		return b.blame(ctx, err)
	}
	defer r.Close()
	plain := sha256.New()
	if err := unpack(plain, counted(reader(ctx, r), read)); err != nil {
		return b.blame(ctx, err)
	}
	return b.matches(ctx, plain)
}

// matches compares what a layer has been found to hold with the config.
func (b *blob) matches(ctx context.Context, plain hash.Hash) error {
	if have := sum(plain); have != b.diffID {
		return b.blame(ctx, fmt.Errorf("its content is %s, the config says %s", have, b.diffID))
	}
	return nil
}

// verifier reads layers whose content the repository holds, checks them against the config, and reuses what it holds.
type verifier struct {
	engine *engine
	rest   chan *blob // that nobody has begun to read
	given  chan *lane // to a worker that has nothing to do; closed when none is left
	left   atomic.Int32
}

func (e *engine) verifier(layers []*blob) *verifier {
	v := &verifier{engine: e, rest: make(chan *blob, len(layers)), given: make(chan *lane)}
	for _, b := range layers {
		v.rest <- b
	}
	close(v.rest)
	if v.left.Store(int32(len(layers))); len(layers) == 0 {
		close(v.given)
	}
	return v
}

// work is what one core does until no layer is left. While all others have something to do too, it hashes two layers at
// once. Own code for SHA-256 is used here alone, where nothing that was hashed is sent: the push names the layer that the
// repository holds, and a hash that is wrong refuses it.
func (v *verifier) work(ctx context.Context) (err error) {
	var first, second *lane
	defer func() {
		first.close()
		second.close()
	}()
	one, two := make([]byte, readSize/2), make([]byte, readSize/2) // both lie in the cache of the core
	for {
		if first == nil {
			if first, err = v.take(ctx); first == nil || err != nil {
				return err
			}
		}
		if second == nil {
			if second, err = v.begin(ctx); err != nil {
				return err
			}
		}
		if second != nil {
			select {
			case v.given <- second:
				second = nil
			default:
			}
		}
		p, err := first.next(ctx, one)
		if err != nil {
			return err
		}
		if p == nil {
			first, second = second, nil
			continue
		}
		if second == nil {
			_, _ = first.plain.Write(p)
			continue
		}
		q, err := second.next(ctx, two)
		if err != nil {
			return err
		}
		sha256x2.Write(first.plain, second.plain, p, q)
		if q == nil {
			second = nil
		}
	}
}

// take returns a layer for one who has none: the next, or one that another has begun; nil when none is left.
func (v *verifier) take(ctx context.Context) (*lane, error) {
	if l, err := v.begin(ctx); l != nil || err != nil {
		return l, err
	}
	select {
	case l := <-v.given:
		return l, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// begin opens the next layer, if there is one.
func (v *verifier) begin(ctx context.Context) (*lane, error) {
	b, more := <-v.rest
	if !more {
		return nil, nil
	}
	source, err := b.open(ctx)
	if err != nil {
		return nil, b.blame(ctx, err)
	}
	return &lane{verifier: v, layer: b, source: source, from: counted(reader(ctx, source), v.engine.meter.reader(b)), plain: sha256.New()}, nil
}

// lane is a layer that is being read.
type lane struct {
	*verifier
	layer  *blob
	source io.ReadCloser
	from   io.Reader
	plain  hash.Hash
}

// next reads what is to be hashed next into chunk. At the end of the layer that is nil, and the layer is reused.
func (l *lane) next(ctx context.Context, chunk []byte) ([]byte, error) {
	n, err := fill(chunk, l.from)
	if err == nil {
		return chunk, nil
	}
	if err != io.EOF { //nolint:errorlint // as io.Copy has it: what wraps it is an error
		return nil, l.layer.blame(ctx, err)
	}
	_, _ = l.plain.Write(chunk[:n])
	if err := l.layer.matches(ctx, l.plain); err != nil {
		return nil, err
	}
	l.engine.reuse(l.layer)
	l.close()
	if l.left.Add(-1) == 0 {
		close(l.given)
	}
	return nil, nil
}

func (l *lane) close() {
	if l != nil {
		l.source.Close()
	}
}

// fill reads until p is full. Other than io.ReadFull, it has no error of its own for a reader that ends before.
func fill(p []byte, r io.Reader) (n int, err error) {
	for n < len(p) && err == nil {
		var more int
		more, err = r.Read(p[n:])
		n += more
	}
	return n, err
}
