#include "textflag.h"

// Four rounds with the words w and the constants from 4k on. SHA256RNDS2 makes two of them; it wants the state as ABEF in s0
// and CDGH in s1, and the words in X0.
#define ROUNDS(s0, s1, w, k) \
	MOVOU       ((k)*16)(AX), X0 \
	PADDL       w, X0            \
	SHA256RNDS2 X0, s0, s1       \
	PSHUFD      $0x0e, X0, X0    \
	SHA256RNDS2 X0, s1, s0

// The four words that come after those of w0 to w3, in place of w0.
#define SCHEDULE(w0, w1, w2, w3) \
	SHA256MSG1 w1, w0     \
	MOVO       w3, X0     \
	PALIGNR    $4, w2, X0 \
	PADDL      X0, w0     \
	SHA256MSG2 w3, w0

#define BOTH(w, v, k) \
	ROUNDS(X1, X2, w, k) \
	ROUNDS(X3, X4, v, k)

#define NEXT(w0, w1, w2, w3, v0, v1, v2, v3, k) \
	SCHEDULE(w0, w1, w2, w3) \
	SCHEDULE(v0, v1, v2, v3) \
	BOTH(w0, v0, k)

#define SIXTEEN(k) \
	NEXT(X5, X6, X7, X8, X9, X10, X11, X12, k)   \
	NEXT(X6, X7, X8, X5, X10, X11, X12, X9, k+1) \
	NEXT(X7, X8, X5, X6, X11, X12, X9, X10, k+2) \
	NEXT(X8, X5, X6, X7, X12, X9, X10, X11, k+3)

// Four words, which are big-endian.
#define WORDS(from, at, w) \
	MOVOU  at(from), w \
	PSHUFB X13, w

// A to H lie in memory in this order.
#define LOAD(from, s0, s1) \
	MOVOU   (from), s0     \
	MOVOU   16(from), s1   \
	PSHUFD  $0xb1, s0, s0  \
	PSHUFD  $0x1b, s1, s1  \
	MOVO    s0, X0         \
	PALIGNR $8, s1, s0     \
	PBLENDW $0xf0, X0, s1

#define STORE(to, s0, s1) \
	PSHUFD  $0x1b, s0, s0  \
	PSHUFD  $0xb1, s1, s1  \
	MOVO    s0, X0         \
	PBLENDW $0xf0, s1, s0  \
	PALIGNR $8, X0, s1     \
	MOVOU   s0, (to)       \
	MOVOU   s1, 16(to)

// X1 and X2 hold the state of s, X14 and X15 what it was before the block; X3 and X4 that of t, and the stack what it was. X5
// to X8 are words of p, X9 to X12 of q.
//
// func blocks(s, t *[8]uint32, p, q []byte)
TEXT ·blocks(SB), NOSPLIT, $32-64
	MOVQ  s+0(FP), DI
	MOVQ  t+8(FP), SI
	MOVQ  p_base+16(FP), BX
	MOVQ  p_len+24(FP), CX
	MOVQ  q_base+40(FP), DX
	SHRQ  $6, CX
	JZ    done
	LEAQ  ·constants(SB), AX
	MOVOU ·bigEndian(SB), X13
	LOAD(DI, X1, X2)
	LOAD(SI, X3, X4)

block:
	MOVO  X1, X14
	MOVO  X2, X15
	MOVOU X3, t0-32(SP)
	MOVOU X4, t1-16(SP)
	WORDS(BX, 0, X5)
	WORDS(BX, 16, X6)
	WORDS(BX, 32, X7)
	WORDS(BX, 48, X8)
	WORDS(DX, 0, X9)
	WORDS(DX, 16, X10)
	WORDS(DX, 32, X11)
	WORDS(DX, 48, X12)
	BOTH(X5, X9, 0)
	BOTH(X6, X10, 1)
	BOTH(X7, X11, 2)
	BOTH(X8, X12, 3)
	SIXTEEN(4)
	SIXTEEN(8)
	SIXTEEN(12)
	PADDL X14, X1
	PADDL X15, X2
	MOVOU t0-32(SP), X0
	PADDL X0, X3
	MOVOU t1-16(SP), X0
	PADDL X0, X4
	ADDQ  $64, BX
	ADDQ  $64, DX
	DECQ  CX
	JNZ   block
	STORE(DI, X1, X2)
	STORE(SI, X3, X4)

done:
	RET
