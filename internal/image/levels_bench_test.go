//go:build bench

package image

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/time/rate"
)

// programs is a tar of programs and libraries of this machine.
func programs(t *testing.T, size int) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for _, root := range []string{"/usr/bin", "/usr/lib"} {
		err := filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
			if err != nil || !entry.Type().IsRegular() {
				return err
			}
			content := must(os.ReadFile(name))
			if buf.Len()+len(content) > size {
				return nil
			}
			if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o755, Size: int64(len(content))}); err != nil {
				return err
			}
			_, err = w.Write(content)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// TestTableOfLevels rewrites the table of levels in docs/benchmarks.md: what compressing a layer takes while it is sent
// over a link. What a link's delay adds is the same for all of them, a few times the delay for a blob.
func TestTableOfLevels(t *testing.T) {
	links := []struct {
		name  string
		bytes rate.Limit
	}{{"100 Mbit/s", 100e6 / 8}, {"1 Gbit/s", 1e9 / 8}, {"no limit", rate.Inf}}
	type compressor struct {
		name string
		open func(io.Writer) io.WriteCloser
	}
	var levels []compressor
	for _, level := range []int{1, gzipLevel, 3, 4, 6} {
		packer := must(flushed(level))
		levels = append(levels, compressor{fmt.Sprintf("gzip %d", level), func(w io.Writer) io.WriteCloser { return newGzip(w, packer) }})
	}
	for _, level := range []zstd.EncoderLevel{zstdLevel, zstd.SpeedDefault, zstd.SpeedBetterCompression} {
		packer := must(zstdFrames(level))
		levels = append(levels, compressor{"zstd " + level.String(), func(w io.Writer) io.WriteCloser { return newBlocks(w, packer) }})
	}
	data := programs(t, 150<<20)
	var table strings.Builder
	fmt.Fprintf(&table, "A layer of %d MB of programs, on %d cores with %s.\n\n| level | size |", len(data)/1e6, runtime.GOMAXPROCS(0), runtime.Version())
	for _, link := range links {
		fmt.Fprintf(&table, " %s |", link.name)
	}
	table.WriteString("\n|---|---:|" + strings.Repeat("---:|", len(links)) + "\n")
	for _, level := range levels {
		var size int64
		var times strings.Builder
		for _, link := range links {
			limit := rate.NewLimiter(link.bytes, 64<<10)
			size = 0
			began := time.Now()
			w := level.open(writeFunc(func(p []byte) (int, error) {
				for part := range pieces(p, 64<<10) {
					if err := limit.WaitN(context.Background(), part); err != nil {
						return 0, err
					}
				}
				size += int64(len(p))
				return len(p), nil
			}))
			if _, err := io.CopyBuffer(w, onlyReader{bytes.NewReader(data)}, make([]byte, 256<<10)); err != nil {
				t.Fatal(err)
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(&times, " %.2f s |", time.Since(began).Seconds())
		}
		fmt.Fprintf(&table, "| %s | %.1f %% |%s\n", level.name, 100*float64(size)/float64(len(data)), times.String())
	}
	const file = "../../docs/benchmarks.md"
	before, rest, ok := strings.Cut(string(must(os.ReadFile(file))), "<!-- levels -->\n")
	_, after, closed := strings.Cut(rest, "<!-- /levels -->")
	if !ok || !closed {
		t.Fatal("there is no place for the table")
	}
	if err := os.WriteFile(file, []byte(before+"<!-- levels -->\n"+table.String()+"<!-- /levels -->"+after), 0o644); err != nil {
		t.Fatal(err)
	}
}

// pieces yields lengths of at most most that add up to that of p.
func pieces(p []byte, most int) func(func(int) bool) {
	return func(yield func(int) bool) {
		for left := len(p); left > 0; left -= most {
			if !yield(min(left, most)) {
				return
			}
		}
	}
}
