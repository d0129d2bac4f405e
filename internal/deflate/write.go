package deflate

import (
	"encoding/binary"
	"math"
	"slices"
)

// Kinds of parts: https://www.rfc-editor.org/rfc/rfc1951#section-3.2.3
const (
	kindStored  = 0
	kindDynamic = 2
	kindBits    = 3 // with that of the last part
)

// codes of a part, and what they are told by.
type codes struct {
	literals  [literalEnd]code
	matches   [256]code // of lengths less minLength, with the bits beside their symbols
	distances [32]code

	header  []told
	lengths [headerSymbols]code // that the header is written with
	ordered int                 // how many of lengths are written
	counts  [2]int              // of literals and distances that have codes
}

// told is a symbol of a header: a length of a code, or how often one is there, with the number in extra.
type told struct{ symbol, extra uint8 }

const (
	headerSymbols, headerLongest = 19, 7 // how many there are, and the bits of the longest code

	again     = 16 // the length before, 3 to 6 times
	zeros     = 17 // 3 to 10 times
	manyZeros = 18 // 11 to 138 times
)

var (
	headerExtra = [headerSymbols]uint8{again: 2, zeros: 3, manyZeros: 7}
	headerOrder = [headerSymbols]uint8{again, zeros, manyZeros, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15}
)

// plan makes the codes for what was found and returns how many bits the part has with them.
func (e *Encoder) plan() (size int) {
	c := &e.codes
	e.counts.literals[endOfPart] = 1
	var lengths [literalEnd + distanceEnd]uint8
	literals, distances := lengths[:literalEnd], lengths[literalEnd:]
	e.lengths(literals, e.counts.literals[:literalEnd], longest)
	e.lengths(distances, e.counts.distances[:distanceEnd], longest)
	assign(c.literals[:], literals)
	assign(c.distances[:], distances)
	for symbol, length := range literals {
		size += int(e.counts.literals[symbol]) * int(length)
	}
	for symbol, extra := range lengthExtra {
		size += int(e.counts.literals[firstLength+symbol]) * int(extra)
	}
	for symbol, length := range distances {
		size += int(e.counts.distances[symbol]) * int(length+distanceExtra[symbol])
	}
	for length := range c.matches {
		symbol := lengthSymbols[length]
		c.matches[length] = c.literals[firstLength+int(symbol)].with(uint32(length)-uint32(lengthBases[length]), lengthExtra[symbol])
	}
	return size + e.planHeader(literals, distances)
}

// planHeader says how the codes are told and returns the size of that in bits:
// https://www.rfc-editor.org/rfc/rfc1951#section-3.2.7
func (e *Encoder) planHeader(literals, distances []uint8) (size int) {
	c := &e.codes
	literals, distances = trimmed(literals, firstLength), trimmed(distances, 1)
	c.counts = [2]int{len(literals), len(distances)}
	c.header = c.header[:0]
	var both [literalEnd + distanceEnd]uint8
	for rest := append(append(both[:0], literals...), distances...); len(rest) > 0; {
		length, n := rest[0], 1
		for n < len(rest) && rest[n] == length {
			n++
		}
		c.header = tell(c.header, length, n)
		rest = rest[n:]
	}
	var frequencies [headerSymbols]uint32
	for _, t := range c.header {
		frequencies[t.symbol]++
	}
	var lengths [headerSymbols]uint8
	e.lengths(lengths[:], frequencies[:], headerLongest)
	assign(c.lengths[:], lengths[:])
	c.ordered = len(headerOrder)
	for c.ordered > 4 && lengths[headerOrder[c.ordered-1]] == 0 {
		c.ordered--
	}
	size = kindBits + 5 + 5 + 4 + 3*c.ordered
	for symbol, f := range frequencies {
		size += int(f) * int(lengths[symbol]+headerExtra[symbol])
	}
	return size
}

// trimmed is without the zeros at the end, but for the first few lengths.
func trimmed(lengths []uint8, least int) []uint8 {
	for len(lengths) > least && lengths[len(lengths)-1] == 0 {
		lengths = lengths[:len(lengths)-1]
	}
	return lengths
}

// tell appends that a length is there n times.
func tell(header []told, length uint8, n int) []told {
	for said := false; n > 0; {
		k := 1
		switch {
		case length == 0 && n > 10:
			k = min(n, 138)
			header = append(header, told{manyZeros, uint8(k - 11)})
		case length == 0 && n > 2:
			k = n
			header = append(header, told{zeros, uint8(k - 3)})
		case said && n > 2:
			k = min(n, 6)
			header = append(header, told{again, uint8(k - 3)})
		default:
			header = append(header, told{symbol: length})
			said = length > 0
		}
		n -= k
	}
	return header
}

// pending are bits that do not fill a word yet, the first one lowest.
type pending struct {
	bits uint64
	n    uint
}

// and takes a code too. There has to be room: for four codes of literals, or for a match.
func (p pending) and(c code) pending { return p.andBits(c.bits(), c.len()) }

func (p pending) andBits(v uint64, n uint) pending {
	return pending{p.bits | v<<(p.n&63), p.n + n}
}

// flush writes whole bytes to out, which has room for a word, and returns where the next ones go.
func (p pending) flush(out []byte, at int) (pending, int) {
	binary.LittleEndian.PutUint64(out[at:], p.bits)
	return pending{p.bits >> (p.n &^ 7 & 63), p.n & 7}, at + int(p.n>>3)
}

// writer is a stream.
type writer struct {
	out []byte
	pending
}

// stored writes bytes as they are, up to 65,535 of them at once, and so ends at a byte.
func (w *writer) stored(plain []byte) {
	for first := true; first || len(plain) > 0; first = false {
		n := min(len(plain), math.MaxUint16)
		w.pending = w.andBits(kindStored<<1, kindBits)
		w.out = binary.LittleEndian.AppendUint16(w.out, uint16(w.bits))[:len(w.out)+int(w.n+7)/8]
		w.pending = pending{}
		w.out = binary.LittleEndian.AppendUint16(w.out, uint16(n))
		w.out = binary.LittleEndian.AppendUint16(w.out, ^uint16(n))
		w.out = append(w.out, plain[:n]...)
		plain = plain[n:]
	}
}

// write writes the part of b from start to end, which has that many bits with the codes that are planned.
func (e *Encoder) write(w *writer, b *block, start, end, size int) {
	const word = 8
	w.out = slices.Grow(w.out, size/8+2*word)
	out, p, at := w.out[len(w.out):cap(w.out)], w.pending, 0
	p, at = e.codes.writeHeader(out, p, at)
	c := &e.codes
	for i, s := range e.found {
		n := s.literals()
		for ; n > 4; n -= 4 {
			four := load32(b, start)
			start += 4
			p = p.and(c.literals[four&255]).and(c.literals[four>>8&255]).and(c.literals[four>>16&255]).and(c.literals[four>>24])
			p, at = p.flush(out, at)
		}
		if i == len(e.found)-1 {
			break
		}
		// The rest without a branch, which a processor could not foresee.
		four, only := load32(b, start), &first[n&7]
		start += n + int(s.length()) + minLength
		p = p.and(c.literals[four&255] & only[0]).and(c.literals[four>>8&255] & only[1]).and(c.literals[four>>16&255] & only[2]).and(c.literals[four>>24] & only[3])
		p, at = p.flush(out, at)
		p = p.and(c.matches[s.length()]).and(c.distances[s.symbol()]).andBits(s.extra(), uint(distanceExtra[s.symbol()]))
		p, at = p.flush(out, at)
	}
	for _, literal := range b[start:end] {
		p, at = p.and(c.literals[literal]).flush(out, at)
	}
	p, at = p.and(c.literals[endOfPart]).flush(out, at)
	w.out, w.pending = w.out[:len(w.out)+at], p
}

// first lets the first of four codes pass.
var first = func() (masks [8][4]code) {
	for n := range masks {
		for i := range min(n, 4) {
			masks[n][i] = ^code(0)
		}
	}
	return masks
}()

func (c *codes) writeHeader(out []byte, p pending, at int) (pending, int) {
	p = p.andBits(kindDynamic<<1, kindBits).andBits(uint64(c.counts[0]-firstLength), 5).andBits(uint64(c.counts[1]-1), 5).andBits(uint64(c.ordered-4), 4)
	p, at = p.flush(out, at)
	for _, symbol := range headerOrder[:c.ordered] {
		p, at = p.andBits(uint64(c.lengths[symbol].len()), 3).flush(out, at)
	}
	for _, t := range c.header {
		p, at = p.and(c.lengths[t.symbol]).andBits(uint64(t.extra), uint(headerExtra[t.symbol])).flush(out, at)
	}
	return p, at
}
