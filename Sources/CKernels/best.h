// The best few of many scores, as keys that order as kyro_best_i32 says, and what neighbours leave of
// candidates: the forms of variants without ones of their own.
#ifndef KYRO_BEST_H
#define KYRO_BEST_H

#include "variants.h"

KYRO_INLINE uint64_t best_key(float score, uint32_t behind_own) {
    float number = score >= -__builtin_inff() ? score : -__builtin_inff();
    uint32_t bits;
    __builtin_memcpy(&bits, &number, sizeof bits);
    uint32_t ascending = bits & 0x80000000u ? ~bits : bits | 0x80000000u;
    return (uint64_t)ascending << 32 | (uint32_t)~behind_own;
}

// The score that an entry must not be below to come among the best.
KYRO_INLINE float best_least(const uint64_t *keys, size_t found, size_t wanted) {
    if (found < wanted) {
        return -__builtin_inff();
    }
    uint32_t ascending = (uint32_t)(keys[wanted - 1] >> 32);
    uint32_t bits = ascending & 0x80000000u ? ascending & 0x7FFFFFFFu : ~ascending;
    float least;
    __builtin_memcpy(&least, &bits, sizeof least);
    return least;
}

KYRO_INLINE size_t best_insert(uint64_t *keys, size_t found, size_t wanted, uint64_t key) {
    size_t place = found;
    if (found < wanted) {
        found++;
    } else if (keys[wanted - 1] >= key) {
        return found;
    } else {
        place = wanted - 1;
    }
    for (; place > 0 && keys[place - 1] < key; place--) {
        keys[place] = keys[place - 1];
    }
    keys[place] = key;
    return found;
}

KYRO_INLINE size_t best_i32_body(
    const int32_t *dots, const float *factors, const float *biases, size_t count, float factor,
    uint32_t first, uint32_t own, size_t wanted, uint64_t *keys, size_t found) {
#pragma STDC FP_CONTRACT OFF
    float least = best_least(keys, found, wanted);
    for (size_t i = 0; i < count; i++) {
        float score = (float)dots[i] * (factor * factors[i]) + biases[i];
        uint32_t number = first + (uint32_t)i;
        if (score < least || number == own) {
            continue;
        }
        found = best_insert(keys, found, wanted, best_key(score, number - own));
        least = best_least(keys, found, wanted);
    }
    return found;
}

KYRO_INLINE size_t leave_out_body(
    const int32_t *dots, size_t count, float pair_factor, float factor, float bias,
    const kyro_candidates *c, size_t *nearest) {
#pragma STDC FP_CONTRACT OFF
    size_t left = 0;
    uint64_t most = 0;
    *nearest = 0;
    for (size_t i = 0; i < count; i++) {
        float product = (float)dots[i] * (pair_factor * (factor * c->factors[i]));
        float score = product + (bias + c->biases[i]);
        if (score >= c->bounds[i]) {
            continue;
        }
        c->keys[left] = c->keys[i];
        c->codes[left] = c->codes[i];
        c->factors[left] = c->factors[i];
        c->biases[left] = c->biases[i];
        c->bounds[left] = c->bounds[i];
        if (c->keys[left] > most) {
            most = c->keys[left];
            *nearest = left;
        }
        left++;
    }
    return left;
}

#endif
