package image

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// addedLayer is the layer for one addedFile: the entries of its tar, in order.
type addedLayer []layerEntry

// layerEntry is a folder, a link or a regular file of an addedLayer.
type layerEntry struct {
	name     string                  // in the image, without a leading slash
	kind     byte                    // a Typeflag of package tar
	source   func() (fs.File, error) // opens a regular file
	path     string                  // of the file, for errors
	link     string
	mode     int64
	uid, gid int
	size     int64
}

// listEntries returns the entries that f adds to an image whose lower layers are root, and adds them to root. A path that
// leads out of the workspace, even through a link, is an error.
func (f addedFile) listEntries(workspace *os.Root, root rootfs, number int) (addedLayer, error) {
	source, err := pathIn(workspace, f.Path)
	if err != nil {
		return nil, err
	}
	info, err := workspace.Stat(source)
	if err != nil {
		if _, outside := os.Stat(f.Path); outside == nil {
			return nil, fmt.Errorf("%s: leads out of the workspace", f.Path)
		}
		return nil, err
	}
	c := entryCollector{addedFile: f, workspace: workspace, root: root, number: number}
	if info.IsDir() {
		err = c.addFolder(source)
	} else {
		to := f.To
		if strings.HasSuffix(to, "/") {
			to = path.Join(to, filepath.Base(f.Path))
		}
		err = c.addFile(to, source, info)
	}
	for _, e := range c.entries {
		if strings.Contains("/"+e.name, "/"+whiteout) {
			err = errors.Join(err, fmt.Errorf("%s: /%s would hide another file, since layers use %s* for deleted files", f.Path, e.name, whiteout))
		}
	}
	return c.entries, err
}

// pathIn returns the path of name within the folder.
func pathIn(folder *os.Root, name string) (string, error) {
	from, err := filepath.Abs(folder.Name())
	if err != nil {
		return "", err
	}
	if name, err = filepath.Abs(name); err != nil {
		return "", err
	}
	within, err := filepath.Rel(from, name)
	if err != nil || !filepath.IsLocal(within) {
		return "", fmt.Errorf("%s: not in the workspace %s", name, from)
	}
	return within, nil
}

// entryCollector collects the entries of one addedLayer.
type entryCollector struct {
	addedFile
	workspace *os.Root
	root      rootfs
	number    int
	entries   addedLayer
}

// addFolder adds the content of the folder at source, sorted by name.
func (c *entryCollector) addFolder(source string) error {
	var problems []error
	err := fs.WalkDir(c.workspace.FS(), filepath.ToSlash(source), func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		within, err := filepath.Rel(source, name)
		if err != nil {
			return err
		}
		to := path.Join(c.To, filepath.ToSlash(within))
		if entry.IsDir() {
			folder, err := c.root.resolveLinks(to)
			if err == nil {
				c.ensureFolder(folder)
			}
			return err
		}
		info, err := entry.Info()
		if err == nil {
			err = c.addFile(to, name, info)
		}
		problems = append(problems, err)
		return nil
	})
	return errors.Join(append(problems, err)...)
}

// ensureFolder adds a folder of the image and its parents, each once.
func (c *entryCollector) ensureFolder(name string) {
	have, exists := c.root[name]
	if name == "" || exists && have.layer == c.number {
		return
	}
	c.ensureFolder(relativePath(path.Dir(name)))
	e := layerEntry{name: name, kind: tar.TypeDir, mode: 0o755}
	if exists {
		e.mode, e.uid, e.gid = have.mode, have.uid, have.gid
	}
	c.appendEntry(e)
}

// addFile adds a file, or a link as a link.
func (c *entryCollector) addFile(to, source string, info fs.FileInfo) error {
	folder, base, err := c.root.splitPath(to)
	if err != nil {
		return err
	}
	e := layerEntry{name: path.Join(folder, base), kind: tar.TypeReg, path: source, size: info.Size(), mode: 0o644}
	e.source = func() (fs.File, error) { return c.workspace.Open(source) }
	below := c.root[e.name]
	switch mode := info.Mode(); {
	case mode&fs.ModeSymlink != 0:
		target, err := c.workspace.Readlink(source)
		if err != nil {
			return err
		}
		e = layerEntry{name: e.name, kind: tar.TypeSymlink, link: filepath.ToSlash(target), mode: 0o777}
	case !mode.IsRegular():
		return fmt.Errorf("%s: not a file, folder or link", source)
	case c.Mode != 0:
		e.mode = int64(c.Mode.Perm())
	case mode&0o111 != 0:
		// Git stores only the executable bit; the other bits depend on the umask at checkout.
		e.mode = 0o755
	}
	if same := e.link != "" && e.link == below.link; !same && c.root.isFolder(e.name) {
		return fmt.Errorf("%s: the image has a folder /%s; end the path in the image with a slash to put the file into it", source, e.name)
	}
	c.ensureFolder(folder)
	c.appendEntry(e)
	return nil
}

func (c *entryCollector) appendEntry(e layerEntry) {
	c.entries = append(c.entries, e)
	c.root.putEntry(e.tarHeader(), c.number)
}

func (e layerEntry) tarHeader() *tar.Header {
	h := &tar.Header{
		Typeflag: e.kind, Name: e.name, Linkname: e.link, Mode: e.mode, Uid: e.uid, Gid: e.gid, Size: e.size,
		ModTime: time.Unix(0, 0), Format: tar.FormatPAX,
	}
	if e.kind == tar.TypeDir {
		h.Name += "/"
	}
	return h
}

// writeTar writes the layer's tar.
func (l addedLayer) writeTar(w io.Writer) error {
	tw := tar.NewWriter(w)
	buf := make([]byte, 256<<10)
	for _, e := range l {
		if err := tw.WriteHeader(e.tarHeader()); err != nil {
			return fmt.Errorf("%s: %w", e.name, err)
		}
		if e.kind != tar.TypeReg {
			continue
		}
		if err := e.copyContent(tw, buf); err != nil {
			return err
		}
	}
	return tw.Close()
}

func (e layerEntry) copyContent(w io.Writer, buf []byte) error {
	f, err := e.source()
	if err != nil {
		return err
	}
	defer f.Close()
	n, err := io.CopyBuffer(w, onlyReader{f}, buf)
	if errors.Is(err, tar.ErrWriteTooLong) || err == nil && n != e.size {
		return fmt.Errorf("%s: changed while it was read", e.path)
	}
	return err
}

// onlyReader hides WriteTo, so that io.CopyBuffer uses its buffer.
type onlyReader struct{ io.Reader }

// layerBlob reads the files once to compute the layer's diffID and length.
func (l addedLayer) layerBlob(ctx context.Context) (*blob, error) {
	size := &countingHash{Hash: sha256.New()}
	if err := l.writeTar(writeFunc(func(p []byte) (int, error) {
		if ctx.Err() != nil {
			return 0, context.Cause(ctx)
		}
		return size.Write(p)
	})); err != nil {
		return nil, err
	}
	return &blob{
		Descriptor: v1.Descriptor{MediaType: types.OCILayer}, diffID: hashSum(size.Hash), compress: true, length: size.n,
		open: func(context.Context) (io.ReadCloser, error) {
			r, w := io.Pipe()
			go func() { w.CloseWithError(l.writeTar(w)) }()
			return r, nil
		},
	}, nil
}
