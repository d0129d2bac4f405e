// Package sha256x2 adds to two SHA-256 hashes at once in one core. The rounds of one hash wait for each other, and a
// core that has instructions for them idles meanwhile; those of a second hash fit in between. How the two are to be
// started, continued with less than a block and ended is left to crypto/sha256.
package sha256x2

import (
	"crypto/sha256"
	"encoding"
	"encoding/binary"
	"fmt"
	"hash"
)

// few are so many blocks that taking hashes out of crypto/sha256 and putting them back is worth it.
const few = 64

// Write does what a.Write(p) and b.Write(q) do. It is faster where both are of crypto/sha256, have whole blocks behind
// them, and get more than a few; and where the CPU has Intel's SHA extensions:
// https://www.intel.com/content/www/us/en/developer/articles/technical/intel-sha-extensions.html
// What hashes cannot be interrupted, not by the garbage collector either: a megabyte takes less than a millisecond.
func Write(a, b hash.Hash, p, q []byte) {
	n := together(a, b, p, q)
	_, _ = a.Write(p[n:])
	_, _ = b.Write(q[n:])
}

// together returns how many bytes of each it has added.
func together(a, b hash.Hash, p, q []byte) int {
	n := min(len(p), len(q)) / sha256.BlockSize * sha256.BlockSize
	if !hasSHA || n < few*sha256.BlockSize {
		return 0
	}
	x, y := take(a), take(b)
	if x == nil || y == nil {
		return 0
	}
	blocks(&x.words, &y.words, p[:n], q[:n])
	x.put(a, n)
	y.put(b, n)
	return n
}

// state is a hash between two blocks, and how crypto/sha256 writes it down: what it is, its words, the bytes of a block
// that is not full, and the number of all bytes.
type state struct {
	written []byte
	words   [8]uint32
}

const (
	magic     = "sha\x03"
	wordsAt   = len(magic)
	partAt    = wordsAt + sha256.Size
	lengthAt  = partAt + sha256.BlockSize
	allLength = lengthAt + 8
)

// take is nil for what it does not know, and for a hash within a block.
func take(h hash.Hash) *state {
	m, ok := h.(encoding.BinaryMarshaler)
	if !ok {
		return nil
	}
	written, err := m.MarshalBinary()
	if err != nil || len(written) != allLength || string(written[:wordsAt]) != magic {
		return nil
	}
	s := &state{written: written}
	if s.length()%sha256.BlockSize != 0 {
		return nil
	}
	for i := range s.words {
		s.words[i] = binary.BigEndian.Uint32(written[wordsAt+4*i:])
	}
	return s
}

func (s *state) length() uint64 { return binary.BigEndian.Uint64(s.written[lengthAt:]) }

// put makes h the hash that s is after n more bytes.
func (s *state) put(h hash.Hash, n int) {
	for i, word := range s.words {
		binary.BigEndian.PutUint32(s.written[wordsAt+4*i:], word)
	}
	binary.BigEndian.PutUint64(s.written[lengthAt:], s.length()+uint64(n))
	if err := h.(encoding.BinaryUnmarshaler).UnmarshalBinary(s.written); err != nil {
		panic(fmt.Sprintf("crypto/sha256 does not take back what it has given: %v", err))
	}
}
