package deflate

import "math/bits"

// The symbols of https://www.rfc-editor.org/rfc/rfc1951#section-3.2.5: a length or a distance is a symbol and some bits.
const (
	endOfPart   = 256
	firstLength = 257
	literalEnd  = 286
	distanceEnd = 30
)

var lengthExtra, distanceExtra, lengthSymbols, lengthBases = tables()

// tables are the numbers of bits beside the symbols of lengths and distances; and of each length less minLength its
// symbol less firstLength, and the first length of that symbol.
func tables() (lengths [29]uint8, distances [32]uint8, symbols, bases [256]uint8) {
	next := 0
	for symbol := range 28 {
		lengths[symbol] = uint8(max(symbol/4-1, 0))
		base := next
		for ; next < min(base+1<<lengths[symbol], 256); next++ {
			symbols[next], bases[next] = uint8(symbol), uint8(base)
		}
	}
	symbols[255], bases[255] = 28, 255 // the longest has a symbol of its own
	for symbol := range distanceEnd {
		distances[symbol] = uint8(max(symbol/2-1, 0))
	}
	return lengths, distances, symbols, bases
}

// distanceSymbol is the symbol of a distance and what has to be said beside it: but for the shortest, there are two
// symbols for each power of two.
func distanceSymbol(distance int) (symbol, extra uint32) {
	d := uint32(distance - 1)
	if d < 2 {
		return d, 0
	}
	n := uint32(bits.Len32(d)) - 2
	return 2*n + d>>n, d & (1<<n - 1)
}

// frequencies of the symbols of a part. There is more room than there are symbols, so that no index needs a check.
type frequencies struct {
	literals  [512]uint32
	distances [32]uint32
}

// match counts a match of that length.
func (f *frequencies) match(s sequence, length int) {
	f.literals[firstLength+int(lengthSymbols[uint8(length-minLength)])]++
	f.distances[s.symbol()]++
}
