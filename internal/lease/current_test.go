package lease_test

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/org/atta-deploy-action/internal/lease"
	"github.com/org/atta-deploy-action/localaws"
)

func TestRecordIsRewrittenByItsRun(t *testing.T) {
	testWithStorage(t, func(t *testing.T, s testStorage) {
		var got map[string]string
		if found, err := s.newStore().ReadRecord(t.Context(), "d-1", &got); found || err != nil {
			t.Errorf("found %t, %v", found, err)
		}
		s.AddFault(localaws.Fault{Operation: "s3:PutObject", Resource: prefix, Times: 1, DropReply: true})
		for _, status := range []string{"running", "success"} {
			if err := s.newStore().WriteRecord(t.Context(), "d-1", map[string]string{"status": status}); err != nil {
				t.Error(err)
			}
		}
		if found, err := s.newStore().ReadRecord(t.Context(), "d-1", &got); !found || err != nil || got["status"] != "success" {
			t.Errorf("found %t, %v, %v", found, got, err)
		}
	})
}

// A record has some hundred bytes for each instance.
func TestRecordOfAVeryLargeFleetIsReadBack(t *testing.T) {
	testWithStorage(t, func(t *testing.T, s testStorage) {
		want := strings.Repeat("x", 15<<20)
		if err := s.newStore().WriteRecord(t.Context(), "d-1", want); err != nil {
			t.Fatal(err)
		}
		var got string
		if found, err := s.newStore().ReadRecord(t.Context(), "d-1", &got); !found || err != nil || got != want {
			t.Errorf("found %t, %d bytes, %v", found, len(got), err)
		}
	})
}

func TestCurrentIsReadAsWritten(t *testing.T) {
	testWithStorage(t, func(t *testing.T, s testStorage) {
		l := s.newStore()
		if current, err := l.ReadCurrent(t.Context()); err != nil || current.Version != "" {
			t.Errorf("%+v, %v", current, err)
		}
		at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
		s.AddFault(localaws.Fault{Operation: "s3:PutObject", Resource: prefix, Times: 1, DropReply: true})
		for generation, version := range []string{"0.1.0-dev", "0.1.1-dev"} {
			err := l.UpdateCurrent(t.Context(), int64(generation+1), func(c *lease.Current) {
				if c.Version != version {
					c.Before, c.Version, c.Since = c.Version, version, at
				}
				c.Quarantine(lease.Quarantine{Digest: digestOf(version), Version: version})
				c.Quarantine(lease.Quarantine{Digest: digestOf(version), Version: "again"})
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		got, err := l.ReadCurrent(t.Context())
		want := lease.Current{Format: 1, Generation: 2, Version: "0.1.1-dev", Before: "0.1.0-dev", Since: at, Quarantined: []lease.Quarantine{
			{Digest: digestOf("0.1.0-dev"), Version: "0.1.0-dev"}, {Digest: digestOf("0.1.1-dev"), Version: "0.1.1-dev"},
		}}
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%v\n%s", err, diff)
		}
		if got.FindQuarantine(digestOf("0.1.0-dev")) == nil || got.FindQuarantine(digestOf("other")) != nil {
			t.Errorf("%+v", got)
		}
		got.LiftQuarantine(digestOf("0.1.0-dev"))
		if got.FindQuarantine(digestOf("0.1.0-dev")) != nil || got.FindQuarantine(digestOf("0.1.1-dev")) == nil {
			t.Errorf("%+v", got)
		}
	})
}

func TestUpdateCurrentRefusesALowerGeneration(t *testing.T) {
	testWithStorage(t, func(t *testing.T, s testStorage) {
		version := func(v string) func(*lease.Current) { return func(c *lease.Current) { c.Version = v } }
		if err := s.newStore().UpdateCurrent(t.Context(), 5, version("0.1.1-dev")); err != nil {
			t.Fatal(err)
		}
		if err := s.newStore().UpdateCurrent(t.Context(), 4, version("0.1.0-dev")); !errors.Is(err, lease.ErrLost) {
			t.Error(err)
		}
		if current, err := s.newStore().ReadCurrent(t.Context()); err != nil || current.Version != "0.1.1-dev" || current.Generation != 5 {
			t.Errorf("%+v, %v", current, err)
		}
	})
}

func TestUpdateCurrentKeepsConcurrentUpdates(t *testing.T) {
	testWithStorage(t, func(t *testing.T, s testStorage) {
		var group sync.WaitGroup
		for i := range 5 {
			group.Go(func() {
				err := s.newStore().UpdateCurrent(t.Context(), 1, func(c *lease.Current) {
					c.Quarantine(lease.Quarantine{Digest: digestOf(fmt.Sprint(i))})
				})
				if err != nil {
					t.Error(err)
				}
			})
		}
		group.Wait()
		if current, err := s.newStore().ReadCurrent(t.Context()); err != nil || len(current.Quarantined) != 5 {
			t.Errorf("%+v, %v", current, err)
		}
	})
}

func TestQuarantineKeepsTheHundredNewestImages(t *testing.T) {
	testWithStorage(t, func(t *testing.T, s testStorage) {
		err := s.newStore().UpdateCurrent(t.Context(), 1, func(c *lease.Current) {
			for i := range 120 {
				c.Quarantine(lease.Quarantine{Digest: digestOf(fmt.Sprint(i))})
			}
		})
		current, problem := s.newStore().ReadCurrent(t.Context())
		if err != nil || problem != nil || len(current.Quarantined) != 100 || current.Quarantined[0].Digest != digestOf("20") {
			t.Errorf("%d, %v, %v", len(current.Quarantined), err, problem)
		}
	})
}

func TestCurrentHolderReadsTheLockWithoutTakingIt(t *testing.T) {
	testWithStorage(t, func(t *testing.T, s testStorage) {
		if held, err := s.newStore().CurrentHolder(t.Context()); held != nil || err != nil {
			t.Errorf("%v, %v", held, err)
		}
		first := acquireNow(t, s, "first")
		if held, err := s.newStore().CurrentHolder(t.Context()); held == nil || err != nil || held.Holder.Deployment != "first" {
			t.Errorf("%v, %v", held, err)
		}
		if err := first.Release(t.Context()); err != nil {
			t.Fatal(err)
		}
		if held, err := s.newStore().CurrentHolder(t.Context()); held != nil || err != nil {
			t.Errorf("%v, %v", held, err)
		}
	})
}

func digestOf(text string) string { return fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(text))) }
