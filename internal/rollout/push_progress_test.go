package rollout_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/org/atta-deploy-action/internal/image"
)

// slowRepository reads a megabyte a second for a minute, and stands still for another, before it pushes.
type slowRepository struct{ *image.Repository }

func (r slowRepository) Push(ctx context.Context, source *image.Source, tag string, options image.PushOptions) (image.Pushed, error) {
	const reused = 100 << 20
	for second := range int64(61) {
		options.Progress(image.PushProgress{Done: reused + second<<20, Total: reused + 100<<20, Sent: second << 19, Reused: 2, ReusedBytes: reused})
		time.Sleep(time.Second)
	}
	time.Sleep(time.Minute)
	return r.Repository.Push(ctx, source, tag, options)
}

func TestLongPushShowsItsProgress(t *testing.T) {
	onFixture(t, func(t *testing.T, f *fixture) {
		f.slowPush = true
		f.addHost("i-1", "0.1.29-dev")
		if _, err := f.runPlan(f.plan("0.1.30-dev", "i-1")); err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{
			"pushing: 50 % of 200 MB, 0 MB sent, 2 layers reused",
			"pushing: 60 % of 200 MB, 0.5 MB/s, 1m20s left, 10 MB sent, 2 layers reused",
			"pushing: 75 % of 200 MB, 0.5 MB/s, 50s left, 25 MB sent, 2 layers reused",
			"pushing: 80 % of 200 MB, 0.5 MB/s, 40s left, 30 MB sent, 2 layers reused",
		} {
			if !slices.Contains(f.console.log, want) {
				t.Errorf("never shown: %s", want)
			}
		}
		if n := f.console.countLines("waiting for the end of the step Push image, until 01:00:00 UTC at the latest"); n != 2 {
			t.Errorf("the run says %d times in a silent minute what it waits for", n)
		}
		if t.Failed() {
			t.Log(strings.Join(f.console.log, "\n"))
		}
	})
}
