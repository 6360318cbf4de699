// The float forms that rerank and the kernels on bf16 for x86-64 with AVX-512.
#include "avx512.h"
#include "code_forms.h"

#if defined(__x86_64__)

// One row has four sums, and their order is the same whether it is worked on alone or with three
// others, so that its answer does not depend on its place in a list.
#define ADD(SUM, X, Y)                                                                            \
    do {                                                                                          \
        if (is_square) {                                                                          \
            __m512 difference = _mm512_sub_ps(X, Y);                                              \
            SUM = _mm512_fmadd_ps(difference, difference, SUM);                                   \
        } else {                                                                                  \
            SUM = _mm512_fmadd_ps(X, Y, SUM);                                                     \
        }                                                                                         \
    } while (0)

TARGET KYRO_INLINE float sum_of_parts(const __m512 *s) {
    return _mm512_reduce_add_ps(
        _mm512_add_ps(_mm512_add_ps(s[0], s[1]), _mm512_add_ps(s[2], s[3])));
}

// While ROWS rows are worked on, the lines of as many next ones are asked for, at the same pace.
TARGET KYRO_INLINE void f32_rows(
    const size_t ROWS, const int is_square, const float *query, const float *const *rows,
    const float *const *next, size_t n, float *out) {
    __m512 s[4][4];
    for (size_t r = 0; r < ROWS; r++) {
        for (size_t part = 0; part < 4; part++) {
            s[r][part] = _mm512_setzero_ps();
        }
    }
    size_t i = 0;
    for (; i + 64 <= n; i += 64) {
        for (size_t part = 0; part < 4; part++) {
            size_t at = i + 16 * part;
            __m512 x = _mm512_loadu_ps(query + at);
            for (size_t r = 0; r < ROWS; r++) {
                ADD(s[r][part], x, _mm512_loadu_ps(rows[r] + at));
                __builtin_prefetch(next[r] + at);
            }
        }
    }
    if (i < n) {
        uint64_t bits = low_bits(n - i);
        for (size_t part = 0; part < 4; part++) {
            __mmask16 mask = (__mmask16)(bits >> (16 * part));
            size_t at = i + 16 * part;
            __m512 x = _mm512_maskz_loadu_ps(mask, query + at);
            for (size_t r = 0; r < ROWS; r++) {
                ADD(s[r][part], x, _mm512_maskz_loadu_ps(mask, rows[r] + at));
                __builtin_prefetch(next[r] + at);
            }
        }
    }
    for (size_t r = 0; r < ROWS; r++) {
        out[r] = sum_of_parts(s[r]);
    }
}

// Even and odd dimensions apart: a word holds the bf16 of two, and each is one operation away from
// its float.
TARGET KYRO_INLINE void bf16_rows(
    const size_t ROWS, const int is_square, const float *query, const uint16_t *const *rows,
    const uint16_t *const *next, size_t n, float *out) {
    const __m512i evens =
        _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
    const __m512i odds = _mm512_add_epi32(evens, _mm512_set1_epi32(1));
    const __m512i upper = _mm512_set1_epi32((int)0xFFFF0000);
    __m512 s[4][4];
    for (size_t r = 0; r < ROWS; r++) {
        for (size_t part = 0; part < 4; part++) {
            s[r][part] = _mm512_setzero_ps();
        }
    }
    for (size_t i = 0; i < n; i += 64) {
        uint64_t bits = low_bits(n - i);
        for (size_t part = 0; part < 4; part += 2) {
            size_t at = i + 16 * part;
            uint32_t mask = (uint32_t)(bits >> (16 * part));
            __m512 x0, x1;
            if (bits == ~(uint64_t)0) {
                x0 = _mm512_loadu_ps(query + at);
                x1 = _mm512_loadu_ps(query + at + 16);
            } else {
                x0 = _mm512_maskz_loadu_ps((__mmask16)mask, query + at);
                x1 = _mm512_maskz_loadu_ps((__mmask16)(mask >> 16), query + at + 16);
            }
            __m512 even = _mm512_permutex2var_ps(x0, evens, x1);
            __m512 odd = _mm512_permutex2var_ps(x0, odds, x1);
            for (size_t r = 0; r < ROWS; r++) {
                __m512i codes = _mm512_maskz_loadu_epi16(mask, rows[r] + at);
                __m512 y0 = _mm512_castsi512_ps(_mm512_slli_epi32(codes, 16));
                __m512 y1 = _mm512_castsi512_ps(_mm512_and_si512(codes, upper));
                ADD(s[r][part], even, y0);
                ADD(s[r][part + 1], odd, y1);
                __builtin_prefetch(next[r] + at);
            }
        }
    }
    for (size_t r = 0; r < ROWS; r++) {
        out[r] = sum_of_parts(s[r]);
    }
}

#define LIST_FORM(NAME, ROW, FORM, IS_SQUARE)                                                     \
    TARGET void NAME(                                                                             \
        const float *query, const ROW *const *rows, size_t count, size_t n, float *out) {         \
        for (size_t row = 0; row < 4 && row < count; row++) {                                     \
            prefetch_row((const int8_t *)rows[row], n * sizeof(ROW));                             \
        }                                                                                         \
        size_t row = 0;                                                                           \
        for (; row + 4 <= count; row += 4) {                                                      \
            const ROW *const *next = row + 8 <= count ? rows + row + 4 : rows + row;              \
            FORM(4, IS_SQUARE, query, rows + row, next, n, out + row);                            \
        }                                                                                         \
        for (; row < count; row++) {                                                              \
            FORM(1, IS_SQUARE, query, rows + row, rows + row, n, out + row);                      \
        }                                                                                         \
    }

LIST_FORM(dot_f32_fast_list_avx512, float, f32_rows, 0)
LIST_FORM(l2sq_f32_fast_list_avx512, float, f32_rows, 1)
LIST_FORM(dot_bf16_list_avx512, uint16_t, bf16_rows, 0)
LIST_FORM(l2sq_bf16_list_avx512, uint16_t, bf16_rows, 1)

TARGET float dot_bf16_avx512(const float *query, const uint16_t *row, size_t n) {
    float out;
    bf16_rows(1, 0, query, &row, &row, n, &out);
    return out;
}

TARGET float l2sq_bf16_avx512(const float *query, const uint16_t *row, size_t n) {
    float out;
    bf16_rows(1, 1, query, &row, &row, n, &out);
    return out;
}

TARGET void encode_bf16_avx512(const float *row, size_t n, uint16_t *codes) {
    encode_bf16_body(row, n, codes);
}
#endif
