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
} passed_on;

// Puts up to sixteen keys in order by counting, without a branch that depends on them.
TARGET static size_t order(
    const passed_on *passed, size_t count, uint32_t own, size_t wanted, uint64_t *keys) {
    uint64_t unordered[16], places[16];
    for (size_t i = 0; i < 16; i++) {
        unordered[i] = i < count ? best_key(passed->scores[i], passed->numbers[i] - own) : 0;
    }
    const __m512i one = _mm512_set1_epi64(1);
    __m512i low = _mm512_loadu_si512(unordered), high = _mm512_loadu_si512(unordered + 8);
    __m512i above_low = _mm512_setzero_si512(), above_high = above_low;
    for (size_t i = 0; i < count; i++) {
        __m512i key = _mm512_set1_epi64((long long)unordered[i]);
        above_low =
            _mm512_mask_add_epi64(above_low, _mm512_cmplt_epu64_mask(low, key), above_low, one);
        above_high =
            _mm512_mask_add_epi64(above_high, _mm512_cmplt_epu64_mask(high, key), above_high, one);
    }
    _mm512_storeu_si512(places, above_low);
    _mm512_storeu_si512(places + 8, above_high);
    for (size_t i = 0; i < count; i++) {
        if (places[i] < wanted) {
            keys[places[i]] = unordered[i];
        }
    }
    return count < wanted ? count : wanted;
}

TARGET static size_t take_in(
    const passed_on *passed, size_t count, uint32_t own, size_t wanted, uint64_t *keys,
    size_t found) {
    if (found == 0 && count <= 16) {
        return order(passed, count, own, wanted, keys);
    }
    for (size_t i = 0; i < count; i++) {
        uint64_t key = best_key(passed->scores[i], passed->numbers[i] - own);
        found = best_insert(keys, found, wanted, key);
    }
    return found;
}

// One row of products, and what makes scores of them.
typedef struct {
    const int32_t *dots;
    const float *factors, *biases;
    size_t count;
    float factor;
    // Of the entry that is left out; count and more for none.
    size_t left_out;
} entries;

// Which of the sixteen from `i` on there are, without the one that is left out.
KYRO_INLINE __mmask16 present(const entries *e, size_t i) {
    uint32_t mask = (uint32_t)low_bits(e->count - i) & 0xFFFF;
    return (__mmask16)(e->left_out - i < 16 ? mask & ~(1u << (e->left_out - i)) : mask);
}

// A score that at least `wanted` ≤ 16 reach, or −∞: each of sixteen lanes has its best one, and
// those of `wanted` lanes reach the worst of them. What is no number leaves a lane as it is.
TARGET static float bound_of(const entries *e, size_t wanted) {
    const __m512 scale = _mm512_set1_ps(e->factor);
    __m512 most = _mm512_set1_ps(-__builtin_inff()), other = most;
    size_t i = 0;
    for (; i + 32 <= e->count; i += 32) {
        __m512 x = scores_of(0xFFFF, e->dots + i, e->factors + i, e->biases + i, scale);
        __m512 y = scores_of(
            0xFFFF, e->dots + i + 16, e->factors + i + 16, e->biases + i + 16, scale);
        if (e->left_out - i < 32) {
            most = _mm512_mask_max_ps(most, present(e, i), x, most);
            other = _mm512_mask_max_ps(other, present(e, i + 16), y, other);
        } else {
            most = _mm512_max_ps(x, most);
            other = _mm512_max_ps(y, other);
        }
    }
    for (; i < e->count; i += 16) {
        __mmask16 mask = present(e, i);
        __m512 x = scores_of(mask, e->dots + i, e->factors + i, e->biases + i, scale);
        most = _mm512_mask_max_ps(most, mask, x, most);
    }
    return nth_largest(_mm512_max_ps(most, other), wanted);
}

TARGET size_t best_i32_avx512(
    const int32_t *dots, const float *factors, const float *biases, size_t count, float factor,
    uint32_t first, uint32_t own, size_t wanted, uint64_t *keys, size_t found) {
    const entries e = {dots, factors, biases, count, factor, own - first};
    const __m512 scale = _mm512_set1_ps(factor);
    const __m512i sixteen = _mm512_set1_epi32(16);
    __m512i number = _mm512_add_epi32(
        _mm512_set1_epi32((int)first),
        _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15));
    float least = best_least(keys, found, wanted);
    if (found < wanted && wanted <= 16) {
        least = bound_of(&e, wanted);
    }
    __m512 bound = _mm512_set1_ps(least);
    passed_on passed;
    // In a register: through memory each vector would wait for the one before.
    size_t passed_count = 0;
    for (size_t i = 0; i < count; i += 16) {
        __mmask16 mask = (__mmask16)low_bits(count - i);
        __m512 score = scores_of(mask, dots + i, factors + i, biases + i, scale);
        if (e.left_out - i < 16) {
            mask = present(&e, i);
        }
        mask = _mm512_mask_cmp_ps_mask(mask, score, bound, _CMP_NLT_UQ);
        _mm512_storeu_ps(passed.scores + passed_count, _mm512_maskz_compress_ps(mask, score));
        _mm512_storeu_si512(
            passed.numbers + passed_count, _mm512_maskz_compress_epi32(mask, number));
        passed_count += (size_t)__builtin_popcount(mask);
        number = _mm512_add_epi32(number, sixteen);
        if (passed_count > passed_max) {
            found = take_in(&passed, passed_count, own, wanted, keys, found);
            passed_count = 0;
            float worst = best_least(keys, found, wanted);
            least = worst > least ? worst : least;
            bound = _mm512_set1_ps(least);
        }
    }
    return take_in(&passed, passed_count, own, wanted, keys, found);
}
#endif
