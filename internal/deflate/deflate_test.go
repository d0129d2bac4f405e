package deflate

import (
	"bytes"
	"compress/flate"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
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

// unpacked is what Go's own reader makes of a stream.
func unpacked(tb testing.TB, packed []byte) []byte {
	tb.Helper()
	content, err := io.ReadAll(flate.NewReader(bytes.NewReader(append(slices.Clip(packed), 0x03, 0x00))))
	if err != nil {
		tb.Fatal(err)
	}
	return content
}

// contents are what may be hard to compress or to read again.
func contents(tb testing.TB) map[string][]byte {
	tb.Helper()
	each := make([]byte, 256)
	for i := range each {
		each[i] = byte(i)
	}
	few := random(9, 300)
	for i := range few {
		few[i] &= 63
	}
	all := map[string][]byte{
		"nothing":                nil,
		"a program":              program(tb)[:3*BlockSize+12345],
		"zeros":                  make([]byte, 2*BlockSize+1),
		"noise":                  random(1, BlockSize+3),
		"a little":               bytes.Repeat([]byte("ab"), 40),
		"as far as there is":     slices.Concat(random(2, maxDistance), random(2, maxDistance)),
		"too far":                slices.Concat(random(3, maxDistance+1), random(3, maxDistance+1)),
		"some of it compresses":  slices.Concat(random(4, 3*partSize/2), make([]byte, partSize), random(4, partSize/2)),
		"no match and few bytes": few,
		"every byte":             bytes.Repeat(each, 1000),
		"long codes":             rare(),
	}
	for n := range 80 {
		all[fmt.Sprintf("%d bytes", n)] = random(5, n)
		all[fmt.Sprintf("%d zeros", n)] = make([]byte, n)
	}
	for n := range 3 * maxLength { // matches of every length, and where they are cut
		all[fmt.Sprintf("again %d", n)] = slices.Concat(random(6, 900), random(6, n), random(7, 40))
	}
	for distance := 1; distance <= 70; distance++ {
		all[fmt.Sprintf("each %d", distance)] = bytes.Repeat(random(8, distance), 20)
	}
	return all
}

// rare is a part in which every fourth of the bytes there are is there once, beside each other, and the others often.
func rare() []byte {
	content := random(10, partSize)
	for i := range content {
		content[i] %= 192
	}
	for i := range 64 {
		content[partSize/2+i] = byte(192 + i)
	}
	return content
}

func TestWhatIsCompressedIsReadAgain(t *testing.T) {
	t.Parallel()
	var e Encoder
	for name, content := range contents(t) {
		packed := e.Append([]byte("before"), content)
		if got := unpacked(t, packed[len("before"):]); !bytes.Equal(got, content) {
			t.Errorf("%s: %d bytes came out, not the %d that went in", name, len(got), len(content))
		}
		if most := len(content) + 10*(len(content)/partSize+1) + 5; len(packed)-len("before") > most {
			t.Errorf("%s: %d bytes became %d", name, len(content), len(packed))
		}
	}
}

// A program that has nothing in common with Go's reads it too.
func TestGzipReadsWhatIsCompressed(t *testing.T) {
	t.Parallel()
	var packed, want bytes.Buffer
	var e Encoder
	for _, content := range contents(t) {
		packed.Write([]byte{0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff})
		packed.Write(append(e.Append(nil, content), 0x03, 0x00))
		packed.Write(binary.LittleEndian.AppendUint32(nil, crc32.ChecksumIEEE(content)))
		packed.Write(binary.LittleEndian.AppendUint32(nil, uint32(len(content))))
		want.Write(content)
	}
	gzip := exec.CommandContext(t.Context(), "gzip", "-dc")
	gzip.Stdin = &packed
	got, err := gzip.Output()
	if err != nil || !bytes.Equal(got, want.Bytes()) {
		t.Errorf("gzip reads %d of %d bytes: %v", len(got), want.Len(), err)
	}
}

// Four codes have to fit into a word beside what is left of a byte.
func TestTheLongestCodesBesideEachOtherAreRead(t *testing.T) {
	t.Parallel()
	var e Encoder
	for ahead := range 64 { // so that they begin at every bit
		content := rare()
		copy(content, make([]byte, ahead))
		if got := unpacked(t, e.Append(nil, content)); !bytes.Equal(got, content) {
			t.Errorf("with %d zeros before: other bytes came out than went in", ahead)
		}
		if got := e.codes.literals[255].len(); got != longest {
			t.Errorf("a rare byte has %d bits", got)
		}
	}
}

func TestAMatchIsFoundAsFarAsTheFormatReaches(t *testing.T) {
	t.Parallel()
	for distance, found := range map[int]bool{maxDistance: true, maxDistance + 1: false} {
		size := len(new(Encoder).Append(nil, slices.Concat(random(2, distance), random(2, distance))))
		if small := size < distance*5/4; small != found {
			t.Errorf("what comes again %d bytes later becomes %d bytes", distance, size)
		}
	}
}

// Another digest is another image for every registry and every host: this changes with a new version of the action alone.
func TestTheSameBytesAreMadeEverywhere(t *testing.T) {
	t.Parallel()
	r := rand.NewPCG(11, 0)
	words := random(12, 4096)
	var content []byte
	for len(content) < BlockSize+3*partSize/2 {
		at := r.Uint64()
		content = append(content, words[at%4000:][:3+at>>20%12]...)
		if at>>40%16 == 0 {
			content = binary.BigEndian.AppendUint64(content, at)
		}
	}
	const want = "c890d29376966595d6baee9a14429d10a3b06d863aa21e06d5080cf96e83cf8f"
	if got := fmt.Sprintf("%x", sha256.Sum256(new(Encoder).Append(nil, content))); got != want {
		t.Errorf("another stream was made: %s", got)
	}
}

// A digest depends on it.
func TestWhatComesOutDependsOnWhatGoesInAlone(t *testing.T) {
	t.Parallel()
	content := program(t)[:BlockSize/2+777]
	want := new(Encoder).Append(nil, content)
	var used Encoder
	used.Append(nil, program(t)[BlockSize:3*BlockSize])
	for name, plain := range map[string][]byte{
		"in little memory":     slices.Clip(slices.Clone(content)),
		"with more behind it":  append(slices.Clone(content), random(1, 2*BlockSize)...)[:len(content)],
		"with zeros behind it": append(slices.Clone(content), make([]byte, 2*BlockSize)...)[:len(content)],
	} {
		if !bytes.Equal(used.Append(nil, plain), want) {
			t.Errorf("%s it is another", name)
		}
	}
}

func TestItMakesAsLittleOfProgramsAsOthers(t *testing.T) {
	t.Parallel()
	content := program(t)
	others := map[string]func(io.Writer) io.WriteCloser{
		"compress/flate":     func(w io.Writer) io.WriteCloser { return must(flate.NewWriter(w, flate.BestSpeed)) },
		"klauspost/compress": func(w io.Writer) io.WriteCloser { return must(klauspost.NewWriter(w, klauspost.BestSpeed)) },
	}
	size := len(new(Encoder).Append(nil, content))
	for name, other := range others {
		var packed bytes.Buffer
		w := other(&packed)
		_ = must(w.Write(content))
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if size > packed.Len()*101/100 {
			t.Errorf("%d bytes became %d, those of %s are %d", len(content), size, name, packed.Len())
		}
	}
}

func TestNothingIsAllocatedTwice(t *testing.T) {
	content := program(t)[:BlockSize]
	plain := make([]byte, 0, len(block{}))
	plain = append(plain, content...)
	packed := make([]byte, 0, 2*BlockSize)
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
			for range min(int(times), 2*BlockSize/(len(content)+len(once))) {
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
			packed, size := make([]byte, 0, 2*BlockSize), 0
			for b.Loop() {
				size = 0
				for plain := range slices.Chunk(content, BlockSize) {
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
