package image

import (
	"io"
	"sync"
)

// PushProgress is how far a push is.
type PushProgress struct {
	Done, Total int64 // bytes of configs and layers as the source has them, read or known to be there
	Sent        int64 // bytes of them that went to the registry, compressed
	Reused      int   // configs and layers that were there before
}

// Progress is told how far a push is. Calls come one at a time and Done never goes back.
type Progress func(PushProgress)

// meter adds up the blobs of one push; a blob that is sent again counts as done once.
type meter struct {
	report Progress

	mu      sync.Mutex
	moved   PushProgress
	reached map[*blob]int64
	again   map[*blob]bool
}

func newMeter(report Progress) *meter {
	return &meter{report: report, reached: map[*blob]int64{}, again: map[*blob]bool{}}
}

func (m *meter) addExpected(b *blob) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.moved.Total += b.length
}

// countRead counts what is read of b in one pass.
func (m *meter) countRead(b *blob) func(int) {
	var n int64
	return func(more int) {
		n += int64(more)
		m.reportRead(b, n)
	}
}

func (m *meter) reportRead(b *blob, n int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if n = min(n, b.length); n <= m.reached[b] {
		return
	}
	m.moved.Done += n - m.reached[b]
	m.reached[b] = n
	if m.report != nil {
		m.report(m.moved)
	}
}

// countReused counts b as one that was there.
func (m *meter) countReused(b *blob) {
	m.mu.Lock()
	if !m.again[b] {
		m.again[b] = true
		m.moved.Reused++
	}
	m.mu.Unlock()
	m.reportRead(b, b.length)
}

// countSent counts what is sent.
func (m *meter) countSent(w io.Writer) io.Writer {
	return writeFunc(func(p []byte) (int, error) {
		n, err := w.Write(p)
		m.mu.Lock()
		m.moved.Sent += int64(n)
		m.mu.Unlock()
		return n, err
	})
}

// countForwarded counts what is read of b in one pass, and sent as it is.
func (m *meter) countForwarded(b *blob, r io.Reader) io.Reader {
	reach := m.countRead(b)
	return countReads(r, func(n int) {
		reach(n)
		m.mu.Lock()
		m.moved.Sent += int64(n)
		m.mu.Unlock()
	})
}

func (m *meter) total() PushProgress {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.moved
}
