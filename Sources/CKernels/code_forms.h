// Bodies of the kernels on bf16, 4-bit and 1-bit codes and of the float forms that rerank, which
// compilers vectorise for every target, and their list forms.
#ifndef KYRO_CODE_FORMS_H
#define KYRO_CODE_FORMS_H

#include "best.h"
#include "variants.h"

// Eight elements, in as many registers as the target needs.
typedef float float8 __attribute__((vector_size(32)));
typedef uint16_t short8 __attribute__((vector_size(16)));
typedef uint32_t word8 __attribute__((vector_size(32)));

// Dimensions and bytes of a whole block of 4-bit codes.
enum { block_dims = 128, block_bytes = 64 };

#define SUM_OF_32(s)                                                                              \
    do {                                                                                          \
        s[0] = (s[0] + s[1]) + (s[2] + s[3]);                                                     \
        for (size_t lane = 0; lane < 8; lane++) {                                                 \
            sum += s[0][lane];                                                                    \
        }                                                                                         \
    } while (0)

KYRO_INLINE float f32_fast_body(const float *a, const float *b, size_t n, int is_square) {
    float8 s[4] = {{0}, {0}, {0}, {0}};
    size_t i = 0;
    for (; i + 32 <= n; i += 32) {
        for (size_t part = 0; part < 4; part++) {
            float8 x, y;
            __builtin_memcpy(&x, a + i + 8 * part, sizeof x);
            __builtin_memcpy(&y, b + i + 8 * part, sizeof y);
            float8 difference = x - y;
            s[part] += is_square ? difference * difference : x * y;
        }
    }
    float sum = 0;
    for (; i < n; i++) {
        float difference = a[i] - b[i];
        sum += is_square ? difference * difference : a[i] * b[i];
    }
    SUM_OF_32(s);
    return sum;
}

KYRO_INLINE float float_of_bf16(uint16_t code) {
    uint32_t bits = (uint32_t)code << 16;
    float value;
    __builtin_memcpy(&value, &bits, sizeof value);
    return value;
}

KYRO_INLINE float bf16_body(const float *query, const uint16_t *row, size_t n, int is_square) {
    float8 s[4] = {{0}, {0}, {0}, {0}};
    size_t i = 0;
    for (; i + 32 <= n; i += 32) {
        for (size_t part = 0; part < 4; part++) {
            float8 x, y;
            short8 codes;
            __builtin_memcpy(&x, query + i + 8 * part, sizeof x);
            __builtin_memcpy(&codes, row + i + 8 * part, sizeof codes);
            word8 bits = __builtin_convertvector(codes, word8) << 16;
            __builtin_memcpy(&y, &bits, sizeof y);
            float8 difference = x - y;
            s[part] += is_square ? difference * difference : x * y;
        }
    }
    float sum = 0;
    for (; i < n; i++) {
        float value = float_of_bf16(row[i]);
        float difference = query[i] - value;
        sum += is_square ? difference * difference : query[i] * value;
    }
    SUM_OF_32(s);
    return sum;
}

KYRO_INLINE void encode_bf16_body(const float *row, size_t n, uint16_t *codes) {
    for (size_t i = 0; i < n; i++) {
        uint32_t bits;
        __builtin_memcpy(&bits, row + i, sizeof bits);
        uint32_t rounded = bits + 0x7FFF + ((bits >> 16) & 1);
        uint32_t quiet = bits | 0x400000;
        codes[i] = (uint16_t)(((bits & 0x7FFFFFFF) > 0x7F800000 ? quiet : rounded) >> 16);
    }
}

// The last block of a row, and all of them where nothing better is at hand: `dims` ≤ block_dims.
KYRO_INLINE int32_t u4_block(const int8_t *query, const uint8_t *codes, size_t dims) {
    size_t half = (dims + 1) / 2;
    int32_t sum = 0;
    for (size_t j = 0; j < half; j++) {
        sum += (int32_t)query[j] * (int32_t)(codes[j] & 15);
    }
    for (size_t j = half; j < dims; j++) {
        sum += (int32_t)query[j] * (int32_t)(codes[j - half] >> 4);
    }
    return sum;
}

KYRO_INLINE void encode_bits_body(
    const float *row, const float *thresholds, size_t n, uint8_t *codes) {
    for (size_t i = 0; i < n; i += 8) {
        size_t rest = n - i < 8 ? n - i : 8;
        uint32_t byte = 0;
        for (size_t bit = 0; bit < rest; bit++) {
            byte |= (uint32_t)(row[i + bit] > thresholds[i + bit]) << bit;
        }
        codes[i / 8] = (uint8_t)byte;
    }
}

KYRO_INLINE uint32_t hamming_body(const uint8_t *a, const uint8_t *b, size_t byte_count) {
    uint64_t sum = 0;
    size_t i = 0;
    for (; i + 8 <= byte_count; i += 8) {
        uint64_t x, y;
        __builtin_memcpy(&x, a + i, 8);
        __builtin_memcpy(&y, b + i, 8);
        sum += (uint64_t)__builtin_popcountll(x ^ y);
    }
    uint32_t rest = 0;
    for (; i < byte_count; i++) {
        rest = rest << 8 | (uint32_t)(a[i] ^ b[i]);
        sum += (uint64_t)__builtin_popcount(rest & 0xFF);
    }
    return (uint32_t)sum;
}

KYRO_INLINE void hamming_list_body(
    const uint8_t *query, const uint8_t *const *rows, size_t count, size_t byte_count,
    uint32_t *out) {
    // A row is a line or two: twice as many are asked for as of longer codes.
    const size_t ahead = 2 * rows_ahead;
    for (size_t row = 0; row < ahead && row < count; row++) {
        prefetch_row((const int8_t *)rows[row], byte_count);
    }
    for (size_t row = 0; row < count; row++) {
        if (row + ahead < count) {
            prefetch_row((const int8_t *)rows[row + ahead], byte_count);
        }
        out[row] = hamming_body(query, rows[row], byte_count);
    }
}

KYRO_INLINE void in_range_i64_body(
    const int64_t *values, size_t word_count, int64_t low, int64_t high, uint64_t *out) {
    // One comparison instead of two: what is below `low` becomes large.
    const uint64_t width = (uint64_t)high - (uint64_t)low;
    for (size_t word = 0; word < word_count; word++) {
        const int64_t *next = values + 64 * word;
        uint64_t bits = 0;
        for (unsigned i = 0; i < 64; i++) {
            bits |= (uint64_t)((uint64_t)next[i] - (uint64_t)low <= width) << i;
        }
        out[word] = bits;
    }
}

// A list form around a single one; BYTES is what a row of n takes.
#define KYRO_CODE_LIST(TARGET, NAME, SUFFIX, QUERY, ROW, RESULT, BYTES)                           \
    TARGET static void NAME##_list_##SUFFIX(                                                      \
        const QUERY *query, const ROW *const *rows, size_t count, size_t n, RESULT *out) {        \
        for (size_t row = 0; row < rows_ahead && row < count; row++) {                            \
            prefetch_row((const int8_t *)rows[row], BYTES);                                       \
        }                                                                                         \
        for (size_t row = 0; row < count; row++) {                                                \
            if (row + rows_ahead < count) {                                                       \
                prefetch_row((const int8_t *)rows[row + rows_ahead], BYTES);                      \
            }                                                                                     \
            out[row] = NAME##_##SUFFIX(query, rows[row], n);                                      \
        }                                                                                         \
    }

// The float and bf16 forms of a variant without ones of its own.
#define KYRO_FLOAT_FORMS(TARGET, SUFFIX)                                                          \
    TARGET static float dot_f32_fast_##SUFFIX(const float *a, const float *b, size_t n) {         \
        return f32_fast_body(a, b, n, 0);                                                         \
    }                                                                                             \
    TARGET static float l2sq_f32_fast_##SUFFIX(const float *a, const float *b, size_t n) {        \
        return f32_fast_body(a, b, n, 1);                                                         \
    }                                                                                             \
    TARGET static float dot_bf16_##SUFFIX(const float *query, const uint16_t *row, size_t n) {    \
        return bf16_body(query, row, n, 0);                                                       \
    }                                                                                             \
    TARGET static float l2sq_bf16_##SUFFIX(const float *query, const uint16_t *row, size_t n) {   \
        return bf16_body(query, row, n, 1);                                                       \
    }                                                                                             \
    KYRO_CODE_LIST(TARGET, dot_f32_fast, SUFFIX, float, float, float, 4 * n)                      \
    KYRO_CODE_LIST(TARGET, l2sq_f32_fast, SUFFIX, float, float, float, 4 * n)                     \
    KYRO_CODE_LIST(TARGET, dot_bf16, SUFFIX, float, uint16_t, float, 2 * n)                       \
    KYRO_CODE_LIST(TARGET, l2sq_bf16, SUFFIX, float, uint16_t, float, 2 * n)

// The bit-counting forms around the body.
#define KYRO_HAMMING_FORMS(TARGET, SUFFIX)                                                        \
    TARGET static uint32_t hamming_##SUFFIX(                                                      \
        const uint8_t *a, const uint8_t *b, size_t byte_count) {                                  \
        return hamming_body(a, b, byte_count);                                                    \
    }                                                                                             \
    TARGET static void hamming_list_##SUFFIX(                                                     \
        const uint8_t *query, const uint8_t *const *rows, size_t count, size_t byte_count,        \
        uint32_t *out) {                                                                          \
        hamming_list_body(query, rows, count, byte_count, out);                                   \
    }

// What every variant without forms of its own makes from the bodies.
#define KYRO_CODE_FORMS(TARGET, SUFFIX)                                                           \
    TARGET static void encode_bf16_##SUFFIX(const float *row, size_t n, uint16_t *codes) {        \
        encode_bf16_body(row, n, codes);                                                          \
    }

// The rest of the forms of a variant that has nothing better than the bodies.
#define KYRO_PLAIN_FORMS(TARGET, SUFFIX)                                                          \
    TARGET static void in_range_i64_##SUFFIX(                                                     \
        const int64_t *values, size_t word_count, int64_t low, int64_t high, uint64_t *out) {     \
        in_range_i64_body(values, word_count, low, high, out);                                    \
    }                                                                                             \
    TARGET static size_t best_i32_##SUFFIX(                                                       \
        const int32_t *dots, const float *factors, const float *biases, size_t count,             \
        float factor, uint32_t first, uint32_t own, size_t wanted, uint64_t *keys,                \
        size_t found) {                                                                           \
        return best_i32_body(                                                                     \
            dots, factors, biases, count, factor, first, own, wanted, keys, found);               \
    }                                                                                             \
    TARGET static size_t leave_out_##SUFFIX(                                                      \
        const int32_t *dots, size_t count, float pair_factor, float factor, float bias,           \
        const kyro_candidates *candidates, size_t *nearest) {                                     \
        return leave_out_body(dots, count, pair_factor, factor, bias, candidates, nearest);       \
    }                                                                                             \
    TARGET static void encode_bits_##SUFFIX(                                                      \
        const float *row, const float *thresholds, size_t n, uint8_t *codes) {                    \
        encode_bits_body(row, thresholds, n, codes);                                              \
    }

#endif
