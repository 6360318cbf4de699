// Kernels for x86-64 with AVX2, FMA and POPCNT.
#include "code_forms.h"
#include "quantiser_forms.h"
#include "tile_form.h"

#if defined(__x86_64__)
#include <immintrin.h>

#define TARGET __attribute__((target("avx2,fma,popcnt")))

TARGET static inline double sum_pd(__m256d v) {
    __m128d pair = _mm_add_pd(_mm256_castpd256_pd128(v), _mm256_extractf128_pd(v, 1));
    return _mm_cvtsd_f64(_mm_add_sd(pair, _mm_unpackhi_pd(pair, pair)));
}

TARGET static inline __m256d widen(const float *p) {
    return _mm256_cvtps_pd(_mm_loadu_ps(p));
}

TARGET static double dot_f32_avx2(const float *a, const float *b, size_t n) {
    __m256d s0 = _mm256_setzero_pd(), s1 = s0, s2 = s0, s3 = s0;
    size_t i = 0;
    for (; i + 16 <= n; i += 16) {
        s0 = _mm256_fmadd_pd(widen(a + i), widen(b + i), s0);
        s1 = _mm256_fmadd_pd(widen(a + i + 4), widen(b + i + 4), s1);
        s2 = _mm256_fmadd_pd(widen(a + i + 8), widen(b + i + 8), s2);
        s3 = _mm256_fmadd_pd(widen(a + i + 12), widen(b + i + 12), s3);
    }
    for (; i + 4 <= n; i += 4) {
        s0 = _mm256_fmadd_pd(widen(a + i), widen(b + i), s0);
    }
    double sum = sum_pd(_mm256_add_pd(_mm256_add_pd(s0, s1), _mm256_add_pd(s2, s3)));
    for (; i < n; i++) {
        sum += (double)a[i] * (double)b[i];
    }
    return sum;
}

TARGET static double l2sq_f32_avx2(const float *a, const float *b, size_t n) {
    __m256d s0 = _mm256_setzero_pd(), s1 = s0;
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        __m256d d0 = _mm256_sub_pd(widen(a + i), widen(b + i));
        __m256d d1 = _mm256_sub_pd(widen(a + i + 4), widen(b + i + 4));
        s0 = _mm256_fmadd_pd(d0, d0, s0);
        s1 = _mm256_fmadd_pd(d1, d1, s1);
    }
    double sum = sum_pd(_mm256_add_pd(s0, s1));
    for (; i < n; i++) {
        double difference = (double)a[i] - (double)b[i];
        sum += difference * difference;
    }
    return sum;
}

TARGET static inline __m256i products(const int8_t *a, const int8_t *b) {
    return _mm256_madd_epi16(
        _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)a)),
        _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)b)));
}

TARGET static int32_t dot_i8_avx2(const int8_t *a, const int8_t *b, size_t n) {
    __m256i s0 = _mm256_setzero_si256(), s1 = s0;
    size_t i = 0;
    for (; i + 32 <= n; i += 32) {
        s0 = _mm256_add_epi32(s0, products(a + i, b + i));
        s1 = _mm256_add_epi32(s1, products(a + i + 16, b + i + 16));
    }
    s0 = _mm256_add_epi32(s0, s1);
    __m128i half =
        _mm_add_epi32(_mm256_castsi256_si128(s0), _mm256_extracti128_si256(s0, 1));
    half = _mm_add_epi32(half, _mm_shuffle_epi32(half, 0x4E));
    half = _mm_add_epi32(half, _mm_shuffle_epi32(half, 0xB1));
    int32_t sum = _mm_cvtsi128_si32(half);
    for (; i < n; i++) {
        sum += (int32_t)a[i] * (int32_t)b[i];
    }
    return sum;
}

TARGET static inline __m256 magnitudes(const float *p) {
    return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), _mm256_loadu_ps(p));
}

// Eight codes as int32. What is above 127 rounds to 127 in the end, so that only the sign of the
// half that is added has to be right.
TARGET static inline __m256i codes_of(const float *p, __m256 inverse) {
    const __m256 sign = _mm256_set1_ps(-0.0f), most = _mm256_set1_ps(127.0f);
    __m256 scaled = _mm256_mul_ps(_mm256_loadu_ps(p), inverse);
    __m256 half = _mm256_or_ps(_mm256_set1_ps(0.5f), _mm256_and_ps(scaled, sign));
    __m256 rounded = _mm256_min_ps(_mm256_add_ps(scaled, half), most);
    return _mm256_cvttps_epi32(_mm256_max_ps(rounded, _mm256_or_ps(most, sign)));
}

TARGET static float encode_i8_avx2(const float *row, size_t n, int8_t *codes) {
    __m256 most = _mm256_setzero_ps(), other = most;
    size_t i = 0;
    for (; i + 16 <= n; i += 16) {
        most = _mm256_max_ps(most, magnitudes(row + i));
        other = _mm256_max_ps(other, magnitudes(row + i + 8));
    }
    float lanes[8], largest = encode_i8_largest(row + i, n - i);
    _mm256_storeu_ps(lanes, _mm256_max_ps(most, other));
    for (size_t lane = 0; lane < 8; lane++) {
        largest = lanes[lane] > largest ? lanes[lane] : largest;
    }
    float factor = encode_i8_inverse(largest);
    const __m256 inverse = _mm256_set1_ps(factor);
    // The packs work in halves of 128 bits.
    const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
    for (i = 0; i + 32 <= n; i += 32) {
        __m256i low = _mm256_packs_epi32(codes_of(row + i, inverse), codes_of(row + i + 8, inverse));
        __m256i high =
            _mm256_packs_epi32(codes_of(row + i + 16, inverse), codes_of(row + i + 24, inverse));
        __m256i bytes = _mm256_permutevar8x32_epi32(_mm256_packs_epi16(low, high), order);
        _mm256_storeu_si256((__m256i *)(codes + i), bytes);
    }
    encode_i8_rest(row + i, n - i, factor, codes + i);
    return encode_i8_scale(largest);
}

TARGET __attribute__((no_builtin("memcpy", "memmove"))) static void copy_row_avx2(
    void *to, const void *from, size_t count) {
    char *target = to;
    const char *source = from;
    size_t i = 0;
    for (; i + 32 <= count; i += 32) {
        __m256i bytes = _mm256_loadu_si256((const __m256i *)(source + i));
        _mm256_storeu_si256((__m256i *)(target + i), bytes);
    }
    for (; i < count; i++) {
        target[i] = source[i];
    }
}

// Two products of a nibble and a code are within 2 × 15 × 128, so that nothing saturates.
TARGET static inline __m256i nibble_products(__m256i codes, const int8_t *low, const int8_t *high) {
    const __m256i nibble = _mm256_set1_epi8(0x0F);
    __m256i first = _mm256_and_si256(codes, nibble);
    __m256i second = _mm256_and_si256(_mm256_srli_epi16(codes, 4), nibble);
    __m256i sums = _mm256_add_epi16(
        _mm256_maddubs_epi16(first, _mm256_loadu_si256((const __m256i *)low)),
        _mm256_maddubs_epi16(second, _mm256_loadu_si256((const __m256i *)high)));
    return _mm256_madd_epi16(sums, _mm256_set1_epi16(1));
}

TARGET static int32_t dot_u4_avx2(const int8_t *query, const uint8_t *codes, size_t n) {
    __m256i s0 = _mm256_setzero_si256(), s1 = s0;
    size_t i = 0;
    for (; i + block_dims <= n; i += block_dims) {
        const __m256i *block = (const __m256i *)(codes + i / 2);
        const int8_t *q = query + i;
        s0 = _mm256_add_epi32(s0, nibble_products(_mm256_loadu_si256(block), q, q + 64));
        s1 = _mm256_add_epi32(s1, nibble_products(_mm256_loadu_si256(block + 1), q + 32, q + 96));
    }
    s0 = _mm256_add_epi32(s0, s1);
    __m128i half = _mm_add_epi32(_mm256_castsi256_si128(s0), _mm256_extracti128_si256(s0, 1));
    half = _mm_add_epi32(half, _mm_shuffle_epi32(half, 0x4E));
    half = _mm_add_epi32(half, _mm_shuffle_epi32(half, 0xB1));
    return _mm_cvtsi128_si32(half) + u4_block(query + i, codes + i / 2, n - i);
}

TARGET static inline __m256i wide(const int16_t *codes) {
    return _mm256_loadu_si256((const __m256i *)codes);
}

TARGET static inline void store_sums(__m256i s0, __m256i s1, __m256i s2, __m256i s3, int32_t *to) {
    __m256i sums =
        _mm256_hadd_epi32(_mm256_hadd_epi32(s0, s1), _mm256_hadd_epi32(s2, s3));
    __m128i four = _mm_add_epi32(_mm256_castsi256_si128(sums), _mm256_extracti128_si256(sums, 1));
    _mm_storeu_si128((__m128i *)to, four);
}

TARGET static void wide_tile_avx2(
    int16_t (*rows)[wide_dims], int16_t (*columns)[wide_dims], size_t dims,
    int32_t (*sums)[wide_step]) {
    __m256i s[wide_rows][wide_step];
    for (size_t row = 0; row < wide_rows; row++) {
        for (size_t column = 0; column < wide_step; column++) {
            s[row][column] = _mm256_setzero_si256();
        }
    }
    for (size_t i = 0; i < dims; i += 16) {
        __m256i x = wide(rows[0] + i), y = wide(rows[1] + i);
        for (size_t column = 0; column < wide_step; column++) {
            __m256i codes = wide(columns[column] + i);
            s[0][column] = _mm256_add_epi32(s[0][column], _mm256_madd_epi16(x, codes));
            s[1][column] = _mm256_add_epi32(s[1][column], _mm256_madd_epi16(y, codes));
        }
    }
    store_sums(s[0][0], s[0][1], s[0][2], s[0][3], sums[0]);
    store_sums(s[1][0], s[1][1], s[1][2], s[1][3], sums[1]);
}

KYRO_LIST_FORM(TARGET, avx2)
KYRO_BATCH_FORMS(TARGET, avx2)
KYRO_TILE_FORM(TARGET, avx2, wide_tile_avx2)
KYRO_FLOAT_FORMS(TARGET, avx2)
KYRO_CODE_LIST(TARGET, dot_u4, avx2, int8_t, uint8_t, int32_t, (n + 1) / 2)
KYRO_CODE_FORMS(TARGET, avx2)
KYRO_PLAIN_FORMS(TARGET, avx2)
KYRO_HAMMING_FORMS(TARGET, avx2)
KYRO_QUANTISER_FORMS(TARGET, avx2)
KYRO_KERNEL_TABLE(avx2, avx2, avx2);
#endif
