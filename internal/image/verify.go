package image

import (
	"context"
	"crypto/sha256"
	"fmt"
	"hash"
	"io"

	"golang.org/x/sync/errgroup"

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

// verify reads layers whose content the repository holds, checks them against the config, and reuses what it holds. So
// many workers each hash two of them at once, as long as there are more layers than workers.
func (e *engine) verify(ctx context.Context, layers []*blob, workers int) error {
	workers = min(workers, len(layers))
	rest := make(chan *blob, len(layers))
	for _, b := range layers[workers:] {
		rest <- b
	}
	close(rest)
	group, ctx := errgroup.WithContext(ctx)
	for _, b := range layers[:workers] {
		group.Go(func() error { return e.verifyTwo(ctx, b, rest) })
	}
	return group.Wait()
}

// verifyTwo is a worker: it begins with b, and takes what is left. Own code for SHA-256 is used here alone, where the hash is
// compared with one that is known: a mistake in it would refuse a layer, and not let another pass.
func (e *engine) verifyTwo(ctx context.Context, b *blob, rest <-chan *blob) error {
	lanes := [2]lane{}
	for i := range lanes {
		lanes[i] = lane{engine: e, rest: rest, chunk: make([]byte, readSize/len(lanes)), plain: sha256.New()}
		defer lanes[i].close()
	}
	if err := lanes[0].start(ctx, b); err != nil {
		return err
	}
	for {
		p, err := lanes[0].next(ctx)
		if err != nil {
			return err
		}
		q, err := lanes[1].next(ctx)
		if err != nil || len(p)+len(q) == 0 {
			return err
		}
		sha256x2.Write(lanes[0].plain, lanes[1].plain, p, q)
	}
}

// lane reads one layer after the other.
type lane struct {
	engine *engine
	rest   <-chan *blob
	chunk  []byte
	plain  hash.Hash

	layer  *blob // nil between two
	source io.ReadCloser
	from   io.Reader
}

func (l *lane) start(ctx context.Context, b *blob) error {
	source, err := b.open(ctx)
	if err != nil {
		return b.blame(ctx, err)
	}
	l.layer, l.source, l.from = b, source, counted(reader(ctx, source), l.engine.meter.reader(b))
	l.plain.Reset()
	return nil
}

func (l *lane) close() {
	if l.layer != nil {
		l.source.Close()
		l.layer = nil
	}
}

// next returns what is to be hashed, and nothing after the last layer.
func (l *lane) next(ctx context.Context) ([]byte, error) {
	for {
		if l.layer == nil {
			b, more := <-l.rest
			if !more {
				return nil, nil
			}
			if err := l.start(ctx, b); err != nil {
				return nil, err
			}
		}
		n, err := fill(l.chunk, l.from)
		if err == nil {
			return l.chunk, nil
		}
		if err != io.EOF { //nolint:errorlint // as io.Copy has it: what wraps it is an error
			return nil, l.layer.blame(ctx, err)
		}
		_, _ = l.plain.Write(l.chunk[:n])
		if err := l.layer.matches(ctx, l.plain); err != nil {
			return nil, err
		}
		l.engine.reuse(l.layer)
		l.close()
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
