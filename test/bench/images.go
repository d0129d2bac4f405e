package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// layoutTag names the image in a layout for regctl and oras.
const layoutTag = "latest"

// buildImages makes an image, and one that differs in its last layer, in every format.
func buildImages(dir string, megabytes int) (map[string]job, error) {
	files, err := listPrograms()
	if err != nil {
		return nil, err
	}
	var layers []string
	for i, percent := range []int{16, 25, 47, 12, 12} { // the last two stand in for each other
		file := filepath.Join(dir, fmt.Sprintf("layer-%d.tar", i))
		if files, err = writeLayer(file, files, int64(megabytes*percent/100)<<20); err != nil {
			return nil, err
		}
		layers = append(layers, file)
	}
	jobs := map[string]job{}
	for name, list := range map[string][]string{"first": layers[:4], "next": {layers[0], layers[1], layers[2], layers[4]}} {
		file := filepath.Join(dir, name+".tar")
		if err := writeDockerSave(file, "bench:"+name, list); err != nil {
			return nil, err
		}
		jobs[name] = job{kind: "docker-save", image: file, name: "bench:" + name}
		folder := filepath.Join(dir, "oci-"+name)
		if err := writeLayout(folder, list); err != nil {
			return nil, err
		}
		jobs["layout-"+name] = job{kind: "layout", image: folder}
		if err := writeTar(folder+".tar", folder); err != nil {
			return nil, err
		}
		jobs["oci-"+name] = job{kind: "oci", image: folder + ".tar"}
	}
	packed := filepath.Join(dir, "first.tar.gz")
	jobs["gzip"] = job{kind: "gzip", image: packed}
	return jobs, compressFile(packed, jobs["first"].image)
}

// listPrograms returns the files of this machine in a mixed but fixed order. Images are made of them, because generated
// data compresses better and faster than that of real images.
func listPrograms() (files []string, err error) {
	for _, root := range []string{"/usr/bin", "/usr/lib", "/usr/share", "/usr/local"} {
		err = errors.Join(err, filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
			if err == nil && entry.Type().IsRegular() {
				files = append(files, name)
			}
			return err
		}))
	}
	slices.SortFunc(files, func(a, b string) int {
		first, second := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
		return bytes.Compare(first[:], second[:])
	})
	return files, err
}

// writeLayer writes a tar of size bytes of the files, and returns the remaining files.
func writeLayer(to string, files []string, size int64) (rest []string, err error) {
	f, err := os.Create(to)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	archive := tar.NewWriter(f)
	for ; size > 0; files = files[1:] {
		if len(files) == 0 {
			return nil, errors.New("this machine has too few files for an image of that size")
		}
		content, err := os.ReadFile(files[0])
		if err != nil {
			return nil, err
		}
		content = content[:min(int64(len(content)), size)]
		size -= int64(len(content))
		if err := addFile(archive, files[0], content); err != nil {
			return nil, err
		}
	}
	return files, archive.Close()
}

// writeDockerSave writes what docker save of Docker 24 and older writes: layers without compression.
func writeDockerSave(file, name string, layers []string) (err error) {
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	archive := tar.NewWriter(f)
	config := v1.ConfigFile{OS: "linux", Architecture: "amd64", RootFS: v1.RootFS{Type: "layers"}, Config: v1.Config{Cmd: []string{"/none"}}}
	var names []string
	for i, layer := range layers {
		content, err := os.ReadFile(layer)
		if err != nil {
			return err
		}
		config.RootFS.DiffIDs = append(config.RootFS.DiffIDs, v1.Hash{Algorithm: "sha256", Hex: fmt.Sprintf("%x", sha256.Sum256(content))})
		names = append(names, fmt.Sprintf("%064d/layer.tar", i))
		if err := addFile(archive, names[i], content); err != nil {
			return err
		}
	}
	raw, err := json.Marshal(config)
	if err != nil {
		return err
	}
	configName := fmt.Sprintf("%x.json", sha256.Sum256(raw))
	list, err := json.Marshal([]map[string]any{{"Config": configName, "RepoTags": []string{name}, "Layers": names}})
	if err != nil {
		return err
	}
	return errors.Join(addFile(archive, configName, raw), addFile(archive, "manifest.json", list), archive.Close())
}

func addFile(archive *tar.Writer, name string, content []byte) error {
	if err := archive.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(content))}); err != nil {
		return err
	}
	_, err := io.Copy(archive, bytes.NewReader(content))
	return err
}

func writeLayout(folder string, layers []string) error {
	image := empty.Image
	for _, file := range layers {
		layer, err := tarball.LayerFromFile(file)
		if err != nil {
			return err
		}
		if image, err = mutate.AppendLayers(image, layer); err != nil {
			return err
		}
	}
	path, err := layout.Write(folder, empty.Index)
	if err != nil {
		return err
	}
	return path.AppendImage(image, layout.WithPlatform(v1.Platform{OS: "linux", Architecture: "amd64"}),
		layout.WithAnnotations(map[string]string{"org.opencontainers.image.ref.name": layoutTag}))
}

// writeTar writes what docker buildx build --output type=oci writes: a layout in a tar.
func writeTar(to, folder string) (err error) {
	f, err := os.Create(to)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	archive := tar.NewWriter(f)
	return errors.Join(archive.AddFS(os.DirFS(folder)), archive.Close())
}

func compressFile(to, from string) (err error) {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	packed, err := gzip.NewWriterLevel(out, gzip.BestSpeed)
	if err != nil {
		return err
	}
	_, err = io.Copy(packed, in)
	return errors.Join(err, packed.Close())
}
