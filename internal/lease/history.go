package lease

import (
	"context"
	"errors"
	"fmt"
)

// maxUpdateAttempts bounds how often an object is read and written again because of
// concurrent writes.
const maxUpdateAttempts = 10

// WriteRecord stores the result of a run so far, under its id. Only that run and its post
// step write it.
func (s *Store) WriteRecord(ctx context.Context, id string, record any) error {
	return s.updateObject(ctx, historyName(id), new(any), func() (any, error) { return record, nil })
}

// ReadRecord decodes the record of a run into record; false when there is none.
func (s *Store) ReadRecord(ctx context.Context, id string, record any) (bool, error) {
	found, err := s.readObject(ctx, historyName(id), record)
	return found.etag != "", err
}

func historyName(id string) string { return "history/" + id + ".json" }

// updateObject reads an object into old, writes what next returns, and starts over when
// another write came between the two.
func (s *Store) updateObject(ctx context.Context, name string, old any, next func() (any, error)) error {
	for attempt := 1; ; attempt++ {
		found, err := s.readObject(ctx, name, old)
		if err != nil {
			return err
		}
		value, err := next()
		if err != nil {
			return fmt.Errorf("write %s: %w", s.objectURI(name), err)
		}
		_, err = s.writeObject(ctx, name, value, found.etag)
		if !errors.Is(err, errChanged) || attempt == maxUpdateAttempts {
			return err
		}
	}
}
