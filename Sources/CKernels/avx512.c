// Kernels for x86-64 with AVX-512 (F, BW, DQ, VL) and VNNI.
#include "avx512.h"
#include "quantiser_forms.h"

#if defined(__x86_64__)

TARGET static inline __m512d widen(const float *p) {
    return _mm512_cvtps_pd(_mm256_loadu_ps(p));
}

TARGET static inline __m512d widen_tail(__mmask8 mask, const float *p) {
    return _mm512_cvtps_pd(_mm256_maskz_loadu_ps(mask, p));
}

TARGET static double dot_f32_avx512(const float *a, const float *b, size_t n) {
    __m512d s0 = _mm512_setzero_pd(), s1 = s0, s2 = s0, s3 = s0;
    size_t i = 0;
    for (; i + 32 <= n; i += 32) {
        s0 = _mm512_fmadd_pd(widen(a + i), widen(b + i), s0);
        s1 = _mm512_fmadd_pd(widen(a + i + 8), widen(b + i + 8), s1);
        s2 = _mm512_fmadd_pd(widen(a + i + 16), widen(b + i + 16), s2);
        s3 = _mm512_fmadd_pd(widen(a + i + 24), widen(b + i + 24), s3);
    }
    for (; i < n; i += 8) {
        size_t rest = n - i;
        __mmask8 mask = rest >= 8 ? 0xFF : (__mmask8)((1u << rest) - 1);
        s0 = _mm512_fmadd_pd(widen_tail(mask, a + i), widen_tail(mask, b + i), s0);
    }
    return _mm512_reduce_add_pd(_mm512_add_pd(_mm512_add_pd(s0, s1), _mm512_add_pd(s2, s3)));
}

TARGET static double l2sq_f32_avx512(const float *a, const float *b, size_t n) {
    __m512d s0 = _mm512_setzero_pd(), s1 = s0;
    size_t i = 0;
    for (; i + 16 <= n; i += 16) {
        __m512d d0 = _mm512_sub_pd(widen(a + i), widen(b + i));
        __m512d d1 = _mm512_sub_pd(widen(a + i + 8), widen(b + i + 8));
        s0 = _mm512_fmadd_pd(d0, d0, s0);
        s1 = _mm512_fmadd_pd(d1, d1, s1);
    }
    for (; i < n; i += 8) {
        size_t rest = n - i;
        __mmask8 mask = rest >= 8 ? 0xFF : (__mmask8)((1u << rest) - 1);
        __m512d d = _mm512_sub_pd(widen_tail(mask, a + i), widen_tail(mask, b + i));
        s0 = _mm512_fmadd_pd(d, d, s0);
    }
    return _mm512_reduce_add_pd(_mm512_add_pd(s0, s1));
}

// vpdpbusd multiplies unsigned by signed bytes: with a + 128 for a it gives dot(a, b) + 128 × Σ b,
// and Σ b × 128 comes from the same instruction.
TARGET static int32_t dot_i8_avx512(const int8_t *a, const int8_t *b, size_t n) {
    const __m512i offset = _mm512_set1_epi8((char)0x80);
    __m512i shifted0 = _mm512_setzero_si512(), shifted1 = shifted0;
    __m512i excess0 = shifted0, excess1 = shifted0;
    size_t i = 0;
    for (; i + 128 <= n; i += 128) {
        __m512i a0 = _mm512_xor_si512(_mm512_loadu_si512(a + i), offset);
        __m512i a1 = _mm512_xor_si512(_mm512_loadu_si512(a + i + 64), offset);
        __m512i b0 = _mm512_loadu_si512(b + i);
        __m512i b1 = _mm512_loadu_si512(b + i + 64);
        shifted0 = _mm512_dpbusd_epi32(shifted0, a0, b0);
        shifted1 = _mm512_dpbusd_epi32(shifted1, a1, b1);
        excess0 = _mm512_dpbusd_epi32(excess0, offset, b0);
        excess1 = _mm512_dpbusd_epi32(excess1, offset, b1);
    }
    for (; i < n; i += 64) {
        size_t rest = n - i;
        __mmask64 mask = rest >= 64 ? ~(__mmask64)0 : (((__mmask64)1 << rest) - 1);
        __m512i a0 = _mm512_xor_si512(_mm512_maskz_loadu_epi8(mask, a + i), offset);
        __m512i b0 = _mm512_maskz_loadu_epi8(mask, b + i);
        shifted0 = _mm512_dpbusd_epi32(shifted0, a0, b0);
        excess0 = _mm512_dpbusd_epi32(excess0, offset, b0);
    }
    __m512i shifted = _mm512_add_epi32(shifted0, shifted1);
    __m512i excess = _mm512_add_epi32(excess0, excess1);
    return _mm512_reduce_add_epi32(_mm512_sub_epi32(shifted, excess));
}

// One step of four rows: 64 codes of each, shifted into unsigned, times those of the query.
#define STEP_OF_FOUR(LOAD)                                                                        \
    do {                                                                                          \
        __m512i q = LOAD(query + i);                                                              \
        s0 = _mm512_dpbusd_epi32(s0, _mm512_xor_si512(LOAD(r0 + i), offset), q);                  \
        s1 = _mm512_dpbusd_epi32(s1, _mm512_xor_si512(LOAD(r1 + i), offset), q);                  \
        s2 = _mm512_dpbusd_epi32(s2, _mm512_xor_si512(LOAD(r2 + i), offset), q);                  \
        s3 = _mm512_dpbusd_epi32(s3, _mm512_xor_si512(LOAD(r3 + i), offset), q);                  \
    } while (0)
#define LOAD_TAIL(p) _mm512_maskz_loadu_epi8(tail, p)

// Four rows at a time share the loads of the query and the sums across lanes; and it is the rows
// that are shifted, so that the excess is the query's and needs to be known only once.
TARGET static void dot_i8_list_avx512(
    const int8_t *query, const int8_t *const *rows, size_t count, size_t n, int32_t *out) {
    const __m512i offset = _mm512_set1_epi8((char)0x80);
    const __mmask64 tail = ((__mmask64)1 << (n % 64)) - 1;
    for (size_t row = 0; row < rows_ahead && row < count; row++) {
        prefetch_row(rows[row], n);
    }
    __m512i excess = _mm512_setzero_si512();
    size_t i = 0;
    for (; i + 64 <= n; i += 64) {
        excess = _mm512_dpbusd_epi32(excess, offset, _mm512_loadu_si512(query + i));
    }
    excess = _mm512_dpbusd_epi32(excess, offset, LOAD_TAIL(query + i));
    const __m128i excess_of_four = _mm_set1_epi32(_mm512_reduce_add_epi32(excess));
    for (size_t row = 0; row < count; row += 4) {
        for (size_t next = row + rows_ahead; next < row + rows_ahead + 4 && next < count; next++) {
            prefetch_row(rows[next], n);
        }
        // Of the last group what is missing is a row that is there: cheaper than rows by themselves.
        size_t last = count - 1 - row;
        if (last == 0) {
            out[row] = dot_i8_avx512(query, rows[row], n);
            break;
        }
        const int8_t *r0 = rows[row], *r1 = rows[row + 1];
        const int8_t *r2 = rows[row + (last < 2 ? last : 2)];
        const int8_t *r3 = rows[row + (last < 3 ? last : 3)];
        __m512i s0 = _mm512_setzero_si512(), s1 = s0, s2 = s0, s3 = s0;
        for (i = 0; i + 64 <= n; i += 64) {
            STEP_OF_FOUR(_mm512_loadu_si512);
        }
        if (tail != 0) {
            STEP_OF_FOUR(LOAD_TAIL);
        }
        __m128i four = _mm_sub_epi32(sums_of_four(s0, s1, s2, s3), excess_of_four);
        _mm_mask_storeu_epi32(out + row, (__mmask8)low_bits(last + 1), four);
    }
}

// Sixteen codes; what is beyond 127 is so by rounding alone.
TARGET static inline __m128i codes_of(__m512 x, __m512 inverse) {
    const __m512 most = _mm512_set1_ps(127.0f), least = _mm512_set1_ps(-127.0f);
    const __m512i sign = _mm512_set1_epi32((int)0x80000000);
    __m512 scaled = _mm512_mul_ps(x, inverse);
    __m512i half = _mm512_or_si512(
        _mm512_and_si512(_mm512_castps_si512(scaled), sign),
        _mm512_castps_si512(_mm512_set1_ps(0.5f)));
    __m512 rounded = _mm512_add_ps(scaled, _mm512_castsi512_ps(half));
    rounded = _mm512_max_ps(_mm512_min_ps(rounded, most), least);
    return _mm512_cvtepi32_epi8(_mm512_cvttps_epi32(rounded));
}

TARGET static float encode_i8_avx512(const float *row, size_t n, int8_t *codes) {
    __m512 most = _mm512_setzero_ps(), other = most;
    size_t i = 0;
    for (; i + 32 <= n; i += 32) {
        most = _mm512_max_ps(most, _mm512_abs_ps(_mm512_loadu_ps(row + i)));
        other = _mm512_max_ps(other, _mm512_abs_ps(_mm512_loadu_ps(row + i + 16)));
    }
    for (; i < n; i += 16) {
        __mmask16 mask = (__mmask16)low_bits(n - i);
        most = _mm512_max_ps(most, _mm512_abs_ps(_mm512_maskz_loadu_ps(mask, row + i)));
    }
    float largest = _mm512_reduce_max_ps(_mm512_max_ps(most, other));
    const __m512 inverse = _mm512_set1_ps(encode_i8_inverse(largest));
    for (i = 0; i + 16 <= n; i += 16) {
        _mm_storeu_si128((__m128i *)(codes + i), codes_of(_mm512_loadu_ps(row + i), inverse));
    }
    if (i < n) {
        __mmask16 mask = (__mmask16)low_bits(n - i);
        __m128i bytes = codes_of(_mm512_maskz_loadu_ps(mask, row + i), inverse);
        _mm_mask_storeu_epi8(codes + i, mask, bytes);
    }
    return encode_i8_scale(largest);
}

TARGET static void in_range_i64_avx512(
    const int64_t *values, size_t word_count, int64_t low, int64_t high, uint64_t *out) {
    const __m512i lowest = _mm512_set1_epi64(low);
    const __m512i highest = _mm512_set1_epi64(high);
    for (size_t word = 0; word < word_count; word++) {
        uint64_t bits = 0;
        for (unsigned i = 0; i < 64; i += 8) {
            __m512i next = _mm512_loadu_si512(values + 64 * word + i);
            __mmask8 above = _mm512_cmpge_epi64_mask(next, lowest);
            bits |= (uint64_t)_mm512_mask_cmple_epi64_mask(above, next, highest) << i;
        }
        out[word] = bits;
    }
}

TARGET __attribute__((no_builtin("memcpy", "memmove"))) static void copy_row_avx512(
    void *to, const void *from, size_t count) {
    char *target = to;
    const char *source = from;
    for (size_t i = 0; i < count; i += 64) {
        size_t rest = count - i;
        __mmask64 mask = rest >= 64 ? ~(__mmask64)0 : (((__mmask64)1 << rest) - 1);
        _mm512_mask_storeu_epi8(target + i, mask, _mm512_maskz_loadu_epi8(mask, source + i));
    }
}

KYRO_BATCH_FORMS(TARGET, avx512)
KYRO_QUANTISER_FORMS(TARGET, avx512)
KYRO_KERNEL_TABLE(avx512, avx512, avx512);
KYRO_KERNEL_TABLE(avx512vnni, avx512, avx512vnni);
#endif
