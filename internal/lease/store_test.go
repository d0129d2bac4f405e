package lease_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/org/atta-deploy-action/localaws"
)

func TestLockObjectNamesItsHolder(t *testing.T) {
	testWithStorage(t, func(t *testing.T, s testStorage) {
		acquireNow(t, s, "first")
		content, ok := s.Object(bucket, lockKey)
		var entry map[string]any
		if !ok || json.Unmarshal(content, &entry) != nil {
			t.Fatalf("%s", content)
		}
		if keys := slices.Sorted(maps.Keys(entry)); fmt.Sprint(keys) != "[expiry_seconds generation holder token v]" {
			t.Errorf("%s", content)
		}
	})
}

func TestUnusableBucketIsNeitherReadNorWritten(t *testing.T) {
	testWithStorage(t, func(t *testing.T, s testStorage) {
		s.CreateBucket("theirs", localaws.OwnedBy("999999999999"))
		s.CreateBucket("elsewhere", localaws.InRegion("eu-west-1"))
		for name, part := range map[string]string{"theirs": "AccessDenied", "nowhere": "the bucket nowhere does not exist", "elsewhere": "the bucket elsewhere is in region eu-west-1, not in us-east-1"} {
			_, err := s.newStoreIn(name).Acquire(t.Context(), newHolder("x"), time.Minute, nil)
			if err == nil || !strings.Contains(err.Error(), "read s3://"+name+"/"+lockKey+": ") || !strings.Contains(err.Error(), part) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if _, ok := s.Object("theirs", lockKey); ok {
			t.Error("the bucket of another account was written to")
		}
	})
}

// docs/permissions.md says how many versions of the lock a bucket with versions keeps.
func TestHeartbeatWritesThreeVersionsAMinute(t *testing.T) {
	testWithStorage(t, func(t *testing.T, s testStorage) {
		s.CreateBucket("locked", localaws.WithObjectLock())
		held, err := s.newStoreIn("locked").Acquire(t.Context(), newHolder("first"), 0, nil)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(10*time.Minute + time.Second) // virtual time
		if err := held.Release(t.Context()); err != nil {
			t.Fatal(err)
		}
		content, _ := s.Object("locked", lockKey)
		if writes := len(s.callTimes("s3:PutObject")); writes != 1+10*3+1 || len(content) > 500 {
			t.Errorf("%d writes, the last of %d bytes", writes, len(content))
		}
	})
}

func TestLockThatCannotBeDecodedIsNotTakenOver(t *testing.T) {
	valid := `{"v":1,"generation":1}`
	for name, content := range map[string]string{
		"not JSON":         "mine",
		"more than 16 MiB": strings.Repeat(" ", 16<<20) + valid,
	} {
		t.Run(name, func(t *testing.T) {
			testWithStorage(t, func(t *testing.T, s testStorage) {
				s.putLock(t, content)
				if _, err := s.newStore().Acquire(t.Context(), newHolder("x"), 0, nil); err == nil || !strings.Contains(err.Error(), "not an object that this action wrote") {
					t.Error(err)
				}
			})
		})
	}
}

func TestUpdateFailsAfterTenConflicts(t *testing.T) {
	testWithStorage(t, func(t *testing.T, s testStorage) {
		s.AddFault(localaws.Fault{Operation: "s3:PutObject", Error: &localaws.Error{Status: 412, Code: "PreconditionFailed"}})
		err := s.newStore().WriteRecord(t.Context(), "d-1", "text")
		if n := len(s.callTimes("s3:PutObject")); err == nil || !strings.Contains(err.Error(), "changed by another run") || n != 10 {
			t.Errorf("%v after %d writes", err, n)
		}
	})
}
