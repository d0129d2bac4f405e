package deflate

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"
)

// cost is what an optimal code takes for these frequencies: the lightest two are joined again and again.
func cost(frequencies []uint32) (bits int) {
	var heap []int
	for _, f := range frequencies {
		if f > 0 {
			heap = append(heap, int(f))
		}
	}
	for len(heap) > 1 {
		slices.Sort(heap)
		bits += heap[0] + heap[1]
		heap = append(heap[2:], heap[0]+heap[1])
	}
	return bits
}

func TestCodesAreOptimalAndOfLimitedLength(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 1))
	fibonacci := make([]uint32, 22)
	fibonacci[0], fibonacci[1] = 1, 1
	for i := 2; i < len(fibonacci); i++ {
		fibonacci[i] = fibonacci[i-1] + fibonacci[i-2]
	}
	cases := [][]uint32{fibonacci, {0, 5}, {1, 1}, {3, 0, 0, 9, 1}, slices.Repeat([]uint32{7}, literalEnd)}
	for range 300 {
		most := []int{headerSymbols, literalEnd}[r.IntN(2)]
		frequencies := make([]uint32, 2+r.IntN(most-1))
		frequencies[0], frequencies[1] = 1, 1
		for i := range frequencies {
			if r.IntN(3) > 0 {
				frequencies[i] = r.Uint32() >> (16 + r.IntN(16))
			}
		}
		cases = append(cases, frequencies)
	}
	var e Encoder
	limited := 0
	for _, frequencies := range cases {
		limits := []int{9, longest}
		if len(frequencies) <= headerSymbols {
			limits = append(limits, headerLongest)
		}
		for _, limit := range limits {
			lengths := make([]uint8, len(frequencies))
			e.lengths(lengths, frequencies, limit)
			bits, taken, there := 0, 0, 0
			for symbol, length := range lengths {
				if (length > 0) != (frequencies[symbol] > 0) || int(length) > limit {
					t.Fatalf("%d is there %d times and has a code of %d bits", symbol, frequencies[symbol], length)
				}
				if length > 0 {
					bits += int(frequencies[symbol]) * int(length)
					taken += 1 << (limit - int(length))
					there++
				}
			}
			if there > 1 && taken != 1<<limit {
				t.Errorf("%d of %d places are taken", taken, 1<<limit)
			}
			switch best := cost(frequencies); {
			case there > 1 && int(slices.Max(lengths)) == limit:
				limited++
			case there > 1 && bits != best:
				t.Errorf("%d bits where %d are enough", bits, best)
			}
		}
	}
	if limited == 0 {
		t.Error("the limit was never reached")
	}
}

// https://www.rfc-editor.org/rfc/rfc1951#section-3.2.2 has this example.
func TestCodesAreThoseOfTheFormat(t *testing.T) {
	t.Parallel()
	var codes [8]code
	assign(codes[:], []uint8{3, 3, 3, 3, 3, 2, 4, 4})
	for symbol, want := range []string{"010", "011", "100", "101", "110", "00", "1110", "1111"} {
		var got []byte
		for i := range codes[symbol].len() {
			got = append(got, '0'+byte(codes[symbol].bits()>>i&1))
		}
		if string(got) != want {
			t.Errorf("%d is %s, not %s", symbol, got, want)
		}
	}
}

// The tables of https://www.rfc-editor.org/rfc/rfc1951#section-3.2.5, as they stand there.
func TestSymbolsAreThoseOfTheFormat(t *testing.T) {
	t.Parallel()
	lengths := []int{3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258}
	for length := minLength; length <= maxLength; length++ {
		symbol, exact := slices.BinarySearch(lengths, length)
		if !exact {
			symbol--
		}
		at := length - minLength
		if int(lengthSymbols[at]) != symbol || int(lengthBases[at])+minLength != lengths[symbol] || length-lengths[symbol] >= 1<<lengthExtra[symbol] {
			t.Errorf("length %d: symbol %d with %d bits from %d on", length, lengthSymbols[at], lengthExtra[symbol], lengthBases[at])
		}
	}
	distances := []int{
		1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33, 49, 65, 97, 129, 193, 257, 385, 513, 769, 1025, 1537, 2049, 3073, 4097, 6145, 8193, 12289, 16385, 24577,
	}
	for distance := 1; distance <= maxDistance; distance++ {
		symbol, extra := distanceSymbol(distance)
		if distances[symbol]+int(extra) != distance || extra >= 1<<distanceExtra[symbol] {
			t.Fatalf("distance %d: symbol %d and %d in %d bits", distance, symbol, extra, distanceExtra[symbol])
		}
	}
}

// https://www.rfc-editor.org/rfc/rfc1951#section-3.2.7
func TestWhatAHeaderTellsIsWhatWasToBeTold(t *testing.T) {
	t.Parallel()
	for length := range uint8(longest + 1) {
		for n := 1; n <= literalEnd+distanceEnd; n++ {
			var got []byte
			for _, told := range tell(nil, length, n) {
				switch told.symbol {
				case again:
					got = append(got, bytes.Repeat(got[len(got)-1:], int(told.extra)+3)...)
				case zeros:
					got = append(got, make([]byte, int(told.extra)+3)...)
				case manyZeros:
					got = append(got, make([]byte, int(told.extra)+11)...)
				default:
					got = append(got, told.symbol)
				}
				if told.extra >= 1<<headerExtra[told.symbol] {
					t.Errorf("%d has no room beside %d", told.extra, told.symbol)
				}
			}
			if !bytes.Equal(got, bytes.Repeat([]byte{length}, n)) {
				t.Errorf("%d times %d is told as %v", n, length, got)
			}
		}
	}
}
