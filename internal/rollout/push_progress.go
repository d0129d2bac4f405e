package rollout

import (
	"fmt"
	"sync"
	"time"

	"github.com/org/atta-deploy-action/internal/image"
)

// progressInterval is how often the console gets the progress of a push. It shows less of it outside a terminal.
const progressInterval = 500 * time.Millisecond

// pushMeter is how far a push has come.
type pushMeter struct {
	began time.Time

	mu       sync.Mutex
	latest   image.PushProgress
	advanced time.Time // when latest was read
}

// setLatest implements image.Progress.
func (m *pushMeter) setLatest(latest image.PushProgress) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.latest, m.advanced = latest, time.Now()
}

// showOn shows the progress on the console until the function that it returns is called.
func (m *pushMeter) showOn(console Console) (stop func()) {
	return repeatInBackground(func() time.Duration { return progressInterval }, func() {
		m.mu.Lock()
		latest, took := m.latest, m.advanced.Sub(m.began)
		m.mu.Unlock()
		if latest.Done > 0 {
			console.Progress(formatPush(latest, took))
		}
	})
}

// formatPush describes a push that took so long to get so far. What was reused took no time, and says nothing about the rest.
func formatPush(p image.PushProgress, took time.Duration) string {
	text := fmt.Sprintf("pushing: %d %% of %d MB", 100*p.Done/max(p.Total, 1), p.Total>>20)
	if seconds, work := took.Seconds(), p.Done-p.ReusedBytes; seconds > 0 && work > 0 {
		left := time.Duration(float64(p.Total-p.Done) / float64(work) * float64(took))
		text += fmt.Sprintf(", %.1f MB/s, %s left", float64(p.Sent)/(1<<20)/seconds, left.Round(time.Second))
	}
	return text + fmt.Sprintf(", %d MB sent, %d layers reused", p.Sent>>20, p.Reused)
}
