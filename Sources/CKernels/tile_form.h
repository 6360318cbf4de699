// All pairs of two lists of int8 rows, for variants without a form of their own: codes are widened
// once to int16, whose products in pairs every target adds up quickly.
#ifndef KYRO_TILE_FORM_H
#define KYRO_TILE_FORM_H

#include "variants.h"

// Widened columns of a block: 32 × 512 × 2 = 32 KB, what a first-level cache holds.
enum { wide_dims = 512, wide_columns = 32, wide_rows = 2, wide_step = 4 };

KYRO_INLINE void widen_rows(
    const int8_t *const *rows, size_t count, size_t room, size_t from, size_t dims,
    int16_t (*to)[wide_dims]) {
    size_t padded = (dims + 15) / 16 * 16;
    for (size_t row = 0; row < room; row++) {
        size_t used = row < count ? dims : 0;
        for (size_t i = 0; i < used; i++) {
            to[row][i] = rows[row][from + i];
        }
        for (size_t i = used; i < padded; i++) {
            to[row][i] = 0;
        }
    }
}

// The sums of two rows by four columns over `dims`, a multiple of 16, of widened codes.
typedef void wide_tile(
    int16_t (*rows)[wide_dims], int16_t (*columns)[wide_dims], size_t dims,
    int32_t (*sums)[wide_step]);

KYRO_INLINE void wide_tile_body(
    int16_t (*rows)[wide_dims], int16_t (*columns)[wide_dims], size_t dims,
    int32_t (*sums)[wide_step]) {
    int32_t s00 = 0, s01 = 0, s02 = 0, s03 = 0, s10 = 0, s11 = 0, s12 = 0, s13 = 0;
    for (size_t i = 0; i < dims; i++) {
        int32_t x = rows[0][i], y = rows[1][i];
        s00 += x * columns[0][i];
        s01 += x * columns[1][i];
        s02 += x * columns[2][i];
        s03 += x * columns[3][i];
        s10 += y * columns[0][i];
        s11 += y * columns[1][i];
        s12 += y * columns[2][i];
        s13 += y * columns[3][i];
    }
    sums[0][0] = s00, sums[0][1] = s01, sums[0][2] = s02, sums[0][3] = s03;
    sums[1][0] = s10, sums[1][1] = s11, sums[1][2] = s12, sums[1][3] = s13;
}

KYRO_INLINE void wide_panel(
    const int8_t *const *a, size_t a_count, int16_t (*columns)[wide_dims], size_t column_count,
    size_t from, size_t dims, int32_t *out, size_t out_stride, wide_tile *tile) {
    int16_t rows[wide_rows][wide_dims];
    int32_t sums[wide_rows][wide_step];
    size_t padded = (dims + 15) / 16 * 16;
    for (size_t row = 0; row < a_count; row += wide_rows) {
        size_t row_count = a_count - row < wide_rows ? a_count - row : wide_rows;
        widen_rows(a + row, row_count, wide_rows, from, dims, rows);
        for (size_t column = 0; column < column_count; column += wide_step) {
            tile(rows, columns + column, padded, sums);
            size_t rest = column_count - column;
            for (size_t i = 0; i < row_count; i++) {
                int32_t *to = out + (row + i) * out_stride + column;
                for (size_t j = 0; j < wide_step && j < rest; j++) {
                    to[j] = from == 0 ? sums[i][j] : to[j] + sums[i][j];
                }
            }
        }
    }
}

KYRO_INLINE void dot_i8_tile_body(
    const int8_t *const *a, size_t a_count, const int8_t *const *b, size_t b_count, size_t n,
    int32_t *out, size_t out_stride, wide_tile *tile) {
    int16_t columns[wide_columns][wide_dims];
    size_t from = 0;
    do {
        size_t dims = n - from < wide_dims ? n - from : wide_dims;
        for (size_t first = 0; first < b_count; first += wide_columns) {
            size_t count = b_count - first < wide_columns ? b_count - first : wide_columns;
            widen_rows(b + first, count, wide_columns, from, dims, columns);
            wide_panel(a, a_count, columns, count, from, dims, out + first, out_stride, tile);
        }
        from += dims;
    } while (from < n);
}

KYRO_INLINE void dot_i8_pairs_body(
    const int8_t *const *rows, size_t count, size_t n, int32_t *out, size_t out_stride,
    wide_tile *tile) {
    int16_t columns[wide_columns][wide_dims];
    size_t from = 0;
    do {
        size_t dims = n - from < wide_dims ? n - from : wide_dims;
        for (size_t first = 0; first < count; first += wide_columns) {
            size_t width = count - first < wide_columns ? count - first : wide_columns;
            widen_rows(rows + first, width, wide_columns, from, dims, columns);
            wide_panel(
                rows, first + width, columns, width, from, dims, out + first, out_stride, tile);
        }
        from += dims;
    } while (from < n);
    for (size_t row = 0; row < count; row++) {
        for (size_t column = 0; column < row; column++) {
            out[row * out_stride + column] = out[column * out_stride + row];
        }
    }
}

// TILE is a wide_tile.
#define KYRO_TILE_FORM(TARGET, SUFFIX, TILE)                                                      \
    TARGET static void dot_i8_tile_##SUFFIX(                                                      \
        const int8_t *const *a, size_t a_count, const int8_t *const *b, size_t b_count, size_t n, \
        int32_t *out, size_t out_stride) {                                                        \
        dot_i8_tile_body(a, a_count, b, b_count, n, out, out_stride, TILE);                       \
    }                                                                                             \
    TARGET static void dot_i8_pairs_##SUFFIX(                                                     \
        const int8_t *const *rows, size_t count, size_t n, int32_t *out, size_t out_stride) {     \
        dot_i8_pairs_body(rows, count, n, out, out_stride, TILE);                                 \
    }

#endif
