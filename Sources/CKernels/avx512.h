// What the files of the AVX-512 variants share.
#ifndef KYRO_AVX512_H
#define KYRO_AVX512_H

#include "variants.h"

#if defined(__x86_64__)
#include <immintrin.h>

#define TARGET __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,fma")))

void dot_i8_tile_avx512(
    const int8_t *const *a, size_t a_count, const int8_t *const *b, size_t b_count, size_t n,
    int32_t *out, size_t out_stride);
void dot_i8_pairs_avx512(
    const int8_t *const *rows, size_t count, size_t n, int32_t *out, size_t out_stride);
size_t best_i32_avx512(
    const int32_t *dots, const float *factors, const float *biases, size_t count, float factor,
    uint32_t first, uint32_t own, size_t wanted, uint64_t *keys, size_t found);
size_t leave_out_avx512(
    const int32_t *dots, size_t count, float pair_factor, float factor, float bias,
    const kyro_candidates *candidates, size_t *nearest);
void dot_f32_fast_list_avx512(
    const float *query, const float *const *rows, size_t count, size_t n, float *out);
void l2sq_f32_fast_list_avx512(
    const float *query, const float *const *rows, size_t count, size_t n, float *out);
void encode_bf16_avx512(const float *row, size_t n, uint16_t *codes);
float dot_bf16_avx512(const float *query, const uint16_t *row, size_t n);
float l2sq_bf16_avx512(const float *query, const uint16_t *row, size_t n);
void dot_bf16_list_avx512(
    const float *query, const uint16_t *const *rows, size_t count, size_t n, float *out);
void l2sq_bf16_list_avx512(
    const float *query, const uint16_t *const *rows, size_t count, size_t n, float *out);
int32_t dot_u4_avx512(const int8_t *query, const uint8_t *codes, size_t n);
void dot_u4_list_avx512(
    const int8_t *query, const uint8_t *const *rows, size_t count, size_t n, int32_t *out);
void encode_bits_avx512(const float *row, const float *thresholds, size_t n, uint8_t *codes);
// With VPOPCNTDQ, and without it.
uint32_t hamming_avx512(const uint8_t *a, const uint8_t *b, size_t byte_count);
void hamming_list_avx512(
    const uint8_t *query, const uint8_t *const *rows, size_t count, size_t byte_count,
    uint32_t *out);
uint32_t hamming_avx512vnni(const uint8_t *a, const uint8_t *b, size_t byte_count);
void hamming_list_avx512vnni(
    const uint8_t *query, const uint8_t *const *rows, size_t count, size_t byte_count,
    uint32_t *out);

// The lowest `count` of 64 bits, all of them from 64 on.
KYRO_INLINE uint64_t low_bits(size_t count) {
    return count >= 64 ? ~(uint64_t)0 : ((uint64_t)1 << count) - 1;
}

// The sums over the lanes of four vectors.
TARGET KYRO_INLINE __m128i sums_of_four(__m512i s0, __m512i s1, __m512i s2, __m512i s3) {
    __m512i s01 = _mm512_add_epi32(_mm512_unpacklo_epi32(s0, s1), _mm512_unpackhi_epi32(s0, s1));
    __m512i s23 = _mm512_add_epi32(_mm512_unpacklo_epi32(s2, s3), _mm512_unpackhi_epi32(s2, s3));
    __m512i sums =
        _mm512_add_epi32(_mm512_unpacklo_epi64(s01, s23), _mm512_unpackhi_epi64(s01, s23));
    __m256i half =
        _mm256_add_epi32(_mm512_castsi512_si256(sums), _mm512_extracti64x4_epi64(sums, 1));
    return _mm_add_epi32(_mm256_castsi256_si128(half), _mm256_extracti128_si256(half, 1));
}

#endif
#endif
