//go:build bench

package image

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/klauspost/compress/zstd"

	wan "github.com/org/atta-deploy-action/test/bench/link"
	"github.com/org/atta-deploy-action/test/table"
)

// programs returns a tar of programs and libraries of this machine.
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

// TestTableOfLevels rewrites the table of levels in docs/benchmarks.md: how long the push of a layer takes over links of several
// speeds and delays.
func TestTableOfLevels(t *testing.T) {
	const mbit = 1e6 / 8
	links := []struct {
		name string
		wan.Link
	}{
		{"100 Mbit/s", wan.Link{Total: 100 * mbit}}, {"and 30 ms", wan.Link{Total: 100 * mbit, Delay: 30 * time.Millisecond}},
		{"1 Gbit/s", wan.Link{Total: 1000 * mbit}}, {"and 30 ms", wan.Link{Total: 1000 * mbit, Delay: 30 * time.Millisecond}},
		{"no limit", wan.Link{}}, {"and 30 ms", wan.Link{Delay: 30 * time.Millisecond}},
	}
	type level struct {
		name string
		Compression
		compress compressFunc
	}
	var levels []level
	for _, number := range []int{1, 2, 3, 4, 6} {
		levels = append(levels, level{fmt.Sprintf("gzip %d", number), Gzip, gzipMembers(number)})
	}
	for _, speed := range []zstd.EncoderLevel{zstdLevel, zstd.SpeedDefault, zstd.SpeedBetterCompression} {
		levels = append(levels, level{"zstd " + speed.String(), Zstd, must(zstdFrames(speed))})
	}
	data := programs(t, 150<<20)
	plain := digestOf(data)
	server := httptest.NewServer(http.HandlerFunc(counts))
	defer server.Close()
	var text strings.Builder
	fmt.Fprintf(&text, "A layer of %d MB of programs, on %d cores with %s, to a registry that only counts.\n\n| level | size |", len(data)/1e6, runtime.GOMAXPROCS(0), runtime.Version())
	for _, l := range links {
		fmt.Fprintf(&text, " %s |", l.name)
	}
	text.WriteString("\n|---|---:|" + strings.Repeat("---:|", len(links)) + "\n")
	ours, frames := gzipCompress, zstdCompress
	defer func() { gzipCompress, zstdCompress = ours, frames }()
	for _, level := range levels {
		gzipCompress = func() compressFunc { return level.compress }
		zstdCompress = func() (compressFunc, error) { return level.compress, nil }
		var size int64
		var times strings.Builder
		for _, l := range links {
			relay := must(l.To(t.Context(), strings.TrimPrefix(server.URL, "http://")))
			layer := &blob{name: "layer", compress: true, diffID: plain, length: int64(len(data)), open: func(context.Context) (io.ReadCloser, error) {
				return io.NopCloser(bytes.NewReader(data)), nil
			}}
			e := &engine{client: must(NewRepository(relay.Host, "app", authn.Anonymous)).client, compression: level.Compression, meter: newMeter(nil)}
			began := time.Now()
			if err := e.pushBlob(t.Context(), layer); err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(&times, " %.2f s |", time.Since(began).Seconds())
			size = layer.Size
			if err := relay.Close(); err != nil {
				t.Fatal(err)
			}
		}
		fmt.Fprintf(&text, "| %s | %.1f %% |%s\n", level.name, 100*float64(size)/float64(len(data)), times.String())
	}
	if err := table.Rewrite("../../docs/benchmarks.md", "levels", text.String()); err != nil {
		t.Fatal(err)
	}
}

// counts is the handler of a registry that discards uploads.
func counts(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	switch r.Method {
	case http.MethodPost, http.MethodPatch:
		w.Header().Set("Location", "/v2/app/blobs/uploads/1")
		w.WriteHeader(http.StatusAccepted)
	case http.MethodPut:
		w.WriteHeader(http.StatusCreated)
	}
}
