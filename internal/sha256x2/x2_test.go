package sha256x2

import (
	"bytes"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"hash"
	"math/rand/v2"
	"strings"
	"testing"
)

// streams writes p and q in pieces to two hashes at once, and reports whether each gets its digest.
func streams(t *testing.T, p, q []byte, pieces ...int) {
	t.Helper()
	a, b := sha256.New(), sha256.New()
	restP, restQ := p, q
	for _, n := range append(pieces, max(len(p), len(q))) {
		n, m := min(n, len(restP)), min(n, len(restQ))
		Write(a, b, restP[:n], restQ[:m])
		restP, restQ = restP[n:], restQ[m:]
	}
	for i, content := range [][]byte{p, q} {
		if have, want := []hash.Hash{a, b}[i].Sum(nil), sha256.Sum256(content); !bytes.Equal(have, want[:]) {
			t.Fatalf("stream %d of %d and %d bytes in pieces of %d: %x, want %x", i, len(p), len(q), pieces, have, want)
		}
	}
}

func random(r *rand.Rand, n int) []byte {
	p := make([]byte, n)
	for i := range p {
		p[i] = byte(r.Uint32())
	}
	return p
}

// TestMillion has the vector of a million times the letter a, FIPS 180-2, B.3.
func TestMillion(t *testing.T) {
	a, b := sha256.New(), sha256.New()
	for range 1_000_000 / 8000 {
		Write(a, b, bytes.Repeat([]byte("a"), 8000), bytes.Repeat([]byte("a"), 8000))
	}
	for _, h := range []hash.Hash{a, b} {
		if have := hex.EncodeToString(h.Sum(nil)); have != "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0" {
			t.Errorf("a million times a: %s", have)
		}
	}
}

func TestEveryLengthAroundBlocks(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	p, q := random(r, 70*64), random(r, 70*64)
	for n := range 130 {
		streams(t, p[:len(p)-n], q)
		streams(t, p, q[:len(q)-n])
		streams(t, p[n:], q, 64*64) // not aligned in memory
	}
}

// TestPieces has hashes within a block, streams that end before the other, and pieces too small to be worth it.
func TestPieces(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 500 {
		pieces := make([]int, r.IntN(8))
		for i := range pieces {
			if pieces[i] = r.IntN(20_000); r.IntN(2) == 0 {
				pieces[i] &^= 63
			}
		}
		streams(t, random(r, r.IntN(60_000)), random(r, r.IntN(60_000)), pieces...)
	}
}

// Without this all could be as slow as before, and nobody would notice.
func TestWhatIsHashedTogether(t *testing.T) {
	const much = few * 64
	tests := map[string]struct {
		a, b   hash.Hash
		before int // bytes
		p, q   int // bytes
		want   int
	}{
		"two streams":              {sha256.New(), sha256.New(), 0, much, much, much},
		"blocks behind them":       {sha256.New(), sha256.New(), 128, much, much, much},
		"one longer":               {sha256.New(), sha256.New(), 0, much + 63, much + 640, much},
		"a few blocks":             {sha256.New(), sha256.New(), 0, much - 1, much, 0},
		"nothing beside":           {sha256.New(), sha256.New(), 0, much, 0, 0},
		"within a block":           {sha256.New(), sha256.New(), 1, much, much, 0},
		"SHA-224":                  {sha256.New224(), sha256.New(), 0, much, much, 0},
		"SHA-512":                  {sha256.New(), sha512.New(), 0, much, much, 0},
		"what is not written down": {sha256.New(), struct{ hash.Hash }{sha256.New()}, 0, much, much, 0},
	}
	for name, tt := range tests {
		tt.a.Write(make([]byte, tt.before))
		if !hasSHA {
			tt.want = 0
		}
		if have := together(tt.a, tt.b, make([]byte, tt.p), make([]byte, tt.q)); have != tt.want {
			t.Errorf("%s: %d bytes of each, want %d", name, have, tt.want)
		}
	}
}

// Others are written to as they are.
func TestOthers(t *testing.T) {
	p := []byte(strings.Repeat("content ", 10_000))
	a, b := sha512.New(), sha256.New()
	Write(a, b, p, p)
	if want := sha512.Sum512(p); !bytes.Equal(a.Sum(nil), want[:]) {
		t.Error("SHA-512 differs")
	}
	if want := sha256.Sum256(p); !bytes.Equal(b.Sum(nil), want[:]) {
		t.Error("the SHA-256 beside it differs")
	}
}

func FuzzWrite(f *testing.F) {
	f.Add([]byte("content"), []byte("another"), uint16(1), uint16(4096), uint8(200))
	f.Fuzz(func(t *testing.T, p, q []byte, first, second uint16, times uint8) {
		streams(t, bytes.Repeat(p, int(times)), bytes.Repeat(q, int(times)), int(first), int(second))
	})
}

func BenchmarkWrite(b *testing.B) {
	p, q := make([]byte, 256<<10), make([]byte, 256<<10)
	one, two := sha256.New(), sha256.New()
	for name, write := range map[string]func(){
		"together":        func() { Write(one, two, p, q) },
		"after the other": func() { one.Write(p); two.Write(q) },
	} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(p) + len(q)))
			for b.Loop() {
				write()
			}
		})
	}
}
