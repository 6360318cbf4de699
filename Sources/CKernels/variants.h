// What the variants share: bodies that a compiler vectorises well, inlined into functions of each
// target, and the shape of the batch forms.
#ifndef KYRO_VARIANTS_H
#define KYRO_VARIANTS_H

#include "CKernels.h"

#define KYRO_INLINE static inline __attribute__((always_inline))

extern const kyro_kernels kyro_portable;
#if defined(__x86_64__)
extern const kyro_kernels kyro_avx2;
extern const kyro_kernels kyro_avx512;
extern const kyro_kernels kyro_avx512vnni;
#elif defined(__aarch64__)
extern const kyro_kernels kyro_neon;
#endif

// Rows of a list that are asked from memory before their turn: four rows of 384 codes are 24 lines,
// within the 48 outstanding misses of a second-level cache.
enum { rows_ahead = 4 };

KYRO_INLINE void prefetch_row(const int8_t *row, size_t n) {
    for (size_t offset = 0; offset < n; offset += 64) {
        __builtin_prefetch(row + offset);
    }
}

// What a row is multiplied with to be encoded, from the largest magnitude in it.
KYRO_INLINE float encode_i8_inverse(float largest) {
    // Below this the reciprocal is no longer finite; such a row is as good as zero.
    return largest > 1e-36f ? 127.0f / largest : 0.0f;
}

KYRO_INLINE float encode_i8_scale(float largest) {
    return encode_i8_inverse(largest) == 0.0f ? 0.0f : largest / 127.0f;
}

KYRO_INLINE float encode_i8_largest(const float *row, size_t n) {
    float largest = 0;
    for (size_t i = 0; i < n; i++) {
        float magnitude = __builtin_fabsf(row[i]);
        largest = magnitude > largest ? magnitude : largest;
    }
    return largest;
}

KYRO_INLINE void encode_i8_rest(const float *row, size_t n, float inverse, int8_t *codes) {
#pragma STDC FP_CONTRACT OFF
    for (size_t i = 0; i < n; i++) {
        float scaled = row[i] * inverse;
        float rounded = scaled + (scaled < 0 ? -0.5f : 0.5f);
        rounded = rounded > 127.0f ? 127.0f : rounded;
        rounded = rounded < -127.0f ? -127.0f : rounded;
        codes[i] = (int8_t)(int32_t)rounded;
    }
}

// The rows that bits are set for: their numbers and where their codes lie.
KYRO_INLINE size_t list_rows(
    const int8_t *codes, size_t stride, const uint64_t *words, size_t word_count, uint32_t *rows,
    const int8_t **list) {
    size_t count = 0;
    for (size_t word = 0; word < word_count; word++) {
        for (uint64_t rest = words[word]; rest != 0; rest &= rest - 1) {
            size_t row = 64 * word + (size_t)__builtin_ctzll(rest);
            rows[count] = (uint32_t)row;
            list[count] = codes + row * stride;
            count++;
        }
    }
    return count;
}

// Moves the rows whose score is not below `least` to the front; a score that is no number stays.
KYRO_INLINE size_t keep_rows(
    const int32_t *dots, size_t count, const float *terms, float factor, float least,
    uint32_t *rows, float *scores) {
#pragma STDC FP_CONTRACT OFF
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        uint32_t row = rows[i];
        float score = (float)dots[i] * (factor * terms[2 * row]) + terms[2 * row + 1];
        rows[kept] = row;
        scores[kept] = score;
        kept += !(score < least);
    }
    return kept;
}

// The list form around a single form, for variants without one of their own.
#define KYRO_LIST_FORM(TARGET, SUFFIX)                                                            \
    TARGET static void dot_i8_list_##SUFFIX(                                                      \
        const int8_t *query, const int8_t *const *rows, size_t count, size_t n, int32_t *out) {   \
        for (size_t row = 0; row < rows_ahead && row < count; row++) {                            \
            prefetch_row(rows[row], n);                                                           \
        }                                                                                         \
        for (size_t row = 0; row < count; row++) {                                                \
            if (row + rows_ahead < count) {                                                       \
                prefetch_row(rows[row + rows_ahead], n);                                          \
            }                                                                                     \
            out[row] = dot_i8_##SUFFIX(query, rows[row], n);                                      \
        }                                                                                         \
    }

// The batch forms of one variant, around its single forms and its list form, under its target.
#define KYRO_BATCH_FORMS(TARGET, SUFFIX)                                                          \
    TARGET static void dot_f32_rows_##SUFFIX(                                                     \
        const float *query, const float *rows, size_t stride, size_t count, size_t n,             \
        double *out) {                                                                            \
        for (size_t row = 0; row < count; row++) {                                                \
            const float *next = (const float *)((const char *)rows + row * stride);               \
            out[row] = dot_f32_##SUFFIX(query, next, n);                                          \
        }                                                                                         \
    }                                                                                             \
    TARGET static void l2sq_f32_rows_##SUFFIX(                                                    \
        const float *query, const float *rows, size_t stride, size_t count, size_t n,             \
        double *out) {                                                                            \
        for (size_t row = 0; row < count; row++) {                                                \
            const float *next = (const float *)((const char *)rows + row * stride);               \
            out[row] = l2sq_f32_##SUFFIX(query, next, n);                                         \
        }                                                                                         \
    }                                                                                             \
    TARGET static void dot_i8_rows_##SUFFIX(                                                      \
        const int8_t *query, const int8_t *rows, size_t stride, size_t count, size_t n,           \
        int32_t *out) {                                                                           \
        for (size_t row = 0; row < count; row++) {                                                \
            out[row] = dot_i8_##SUFFIX(query, rows + row * stride, n);                            \
        }                                                                                         \
    }                                                                                             \
    TARGET static size_t scan_i8_##SUFFIX(                                                        \
        const int8_t *query, const int8_t *codes, size_t stride, const float *terms,              \
        const uint64_t *words, size_t word_count, size_t n, float factor, float least,            \
        uint32_t *rows, float *scores) {                                                          \
        const int8_t *list[kyro_scan_rows_max];                                                   \
        int32_t dots[kyro_scan_rows_max];                                                         \
        size_t count = list_rows(codes, stride, words, word_count, rows, list);                   \
        dot_i8_list_##SUFFIX(query, list, count, n, dots);                                        \
        return keep_rows(dots, count, terms, factor, least, rows, scores);                        \
    }

// BITS is the suffix of the kernels that count bits: where they need more than the others do, one
// instruction set makes two variants.
#define KYRO_KERNEL_TABLE(NAME, SUFFIX, BITS)                                                     \
    const kyro_kernels kyro_##NAME = {                                                            \
        .name = #NAME,                                                                            \
        .dot_f32 = dot_f32_##SUFFIX,                                                              \
        .l2sq_f32 = l2sq_f32_##SUFFIX,                                                            \
        .dot_f32_rows = dot_f32_rows_##SUFFIX,                                                    \
        .l2sq_f32_rows = l2sq_f32_rows_##SUFFIX,                                                  \
        .dot_i8 = dot_i8_##SUFFIX,                                                                \
        .dot_i8_list = dot_i8_list_##SUFFIX,                                                      \
        .dot_i8_rows = dot_i8_rows_##SUFFIX,                                                      \
        .scan_i8 = scan_i8_##SUFFIX,                                                              \
        .encode_i8 = encode_i8_##SUFFIX,                                                          \
        .copy_row = copy_row_##SUFFIX,                                                            \
        .dot_i8_tile = dot_i8_tile_##SUFFIX,                                                      \
        .dot_i8_pairs = dot_i8_pairs_##SUFFIX,                                                    \
        .best_i32 = best_i32_##SUFFIX,                                                            \
        .leave_out = leave_out_##SUFFIX,                                                          \
        .dot_f32_fast_list = dot_f32_fast_list_##SUFFIX,                                          \
        .l2sq_f32_fast_list = l2sq_f32_fast_list_##SUFFIX,                                        \
        .encode_bf16 = encode_bf16_##SUFFIX,                                                      \
        .dot_bf16 = dot_bf16_##SUFFIX,                                                            \
        .l2sq_bf16 = l2sq_bf16_##SUFFIX,                                                          \
        .dot_bf16_list = dot_bf16_list_##SUFFIX,                                                  \
        .l2sq_bf16_list = l2sq_bf16_list_##SUFFIX,                                                \
        .dot_u4 = dot_u4_##SUFFIX,                                                                \
        .dot_u4_list = dot_u4_list_##SUFFIX,                                                      \
        .encode_bits = encode_bits_##SUFFIX,                                                      \
        .hamming = hamming_##BITS,                                                                \
        .hamming_list = hamming_list_##BITS,                                                      \
        .rotate = rotate_##SUFFIX,                                                                \
        .encode_s4 = encode_s4_##SUFFIX,                                                          \
        .expand_s4 = expand_s4_##SUFFIX,                                                          \
        .pq_table = pq_table_##SUFFIX,                                                            \
        .pq_nearest = pq_nearest_##SUFFIX,                                                        \
        .pq_scores = pq_scores_##SUFFIX,                                                          \
        .in_range_i64 = in_range_i64_##SUFFIX,                                                    \
    }

#endif
