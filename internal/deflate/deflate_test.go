package deflate

import (
	"bytes"
	"compress/flate"
	"io"
	"os"
	"testing"
)

func TestRound(t *testing.T) {
	data, _ := os.ReadFile("/tmp/exp/data.bin")
	var e Encoder
	for i := 0; i < len(data); i += 512 << 10 {
		p := data[i:min(len(data), i+512<<10)]
		out := append(e.Append(nil, p), 3, 0)
		got, err := io.ReadAll(flate.NewReader(bytes.NewReader(out)))
		if err != nil || !bytes.Equal(got, p) {
			t.Fatal(i, err, len(got), len(p))
		}
	}
}
func BenchmarkAppend(b *testing.B) {
	data, _ := os.ReadFile("/tmp/exp/data.bin")
	var e Encoder
	out := make([]byte, 0, 1<<20)
	b.SetBytes(int64(len(data)))
	total := 0
	for b.Loop() {
		total = 0
		for i := 0; i < len(data); i += 512 << 10 {
			total += len(e.Append(out[:0], data[i:min(len(data), i+512<<10)]))
		}
	}
	b.ReportMetric(float64(total)/float64(len(data)), "ratio")
}
