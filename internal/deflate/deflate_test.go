package deflate

import (
	"bytes"
	"compress/flate"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"slices"
	"testing"

	klauspost "github.com/klauspost/compress/flate"
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// program is the one that runs here.
func program(tb testing.TB) []byte {
	tb.Helper()
	return must(os.ReadFile(must(os.Executable())))
}

func random(seed uint64, n int) []byte {
	r := rand.New(rand.NewPCG(seed, 0))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// unpacked is what two other programs read in a stream.
func unpacked(tb testing.TB, packed []byte) []byte {
	tb.Helper()
	ended := append(slices.Clip(packed), 0x03, 0x00)
	content, err := io.ReadAll(flate.NewReader(bytes.NewReader(ended)))
	if err != nil {
		tb.Fatal(err)
	}
	again, err := io.ReadAll(klauspost.NewReader(bytes.NewReader(ended)))
	if err != nil || !bytes.Equal(content, again) {
		tb.Fatal("two programs read it differently", err)
	}
	return content
}

func TestWhatIsCompressedIsReadAgain(t *testing.T) {
	t.Parallel()
	contents := map[string][]byte{
		"nothing":      nil,
		"a program":    program(t)[:3*blockSize+12345],
		"zeros":        make([]byte, 2*blockSize+1),
		"noise":        random(1, blockSize+3),
		"a little":     bytes.Repeat([]byte("ab"), 40),
		"a long way":   slices.Concat(random(2, maxDistance), random(2, maxDistance)),
		"too long one": slices.Concat(random(3, maxDistance+1), random(3, maxDistance+1)),
		"half of it":   slices.Concat(random(4, 3*partSize/2), make([]byte, partSize), random(4, partSize/2)),
		"every byte": bytes.Repeat(slices.Collect(func(yield func(byte) bool) {
			for i := range 256 {
				yield(byte(i))
			}
		}), 1000),
	}
	for n := range 80 {
		contents[fmt.Sprintf("%d bytes", n)] = random(5, n)
		contents[fmt.Sprintf("%d zeros", n)] = make([]byte, n)
	}
	for n := range 3 * maxLength { // matches of every length, and where they are cut
		contents[fmt.Sprintf("again %d", n)] = slices.Concat(random(6, 900), random(6, n), random(7, 40))
	}
	for distance := 1; distance <= 70; distance++ {
		contents[fmt.Sprintf("each %d", distance)] = bytes.Repeat(random(8, distance), 20)
	}
	var e Encoder
	for name, content := range contents {
		packed := e.Append([]byte("before"), content)
		if got := unpacked(t, packed[len("before"):]); !bytes.Equal(got, content) {
			t.Errorf("%s: %d bytes came out, not the %d that went in", name, len(got), len(content))
		}
		if most := len(content) + 10*(len(content)/partSize+1) + 5; len(packed)-len("before") > most {
			t.Errorf("%s: %d bytes became %d", name, len(content), len(packed))
		}
	}
}

// A digest depends on it.
func TestWhatComesOutDependsOnWhatGoesInAlone(t *testing.T) {
	t.Parallel()
	content := program(t)[:blockSize/2+777]
	want := new(Encoder).Append(nil, content)
	var used Encoder
	used.Append(nil, program(t)[blockSize:3*blockSize])
	for name, plain := range map[string][]byte{
		"in little memory":     slices.Clip(slices.Clone(content)),
		"with more behind it":  append(slices.Clone(content), random(1, 2*blockSize)...)[:len(content)],
		"with zeros behind it": append(slices.Clone(content), make([]byte, 2*blockSize)...)[:len(content)],
	} {
		if !bytes.Equal(used.Append(nil, plain), want) {
			t.Errorf("%s it is another", name)
		}
	}
}

// It is worth it only as long as it is no worse than others.
func TestItMakesAsLittleOfProgramsAsOthers(t *testing.T) {
	t.Parallel()
	content := program(t)
	others := map[string]func(io.Writer) io.WriteCloser{
		"compress/flate": func(w io.Writer) io.WriteCloser { return must(flate.NewWriter(w, flate.BestSpeed)) },
		"klauspost":      func(w io.Writer) io.WriteCloser { return must(klauspost.NewWriter(w, klauspost.BestSpeed)) },
	}
	size := len(new(Encoder).Append(nil, content))
	for name, other := range others {
		var packed bytes.Buffer
		w := other(&packed)
		_ = must(w.Write(content))
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: %d of %d bytes, here %d", name, packed.Len(), len(content), size)
		if size > packed.Len() {
			t.Errorf("%d bytes became %d, those of %s are %d", len(content), size, name, packed.Len())
		}
	}
}

func TestNothingIsAllocatedTwice(t *testing.T) {
	content := program(t)[:blockSize]
	plain := make([]byte, 0, len(block{}))
	plain = append(plain, content...)
	packed := make([]byte, 0, 2*blockSize)
	var e Encoder
	if n := testing.AllocsPerRun(5, func() { e.Append(packed, plain) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzAppend(f *testing.F) {
	f.Add([]byte("abcabcabcabc"), uint16(3), uint16(700))
	f.Add(random(1, 300), uint16(0), uint16(300))
	f.Add([]byte{}, uint16(1), uint16(1))
	var e Encoder
	f.Fuzz(func(t *testing.T, content []byte, from, times uint16) {
		// What is long repeats itself, but not at once.
		if len(content) > 0 {
			once := content[int(from)%len(content):]
			for range min(int(times), 2*blockSize/(len(content)+len(once))) {
				content = append(content, once...)
			}
		}
		if got := unpacked(t, e.Append(nil, content)); !bytes.Equal(got, content) {
			t.Errorf("%d bytes came out, not the %d that went in", len(got), len(content))
		}
	})
}

// The encoder beside others: go test -bench . ./internal/deflate
func BenchmarkAppend(b *testing.B) {
	content := program(b)
	var e Encoder
	run := func(name string, pack func(packed, plain []byte) []byte) {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(content)))
			b.ReportAllocs()
			packed, size := make([]byte, 0, 2*blockSize), 0
			for b.Loop() {
				size = 0
				for plain := range slices.Chunk(content, blockSize) {
					size += len(pack(packed, plain))
				}
			}
			b.ReportMetric(float64(size)/float64(len(content)), "ratio")
		})
	}
	run("here", e.Append)
	for _, level := range []int{1, 2, 3} {
		w := must(klauspost.NewWriter(nil, level))
		run(fmt.Sprintf("klauspost %d", level), func(packed, plain []byte) []byte {
			buffer := bytes.NewBuffer(packed)
			w.Reset(buffer)
			_ = must(w.Write(plain))
			_ = w.Flush()
			return buffer.Bytes()
		})
	}
}
