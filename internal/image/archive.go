package image

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"
)

// archive is an image in a tar that is read in place: its headers are read once, its files by offset.
type archive struct {
	*os.File
	packed  Compression // of the whole tar; empty if none
	entries map[string]entry
	first   []string // the first few names, to describe a tar that is not an image
	ended   bool     // the tar has its end marker; without it, it may be truncated
}

type entry struct {
	offset, size int64
	link         string // the name of the entry that holds the content
}

func openArchive(ctx context.Context, name string) (*archive, error) {
	f, err := os.Open(name) //nolint:gosec // the input names the file
	if err != nil {
		return nil, err
	}
	a := &archive{File: f, entries: map[string]entry{}}
	var head [4]byte
	n, _ := f.ReadAt(head[:], 0)
	if a.packed = compressionOf(head[:n]); a.packed != "" {
		spooled, err := spoolUnpacked(ctx, f)
		if err := errors.Join(err, f.Close()); err != nil {
			return nil, err
		}
		a.File = spooled
	}
	if err := a.scanHeaders(ctx); err != nil {
		return nil, errors.Join(err, a.Close())
	}
	return a, nil
}

// scanHeaders reads the headers. If several entries have the same name, the last one counts, as after unpacking.
func (a *archive) scanHeaders(ctx context.Context) error {
	if _, err := a.Seek(0, io.SeekStart); err != nil {
		return err
	}
	var last string
	for r := tar.NewReader(a.File); ctx.Err() == nil; {
		header, err := r.Next()
		switch {
		case err == io.EOF:
			return a.checkEnd()
		case err != nil && last == "":
			return fmt.Errorf("not an image: %s", describeFile(a.File))
		case errors.Is(err, io.ErrUnexpectedEOF):
			return fmt.Errorf("the tar is truncated after %s", last)
		case err != nil:
			return fmt.Errorf("the tar is damaged after %s: %w", last, err)
		}
		last = header.Name
		if len(a.first) < 3 {
			a.first = append(a.first, header.Name)
		}
		if err := a.addHeader(header); err != nil {
			return err
		}
	}
	return context.Cause(ctx)
}

func (a *archive) addHeader(header *tar.Header) error {
	offset, err := a.Seek(0, io.SeekCurrent)
	if err != nil {
		return err
	}
	name := relativePath(header.Name)
	switch header.Typeflag {
	case tar.TypeReg:
		a.entries[name] = entry{offset: offset, size: header.Size}
	case tar.TypeSymlink:
		// Docker up to 24 saves a repeated layer as a link to ../<id>/layer.tar of the other image.
		a.entries[name] = entry{link: relativePath(path.Join(path.Dir(name), header.Linkname))}
	case tar.TypeLink:
		a.entries[name] = entry{link: relativePath(header.Linkname)}
	}
	return nil
}

// checkEnd records whether the tar ends with a zero block.
func (a *archive) checkEnd() error {
	end, err := a.Seek(0, io.SeekCurrent)
	if err != nil {
		return err
	}
	var block [512]byte
	n, _ := a.ReadAt(block[:], max(0, end-int64(len(block))))
	a.ended = n == len(block) && block == [512]byte{}
	if len(a.entries) == 0 && len(a.first) == 0 {
		return fmt.Errorf("not an image: %s", describeFile(a.File))
	}
	return nil
}

func (a *archive) findFile(name string) (file, error) {
	e, ok := a.entries[relativePath(name)]
	for hops := 0; ok && e.link != "" && hops < 8; hops++ {
		e, ok = a.entries[e.link]
	}
	switch {
	case !ok && !a.ended:
		return file{}, fmt.Errorf("%s: %w, the tar is truncated", name, errMissing)
	case !ok:
		return file{}, fmt.Errorf("%s: %w", name, errMissing)
	case e.link != "":
		return file{}, fmt.Errorf("%s: a link to a missing file", name)
	}
	return file{name, e.size, func() (io.ReadCloser, error) {
		return io.NopCloser(io.NewSectionReader(a.File, e.offset, e.size)), nil
	}}, nil
}

func (a *archive) describeContent() string {
	contains := "manifest.json or index.json (it contains " + strings.Join(a.first, ", ") + ", …)"
	if !a.ended {
		return "a truncated tar without " + contains
	}
	return "a tar without " + contains + ", such as docker export and buildx --output type=tar write"
}
