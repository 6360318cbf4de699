// Arithmetic and byte kernels. Each picks its instruction set once, at run time; every variant of a
// kernel gives the same answer up to the rounding that its comment states.
#ifndef KYRO_CKERNELS_H
#define KYRO_CKERNELS_H

// Checking the aarch64 code on another machine, without glibc's headers for it: the compiler's own
// stdint.h, also under arm_neon.h, then does without them, as in a freestanding build.
#if defined(__aarch64__) && defined(__clang__) && !__has_include(<bits/libc-header-start.h>)
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wbuiltin-macro-redefined"
#undef __STDC_HOSTED__
#define __STDC_HOSTED__ 0
#pragma clang diagnostic pop
#endif

#include <stddef.h>
#include <stdint.h>

// CRC-32C (Castagnoli, RFC 3720 appendix B.4) of `length` bytes, continuing from `crc`; 0 starts.
uint32_t kyro_crc32c(uint32_t crc, const void *bytes, size_t length);

// Floats are multiplied and added in double: a product of two floats is exact there, so that
// variants differ by the order of additions alone, within n × 2^-53 of the sum of magnitudes.
// Pointers need no alignment. The answer for a row does not depend on its neighbours in a batch.

// Σ a[i] × b[i] over [0, n).
double kyro_dot_f32(const float *a, const float *b, size_t n);
// Σ (a[i] − b[i])² over [0, n); the difference is taken in double.
double kyro_l2sq_f32(const float *a, const float *b, size_t n);
// The same for `count` rows, `stride` bytes apart, into out[0, count).
void kyro_dot_f32_rows(
    const float *query, const float *rows, size_t stride, size_t count, size_t n, double *out);
void kyro_l2sq_f32_rows(
    const float *query, const float *rows, size_t stride, size_t count, size_t n, double *out);

// Σ a[i] × b[i] over [0, n), exact for n ≤ 65,536 (65,536 × 128² = 2^30).
int32_t kyro_dot_i8(const int8_t *a, const int8_t *b, size_t n);
// The same for the rows that `rows[0, count)` point to; rows ahead are prefetched.
void kyro_dot_i8_list(
    const int8_t *query, const int8_t *const *rows, size_t count, size_t n, int32_t *out);
// The same for `count` rows, `stride` bytes apart.
void kyro_dot_i8_rows(
    const int8_t *query, const int8_t *rows, size_t stride, size_t count, size_t n, int32_t *out);

// Rows scored by one call of kyro_scan_i8, at most.
enum { kyro_scan_words_max = 16, kyro_scan_rows_max = 64 * kyro_scan_words_max };

// Scores codes and passes on those that reach `least`. Row r is looked at when bit r % 64 of
// words[r / 64] is set, r in [0, 64 × word_count), word_count ≤ kyro_scan_words_max; its codes lie
// at codes + r × stride, its factor and bias at terms[2r] and terms[2r + 1], and its score is
// dot × (factor × its factor) + its bias, in float and rounded after each operation, so that it is
// equal on all variants. Writes row and score of those whose score is not below `least`, in the
// order of rows, and returns their number; `rows` and `scores` have room for kyro_scan_rows_max.
size_t kyro_scan_i8(
    const int8_t *query, const int8_t *codes, size_t stride, const float *terms,
    const uint64_t *words, size_t word_count, size_t n, float factor, float least, uint32_t *rows,
    float *scores);

// codes[i] = row[i] / scale, rounded half away from zero, in [-127, 127]; returns the scale, which
// is max |row[i]| / 127, and 0 with all codes 0 where every element is 0 (or underflows).
// Equal on all variants.
float kyro_encode_i8(const float *row, size_t n, int8_t *codes);

// Dots of all pairs: out[i × out_stride + j] = Σ a[i][d] × b[j][d] over d in [0, n), for i in
// [0, a_count) and j in [0, b_count), exact as kyro_dot_i8. Both lists are worked through in blocks
// that stay in the caches; needs 56 KB of stack. Best with 48 columns or more.
void kyro_dot_i8_tile(
    const int8_t *const *a, size_t a_count, const int8_t *const *b, size_t b_count, size_t n,
    int32_t *out, size_t out_stride);

// The same for all pairs of one list, each computed once: out[i × out_stride + j] for i and j in
// [0, count).
void kyro_dot_i8_pairs(
    const int8_t *const *rows, size_t count, size_t n, int32_t *out, size_t out_stride);

// Puts the entries of one row of such a tile among the best that are known. Entry j has the number
// first + j and the score dots[j] × (factor × factors[j]) + biases[j], in float and rounded after
// each operation; what is no number counts as −∞. keys[0, found) are the best so far, best first;
// at most `wanted` ≥ 1 are kept, and their number is returned. The entry with the number `own` is
// left out; UINT32_MAX is nobody's. Equal on all variants.
//
// A key has the score's bits in its upper half, changed so that they ascend with it, and below them
// ~(number − own): of equal scores the number that follows `own` most closely, in a ring, is better.
size_t kyro_best_i32(
    const int32_t *dots, const float *factors, const float *biases, size_t count, float factor,
    uint32_t first, uint32_t own, size_t wanted, uint64_t *keys, size_t found);

// Candidates for a row's neighbours: the same number of each, with room for sixteen more. Keys are
// distinct.
typedef struct {
    uint64_t *keys;
    const int8_t **codes;
    float *factors, *biases;
    // A candidate is left out for a neighbour whose score with it is not below this.
    float *bounds;
} kyro_candidates;

// Moves those of `count` candidates to the front, in their order, whose score with a neighbour is
// below their bound, or is no number. Candidate i's score with it is
// dots[i] × (pair_factor × (factor × factors[i])) + (bias + biases[i]), in float and rounded after
// each operation. Returns how many are left, and in `nearest` which of them has the greatest key, or
// 0 where none is left. Equal on all variants.
size_t kyro_leave_out(
    const int32_t *dots, size_t count, float pair_factor, float factor, float bias,
    const kyro_candidates *candidates, size_t *nearest);

// The float forms that rerank: sums in float, within n × 2^-23 of the sum of magnitudes, for rows
// that a list points to; rows ahead are prefetched. A row's answer does not depend on its place.
void kyro_dot_f32_fast_list(
    const float *query, const float *const *rows, size_t count, size_t n, float *out);
void kyro_l2sq_f32_fast_list(
    const float *query, const float *const *rows, size_t count, size_t n, float *out);

// bf16 is the upper half of a float. Encoding rounds to nearest, ties to even, also subnormal
// numbers; what is above the largest bf16 by half a step or more becomes infinite, and a NaN stays
// one. Equal on all variants.
void kyro_encode_bf16(const float *row, size_t n, uint16_t *codes);
// A float query against bf16 rows, with sums in float as above. The query keeps its 24 bits, which
// is why VDPBF16PS is not used: it would round the query, too, and flush subnormal numbers.
float kyro_dot_bf16(const float *query, const uint16_t *row, size_t n);
float kyro_l2sq_bf16(const float *query, const uint16_t *row, size_t n);
void kyro_dot_bf16_list(
    const float *query, const uint16_t *const *rows, size_t count, size_t n, float *out);
void kyro_l2sq_bf16_list(
    const float *query, const uint16_t *const *rows, size_t count, size_t n, float *out);

// 4-bit codes: c[d] in [0, 15]. A row of n takes ⌈n / 2⌉ bytes. It is
// cut into blocks of 128 dimensions, and the last block may be shorter; a block of m dimensions
// takes h = ⌈m / 2⌉ bytes, of which byte j holds dimension j in its low nibble and dimension h + j
// in its high one (0 where h + j = m). So the nibbles of one 64-byte load lie against two
// consecutive loads of the query.

// Σ query[d] × c[d], exact for n ≤ 65,536.
int32_t kyro_dot_u4(const int8_t *query, const uint8_t *codes, size_t n);
void kyro_dot_u4_list(
    const int8_t *query, const uint8_t *const *rows, size_t count, size_t n, int32_t *out);
// 1-bit codes: bit d % 8 of byte d / 8 is set where row[d] > thresholds[d]; ⌈n / 8⌉ bytes, of which
// the bits behind n are 0.
void kyro_encode_bits(const float *row, const float *thresholds, size_t n, uint8_t *codes);
// The number of bits in which `byte_count` bytes differ.
uint32_t kyro_hamming(const uint8_t *a, const uint8_t *b, size_t byte_count);
void kyro_hamming_list(
    const uint8_t *query, const uint8_t *const *rows, size_t count, size_t byte_count,
    uint32_t *out);

// Multiplies x with a random orthogonal matrix in place, or with its inverse: as many steps of
// signs and of a Walsh-Hadamard transform, which mixes the first 2^k ≤ n values and the last 2^k by
// turns, so that n values stay n. `signs` holds n values of ±1 a step, `spare` room for n floats.
// Equal on all variants.
enum { kyro_rotation_steps = 4 };
void kyro_rotate(float *x, float *spare, const float *signs, size_t n, int is_back);

// 4-bit codes around zero, in the layout of the 4-bit codes above: c stands for
// (2c − 15) × step / 2. Encodes rounded half up and cut at ±7.5 steps; the step may be 0. Returns
// Σ row[i] × (2 c[i] − 15). Equal on all variants.
float kyro_encode_s4(const float *row, size_t n, float step, uint8_t *codes);
// The odd numbers 2c − 15, and their sum.
int32_t kyro_expand_s4(const uint8_t *codes, size_t n, int8_t *out);

// Product quantisation (Jégou, Douze & Schmid 2011): codebook[256 d + c] is component d of centroid
// c, for d in [0, dims), dims > 0.
// table[c] = Σ query[d] × codebook[256 d + c], in float.
void kyro_pq_table(const float *query, const float *codebook, size_t dims, float *table);
// The centroid nearest to `row`, of equals the first; halves[c] = |centroid c|² / 2.
uint32_t kyro_pq_nearest(
    const float *row, const float *codebook, const float *halves, size_t dims);
// Σ tables[256 s + row[s]] over s in [0, m) for the rows that `rows[0, count)` point to.
void kyro_pq_scores(
    const float *tables, const uint8_t *const *rows, size_t count, size_t m, float *out);

// out[w] has bit b where low ≤ values[64 w + b] ≤ high, for w in [0, word_count); low ≤ high.
void kyro_in_range_i64(
    const int64_t *values, size_t word_count, int64_t low, int64_t high, uint64_t *out);

// Copies `count` bytes between buffers that do not overlap. glibc 2.36's memcpy can take 1–2 µs for
// 3 KB when both lie close modulo 4096.
void kyro_copy_row(void *to, const void *from, size_t count);

// Asks for the cache line at `address`.
static inline void kyro_prefetch(const void *address) { __builtin_prefetch(address); }

// "avx512", "avx512vnni" (the same without VPOPCNTDQ), "avx2", "neon" or "portable".
const char *kyro_kernels_name(void);

// One instruction set's kernels, for tests that compare them.
typedef struct {
    const char *name;
    double (*dot_f32)(const float *, const float *, size_t);
    double (*l2sq_f32)(const float *, const float *, size_t);
    void (*dot_f32_rows)(const float *, const float *, size_t, size_t, size_t, double *);
    void (*l2sq_f32_rows)(const float *, const float *, size_t, size_t, size_t, double *);
    int32_t (*dot_i8)(const int8_t *, const int8_t *, size_t);
    void (*dot_i8_list)(const int8_t *, const int8_t *const *, size_t, size_t, int32_t *);
    void (*dot_i8_rows)(const int8_t *, const int8_t *, size_t, size_t, size_t, int32_t *);
    size_t (*scan_i8)(
        const int8_t *, const int8_t *, size_t, const float *, const uint64_t *, size_t, size_t,
        float, float, uint32_t *, float *);
    float (*encode_i8)(const float *, size_t, int8_t *);
    void (*copy_row)(void *, const void *, size_t);
    void (*dot_i8_tile)(
        const int8_t *const *, size_t, const int8_t *const *, size_t, size_t, int32_t *, size_t);
    void (*dot_i8_pairs)(const int8_t *const *, size_t, size_t, int32_t *, size_t);
    size_t (*best_i32)(
        const int32_t *, const float *, const float *, size_t, float, uint32_t, uint32_t, size_t,
        uint64_t *, size_t);
    size_t (*leave_out)(
        const int32_t *, size_t, float, float, float, const kyro_candidates *, size_t *);
    void (*dot_f32_fast_list)(const float *, const float *const *, size_t, size_t, float *);
    void (*l2sq_f32_fast_list)(const float *, const float *const *, size_t, size_t, float *);
    void (*encode_bf16)(const float *, size_t, uint16_t *);
    float (*dot_bf16)(const float *, const uint16_t *, size_t);
    float (*l2sq_bf16)(const float *, const uint16_t *, size_t);
    void (*dot_bf16_list)(const float *, const uint16_t *const *, size_t, size_t, float *);
    void (*l2sq_bf16_list)(const float *, const uint16_t *const *, size_t, size_t, float *);
    int32_t (*dot_u4)(const int8_t *, const uint8_t *, size_t);
    void (*dot_u4_list)(const int8_t *, const uint8_t *const *, size_t, size_t, int32_t *);
    void (*encode_bits)(const float *, const float *, size_t, uint8_t *);
    uint32_t (*hamming)(const uint8_t *, const uint8_t *, size_t);
    void (*hamming_list)(const uint8_t *, const uint8_t *const *, size_t, size_t, uint32_t *);
    void (*rotate)(float *, float *, const float *, size_t, int);
    float (*encode_s4)(const float *, size_t, float, uint8_t *);
    int32_t (*expand_s4)(const uint8_t *, size_t, int8_t *);
    void (*pq_table)(const float *, const float *, size_t, float *);
    uint32_t (*pq_nearest)(const float *, const float *, const float *, size_t);
    void (*pq_scores)(const float *, const uint8_t *const *, size_t, size_t, float *);
    void (*in_range_i64)(const int64_t *, size_t, int64_t, int64_t, uint64_t *);
} kyro_kernels;

// Variant `index`, best first and the portable one last; null behind the last. Only variants that
// this machine can run are counted.
const kyro_kernels *kyro_kernels_variant(size_t index);

#endif
