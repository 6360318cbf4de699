// All pairs of int8 rows, of two lists or of one, for x86-64 with AVX-512 and VNNI.
//
// The columns' codes are shifted into unsigned and laid out so that one vector holds four
// dimensions of sixteen columns: then four codes of a row, broadcast, meet sixteen columns at once,
// each lane is one pair, and nothing has to be summed across lanes:
//
//     panel: dimensions / 4 × vectors of 16 columns × 16 columns × 4 dimensions, one byte each
//
// Laying out costs about 20 ns a column of 768 codes and is shared by 256 rows.
#include "avx512.h"

#if defined(__x86_64__)

// 8 × 3 sums, 3 vectors of columns and a broadcast fill 28 of 32 registers; a step of four
// dimensions has 11 loads for 24 multiplications. A panel is at most 48 × 1,024 = 48 KB, a block of
// 256 rows as long is 256 KB: the first two cache levels hold them.
enum { tile_rows = 8, tile_vectors = 3, panel_dims = 1024, block_rows = 256 };

// Turns sixteen rows of sixteen 4-byte groups into sixteen groups of sixteen rows.
TARGET KYRO_INLINE void transpose(const __m512i *r, __m512i *out) {
    __m512i a[16], b[16];
    for (size_t i = 0; i < 16; i += 2) {
        a[i] = _mm512_unpacklo_epi32(r[i], r[i + 1]);
        a[i + 1] = _mm512_unpackhi_epi32(r[i], r[i + 1]);
    }
    for (size_t i = 0; i < 16; i += 4) {
        b[i] = _mm512_unpacklo_epi64(a[i], a[i + 2]);
        b[i + 1] = _mm512_unpackhi_epi64(a[i], a[i + 2]);
        b[i + 2] = _mm512_unpacklo_epi64(a[i + 1], a[i + 3]);
        b[i + 3] = _mm512_unpackhi_epi64(a[i + 1], a[i + 3]);
    }
    for (size_t i = 0; i < 4; i++) {
        __m512i even0 = _mm512_shuffle_i32x4(b[i], b[4 + i], 0x88);
        __m512i odd0 = _mm512_shuffle_i32x4(b[i], b[4 + i], 0xDD);
        __m512i even1 = _mm512_shuffle_i32x4(b[8 + i], b[12 + i], 0x88);
        __m512i odd1 = _mm512_shuffle_i32x4(b[8 + i], b[12 + i], 0xDD);
        out[i] = _mm512_shuffle_i32x4(even0, even1, 0x88);
        out[4 + i] = _mm512_shuffle_i32x4(odd0, odd1, 0x88);
        out[8 + i] = _mm512_shuffle_i32x4(even0, even1, 0xDD);
        out[12 + i] = _mm512_shuffle_i32x4(odd0, odd1, 0xDD);
    }
}

// Lays out `count` ≤ 16 × vectors columns' codes in [from, from + dims).
TARGET static void pack(
    const int8_t *const *columns, size_t count, size_t vectors, size_t from, size_t dims,
    uint8_t *panel) {
    const __m512i offset = _mm512_set1_epi8((char)0x80);
    for (size_t vector = 0; vector < vectors; vector++) {
        for (size_t i = 0; i < dims; i += 64) {
            __m512i rows[16], groups[16];
            for (size_t lane = 0; lane < 16; lane++) {
                size_t column = 16 * vector + lane;
                const int8_t *row = columns[column < count ? column : 0] + from + i;
                __mmask64 mask = column < count ? low_bits(dims - i) : 0;
                rows[lane] = _mm512_xor_si512(_mm512_maskz_loadu_epi8(mask, row), offset);
            }
            transpose(rows, groups);
            size_t used = dims - i < 64 ? (dims - i + 3) / 4 : 16;
            for (size_t group = 0; group < used; group++) {
                uint8_t *to = panel + ((i / 4 + group) * vectors + vector) * 64;
                _mm512_store_si512(to, groups[group]);
            }
        }
    }
}

// The first `count` ≤ 4 codes of a row, and zeros.
KYRO_INLINE int32_t group_of(const int8_t *codes, size_t count) {
    int32_t group = 0;
    __builtin_memcpy(&group, codes, count);
    return group;
}

// ROWS rows against the panel: starts from −excess, or where it goes on from what `out` holds.
TARGET KYRO_INLINE void tile(
    const size_t ROWS, const size_t VECTORS, const int8_t *const *a, size_t from, size_t dims,
    const uint8_t *panel, const int32_t *excess, int32_t *out, size_t out_stride, __mmask16 last) {
    const int8_t *row[tile_rows];
    __m512i s[tile_rows][tile_vectors];
    for (size_t r = 0; r < ROWS; r++) {
        row[r] = a[r] + from;
        for (size_t v = 0; v < VECTORS; v++) {
            __m512i before = _mm512_set1_epi32(0);
            if (from > 0) {
                __mmask16 mask = v + 1 == VECTORS ? last : 0xFFFF;
                before = _mm512_maskz_loadu_epi32(mask, out + r * out_stride + 16 * v);
            }
            s[r][v] = _mm512_sub_epi32(before, _mm512_set1_epi32(excess[r]));
        }
    }
    size_t i = 0;
    for (; i + 4 <= dims; i += 4) {
        __m512i column[tile_vectors];
        for (size_t v = 0; v < VECTORS; v++) {
            column[v] = _mm512_load_si512(panel + (i / 4 * VECTORS + v) * 64);
        }
        for (size_t r = 0; r < ROWS; r++) {
            __m512i codes = _mm512_set1_epi32(group_of(row[r] + i, 4));
            for (size_t v = 0; v < VECTORS; v++) {
                s[r][v] = _mm512_dpbusd_epi32(s[r][v], column[v], codes);
            }
        }
    }
    for (size_t r = 0; r < ROWS; r++) {
        for (size_t v = 0; v < VECTORS; v++) {
            if (i < dims) {
                __m512i codes = _mm512_set1_epi32(group_of(row[r] + i, dims - i));
                __m512i column = _mm512_load_si512(panel + (i / 4 * VECTORS + v) * 64);
                s[r][v] = _mm512_dpbusd_epi32(s[r][v], column, codes);
            }
            __mmask16 mask = v + 1 == VECTORS ? last : 0xFFFF;
            _mm512_mask_storeu_epi32(out + r * out_stride + 16 * v, mask, s[r][v]);
        }
    }
}

#define TILES(ROWS)                                                                               \
    for (; row + ROWS <= count; row += ROWS) {                                                    \
        tile(                                                                                     \
            ROWS, VECTORS, a + row, from, dims, panel, excess + row, out + row * out_stride,      \
            out_stride, last);                                                                    \
    }

TARGET KYRO_INLINE void tiles(
    const size_t VECTORS, const int8_t *const *a, size_t count, size_t from, size_t dims,
    const uint8_t *panel, const int32_t *excess, int32_t *out, size_t out_stride, __mmask16 last) {
    size_t row = 0;
    TILES(8)
    TILES(4)
    TILES(1)
}

// 128 × Σ of each row's codes: what the shift of the columns adds to its dots.
TARGET static void excess_of(
    const int8_t *const *a, size_t count, size_t from, size_t dims, int32_t *excess) {
    const __m512i offset = _mm512_set1_epi8((char)0x80);
    for (size_t row = 0; row < count; row++) {
        __m512i sum = _mm512_setzero_si512();
        for (size_t i = 0; i < dims; i += 64) {
            const int8_t *codes = a[row] + from + i;
            sum = _mm512_dpbusd_epi32(
                sum, offset, _mm512_maskz_loadu_epi8(low_bits(dims - i), codes));
        }
        excess[row] = _mm512_reduce_add_epi32(sum);
    }
}

// Copies what lies above the diagonal of a panel's `column_count` columns, which begin at `to`, in
// the first `row_count` rows to the other side, while it is at hand. Both begin at multiples of 16.
TARGET static void mirror(
    int32_t *out, size_t out_stride, size_t row_count, size_t to, size_t column_count) {
    for (size_t row = 0; row < row_count; row += 16) {
        size_t column = to > row + 16 ? to : row + 16;
        for (; column < to + column_count; column += 16) {
            size_t width = to + column_count - column < 16 ? to + column_count - column : 16;
            __m512i rows[16], columns[16];
            for (size_t i = 0; i < 16; i++) {
                const int32_t *source = out + (row + i) * out_stride + column;
                rows[i] = _mm512_maskz_loadu_epi32((__mmask16)low_bits(width), source);
            }
            transpose(rows, columns);
            for (size_t i = 0; i < width; i++) {
                _mm512_storeu_si512(out + (column + i) * out_stride + row, columns[i]);
            }
        }
    }
}

// What a block of pairs is for: all of them; where both lists are one, only those above the diagonal
// (a panel then meets the rows up to its own last column); or these, and then copied below it.
enum pairs { all_pairs, upper_pairs, mirrored_pairs };

// At most block_rows rows against all columns, in [from, from + dims).
TARGET static void block(
    const int8_t *const *a, size_t a_count, const int8_t *const *b, size_t b_count, size_t from,
    size_t dims, int32_t *out, size_t out_stride, enum pairs pairs) {
    _Alignas(64) uint8_t panel[tile_vectors * 16 * panel_dims];
    int32_t excess[block_rows];
    excess_of(a, a_count, from, dims, excess);
    for (size_t first = 0, count; first < b_count; first += count) {
        size_t rest = b_count - first;
        size_t vectors = (rest + 15) / 16;
        // Two and two are quicker than three and one.
        vectors = vectors == 4 ? 2 : vectors < tile_vectors ? vectors : tile_vectors;
        count = rest < 16 * vectors ? rest : 16 * vectors;
        __mmask16 last = (__mmask16)low_bits(count - 16 * (vectors - 1));
        int32_t *to = out + first;
        size_t rows = pairs != all_pairs && first + count < a_count ? first + count : a_count;
        pack(b + first, count, vectors, from, dims, panel);
        if (vectors == 3) {
            tiles(3, a, rows, from, dims, panel, excess, to, out_stride, last);
        } else if (vectors == 2) {
            tiles(2, a, rows, from, dims, panel, excess, to, out_stride, last);
        } else {
            tiles(1, a, rows, from, dims, panel, excess, to, out_stride, last);
        }
        if (pairs == mirrored_pairs) {
            mirror(out, out_stride, rows, first, count);
        }
    }
}

TARGET void dot_i8_tile_avx512(
    const int8_t *const *a, size_t a_count, const int8_t *const *b, size_t b_count, size_t n,
    int32_t *out, size_t out_stride) {
    size_t from = 0;
    do {
        size_t dims = n - from < panel_dims ? n - from : panel_dims;
        for (size_t first = 0; first < a_count; first += block_rows) {
            size_t count = a_count - first < block_rows ? a_count - first : block_rows;
            block(
                a + first, count, b, b_count, from, dims, out + first * out_stride, out_stride,
                all_pairs);
        }
        from += dims;
    } while (from < n);
}

TARGET void dot_i8_pairs_avx512(
    const int8_t *const *rows, size_t count, size_t n, int32_t *out, size_t out_stride) {
    size_t from = 0;
    do {
        size_t dims = n - from < panel_dims ? n - from : panel_dims;
        for (size_t first = 0; first < count; first += block_rows) {
            size_t rest = count - first;
            block(
                rows + first, rest < block_rows ? rest : block_rows, rows + first, rest, from, dims,
                out + first * out_stride + first, out_stride,
                from + dims == n ? mirrored_pairs : upper_pairs);
        }
        from += dims;
    } while (from < n);
}
#endif
