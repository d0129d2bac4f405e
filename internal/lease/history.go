package lease

import (
	"context"
	"errors"
	"fmt"
)

// maxTries bounds how often an entry is read and written again when others write it, too.
const maxTries = 10

// WriteRecord writes down what a run has come to so far, under its id. Only the run itself and
// the step that tidies up after it write it.
func (l *Store) WriteRecord(ctx context.Context, id string, record any) error {
	return l.rewrite(ctx, historyName(id), new(any), func() (any, error) { return record, nil })
}

// ReadRecord reads what a run has written down; it is false when there is nothing.
func (l *Store) ReadRecord(ctx context.Context, id string, record any) (bool, error) {
	found, err := l.read(ctx, historyName(id), record)
	return found.etag != "", err
}

func historyName(id string) string { return "history/" + id + ".json" }

// rewrite reads an entry into old, asks for what is to be written and writes it, and does
// so again when another write came between.
func (l *Store) rewrite(ctx context.Context, name string, old any, next func() (any, error)) error {
	for try := 1; ; try++ {
		found, err := l.read(ctx, name, old)
		if err != nil {
			return err
		}
		value, err := next()
		if err != nil {
			return fmt.Errorf("write %s: %w", l.uri(name), err)
		}
		_, err = l.write(ctx, name, value, found.etag)
		if !errors.Is(err, errChanged) || try == maxTries {
			return err
		}
	}
}
