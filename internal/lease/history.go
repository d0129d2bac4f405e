package lease

import (
	"context"
	"errors"
	"fmt"
)

// maxUpdateAttempts limits how often an update is attempted when other runs write the object at the same time.
const maxUpdateAttempts = 10

// WriteRecord stores the record of a run, which may not have ended, under its id. Only the run and its post step write it.
func (s *Store) WriteRecord(ctx context.Context, id string, record any) error {
	return s.updateObject(ctx, historyName(id), new(any), func() (any, error) { return record, nil })
}

// ReadRecord decodes the record of a run into record, and returns false if there is none.
func (s *Store) ReadRecord(ctx context.Context, id string, record any) (bool, error) {
	found, err := s.readObject(ctx, historyName(id), record)
	return found.etag != "", err
}

func historyName(id string) string { return "history/" + id + ".json" }

// updateObject reads an object into old and replaces it with the value that next returns. It
// starts over if another run writes the object in between.
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
