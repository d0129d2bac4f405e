package image

import (
	"archive/tar"
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// rootfs contains the folders and links of the lower layers, by path without a leading slash. A new layer has to list the
// parent folders of its files with their mode and owner, and to follow links. Otherwise an engine that unpacks each layer
// separately, such as Docker with overlay2, creates missing parents with the mode 0700, and replaces a link to a folder,
// such as /bin in Debian, with a folder that hides the content:
// https://github.com/moby/moby/blob/v20.10.24/pkg/archive/diff.go
type rootfs map[string]node

type node struct {
	layer    int
	link     string // empty: a folder
	mode     int64
	uid, gid int
}

// applyLayer adds the entries of a layer: https://github.com/opencontainers/image-spec/blob/main/layer.md
func (fs rootfs) applyLayer(ctx context.Context, layer *blob, number int) (err error) {
	packed, err := layer.open(ctx)
	if err != nil {
		return layer.wrapReadError(ctx, err)
	}
	defer func() { err = errors.Join(err, packed.Close()) }()
	unpacked, err := openUnpacked(contextReader(ctx, packed))
	if err != nil {
		return layer.wrapReadError(ctx, err)
	}
	defer unpacked.Close()
	for r := tar.NewReader(unpacked); ; {
		header, err := r.Next()
		switch {
		case err == io.EOF:
			return nil
		case err != nil:
			return layer.wrapReadError(ctx, err)
		}
		fs.putEntry(header, number)
	}
}

// whiteout is the prefix of an entry that deletes a file of the lower layers.
const whiteout = ".wh."

func (fs rootfs) putEntry(header *tar.Header, number int) {
	folder, base, _ := fs.splitPath(header.Name)
	name := path.Join(folder, base)
	fs.ensureFolders(folder, number)
	switch hidden, isWhiteout := strings.CutPrefix(base, whiteout); {
	case base == ".wh..wh..opq":
		fs.clearFolder(folder, number)
		return
	case isWhiteout:
		name = path.Join(folder, hidden)
		fs.clearFolder(name, number)
		if have, ok := fs[name]; ok && have.layer < number {
			delete(fs, name)
		}
		return
	}
	added := node{layer: number, mode: header.Mode, uid: header.Uid, gid: header.Gid}
	switch header.Typeflag {
	case tar.TypeDir:
		fs[name] = added
		return
	case tar.TypeSymlink:
		added.link = header.Linkname
	case tar.TypeLink:
		folder, base, _ := fs.splitPath(header.Linkname)
		added.link = fs[path.Join(folder, base)].link
	}
	if have, ok := fs[name]; ok && have.link == "" {
		fs.clearFolder(name, number)
	}
	delete(fs, name)
	if added.link != "" {
		fs[name] = added
	}
}

// ensureFolders adds parent folders that a layer does not list.
func (fs rootfs) ensureFolders(folder string, number int) {
	for ; folder != ""; folder = relativePath(path.Dir("/" + folder)) {
		if _, exists := fs[folder]; !exists {
			fs[folder] = node{layer: number, mode: 0o755}
		}
	}
}

// isFolder reports whether a path, with its links followed, is a folder.
func (fs rootfs) isFolder(name string) bool {
	followed, err := fs.resolveLinks(name)
	have, exists := fs[followed]
	return err == nil && exists && have.link == ""
}

// clearFolder removes the entries of layers below number from a folder.
func (fs rootfs) clearFolder(folder string, number int) {
	for name, have := range fs {
		if have.layer < number && (folder == "" || strings.HasPrefix(name, folder+"/")) {
			delete(fs, name)
		}
	}
}

// splitPath follows the links in the parents of a path, but not in its last element. With an error, it follows none.
func (fs rootfs) splitPath(name string) (folder, base string, err error) {
	full := path.Join("/", name)
	folder, base = relativePath(path.Dir(full)), relativePath(path.Base(full))
	followed, err := fs.resolveLinks(folder)
	if err != nil {
		return folder, base, err
	}
	return followed, base, nil
}

// resolveLinks follows all links in a path.
func (fs rootfs) resolveLinks(name string) (string, error) {
	done, rest := "", strings.Split(relativePath(name), "/")
	for hops := 0; len(rest) > 0; {
		next := path.Join(done, rest[0])
		rest = rest[1:]
		target := fs[next].link
		if target == "" {
			done = next
			continue
		}
		if hops++; hops > 40 {
			return "", fmt.Errorf("%s: too many links in the base", name)
		}
		if !path.IsAbs(target) {
			target = path.Join("/", done, target)
		}
		done, rest = "", append(strings.Split(relativePath(target), "/"), rest...)
	}
	return relativePath(done), nil
}

// openUnpacked returns the tar in r, which may be compressed with gzip or zstd.
func openUnpacked(r io.Reader) (io.ReadCloser, error) {
	buffered := bufio.NewReaderSize(r, 64<<10)
	magic, err := buffered.Peek(4)
	if err != nil && err != io.EOF {
		return nil, err
	}
	switch compressionOf(magic) {
	case Gzip:
		return gzip.NewReader(buffered)
	case Zstd:
		zr, err := zstd.NewReader(buffered, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true))
		if err != nil {
			return nil, err
		}
		return zr.IOReadCloser(), nil
	}
	return io.NopCloser(buffered), nil
}
