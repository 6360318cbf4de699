// Kernels in plain C, for machines without the instruction sets that the other files use.
#include "code_forms.h"
#include "quantiser_forms.h"
#include "tile_form.h"

static double dot_f32_portable(const float *a, const float *b, size_t n) {
    double sums[4] = {0, 0, 0, 0};
    size_t i = 0;
    for (; i + 4 <= n; i += 4) {
        for (size_t lane = 0; lane < 4; lane++) {
            sums[lane] += (double)a[i + lane] * (double)b[i + lane];
        }
    }
    for (; i < n; i++) {
        sums[0] += (double)a[i] * (double)b[i];
    }
    return (sums[0] + sums[1]) + (sums[2] + sums[3]);
}

static double l2sq_f32_portable(const float *a, const float *b, size_t n) {
    double sums[4] = {0, 0, 0, 0};
    size_t i = 0;
    for (; i + 4 <= n; i += 4) {
        for (size_t lane = 0; lane < 4; lane++) {
            double difference = (double)a[i + lane] - (double)b[i + lane];
            sums[lane] += difference * difference;
        }
    }
    for (; i < n; i++) {
        double difference = (double)a[i] - (double)b[i];
        sums[0] += difference * difference;
    }
    return (sums[0] + sums[1]) + (sums[2] + sums[3]);
}

static int32_t dot_i8_portable(const int8_t *a, const int8_t *b, size_t n) {
    int32_t sum = 0;
    for (size_t i = 0; i < n; i++) {
        sum += (int32_t)a[i] * (int32_t)b[i];
    }
    return sum;
}

static float encode_i8_portable(const float *row, size_t n, int8_t *codes) {
    float largest = encode_i8_largest(row, n);
    encode_i8_rest(row, n, encode_i8_inverse(largest), codes);
    return encode_i8_scale(largest);
}

__attribute__((no_builtin("memcpy", "memmove"))) static void copy_row_portable(
    void *to, const void *from, size_t count) {
    char *target = to;
    const char *source = from;
    size_t i = 0;
    for (; i + 8 <= count; i += 8) {
        uint64_t word;
        __builtin_memcpy(&word, source + i, 8);
        __builtin_memcpy(target + i, &word, 8);
    }
    for (; i < count; i++) {
        target[i] = source[i];
    }
}

static int32_t dot_u4_portable(const int8_t *query, const uint8_t *codes, size_t n) {
    int32_t sum = 0;
    size_t i = 0;
    for (; i + block_dims <= n; i += block_dims) {
        sum += u4_block(query + i, codes + i / 2, block_dims);
    }
    return sum + u4_block(query + i, codes + i / 2, n - i);
}

KYRO_LIST_FORM(, portable)
KYRO_BATCH_FORMS(, portable)
KYRO_TILE_FORM(, portable, wide_tile_body)
KYRO_FLOAT_FORMS(, portable)
KYRO_CODE_LIST(, dot_u4, portable, int8_t, uint8_t, int32_t, (n + 1) / 2)
KYRO_CODE_FORMS(, portable)
KYRO_PLAIN_FORMS(, portable)
KYRO_HAMMING_FORMS(, portable)
KYRO_QUANTISER_FORMS(, portable)
KYRO_KERNEL_TABLE(portable, portable, portable);
