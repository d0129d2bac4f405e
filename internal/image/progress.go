package image

import (
	"sync"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// Progress is told how many of total bytes of configs and layers are in the registry, whether sent or there before.
// Calls come one at a time and done never goes back.
type Progress func(done, total int64)

// meter adds up the blobs of one push; a blob that is sent again counts once.
type meter struct {
	report Progress

	mu          sync.Mutex
	reached     map[v1.Hash]int64
	done, total int64
}

func newMeter(report Progress) *meter {
	return &meter{report: report, reached: map[v1.Hash]int64{}}
}

func (m *meter) expect(blob v1.Hash, size int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := m.reached[blob]; !ok {
		m.reached[blob] = 0
		m.total += size
	}
}

func (m *meter) reach(blob v1.Hash, n int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if n <= m.reached[blob] {
		return
	}
	m.done += n - m.reached[blob]
	m.reached[blob] = n
	if m.report != nil {
		m.report(m.done, m.total)
	}
}
