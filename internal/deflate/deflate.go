// Package deflate compresses what lies in memory: https://www.rfc-editor.org/rfc/rfc1951. It makes as little of programs as
// the fast levels of other encoders do, in less time. What comes out depends on what goes in alone.
//
// A block is taken part by part: find looks for what was there before, plan makes Huffman codes for what was found, and
// write puts both into the stream.
package deflate

const (
	// BlockSize is how many bytes are compressed without looking at those before them.
	BlockSize = 512 << 10
	// Room is the capacity from which on a block lies where it is and is not copied first.
	Room = BlockSize + 8
	// partSize is how many bytes get Huffman codes of their own.
	partSize = 64 << 10
)

// block is what is compressed. Since the compiler knows how large an array is, nothing is left to check when it is read.
type block [Room]byte

// Encoder is memory that is used again. Its zero value is ready.
type Encoder struct {
	table  [1 << tableBits]uint32
	found  []sequence
	counts frequencies
	codes  codes
	leaves [literalEnd]leaf // of a tree
	sorted [literalEnd]leaf
	spare  []byte // a block that lies in too little memory
}

// Append appends to packed what plain is when it is compressed: a stream that ends at a byte and goes on, until a last
// block of the format, as 0x03 0x00, ends it. A block is copied first unless there is Room from its start on.
func (e *Encoder) Append(packed, plain []byte) []byte {
	w := writer{out: packed}
	for len(plain) > 0 {
		n := min(len(plain), BlockSize)
		e.block(&w, plain[:n])
		plain = plain[n:]
	}
	w.stored(nil)
	return w.out
}

func (e *Encoder) block(w *writer, plain []byte) {
	n := len(plain)
	if cap(plain) < len(block{}) {
		if e.spare == nil {
			e.spare = make([]byte, len(block{}))
		}
		plain = e.spare[:copy(e.spare, plain)]
	}
	b := (*block)(plain[:len(block{})]) // of which no more than n bytes are read
	clear(e.table[:])
	for start := 0; start < n; start += partSize {
		end := min(start+partSize, n)
		e.find(b, start, end)
		if bits := e.plan(); bits/8 < end-start {
			e.write(w, b, start, end, bits)
		} else {
			w.stored(b[start:end])
		}
	}
}
