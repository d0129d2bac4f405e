package deflate

import "math/bits"

// longest is how many bits a code has at most: with 14 of the 15 that the format knows, four of them fit into a word
// beside what is left of a byte.
const longest = 14

// code is what a symbol is written as: its bits, the first one lowest, and from bit 24 on how many they are.
type code uint32

func (c code) bits() uint64 { return uint64(c & (1<<24 - 1)) }
func (c code) len() uint    { return uint(c >> 24) }

// with is a code with more bits behind it.
func (c code) with(extra uint32, n uint8) code {
	return c + code(extra)<<c.len() + code(n)<<24
}

// leaf is a symbol of the tree that codes are made from, and how often it is there.
type leaf uint32

const symbolBits, digitBits, digits = 9, 6, 3 // a part has fewer than 1<<18 symbols

func (l leaf) symbol() int       { return int(l & (1<<symbolBits - 1)) }
func (l leaf) frequency() uint32 { return uint32(l >> symbolBits) }

// sort orders leaves that are in the order of their symbols by frequency, digit by digit from the last one on: no two of
// them are compared, which a processor could not foresee.
func (e *Encoder) sort(leaves []leaf) []leaf {
	from, to := leaves, e.sorted[:len(leaves)]
	for digit := range digits {
		of := func(l leaf) leaf { return l >> (symbolBits + digit*digitBits) & (1<<digitBits - 1) }
		var place [1 << digitBits]uint16
		for _, l := range from {
			place[of(l)]++
		}
		before := uint16(0)
		for i, n := range place {
			place[i] = before
			before += n
		}
		for _, l := range from {
			to[place[of(l)]] = l
			place[of(l)]++
		}
		from, to = to, from
	}
	return from
}

// lengths sets how long the code of each symbol is: as Huffman has it, but at most limit. A symbol that is not there has
// none.
func (e *Encoder) lengths(lengths []uint8, frequencies []uint32, limit int) {
	clear(lengths)
	leaves := e.leaves[:0]
	for symbol, f := range frequencies {
		if f > 0 {
			leaves = append(leaves, leaf(f<<symbolBits|uint32(symbol)))
		}
	}
	n := len(leaves)
	if n == 1 {
		lengths[leaves[0].symbol()] = 1
	}
	if n < 2 {
		return
	}
	sorted := e.sort(leaves)
	// The lightest two of leaves and nodes are joined to a node again and again. The leaves lie in order, and the nodes
	// are made in order.
	var weight [literalEnd]uint32
	var above, aboveLeaf [literalEnd]uint16
	for next, node, made := 0, 0, 0; made < n-1; made++ {
		for range 2 {
			if next < n && (node == made || sorted[next].frequency() <= weight[node]) {
				weight[made] += sorted[next].frequency()
				aboveLeaf[next] = uint16(made)
				next++
			} else {
				weight[made] += weight[node]
				above[node] = uint16(made)
				node++
			}
		}
	}
	var depth [literalEnd]int
	for node := n - 3; node >= 0; node-- {
		depth[node] = depth[above[node]] + 1
	}
	var count [longest + 1]int
	for i := range n {
		count[min(depth[aboveLeaf[i]]+1, limit)]++
	}
	shorten(count[:], limit)
	for length, next := 1, n-1; length <= limit; length++ {
		for range count[length] {
			lengths[sorted[next].symbol()] = uint8(length)
			next--
		}
	}
}

// shorten makes room for codes that were cut to limit bits: one of them goes where a shorter one is, which both then are
// longer by a bit.
func shorten(count []int, limit int) {
	taken := 0 // of 1<<limit
	for length := 1; length <= limit; length++ {
		taken += count[length] << (limit - length)
	}
	for ; taken > 1<<limit; taken-- {
		length := limit - 1
		for count[length] == 0 {
			length--
		}
		count[limit]--
		count[length]--
		count[length+1] += 2
	}
}

// assign sets the codes of such lengths: https://www.rfc-editor.org/rfc/rfc1951#section-3.2.2
func assign(codes []code, lengths []uint8) {
	var count, next [16]uint16
	for _, length := range lengths {
		count[length&15]++
	}
	count[0] = 0
	for length := 1; length < len(next); length++ {
		next[length] = (next[length-1] + count[length-1]) << 1
	}
	for symbol, length := range lengths {
		codes[symbol] = code(bits.Reverse16(next[length&15])>>(16-length)) | code(length)<<24
		next[length&15]++
	}
}
