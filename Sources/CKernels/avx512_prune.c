// What a neighbour leaves of a row's candidates, for x86-64 with AVX-512: sixteen at a time, without a
// branch that depends on a score.
#include "avx512.h"

#if defined(__x86_64__)

// Candidate i on: which of sixteen stay.
TARGET KYRO_INLINE __mmask16 staying(
    __mmask16 mask, const int32_t *dots, __m512 factors, __m512 biases, __m512 bounds,
    float pair_factor, float factor, float bias) {
#pragma STDC FP_CONTRACT OFF
    __m512 dot = _mm512_cvtepi32_ps(_mm512_maskz_loadu_epi32(mask, dots));
    __m512 slope = _mm512_set1_ps(factor) * factors;
    slope = _mm512_set1_ps(pair_factor) * slope;
    __m512 product = dot * slope;
    __m512 score = product + (_mm512_set1_ps(bias) + biases);
    return _mm512_mask_cmp_ps_mask(mask, score, bounds, _CMP_NGE_UQ);
}

TARGET KYRO_INLINE void compress_floats(__mmask16 stay, float *to, __m512 values) {
    _mm512_storeu_ps(to, _mm512_maskz_compress_ps(stay, values));
}

TARGET size_t leave_out_avx512(
    const int32_t *dots, size_t count, float pair_factor, float factor, float bias,
    const kyro_candidates *c, size_t *nearest) {
    size_t left = 0;
    __m512i most = _mm512_setzero_si512();
    for (size_t i = 0; i < count; i += 16) {
        __mmask16 mask = (__mmask16)low_bits(count - i);
        __m512 factors = _mm512_maskz_loadu_ps(mask, c->factors + i);
        __m512 biases = _mm512_maskz_loadu_ps(mask, c->biases + i);
        __m512 bounds = _mm512_maskz_loadu_ps(mask, c->bounds + i);
        __mmask16 stay =
            staying(mask, dots + i, factors, biases, bounds, pair_factor, factor, bias);
        // Places that are written to were read before: no more were kept than there are.
        compress_floats(stay, c->factors + left, factors);
        compress_floats(stay, c->biases + left, biases);
        compress_floats(stay, c->bounds + left, bounds);
        __m512i keys[2], codes[2];
        for (size_t half = 0; half < 2; half++) {
            __mmask8 present = (__mmask8)(mask >> 8 * half);
            keys[half] = _mm512_maskz_loadu_epi64(present, c->keys + i + 8 * half);
            codes[half] = _mm512_maskz_loadu_epi64(present, c->codes + i + 8 * half);
        }
        for (size_t half = 0; half < 2; half++) {
            __mmask8 kept = (__mmask8)(stay >> 8 * half);
            __m512i key = _mm512_maskz_compress_epi64(kept, keys[half]);
            most = _mm512_max_epu64(most, key);
            _mm512_storeu_si512(c->keys + left, key);
            _mm512_storeu_si512(c->codes + left, _mm512_maskz_compress_epi64(kept, codes[half]));
            left += (size_t)__builtin_popcount(kept);
        }
    }
    const __m512i best = _mm512_set1_epi64((long long)_mm512_reduce_max_epu64(most));
    *nearest = 0;
    for (size_t i = 0; i < left; i += 8) {
        __m512i keys = _mm512_maskz_loadu_epi64((__mmask8)low_bits(left - i), c->keys + i);
        __mmask8 is_best =
            _mm512_mask_cmpeq_epi64_mask((__mmask8)low_bits(left - i), keys, best);
        *nearest = is_best ? i + (size_t)__builtin_ctz(is_best) : *nearest;
    }
    return left;
}
#endif
