package bundle

import (
	"archive/tar"
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"maps"
	"slices"
	"time"
)

// packFiles returns a gzipped ustar archive, sorted by name, without owners or times.
func packFiles(files map[string]file) ([]byte, error) {
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		mode := int64(0o644)
		if files[name].executable {
			mode = 0o755
		}
		header := &tar.Header{
			Typeflag: tar.TypeReg, Format: tar.FormatUSTAR,
			Name: name, Mode: mode, Size: int64(len(files[name].content)), ModTime: time.Unix(0, 0),
		}
		if err := w.WriteHeader(header); err != nil {
			return nil, err
		}
		if _, err := w.Write(files[name].content); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return gzipStored(archive.Bytes()), nil
}

// gzipStored returns a gzip file of stored blocks (RFC 1951, section 3.2.4). The output of a compressor changes with its
// version; these bytes never do, and a shell script can write them too. A bundle is only a few kilobytes.
func gzipStored(data []byte) []byte {
	const maxBlock = 65535
	out := []byte{0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255} // RFC 1952: deflate, no name, no time, unknown system
	for rest := data; len(rest) > 0; {
		n := min(len(rest), maxBlock)
		final := byte(0)
		if n == len(rest) {
			final = 1
		}
		out = append(out, final)
		out = binary.LittleEndian.AppendUint16(out, uint16(n))
		out = binary.LittleEndian.AppendUint16(out, ^uint16(n))
		out = append(out, rest[:n]...)
		rest = rest[n:]
	}
	out = binary.LittleEndian.AppendUint32(out, crc32.ChecksumIEEE(data))
	return binary.LittleEndian.AppendUint32(out, uint32(len(data)))
}
