// Kernels for aarch64; every such processor has NEON.
#include "code_forms.h"
#include "quantiser_forms.h"
#include "tile_form.h"

#if defined(__aarch64__)
#include <arm_neon.h>

static double dot_f32_neon(const float *a, const float *b, size_t n) {
    float64x2_t s0 = vdupq_n_f64(0), s1 = s0;
    size_t i = 0;
    for (; i + 4 <= n; i += 4) {
        float32x4_t x = vld1q_f32(a + i), y = vld1q_f32(b + i);
        s0 = vfmaq_f64(s0, vcvt_f64_f32(vget_low_f32(x)), vcvt_f64_f32(vget_low_f32(y)));
        s1 = vfmaq_f64(s1, vcvt_high_f64_f32(x), vcvt_high_f64_f32(y));
    }
    double sum = vaddvq_f64(vaddq_f64(s0, s1));
    for (; i < n; i++) {
        sum += (double)a[i] * (double)b[i];
    }
    return sum;
}

static double l2sq_f32_neon(const float *a, const float *b, size_t n) {
    float64x2_t s0 = vdupq_n_f64(0), s1 = s0;
    size_t i = 0;
    for (; i + 4 <= n; i += 4) {
        float32x4_t x = vld1q_f32(a + i), y = vld1q_f32(b + i);
        float64x2_t d0 = vsubq_f64(vcvt_f64_f32(vget_low_f32(x)), vcvt_f64_f32(vget_low_f32(y)));
        float64x2_t d1 = vsubq_f64(vcvt_high_f64_f32(x), vcvt_high_f64_f32(y));
        s0 = vfmaq_f64(s0, d0, d0);
        s1 = vfmaq_f64(s1, d1, d1);
    }
    double sum = vaddvq_f64(vaddq_f64(s0, s1));
    for (; i < n; i++) {
        double difference = (double)a[i] - (double)b[i];
        sum += difference * difference;
    }
    return sum;
}

static int32_t dot_i8_neon(const int8_t *a, const int8_t *b, size_t n) {
    int32x4_t s0 = vdupq_n_s32(0), s1 = s0;
    size_t i = 0;
    for (; i + 16 <= n; i += 16) {
        int8x16_t x = vld1q_s8(a + i), y = vld1q_s8(b + i);
        s0 = vpadalq_s16(s0, vmull_s8(vget_low_s8(x), vget_low_s8(y)));
        s1 = vpadalq_s16(s1, vmull_high_s8(x, y));
    }
    int32_t sum = vaddvq_s32(vaddq_s32(s0, s1));
    for (; i < n; i++) {
        sum += (int32_t)a[i] * (int32_t)b[i];
    }
    return sum;
}

// Eight codes.
static inline int8x8_t codes_of(const float *p, float inverse) {
    int16x4_t parts[2];
    for (size_t part = 0; part < 2; part++) {
        float32x4_t scaled = vmulq_n_f32(vld1q_f32(p + 4 * part), inverse);
        uint32x4_t sign = vandq_u32(vreinterpretq_u32_f32(scaled), vdupq_n_u32(0x80000000));
        float32x4_t half =
            vreinterpretq_f32_u32(vorrq_u32(sign, vreinterpretq_u32_f32(vdupq_n_f32(0.5f))));
        float32x4_t rounded = vminq_f32(vaddq_f32(scaled, half), vdupq_n_f32(127.0f));
        rounded = vmaxq_f32(rounded, vdupq_n_f32(-127.0f));
        parts[part] = vmovn_s32(vcvtq_s32_f32(rounded));
    }
    return vmovn_s16(vcombine_s16(parts[0], parts[1]));
}

static float encode_i8_neon(const float *row, size_t n, int8_t *codes) {
    float32x4_t most = vdupq_n_f32(0), other = most;
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        most = vmaxq_f32(most, vabsq_f32(vld1q_f32(row + i)));
        other = vmaxq_f32(other, vabsq_f32(vld1q_f32(row + i + 4)));
    }
    float largest = encode_i8_largest(row + i, n - i);
    float lanes = vmaxvq_f32(vmaxq_f32(most, other));
    largest = lanes > largest ? lanes : largest;
    float inverse = encode_i8_inverse(largest);
    for (i = 0; i + 8 <= n; i += 8) {
        vst1_s8(codes + i, codes_of(row + i, inverse));
    }
    encode_i8_rest(row + i, n - i, inverse, codes + i);
    return encode_i8_scale(largest);
}

__attribute__((no_builtin("memcpy", "memmove"))) static void copy_row_neon(
    void *to, const void *from, size_t count) {
    uint8_t *target = to;
    const uint8_t *source = from;
    size_t i = 0;
    for (; i + 16 <= count; i += 16) {
        vst1q_u8(target + i, vld1q_u8(source + i));
    }
    for (; i < count; i++) {
        target[i] = source[i];
    }
}

// Four products of a nibble and a code are within 4 × 15 × 128, so that an int16 holds them.
static inline int16x8_t nibble_products(uint8x16_t codes, const int8_t *low, const int8_t *high) {
    int8x16_t first = vreinterpretq_s8_u8(vandq_u8(codes, vdupq_n_u8(15)));
    int8x16_t second = vreinterpretq_s8_u8(vshrq_n_u8(codes, 4));
    int8x16_t x = vld1q_s8(low), y = vld1q_s8(high);
    int16x8_t sums = vmull_s8(vget_low_s8(first), vget_low_s8(x));
    sums = vmlal_high_s8(sums, first, x);
    sums = vmlal_s8(sums, vget_low_s8(second), vget_low_s8(y));
    return vmlal_high_s8(sums, second, y);
}

static int32_t dot_u4_neon(const int8_t *query, const uint8_t *codes, size_t n) {
    int32x4_t s0 = vdupq_n_s32(0), s1 = s0;
    size_t i = 0;
    for (; i + block_dims <= n; i += block_dims) {
        for (size_t j = 0; j < block_bytes; j += 32) {
            const uint8_t *block = codes + i / 2 + j;
            const int8_t *q = query + i + j;
            s0 = vpadalq_s16(s0, nibble_products(vld1q_u8(block), q, q + 64));
            s1 = vpadalq_s16(s1, nibble_products(vld1q_u8(block + 16), q + 16, q + 80));
        }
    }
    return vaddvq_s32(vaddq_s32(s0, s1)) + u4_block(query + i, codes + i / 2, n - i);
}

KYRO_LIST_FORM(, neon)
KYRO_BATCH_FORMS(, neon)
KYRO_TILE_FORM(, neon, wide_tile_body)
KYRO_FLOAT_FORMS(, neon)
KYRO_CODE_LIST(, dot_u4, neon, int8_t, uint8_t, int32_t, (n + 1) / 2)
KYRO_CODE_FORMS(, neon)
KYRO_PLAIN_FORMS(, neon)
KYRO_HAMMING_FORMS(, neon)
KYRO_QUANTISER_FORMS(, neon)
KYRO_KERNEL_TABLE(neon, neon, neon);
#endif
