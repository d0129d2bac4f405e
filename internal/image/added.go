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

// addition is the layer that a File makes: the entries of its tar, in the order in which they stand there.
type addition []entryOf

// entryOf is one of them: a folder, a link or a regular file.
type entryOf struct {
	name     string                  // in the image, without a leading slash
	kind     byte                    // as package tar has it
	source   func() (fs.File, error) // of a regular file
	path     string                  // of the source, for errors
	link     string
	mode     int64
	uid, gid int
	size     int64
}

// listEntries lists what f puts into an image whose lower layers are root, and makes that part of root. A path that leads out
// of the workspace, by a link too, is an error.
func (f addedFile) listEntries(workspace *os.Root, root rootfs, number int) (addition, error) {
	source, err := pathIn(workspace, f.Path)
	if err != nil {
		return nil, err
	}
	info, err := workspace.Stat(source)
	if err != nil {
		if _, outside := os.Stat(f.Path); outside == nil {
			return nil, fmt.Errorf("%s: it leads out of the workspace", f.Path)
		}
		return nil, err
	}
	a := adder{addedFile: f, workspace: workspace, root: root, number: number}
	if info.IsDir() {
		err = a.addFolder(source)
	} else {
		to := f.To
		if strings.HasSuffix(to, "/") {
			to = path.Join(to, filepath.Base(f.Path))
		}
		err = a.addFile(to, source, info)
	}
	for _, e := range a.entries {
		if strings.Contains("/"+e.name, "/"+whiteout) {
			err = errors.Join(err, fmt.Errorf("%s: in a layer, /%s would hide another file", f.Path, e.name))
		}
	}
	return a.entries, err
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
		return "", fmt.Errorf("%s: it is not in the workspace %s", name, from)
	}
	return within, nil
}

// adder collects the entries of one addition.
type adder struct {
	addedFile
	workspace *os.Root
	root      rootfs
	number    int
	entries   addition
}

// addFolder takes what is in the folder at source, sorted by name.
func (a *adder) addFolder(source string) error {
	var problems []error
	err := fs.WalkDir(a.workspace.FS(), filepath.ToSlash(source), func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		within, err := filepath.Rel(source, name)
		if err != nil {
			return err
		}
		to := path.Join(a.To, filepath.ToSlash(within))
		if entry.IsDir() {
			folder, err := a.root.resolveLinks(to)
			if err == nil {
				a.ensureFolder(folder)
			}
			return err
		}
		info, err := entry.Info()
		if err == nil {
			err = a.addFile(to, name, info)
		}
		problems = append(problems, err)
		return nil
	})
	return errors.Join(append(problems, err)...)
}

// ensureFolder lists a folder of the image and those that it is in, each once.
func (a *adder) ensureFolder(name string) {
	have, there := a.root[name]
	if name == "" || there && have.layer == a.number {
		return
	}
	a.ensureFolder(relativePath(path.Dir(name)))
	e := entryOf{name: name, kind: tar.TypeDir, mode: 0o755}
	if there {
		e.mode, e.uid, e.gid = have.mode, have.uid, have.gid
	}
	a.appendEntry(e)
}

// addFile lists a file or a link, which stays one.
func (a *adder) addFile(to, source string, info fs.FileInfo) error {
	folder, base, err := a.root.splitPath(to)
	if err != nil {
		return err
	}
	e := entryOf{name: path.Join(folder, base), kind: tar.TypeReg, path: source, size: info.Size(), mode: 0o644}
	e.source = func() (fs.File, error) { return a.workspace.Open(source) }
	below := a.root[e.name]
	switch mode := info.Mode(); {
	case mode&fs.ModeSymlink != 0:
		target, err := a.workspace.Readlink(source)
		if err != nil {
			return err
		}
		e = entryOf{name: e.name, kind: tar.TypeSymlink, link: filepath.ToSlash(target), mode: 0o777}
	case !mode.IsRegular():
		return fmt.Errorf("%s: it is neither a file, a folder nor a link", source)
	case a.Mode != 0:
		e.mode = int64(a.Mode.Perm())
	case mode&0o111 != 0:
		// Of a mode, Git keeps only this; the rest is the umask of whoever checked it out.
		e.mode = 0o755
	}
	if same := e.link != "" && e.link == below.link; !same && a.root.isFolder(e.name) {
		return fmt.Errorf("%s: the image has a folder /%s; a slash behind it puts the file into it", source, e.name)
	}
	a.ensureFolder(folder)
	a.appendEntry(e)
	return nil
}

func (a *adder) appendEntry(e entryOf) {
	a.entries = append(a.entries, e)
	a.root.putEntry(e.tarHeader(), a.number)
}

func (e entryOf) tarHeader() *tar.Header {
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
func (all addition) writeTar(w io.Writer) error {
	tw := tar.NewWriter(w)
	buf := make([]byte, 256<<10)
	for _, e := range all {
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

func (e entryOf) copyContent(w io.Writer, buf []byte) error {
	f, err := e.source()
	if err != nil {
		return err
	}
	defer f.Close()
	n, err := io.CopyBuffer(w, onlyReader{f}, buf)
	if errors.Is(err, tar.ErrWriteTooLong) || err == nil && n != e.size {
		return fmt.Errorf("%s: it is changing while it is read", e.path)
	}
	return err
}

// onlyReader keeps a copy in its buffer.
type onlyReader struct{ io.Reader }

// layerBlob reads the files once, for what their layer will be called.
func (all addition) layerBlob(ctx context.Context) (*blob, error) {
	size := &counter{Hash: sha256.New()}
	if err := all.writeTar(writeFunc(func(p []byte) (int, error) {
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
			go func() { w.CloseWithError(all.writeTar(w)) }()
			return r, nil
		},
	}, nil
}
