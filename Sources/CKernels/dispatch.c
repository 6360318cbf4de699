// Picks the instruction set, before main, and forwards to it.
#include "variants.h"

enum { variants_max = 4 };

static const kyro_kernels *variants[variants_max];
static size_t variant_count = 0;
static const kyro_kernels *active = &kyro_portable;

__attribute__((constructor)) static void find_variants(void) {
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512vnni")) {
        if (__builtin_cpu_supports("avx512vpopcntdq")) {
            variants[variant_count++] = &kyro_avx512;
        }
        variants[variant_count++] = &kyro_avx512vnni;
    }
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
        __builtin_cpu_supports("popcnt")) {
        variants[variant_count++] = &kyro_avx2;
    }
#elif defined(__aarch64__)
    variants[variant_count++] = &kyro_neon;
#endif
    variants[variant_count++] = &kyro_portable;
    active = variants[0];
}

const kyro_kernels *kyro_kernels_variant(size_t index) {
    return index < variant_count ? variants[index] : (const kyro_kernels *)0;
}

const char *kyro_kernels_name(void) { return active->name; }

double kyro_dot_f32(const float *a, const float *b, size_t n) { return active->dot_f32(a, b, n); }

double kyro_l2sq_f32(const float *a, const float *b, size_t n) {
    return active->l2sq_f32(a, b, n);
}

void kyro_dot_f32_rows(
    const float *query, const float *rows, size_t stride, size_t count, size_t n, double *out) {
    active->dot_f32_rows(query, rows, stride, count, n, out);
}

void kyro_l2sq_f32_rows(
    const float *query, const float *rows, size_t stride, size_t count, size_t n, double *out) {
    active->l2sq_f32_rows(query, rows, stride, count, n, out);
}

int32_t kyro_dot_i8(const int8_t *a, const int8_t *b, size_t n) { return active->dot_i8(a, b, n); }

void kyro_dot_i8_list(
    const int8_t *query, const int8_t *const *rows, size_t count, size_t n, int32_t *out) {
    active->dot_i8_list(query, rows, count, n, out);
}

void kyro_dot_i8_rows(
    const int8_t *query, const int8_t *rows, size_t stride, size_t count, size_t n, int32_t *out) {
    active->dot_i8_rows(query, rows, stride, count, n, out);
}

size_t kyro_scan_i8(
    const int8_t *query, const int8_t *codes, size_t stride, const float *terms,
    const uint64_t *words, size_t word_count, size_t n, float factor, float least, uint32_t *rows,
    float *scores) {
    return active->scan_i8(
        query, codes, stride, terms, words, word_count, n, factor, least, rows, scores);
}

float kyro_encode_i8(const float *row, size_t n, int8_t *codes) {
    return active->encode_i8(row, n, codes);
}

void kyro_in_range_i64(
    const int64_t *values, size_t word_count, int64_t low, int64_t high, uint64_t *out) {
    active->in_range_i64(values, word_count, low, high, out);
}

void kyro_copy_row(void *to, const void *from, size_t count) { active->copy_row(to, from, count); }

void kyro_dot_i8_tile(
    const int8_t *const *a, size_t a_count, const int8_t *const *b, size_t b_count, size_t n,
    int32_t *out, size_t out_stride) {
    active->dot_i8_tile(a, a_count, b, b_count, n, out, out_stride);
}

void kyro_dot_i8_pairs(
    const int8_t *const *rows, size_t count, size_t n, int32_t *out, size_t out_stride) {
    active->dot_i8_pairs(rows, count, n, out, out_stride);
}

size_t kyro_best_i32(
    const int32_t *dots, const float *factors, const float *biases, size_t count, float factor,
    uint32_t first, uint32_t own, size_t wanted, uint64_t *keys, size_t found) {
    return active->best_i32(
        dots, factors, biases, count, factor, first, own, wanted, keys, found);
}

size_t kyro_leave_out(
    const int32_t *dots, size_t count, float pair_factor, float factor, float bias,
    const kyro_candidates *candidates, size_t *nearest) {
    return active->leave_out(dots, count, pair_factor, factor, bias, candidates, nearest);
}

void kyro_dot_f32_fast_list(
    const float *query, const float *const *rows, size_t count, size_t n, float *out) {
    active->dot_f32_fast_list(query, rows, count, n, out);
}

void kyro_l2sq_f32_fast_list(
    const float *query, const float *const *rows, size_t count, size_t n, float *out) {
    active->l2sq_f32_fast_list(query, rows, count, n, out);
}

void kyro_encode_bf16(const float *row, size_t n, uint16_t *codes) {
    active->encode_bf16(row, n, codes);
}

float kyro_dot_bf16(const float *query, const uint16_t *row, size_t n) {
    return active->dot_bf16(query, row, n);
}

float kyro_l2sq_bf16(const float *query, const uint16_t *row, size_t n) {
    return active->l2sq_bf16(query, row, n);
}

void kyro_dot_bf16_list(
    const float *query, const uint16_t *const *rows, size_t count, size_t n, float *out) {
    active->dot_bf16_list(query, rows, count, n, out);
}

void kyro_l2sq_bf16_list(
    const float *query, const uint16_t *const *rows, size_t count, size_t n, float *out) {
    active->l2sq_bf16_list(query, rows, count, n, out);
}

int32_t kyro_dot_u4(const int8_t *query, const uint8_t *codes, size_t n) {
    return active->dot_u4(query, codes, n);
}

void kyro_dot_u4_list(
    const int8_t *query, const uint8_t *const *rows, size_t count, size_t n, int32_t *out) {
    active->dot_u4_list(query, rows, count, n, out);
}

void kyro_encode_bits(const float *row, const float *thresholds, size_t n, uint8_t *codes) {
    active->encode_bits(row, thresholds, n, codes);
}

uint32_t kyro_hamming(const uint8_t *a, const uint8_t *b, size_t byte_count) {
    return active->hamming(a, b, byte_count);
}

void kyro_hamming_list(
    const uint8_t *query, const uint8_t *const *rows, size_t count, size_t byte_count,
    uint32_t *out) {
    active->hamming_list(query, rows, count, byte_count, out);
}

void kyro_rotate(float *x, float *spare, const float *signs, size_t n, int is_back) {
    active->rotate(x, spare, signs, n, is_back);
}

float kyro_encode_s4(const float *row, size_t n, float step, uint8_t *codes) {
    return active->encode_s4(row, n, step, codes);
}

int32_t kyro_expand_s4(const uint8_t *codes, size_t n, int8_t *out) {
    return active->expand_s4(codes, n, out);
}

void kyro_pq_table(const float *query, const float *codebook, size_t dims, float *table) {
    active->pq_table(query, codebook, dims, table);
}

uint32_t kyro_pq_nearest(
    const float *row, const float *codebook, const float *halves, size_t dims) {
    return active->pq_nearest(row, codebook, halves, dims);
}

void kyro_pq_scores(
    const float *tables, const uint8_t *const *rows, size_t count, size_t m, float *out) {
    active->pq_scores(tables, rows, count, m, out);
}
