package image

import (
	"io"
	"sync"
)

// PushProgress is the progress of a push.
type PushProgress struct {
	Done, Total int64 // bytes of configs and layers in the source: read or reused, and all
	Sent        int64 // compressed bytes sent to the registry
	Reused      int   // configs and layers that were already in the repository
	ReusedBytes int64 // of Done: their bytes, as far as they were not read
}

// Progress receives the progress of a push. Calls do not overlap, and Done never decreases.
type Progress func(PushProgress)

// meter sums up the progress of all blobs of a push; a blob that is sent again is counted as done once.
type meter struct {
	report Progress

	mu     sync.Mutex
	sum    PushProgress
	read   map[*blob]int64 // the most bytes read in one pass
	reused map[*blob]bool
}

func newMeter(report Progress) *meter {
	return &meter{report: report, read: map[*blob]int64{}, reused: map[*blob]bool{}}
}

func (m *meter) addExpected(b *blob) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sum.Total += b.length
}

// countRead returns a function that counts the bytes of b read in one pass.
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
	if n = min(n, b.length); n <= m.read[b] {
		return
	}
	m.sum.Done += n - m.read[b]
	m.read[b] = n
	if m.report != nil {
		m.report(m.sum)
	}
}

// countReused counts b as reused, once.
func (m *meter) countReused(b *blob) {
	m.mu.Lock()
	if !m.reused[b] {
		m.reused[b] = true
		m.sum.Reused++
		m.sum.ReusedBytes += b.length - m.read[b]
	}
	m.mu.Unlock()
	m.reportRead(b, b.length)
}

// countSent counts the bytes written to w as sent.
func (m *meter) countSent(w io.Writer) io.Writer {
	return writeFunc(func(p []byte) (int, error) {
		n, err := w.Write(p)
		m.mu.Lock()
		m.sum.Sent += int64(n)
		m.mu.Unlock()
		return n, err
	})
}

// countForwarded counts the bytes of b that are read in one pass and sent unchanged.
func (m *meter) countForwarded(b *blob, r io.Reader) io.Reader {
	count := m.countRead(b)
	return countReads(r, func(n int) {
		count(n)
		m.mu.Lock()
		m.sum.Sent += int64(n)
		m.mu.Unlock()
	})
}

func (m *meter) total() PushProgress {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.sum
}
