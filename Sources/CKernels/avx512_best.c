// The best few of a row of products, for x86-64 with AVX-512: two passes, of which the first finds
// a score that at least as many as are wanted reach, so that few have to be put in order.
#include "avx512.h"
#include "best.h"

#if defined(__x86_64__)

// Multiplication and addition must round one by one, so no fused form.
TARGET KYRO_INLINE __m512 scores_of(
    __mmask16 mask, const int32_t *dots, const float *factors, const float *biases, __m512 scale) {
#pragma STDC FP_CONTRACT OFF
    __m512 dot = _mm512_cvtepi32_ps(_mm512_maskz_loadu_epi32(mask, dots));
    __m512 slope = scale * _mm512_maskz_loadu_ps(mask, factors);
    __m512 product = dot * slope;
    return product + _mm512_maskz_loadu_ps(mask, biases);
}

// The lane that so many lanes of `x` reach, itself among them.
TARGET static float nth_largest(__m512 x, size_t nth) {
    float lanes[16];
    _mm512_storeu_ps(lanes, x);
    __m512i above = _mm512_setzero_si512();
    for (size_t lane = 0; lane < 16; lane++) {
        __mmask16 is_less = _mm512_cmp_ps_mask(x, _mm512_set1_ps(lanes[lane]), _CMP_LT_OQ);
        above = _mm512_mask_add_epi32(above, is_less, above, _mm512_set1_epi32(1));
    }
    __mmask16 reach = _mm512_cmplt_epi32_mask(above, _mm512_set1_epi32((int)nth));
    return _mm512_mask_reduce_min_ps(reach, x);
}

// What is passed on by the second pass, until there is room for no further vector.
enum { passed_max = 48 };
typedef struct {
    float scores[passed_max + 16];
    uint32_t numbers[passed_max + 16];
    size_t count;
} passed_on;

// Puts up to sixteen keys in order by counting, without a branch that depends on them.
TARGET static size_t order(const passed_on *passed, uint32_t own, size_t wanted, uint64_t *keys) {
    uint64_t unordered[16], places[16];
    for (size_t i = 0; i < 16; i++) {
        unordered[i] = i < passed->count
                           ? best_key(passed->scores[i], passed->numbers[i] - own)
                           : 0;
    }
    const __m512i one = _mm512_set1_epi64(1);
    __m512i low = _mm512_loadu_si512(unordered), high = _mm512_loadu_si512(unordered + 8);
    __m512i above_low = _mm512_setzero_si512(), above_high = above_low;
    for (size_t i = 0; i < passed->count; i++) {
        __m512i key = _mm512_set1_epi64((long long)unordered[i]);
        above_low =
            _mm512_mask_add_epi64(above_low, _mm512_cmplt_epu64_mask(low, key), above_low, one);
        above_high =
            _mm512_mask_add_epi64(above_high, _mm512_cmplt_epu64_mask(high, key), above_high, one);
    }
    _mm512_storeu_si512(places, above_low);
    _mm512_storeu_si512(places + 8, above_high);
    for (size_t i = 0; i < passed->count; i++) {
        if (places[i] < wanted) {
            keys[places[i]] = unordered[i];
        }
    }
    return passed->count < wanted ? passed->count : wanted;
}

TARGET static size_t take_in(
    passed_on *passed, uint32_t own, size_t wanted, uint64_t *keys, size_t found) {
    if (found == 0 && passed->count <= 16) {
        return order(passed, own, wanted, keys);
    }
    for (size_t i = 0; i < passed->count; i++) {
        uint64_t key = best_key(passed->scores[i], passed->numbers[i] - own);
        found = best_insert(keys, found, wanted, key);
    }
    passed->count = 0;
    return found;
}

TARGET size_t best_i32_avx512(
    const int32_t *dots, const float *factors, const float *biases, size_t count, float factor,
    uint32_t first, uint32_t own, size_t wanted, uint64_t *keys, size_t found) {
    const __m512 scale = _mm512_set1_ps(factor);
    const __m512i sixteen = _mm512_set1_epi32(16), left_out = _mm512_set1_epi32((int)own);
    const __m512i start = _mm512_add_epi32(
        _mm512_set1_epi32((int)first),
        _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15));
    __m512i number = start;
    float least = best_least(keys, found, wanted);
    // The best of each of sixteen lanes: those of `wanted` lanes reach the worst of them.
    if (found < wanted && wanted <= 16) {
        __m512 most = _mm512_set1_ps(least);
        for (size_t i = 0; i < count; i += 16) {
            __mmask16 mask = (__mmask16)low_bits(count - i);
            __m512 score = scores_of(mask, dots + i, factors + i, biases + i, scale);
            mask = _mm512_mask_cmpneq_epi32_mask(mask, number, left_out);
            // What is no number leaves the lane as it is.
            most = _mm512_mask_max_ps(most, mask, score, most);
            number = _mm512_add_epi32(number, sixteen);
        }
        least = nth_largest(most, wanted);
        number = start;
    }
    passed_on passed;
    passed.count = 0;
    for (size_t i = 0; i < count; i += 16) {
        __mmask16 mask = (__mmask16)low_bits(count - i);
        __m512 score = scores_of(mask, dots + i, factors + i, biases + i, scale);
        mask = _mm512_mask_cmpneq_epi32_mask(mask, number, left_out);
        mask = _mm512_mask_cmp_ps_mask(mask, score, _mm512_set1_ps(least), _CMP_NLT_UQ);
        _mm512_storeu_ps(passed.scores + passed.count, _mm512_maskz_compress_ps(mask, score));
        _mm512_storeu_si512(
            passed.numbers + passed.count, _mm512_maskz_compress_epi32(mask, number));
        passed.count += (size_t)__builtin_popcount(mask);
        if (passed.count > passed_max) {
            found = take_in(&passed, own, wanted, keys, found);
            float worst = best_least(keys, found, wanted);
            least = worst > least ? worst : least;
        }
        number = _mm512_add_epi32(number, sixteen);
    }
    return take_in(&passed, own, wanted, keys, found);
}
#endif
