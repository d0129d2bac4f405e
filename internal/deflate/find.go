package deflate

import (
	"encoding/binary"
	"math/bits"
)

const (
	minLength, maxLength = 3, 258   // of a match, as the format has them
	maxDistance          = 32 << 10 // back to what is the same

	searched  = 4  // bytes that have to be the same before a match is looked at
	margin    = 8  // bytes at the end of a part that are not searched for, so that no word reaches behind it
	tableBits = 13 // more are not faster: the table is to stay in a core's nearest cache
	patience  = 5  // the larger, the later a search that finds nothing begins to skip bytes, more and more of them
)

// sequence is a run of literals and the match that follows it. From the lowest bit on: 13 bits that tell the distance
// beside its symbol, 5 of that symbol, 8 of the match's length less minLength, and the number of literals.
type sequence uint64

func sequenceOf(literals, distance int) sequence {
	symbol, extra := distanceSymbol(distance)
	return sequence(literals)<<26 | sequence(symbol)<<13 | sequence(extra)
}

func (s sequence) literals() int { return int(s >> 26) }
func (s sequence) length() uint8 { return uint8(s >> 18) }
func (s sequence) symbol() uint8 { return uint8(s>>13) & 31 }
func (s sequence) extra() uint64 { return uint64(s & (1<<13 - 1)) }

// matching sets how long the match is; again is a match from as far right behind it, without a length yet.
func (s sequence) matching(length int) sequence { return s | sequence(length-minLength)<<18 }
func (s sequence) again() sequence              { return s & (1<<18 - 1) }

// find takes a part of a block apart into sequences, of which the last is literals alone, and counts their symbols. It
// takes the first match that it meets.
func (e *Encoder) find(b *block, start, end int) {
	e.counts = frequencies{}
	found, table := e.found[:0], &e.table
	literals, limit := start, end-margin
search:
	for at := start; at < limit; {
		var same int
		for step, next := 1<<patience, load64(b, at); ; next = load64(b, at) {
			skip := step >> patience
			step += skip
			h := hash(next)
			same, table[h] = int(table[h]), uint32(at)
			if load32(b, same) == uint32(next) && reaches(same, at) {
				break
			}
			h = hash(next >> 8)
			same, table[h] = int(table[h]), uint32(at+1)
			if load32(b, same) == uint32(next>>8) && reaches(same, at+1) {
				at++
				break
			}
			if at += max(skip, 2); at >= limit {
				break search
			}
		}
		for at > literals && same > 0 && b[at-1] == b[same-1] {
			at--
			same--
		}
		for _, c := range b[literals:at] {
			e.counts.literals[c]++
		}
		s := sequenceOf(at-literals, at-same)
		literals = equal(b, at+searched, same+searched, end)
		length := literals - at
		for length > maxLength {
			n := min(maxLength, length-searched)
			found = append(found, s.matching(n))
			e.counts.match(s, n)
			s, length = s.again(), length-n
		}
		found = append(found, s.matching(length))
		e.counts.match(s, length)
		if at = literals; at < limit {
			table[hash(load64(b, at-2))] = uint32(at - 2)
		}
	}
	for _, c := range b[literals:end] {
		e.counts.literals[c]++
	}
	found = append(found, sequence(end-literals)<<26)
	e.found = found
}

func reaches(same, at int) bool { return uint(at-same-1) < maxDistance }

// equal is where the bytes from both places on stop to be the same, at end at the latest.
func equal(b *block, at, same, end int) int {
	for at+8 <= end {
		if differ := load64(b, at) ^ load64(b, same); differ != 0 {
			return at + bits.TrailingZeros64(differ)>>3
		}
		at += 8
		same += 8
	}
	for at < end && b[at] == b[same] {
		at++
		same++
	}
	return at
}

// hash is of the first five bytes.
func hash(v uint64) uint32 {
	const golden = 0x9e3779b97f4a7c15 // 2^64 divided by the golden ratio
	return uint32(v << 24 * golden >> (64 - tableBits))
}

// What is loaded lies in the block; that the mask keeps it there spares a check.

func load32(b *block, at int) uint32 { return binary.LittleEndian.Uint32(b[at&(BlockSize-1):][:4]) }
func load64(b *block, at int) uint64 { return binary.LittleEndian.Uint64(b[at&(BlockSize-1):][:8]) }
