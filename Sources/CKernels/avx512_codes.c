// Kernels on 4-bit and 1-bit codes for x86-64 with AVX-512 and VNNI, bits also with VPOPCNTDQ.
#include "avx512.h"
#include "code_forms.h"

#if defined(__x86_64__)

#define BITS_TARGET                                                                               \
    __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vpopcntdq,popcnt")))
#define POPCNT_TARGET __attribute__((target("popcnt")))

// ROWS rows at a time share the loads of the query. High nibbles stay where they are, sixteen times
// their value, which saves the shift: 240 × 128 × 65,536 / 16 lanes is within an int32.
TARGET KYRO_INLINE void u4_rows(
    const size_t ROWS, const int8_t *query, const uint8_t *const *rows, size_t n, __m512i *sums) {
    const __m512i low_nibbles = _mm512_set1_epi8(0x0F);
    __m512i low[4], high[4];
    for (size_t r = 0; r < ROWS; r++) {
        low[r] = high[r] = _mm512_setzero_si512();
    }
    size_t i = 0;
    for (; i + block_dims <= n; i += block_dims) {
        __m512i first = _mm512_loadu_si512(query + i);
        __m512i second = _mm512_loadu_si512(query + i + 64);
        for (size_t r = 0; r < ROWS; r++) {
            __m512i codes = _mm512_loadu_si512(rows[r] + i / 2);
            low[r] = _mm512_dpbusd_epi32(low[r], _mm512_and_si512(codes, low_nibbles), first);
            high[r] =
                _mm512_dpbusd_epi32(high[r], _mm512_andnot_si512(low_nibbles, codes), second);
        }
    }
    if (i < n) {
        size_t half = (n - i + 1) / 2;
        __mmask64 mask = low_bits(half);
        __m512i first = _mm512_maskz_loadu_epi8(mask, query + i);
        __m512i second = _mm512_maskz_loadu_epi8(low_bits(n - i - half), query + i + half);
        for (size_t r = 0; r < ROWS; r++) {
            __m512i codes = _mm512_maskz_loadu_epi8(mask, rows[r] + i / 2);
            low[r] = _mm512_dpbusd_epi32(low[r], _mm512_and_si512(codes, low_nibbles), first);
            high[r] =
                _mm512_dpbusd_epi32(high[r], _mm512_andnot_si512(low_nibbles, codes), second);
        }
    }
    for (size_t r = 0; r < ROWS; r++) {
        sums[r] = _mm512_add_epi32(low[r], _mm512_srai_epi32(high[r], 4));
    }
}

TARGET int32_t dot_u4_avx512(const int8_t *query, const uint8_t *codes, size_t n) {
    __m512i sum;
    u4_rows(1, query, &codes, n, &sum);
    return _mm512_reduce_add_epi32(sum);
}

TARGET void dot_u4_list_avx512(
    const int8_t *query, const uint8_t *const *rows, size_t count, size_t n, int32_t *out) {
    const size_t bytes = (n + 1) / 2;
    for (size_t row = 0; row < rows_ahead && row < count; row++) {
        prefetch_row((const int8_t *)rows[row], bytes);
    }
    size_t row = 0;
    for (; row + 4 <= count; row += 4) {
        for (size_t next = row + rows_ahead; next < row + rows_ahead + 4 && next < count; next++) {
            prefetch_row((const int8_t *)rows[next], bytes);
        }
        __m512i s[4];
        u4_rows(4, query, rows + row, n, s);
        _mm_storeu_si128((__m128i *)(out + row), sums_of_four(s[0], s[1], s[2], s[3]));
    }
    for (; row < count; row++) {
        out[row] = dot_u4_avx512(query, rows[row], n);
    }
}

TARGET void encode_bits_avx512(
    const float *row, const float *thresholds, size_t n, uint8_t *codes) {
    size_t i = 0;
    for (; i + 16 <= n; i += 16) {
        __mmask16 above = _mm512_cmp_ps_mask(
            _mm512_loadu_ps(row + i), _mm512_loadu_ps(thresholds + i), _CMP_GT_OQ);
        __builtin_memcpy(codes + i / 8, &above, 2);
    }
    if (i < n) {
        __mmask16 mask = (__mmask16)low_bits(n - i);
        __mmask16 above = _mm512_mask_cmp_ps_mask(
            mask, _mm512_maskz_loadu_ps(mask, row + i),
            _mm512_maskz_loadu_ps(mask, thresholds + i), _CMP_GT_OQ);
        codes[i / 8] = (uint8_t)above;
        if (n - i > 8) {
            codes[i / 8 + 1] = (uint8_t)(above >> 8);
        }
    }
}

BITS_TARGET KYRO_INLINE void bit_rows(
    const size_t ROWS, const uint8_t *query, const uint8_t *const *rows, size_t byte_count,
    __m512i *sums) {
    for (size_t r = 0; r < ROWS; r++) {
        sums[r] = _mm512_setzero_si512();
    }
    size_t i = 0;
    for (; i + 64 <= byte_count; i += 64) {
        __m512i own = _mm512_loadu_si512(query + i);
        for (size_t r = 0; r < ROWS; r++) {
            __m512i differing = _mm512_xor_si512(own, _mm512_loadu_si512(rows[r] + i));
            sums[r] = _mm512_add_epi64(sums[r], _mm512_popcnt_epi64(differing));
        }
    }
    if (i < byte_count) {
        __mmask64 mask = low_bits(byte_count - i);
        __m512i own = _mm512_maskz_loadu_epi8(mask, query + i);
        for (size_t r = 0; r < ROWS; r++) {
            __m512i codes = _mm512_maskz_loadu_epi8(mask, rows[r] + i);
            __m512i differing = _mm512_xor_si512(own, codes);
            sums[r] = _mm512_add_epi64(sums[r], _mm512_popcnt_epi64(differing));
        }
    }
}

BITS_TARGET uint32_t hamming_avx512(const uint8_t *a, const uint8_t *b, size_t byte_count) {
    __m512i sum;
    bit_rows(1, a, &b, byte_count, &sum);
    return (uint32_t)_mm512_reduce_add_epi64(sum);
}

BITS_TARGET static __m128i sums_of_bits(const __m512i *s) {
    __m512i s01 = _mm512_or_si512(s[0], _mm512_slli_epi64(s[1], 32));
    __m512i s23 = _mm512_or_si512(s[2], _mm512_slli_epi64(s[3], 32));
    __m512i sums =
        _mm512_add_epi32(_mm512_unpacklo_epi64(s01, s23), _mm512_unpackhi_epi64(s01, s23));
    __m256i half =
        _mm256_add_epi32(_mm512_castsi512_si256(sums), _mm512_extracti64x4_epi64(sums, 1));
    return _mm_add_epi32(_mm256_castsi256_si128(half), _mm256_extracti128_si256(half, 1));
}

BITS_TARGET void hamming_list_avx512(
    const uint8_t *query, const uint8_t *const *rows, size_t count, size_t byte_count,
    uint32_t *out) {
    // A row is a line or two: twice as many are asked for as of longer codes.
    const size_t ahead = 2 * rows_ahead;
    for (size_t row = 0; row < ahead && row < count; row++) {
        prefetch_row((const int8_t *)rows[row], byte_count);
    }
    size_t row = 0;
    for (; row + 4 <= count; row += 4) {
        for (size_t next = row + ahead; next < row + ahead + 4 && next < count; next++) {
            prefetch_row((const int8_t *)rows[next], byte_count);
        }
        __m512i s[4];
        bit_rows(4, query, rows + row, byte_count, s);
        _mm_storeu_si128((__m128i *)(out + row), sums_of_bits(s));
    }
    for (; row < count; row++) {
        out[row] = hamming_avx512(query, rows[row], byte_count);
    }
}

POPCNT_TARGET uint32_t hamming_avx512vnni(
    const uint8_t *a, const uint8_t *b, size_t byte_count) {
    return hamming_body(a, b, byte_count);
}

POPCNT_TARGET void hamming_list_avx512vnni(
    const uint8_t *query, const uint8_t *const *rows, size_t count, size_t byte_count,
    uint32_t *out) {
    hamming_list_body(query, rows, count, byte_count, out);
}
#endif
