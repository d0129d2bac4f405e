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
	"math/rand/v2"
	"os"
	"path/filepath"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// build makes an image and one whose last layer is another, in every form, always with the same bytes.
func build(dir string, megabytes int) (map[string]job, error) {
	var layers []string
	for i, percent := range []int{16, 25, 41, 18, 18} { // the last two stand in for each other
		file := filepath.Join(dir, fmt.Sprintf("layer-%d.tar", i))
		if err := writeLayer(file, uint64(i), megabytes*percent/100<<20); err != nil {
			return nil, err
		}
		layers = append(layers, file)
	}
	jobs := map[string]job{}
	for name, list := range map[string][]string{"first": layers[:4], "next": {layers[0], layers[1], layers[2], layers[4]}} {
		file := filepath.Join(dir, name+".tar")
		if err := save(file, "bench:"+name, list); err != nil {
			return nil, err
		}
		jobs[name] = job{kind: "docker-save", image: file, name: "bench:" + name}
		folder := filepath.Join(dir, "oci-"+name)
		if err := saveLayout(folder, list); err != nil {
			return nil, err
		}
		jobs[map[string]string{"first": "oci", "next": "oci-next"}[name]] = job{kind: "oci", image: folder}
	}
	packed := filepath.Join(dir, "first.tar.gz")
	jobs["gzip"] = job{kind: "gzip", image: packed}
	return jobs, compress(packed, jobs["first"].image)
}

// writeLayer writes a tar of files that compress about as well as programs and text do.
func writeLayer(file string, seed uint64, size int) (err error) {
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	r := rand.New(rand.NewPCG(seed, 1))
	words := make([][]byte, 5000)
	for i := range words {
		words[i] = make([]byte, 2+r.IntN(9))
		for j := range words[i] {
			words[i][j] = byte('a' + r.IntN(26))
		}
	}
	archive := tar.NewWriter(f)
	for n := 0; size > 0; n++ {
		content := text(r, words, min(size, 1<<20+r.IntN(1<<20)))
		size -= len(content)
		if err := archive.WriteHeader(&tar.Header{Name: fmt.Sprintf("usr/lib/%d/%d", seed, n), Mode: 0o644, Size: int64(len(content))}); err != nil {
			return err
		}
		if _, err := archive.Write(content); err != nil {
			return err
		}
	}
	return archive.Close()
}

func text(r *rand.Rand, words [][]byte, size int) []byte {
	b := make([]byte, 0, size+256)
	for len(b) < size {
		switch r.IntN(12) {
		case 0:
			for range 12 {
				b = append(b, byte(r.Uint32()))
			}
		case 1:
			b = append(b, make([]byte, 32)...)
		case 2, 3, 4:
			if len(b) > 4096 { // something that stood not far before
				from := len(b) - 1 - r.IntN(4000)
				b = append(b, b[from:min(len(b), from+20+r.IntN(100))]...)
			}
		default:
			b = append(append(b, words[int(float64(len(words))*r.Float64()*r.Float64()*r.Float64())]...), ' ')
		}
	}
	return b[:size]
}

// save writes what docker save of Docker 24 and older writes: layers without compression.
func save(file, name string, layers []string) (err error) {
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
		if err := add(archive, names[i], content); err != nil {
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
	return errors.Join(add(archive, configName, raw), add(archive, "manifest.json", list), archive.Close())
}

func add(archive *tar.Writer, name string, content []byte) error {
	if err := archive.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(content))}); err != nil {
		return err
	}
	_, err := io.Copy(archive, bytes.NewReader(content))
	return err
}

func saveLayout(folder string, layers []string) error {
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
		layout.WithAnnotations(map[string]string{"org.opencontainers.image.ref.name": "latest"})) // by which regctl finds it
}

func compress(to, from string) (err error) {
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
