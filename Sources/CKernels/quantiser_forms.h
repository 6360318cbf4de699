// Bodies of the kernels behind rotated 4-bit codes and product quantisation, which compilers
// vectorise for every target. Nothing is contracted, so that all variants give the same codes.
#ifndef KYRO_QUANTISER_FORMS_H
#define KYRO_QUANTISER_FORMS_H

#include "variants.h"

enum { s4_block_dims = 128, pq_centroids = 256 };

typedef float lanes16 __attribute__((vector_size(64)));

// Walsh-Hadamard transform of p values, a power of two, divided by √p: log2(p) equal stages that
// read two halves and write pairs (Pease 1968), so that no stage has short strides.
KYRO_INLINE void hadamard(float *x, float *spare, size_t p) {
#pragma STDC FP_CONTRACT OFF
    float *from = x, *to = spare;
    for (size_t stage = p; stage > 1; stage /= 2) {
        size_t i = 0;
        for (; i + 16 <= p / 2; i += 16) {
            lanes16 a, b;
            __builtin_memcpy(&a, from + i, sizeof a);
            __builtin_memcpy(&b, from + i + p / 2, sizeof b);
            lanes16 sum = a + b, difference = a - b;
            lanes16 first = __builtin_shufflevector(
                sum, difference, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
            lanes16 second = __builtin_shufflevector(
                sum, difference, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
            __builtin_memcpy(to + 2 * i, &first, sizeof first);
            __builtin_memcpy(to + 2 * i + 16, &second, sizeof second);
        }
        for (; i < p / 2; i++) {
            float a = from[i], b = from[i + p / 2];
            to[2 * i] = a + b;
            to[2 * i + 1] = a - b;
        }
        float *swap = from;
        from = to;
        to = swap;
    }
    float scale = 1.0f / __builtin_sqrtf((float)p);
    for (size_t i = 0; i < p; i++) {
        x[i] = from[i] * scale;
    }
}

KYRO_INLINE void rotate_body(
    float *x, float *spare, const float *signs, size_t n, int is_back) {
    size_t p = 1;
    while (2 * p <= n) {
        p *= 2;
    }
    for (size_t step = 0; step < kyro_rotation_steps; step++) {
        size_t at = is_back ? kyro_rotation_steps - 1 - step : step;
        const float *own = signs + at * n;
        float *block = x + (at % 2 == 0 ? 0 : n - p);
        if (is_back) {
            hadamard(block, spare, p);
        }
        for (size_t i = 0; i < n; i++) {
            x[i] *= own[i];
        }
        if (!is_back) {
            hadamard(block, spare, p);
        }
    }
}

KYRO_INLINE int32_t s4_code(float x, float per_step) {
#pragma STDC FP_CONTRACT OFF
    float scaled = x * per_step + 8.0f;
    scaled = scaled < 15.0f ? scaled : 15.0f;
    scaled = scaled > 0.0f ? scaled : 0.0f;
    return (int32_t)scaled;
}

KYRO_INLINE float encode_s4_body(const float *row, size_t n, float step, uint8_t *codes) {
#pragma STDC FP_CONTRACT OFF
    float per_step = step > 1e-36f ? 1.0f / step : 0.0f;
    float sums[16] = {0};
    for (size_t i = 0; i < n; i += s4_block_dims) {
        size_t dims = n - i < s4_block_dims ? n - i : s4_block_dims;
        size_t half = (dims + 1) / 2;
        const float *block = row + i;
        int32_t own[s4_block_dims];
        for (size_t j = 0; j < dims; j++) {
            own[j] = s4_code(block[j], per_step);
        }
        size_t j = 0;
        for (; j + 16 <= dims; j += 16) {
            for (size_t lane = 0; lane < 16; lane++) {
                sums[lane] += block[j + lane] * (float)(2 * own[j + lane] - 15);
            }
        }
        for (; j < dims; j++) {
            sums[0] += block[j] * (float)(2 * own[j] - 15);
        }
        uint8_t *to = codes + i / 2;
        for (j = 0; j < dims - half; j++) {
            to[j] = (uint8_t)(own[j] | own[half + j] << 4);
        }
        if (dims % 2 == 1) {
            to[half - 1] = (uint8_t)own[half - 1];
        }
    }
    float sum = 0;
    for (size_t lane = 0; lane < 16; lane++) {
        sum += sums[lane];
    }
    return sum;
}

KYRO_INLINE int32_t expand_s4_body(const uint8_t *codes, size_t n, int8_t *out) {
    int32_t sum = 0;
    for (size_t i = 0; i < n; i += s4_block_dims) {
        size_t dims = n - i < s4_block_dims ? n - i : s4_block_dims;
        size_t half = (dims + 1) / 2;
        const uint8_t *from = codes + i / 2;
        for (size_t j = 0; j < half; j++) {
            out[i + j] = (int8_t)(2 * (from[j] & 15) - 15);
        }
        for (size_t j = 0; j < dims - half; j++) {
            out[i + half + j] = (int8_t)(2 * (from[j] >> 4) - 15);
        }
    }
    for (size_t i = 0; i < n; i++) {
        sum += out[i];
    }
    return sum;
}

KYRO_INLINE void pq_table_body(
    const float *query, const float *codebook, size_t dims, float *table) {
#pragma STDC FP_CONTRACT OFF
    for (size_t c = 0; c < pq_centroids; c += 64) {
        lanes16 sums[4] = {{0}, {0}, {0}, {0}};
        for (size_t d = 0; d < dims; d++) {
            for (size_t part = 0; part < 4; part++) {
                lanes16 centroids;
                __builtin_memcpy(
                    &centroids, codebook + pq_centroids * d + c + 16 * part, sizeof centroids);
                sums[part] += query[d] * centroids;
            }
        }
        __builtin_memcpy(table + c, sums, sizeof sums);
    }
}

KYRO_INLINE uint32_t pq_nearest_body(
    const float *row, const float *codebook, const float *halves, size_t dims) {
#pragma STDC FP_CONTRACT OFF
    float table[pq_centroids];
    pq_table_body(row, codebook, dims, table);
    float most[16];
    for (size_t lane = 0; lane < 16; lane++) {
        most[lane] = -__builtin_inff();
    }
    for (size_t c = 0; c < pq_centroids; c += 16) {
        for (size_t lane = 0; lane < 16; lane++) {
            float score = table[c + lane] - halves[c + lane];
            table[c + lane] = score;
            most[lane] = score > most[lane] ? score : most[lane];
        }
    }
    float best = most[0];
    for (size_t lane = 1; lane < 16; lane++) {
        best = most[lane] > best ? most[lane] : best;
    }
    uint32_t nearest = pq_centroids - 1;
    for (uint32_t c = 0; c < pq_centroids; c++) {
        uint32_t own = table[c] == best ? c : pq_centroids - 1;
        nearest = own < nearest ? own : nearest;
    }
    return nearest;
}

KYRO_INLINE float pq_score(const float *tables, const uint8_t *codes, size_t m) {
#pragma STDC FP_CONTRACT OFF
    float sums[4] = {0, 0, 0, 0};
    size_t s = 0;
    for (; s + 4 <= m; s += 4) {
        for (size_t lane = 0; lane < 4; lane++) {
            sums[lane] += tables[pq_centroids * (s + lane) + codes[s + lane]];
        }
    }
    for (; s < m; s++) {
        sums[0] += tables[pq_centroids * s + codes[s]];
    }
    return (sums[0] + sums[1]) + (sums[2] + sums[3]);
}

KYRO_INLINE void pq_scores_body(
    const float *tables, const uint8_t *const *rows, size_t count, size_t m, float *out) {
    for (size_t row = 0; row < rows_ahead && row < count; row++) {
        prefetch_row((const int8_t *)rows[row], m);
    }
    for (size_t row = 0; row < count; row++) {
        if (row + rows_ahead < count) {
            prefetch_row((const int8_t *)rows[row + rows_ahead], m);
        }
        out[row] = pq_score(tables, rows[row], m);
    }
}

#define KYRO_QUANTISER_FORMS(TARGET, SUFFIX)                                                      \
    TARGET static void rotate_##SUFFIX(                                                           \
        float *x, float *spare, const float *signs, size_t n, int is_back) {                      \
        rotate_body(x, spare, signs, n, is_back);                                                 \
    }                                                                                             \
    TARGET static float encode_s4_##SUFFIX(                                                       \
        const float *row, size_t n, float step, uint8_t *codes) {                                 \
        return encode_s4_body(row, n, step, codes);                                               \
    }                                                                                             \
    TARGET static int32_t expand_s4_##SUFFIX(const uint8_t *codes, size_t n, int8_t *out) {       \
        return expand_s4_body(codes, n, out);                                                     \
    }                                                                                             \
    TARGET static void pq_table_##SUFFIX(                                                         \
        const float *query, const float *codebook, size_t dims, float *table) {                   \
        pq_table_body(query, codebook, dims, table);                                              \
    }                                                                                             \
    TARGET static uint32_t pq_nearest_##SUFFIX(                                                   \
        const float *row, const float *codebook, const float *halves, size_t dims) {              \
        return pq_nearest_body(row, codebook, halves, dims);                                      \
    }                                                                                             \
    TARGET static void pq_scores_##SUFFIX(                                                        \
        const float *tables, const uint8_t *const *rows, size_t count, size_t m, float *out) {    \
        pq_scores_body(tables, rows, count, m, out);                                              \
    }

#endif
