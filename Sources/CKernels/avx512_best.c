// The best few of a row of products, for x86-64 with AVX-512. Where none is known yet, one pass makes
// scores and finds one that at least as many as are wanted reach; a second one looks for those that
// reach it, which are few and are put in order by counting: no branch depends on a single score.
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

// How many of the first `count` of `values` are above each lane of `x`.
TARGET KYRO_INLINE __m512i above_each(__m512 x, const float *values, size_t count) {
    __m512i above = _mm512_setzero_si512();
    for (size_t i = 0; i < count; i++) {
        __mmask16 is_less = _mm512_cmp_ps_mask(x, _mm512_set1_ps(values[i]), _CMP_LT_OQ);
        above = _mm512_sub_epi32(above, _mm512_movm_epi32(is_less));
    }
    return above;
}

// The lane that so many lanes of `x` reach, itself among them.
TARGET static float nth_largest(__m512 x, size_t nth) {
    float lanes[16];
    _mm512_storeu_ps(lanes, x);
    // Lanes come back from memory: there is one port for taking them out of a register.
    __asm__ volatile("" : : "r"(lanes) : "memory");
    __m512i above = above_each(x, lanes, 16);
    __mmask16 reach = _mm512_cmplt_epi32_mask(above, _mm512_set1_epi32((int)nth));
    return _mm512_mask_reduce_min_ps(reach, x);
}

// Entries whose scores are at hand at once: 4 KB of them.
enum { chunk_max = 1024, chunk_words = chunk_max / 64 };

// One row of products, and what makes scores of them.
typedef struct {
    const int32_t *dots;
    const float *factors, *biases;
    size_t count;
    float factor;
    // Of the entry that is left out; count and more for none.
    size_t left_out;
} entries;

// Writes the scores of entries [from, to), `from` a multiple of 16, and returns the best of each
// lane; what is no number leaves a lane as it is.
TARGET KYRO_INLINE __m512 score_range(
    const entries *e, size_t from, size_t to, __m512 most, float *scores) {
    const __m512 scale = _mm512_set1_ps(e->factor);
    size_t i = from;
    for (; i + 16 <= to; i += 16) {
        __m512 x = scores_of(0xFFFF, e->dots + i, e->factors + i, e->biases + i, scale);
        _mm512_storeu_ps(scores + i, x);
        most = _mm512_max_ps(x, most);
    }
    if (i < to) {
        __mmask16 mask = (__mmask16)low_bits(to - i);
        __m512 x = scores_of(mask, e->dots + i, e->factors + i, e->biases + i, scale);
        _mm512_mask_storeu_ps(scores + i, mask, x);
        most = _mm512_mask_max_ps(most, mask, x, most);
    }
    return most;
}

// Writes all scores and returns the best of each of sixteen lanes.
TARGET static __m512 score_all(const entries *e, float *scores) {
    __m512 most = _mm512_set1_ps(-__builtin_inff());
    size_t begin = e->left_out / 16 * 16;
    if (e->left_out >= e->count) {
        most = score_range(e, 0, e->count, most, scores);
    } else {
        most = score_range(e, 0, begin, most, scores);
        size_t end = begin + 16 < e->count ? begin + 16 : e->count;
        __mmask16 others = (__mmask16)(low_bits(end - begin) & ~(1u << (e->left_out - begin)));
        (void)score_range(e, begin, end, most, scores);
        most = _mm512_mask_max_ps(most, others, _mm512_maskz_loadu_ps(others, scores + begin), most);
        most = score_range(e, end, e->count, most, scores);
    }
    return most;
}

// Numbers of the entries, without the one that is left out, whose score is not below `least`,
// ascending. There is room for four more.
TARGET static size_t reaching(
    const entries *e, const float *scores, float least, uint32_t *numbers) {
    const __m512 bound = _mm512_set1_ps(least);
    uint64_t words[chunk_words];
    size_t word_count = (e->count + 63) / 64;
    for (size_t word = 0; word < word_count; word++) {
        uint64_t bits = 0;
        for (size_t i = 0; i < 4; i++) {
            const float *from = scores + 64 * word + 16 * i;
            bits |= (uint64_t)_mm512_cmp_ps_mask(_mm512_loadu_ps(from), bound, _CMP_NLT_UQ)
                    << 16 * i;
        }
        words[word] = bits;
    }
    words[word_count - 1] &= low_bits(e->count - 64 * (word_count - 1));
    if (e->left_out < e->count) {
        words[e->left_out / 64] &= ~((uint64_t)1 << e->left_out % 64);
    }
    size_t found = 0;
    for (size_t word = 0; word < word_count; word++) {
        uint64_t bits = words[word];
        size_t end = found + (size_t)__builtin_popcountll(bits);
        // Four at a time, of which some may be none: most often no more are in a word.
        do {
            for (size_t i = 0; i < 4; i++) {
                size_t bit = (size_t)__builtin_ctzll(bits | (uint64_t)1 << 63);
                numbers[found + i] = (uint32_t)(64 * word + bit);
                bits &= bits - 1;
            }
            found += 4;
        } while (found < end);
        found = end;
    }
    return found;
}

// So many are put in order by counting, at most.
enum { counted_max = 64 };

// The keys of sixteen entries as best_key makes them, eight and eight.
TARGET KYRO_INLINE void keys_of(__m512 score, __m512i behind_own, __m512i *keys) {
    const __m512i sign = _mm512_set1_epi32((int)0x80000000);
    __m512i bits = _mm512_castps_si512(score);
    bits = _mm512_xor_si512(bits, _mm512_or_si512(_mm512_srai_epi32(bits, 31), sign));
    __m512i low = _mm512_xor_si512(behind_own, _mm512_set1_epi32(-1));
    __m512i high = _mm512_slli_epi64(_mm512_cvtepu32_epi64(_mm512_castsi512_si256(bits)), 32);
    keys[0] = _mm512_or_si512(high, _mm512_cvtepu32_epi64(_mm512_castsi512_si256(low)));
    high = _mm512_slli_epi64(_mm512_cvtepu32_epi64(_mm512_extracti64x4_epi64(bits, 1)), 32);
    keys[1] = _mm512_or_si512(high, _mm512_cvtepu32_epi64(_mm512_extracti64x4_epi64(low, 1)));
}

// The best `wanted` of up to `counted_max` entries, in order, by counting how many are above each.
TARGET static size_t in_order(
    const uint32_t *numbers, size_t count, const float *scores, uint32_t behind_own,
    size_t wanted, uint64_t *keys) {
    const __m512 least = _mm512_set1_ps(-__builtin_inff());
    float picked[counted_max];
    __m512i unordered[counted_max / 8];
    for (size_t i = 0; i < count; i += 16) {
        __mmask16 mask = (__mmask16)low_bits(count - i);
        __m512i number = _mm512_maskz_loadu_epi32(mask, numbers + i);
        __m512 score = _mm512_mask_i32gather_ps(least, mask, number, scores, 4);
        score = _mm512_mask_mov_ps(least, _mm512_cmp_ps_mask(score, score, _CMP_ORD_Q), score);
        _mm512_storeu_ps(picked + i, score);
        number = _mm512_add_epi32(number, _mm512_set1_epi32((int)behind_own));
        keys_of(score, number, unordered + i / 8);
    }
    const uint64_t *each = (const uint64_t *)unordered;
    uint64_t ordered[counted_max];
    uint32_t places[counted_max];
    size_t sum = count * (count - 1) / 2;
    if (count <= 16) {
        __m512i above = above_each(_mm512_loadu_ps(picked), picked, count);
        _mm512_storeu_si512(places, above);
        sum -= (size_t)_mm512_mask_reduce_add_epi32((__mmask16)low_bits(count), above);
    }
    // With equals among them not all of it was found.
    if (sum != 0 || count > 16) {
        for (size_t i = 0; i < count; i += 8) {
            __m512i above = _mm512_setzero_si512();
            for (size_t j = 0; j < count; j++) {
                __m512i other = _mm512_set1_epi64((long long)each[j]);
                __mmask8 is_less = _mm512_cmplt_epu64_mask(unordered[i / 8], other);
                above = _mm512_sub_epi64(above, _mm512_movm_epi64(is_less));
            }
            _mm256_storeu_si256((__m256i *)(places + i), _mm512_cvtepi64_epi32(above));
        }
    }
    for (size_t i = 0; i < count; i++) {
        ordered[places[i]] = each[i];
    }
    size_t kept = count < wanted ? count : wanted;
    for (size_t i = 0; i < kept; i++) {
        keys[i] = ordered[i];
    }
    return kept;
}

// The best of at most chunk_max entries, of which the first has the number `first`, where none is
// known yet.
TARGET __attribute__((noinline)) static size_t best_of_first(
    const entries *e, uint32_t first, uint32_t own, size_t wanted, uint64_t *keys) {
    _Alignas(64) float scores[chunk_max];
    uint32_t numbers[chunk_max + 4];
    // Those of `wanted` lanes reach the worst of them.
    float least = nth_largest(score_all(e, scores), wanted);
    size_t count = reaching(e, scores, least, numbers);
    if (count <= counted_max) {
        return in_order(numbers, count, scores, first - own, wanted, keys);
    }
    size_t found = 0;
    for (size_t i = 0; i < count; i++) {
        uint64_t key = best_key(scores[numbers[i]], first - own + numbers[i]);
        found = best_insert(keys, found, wanted, key);
    }
    return found;
}

// What reaches the bound, until there is room for no further vector.
enum { passed_max = 48 };
typedef struct {
    float scores[passed_max + 16];
    uint32_t numbers[passed_max + 16];
} passed_on;

TARGET static size_t take_in(
    const passed_on *passed, size_t count, uint32_t own, size_t wanted, uint64_t *keys,
    size_t found) {
    for (size_t i = 0; i < count; i++) {
        uint64_t key = best_key(passed->scores[i], passed->numbers[i] - own);
        found = best_insert(keys, found, wanted, key);
    }
    return found;
}

// Adds entries to those that are known: in one pass, for the worst of those is a bound.
TARGET static size_t add_entries(
    const entries *e, uint32_t first, uint32_t own, size_t wanted, uint64_t *keys, size_t found) {
    const __m512 scale = _mm512_set1_ps(e->factor);
    const __m512i sixteen = _mm512_set1_epi32(16);
    __m512i number = _mm512_add_epi32(
        _mm512_set1_epi32((int)first),
        _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15));
    __m512 bound = _mm512_set1_ps(best_least(keys, found, wanted));
    passed_on passed;
    // In a register: through memory each vector would wait for the one before.
    size_t count = 0;
    for (size_t i = 0; i < e->count; i += 16) {
        __mmask16 mask = (__mmask16)low_bits(e->count - i);
        __m512 score = scores_of(mask, e->dots + i, e->factors + i, e->biases + i, scale);
        if (e->left_out - i < 16) {
            mask &= (__mmask16) ~(1u << (e->left_out - i));
        }
        mask = _mm512_mask_cmp_ps_mask(mask, score, bound, _CMP_NLT_UQ);
        _mm512_storeu_ps(passed.scores + count, _mm512_maskz_compress_ps(mask, score));
        _mm512_storeu_si512(passed.numbers + count, _mm512_maskz_compress_epi32(mask, number));
        count += (size_t)__builtin_popcount(mask);
        number = _mm512_add_epi32(number, sixteen);
        if (count > passed_max) {
            found = take_in(&passed, count, own, wanted, keys, found);
            count = 0;
            bound = _mm512_set1_ps(best_least(keys, found, wanted));
        }
    }
    return take_in(&passed, count, own, wanted, keys, found);
}

TARGET size_t best_i32_avx512(
    const int32_t *dots, const float *factors, const float *biases, size_t count, float factor,
    uint32_t first, uint32_t own, size_t wanted, uint64_t *keys, size_t found) {
    size_t from = 0;
    if (found == 0 && wanted <= 16 && count > 0) {
        from = count < chunk_max ? count : chunk_max;
        const entries e = {dots, factors, biases, from, factor, own - first};
        found = best_of_first(&e, first, own, wanted, keys);
    }
    if (from == count) {
        return found;
    }
    first += (uint32_t)from;
    const entries e = {
        dots + from, factors + from, biases + from, count - from, factor, own - first};
    return add_entries(&e, first, own, wanted, keys, found);
}
#endif
