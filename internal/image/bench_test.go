package image

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"
)

// prose returns bytes that compress about as well as programs and text.
func prose(size int) []byte {
	r := rand.New(rand.NewPCG(1, 2))
	var b bytes.Buffer
	for b.Len() < size {
		switch r.IntN(10) {
		case 0:
			for range 24 {
				b.WriteByte(byte(r.Uint32()))
			}
		default:
			fmt.Fprintf(&b, "word%d ", int(3000*r.Float64()*r.Float64()))
		}
	}
	return b.Bytes()[:size]
}

// BenchmarkStored measures a layer without a network: read, verified, compressed and hashed.
func BenchmarkStored(b *testing.B) {
	content := prose(64 << 20)
	plain := digestOf(content)
	for _, c := range []Compression{Gzip, Zstd} {
		b.Run(string(c), func(b *testing.B) {
			b.SetBytes(int64(len(content)))
			b.ReportAllocs()
			for b.Loop() {
				layer := &blob{name: "layer", compress: true, diffID: plain, open: func(context.Context) (io.ReadCloser, error) {
					return io.NopCloser(bytes.NewReader(content)), nil
				}}
				_, size, err := layer.storeTo(b.Context(), io.Discard, c, func(int) {})
				if err != nil {
					b.Fatal(err)
				}
				b.ReportMetric(float64(size)/float64(len(content)), "ratio")
			}
		})
	}
	b.Run("verify", func(b *testing.B) {
		b.SetBytes(2 * int64(len(content)))
		for b.Loop() {
			var layers []*blob
			for range 2 {
				layers = append(layers, &blob{name: "layer", compress: true, diffID: plain, length: int64(len(content)), open: func(context.Context) (io.ReadCloser, error) {
					return io.NopCloser(bytes.NewReader(content)), nil
				}})
			}
			e := &engine{meter: newMeter(nil)}
			if err := runParallel(b.Context(), layers, e.verifyContent); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("sha256", func(b *testing.B) {
		b.SetBytes(int64(len(content)))
		for b.Loop() {
			sha256.Sum256(content)
		}
	})
}
