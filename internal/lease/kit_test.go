package lease_test

import (
	"encoding/json"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/org/atta-deploy-action/internal/lease"
	"github.com/org/atta-deploy-action/internal/storage"
	"github.com/org/atta-deploy-action/localaws"
)

const (
	account = "123456789012"
	bucket  = "artifacts"
	prefix  = "deployments/dev/atta/"
	lockKey = prefix + "lock.json"
)

// testStorage is an S3 in memory whose clock can differ from the runner's.
type testStorage struct {
	*localaws.Server
	client *s3.Client
	ahead  *atomic.Int64 // how far the runner's clock is ahead, in nanoseconds
}

// testWithStorage runs test on a simulated clock.
func testWithStorage(t *testing.T, test func(t *testing.T, s testStorage)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		ahead := &atomic.Int64{}
		server, err := localaws.Start(localaws.Options{InMemory: true, Now: func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = server.Close() })
		server.CreateBucket(bucket)
		client := s3.NewFromConfig(server.Config(), func(o *s3.Options) { o.UsePathStyle = true })
		test(t, testStorage{Server: server, client: client, ahead: ahead})
	})
}

// newStore returns a separate store, as each run has.
func (s testStorage) newStore() *lease.Store {
	return s.newStoreIn(bucket)
}

// newStoreIn returns a store in a bucket of that name.
func (s testStorage) newStoreIn(name string) *lease.Store {
	return lease.New(storage.New(s.client, storage.Location{Bucket: name, Owner: account, Region: "us-east-1"}), prefix)
}

// putLock overwrites lock.json.
func (s testStorage) putLock(t *testing.T, content string) {
	t.Helper()
	name, key := bucket, lockKey
	if _, err := s.client.PutObject(t.Context(), &s3.PutObjectInput{Bucket: &name, Key: &key, Body: strings.NewReader(content)}); err != nil {
		t.Fatal(err)
	}
}

// putLockOfThief overwrites the lock as if another run had taken it over.
func (s testStorage) putLockOfThief(t *testing.T) {
	t.Helper()
	s.putLock(t, `{"v":1,"generation":9,"token":"another","expiry_seconds":120,"holder":{"deployment":"thief"}}`)
}

// countHeartbeats returns how often the holder has renewed the lock.
func (s testStorage) countHeartbeats(t *testing.T) int {
	t.Helper()
	var entry struct{ Heartbeat int }
	content, _ := s.Object(bucket, lockKey)
	if err := json.Unmarshal(content, &entry); err != nil {
		t.Fatal(err)
	}
	return entry.Heartbeat
}

// callTimes returns when each request of one operation was made.
func (s testStorage) callTimes(operation string) (times []time.Time) {
	for _, call := range s.Calls() {
		if call.Operation == operation {
			times = append(times, call.Time)
		}
	}
	return times
}

func newHolder(deployment string) lease.Holder {
	return lease.Holder{Deployment: deployment, Version: "0.1.30-dev", Repository: "org/atta", RunURL: "https://github.com/org/atta/actions/runs/1", Actor: "ann"}
}

// acquireNow acquires the lock without waiting, and stops renewing it when the test ends.
func acquireNow(t *testing.T, s testStorage, deployment string) *lease.Lease {
	t.Helper()
	held, err := s.newStore().Acquire(t.Context(), newHolder(deployment), 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(held.StopRenewing)
	return held
}

// wantHeldBy fails the test unless that deployment holds the lock.
func wantHeldBy(t *testing.T, s testStorage, deployment string) *lease.HeldError {
	t.Helper()
	got, err := s.newStore().Acquire(t.Context(), newHolder("other"), 0, nil)
	var held *lease.HeldError
	if !errors.As(err, &held) || held.Holder.Deployment != deployment {
		t.Fatalf("got %+v, %v; want it held by %s", got, err, deployment)
	}
	return held
}
