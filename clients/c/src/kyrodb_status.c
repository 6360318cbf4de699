/* The error side of gRPC: grpc-message is percent-encoded (gRPC over HTTP/2, "Responses"),
 * grpc-status-details-bin is base64 of google.rpc.Status, with or without padding. */
#include "kyrodb_status.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "google/rpc/error_details.pb-c.h"
#include "google/rpc/status.pb-c.h"

void kyrodb_status_set(kyrodb_status *status, int code, const char *format, ...) {
    memset(status, 0, sizeof *status);
    status->code = code;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(status->message, sizeof status->message, format, arguments);
    va_end(arguments);
}

static int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

void kyrodb_status_message(kyrodb_status *status, const char *encoded, size_t length) {
    size_t used = 0;
    for (size_t i = 0; i < length && used + 1 < sizeof status->message; i++) {
        char c = encoded[i];
        if (c == '%' && i + 2 < length) {
            int high = hex_digit(encoded[i + 1]), low = hex_digit(encoded[i + 2]);
            if (high >= 0 && low >= 0) {
                c = (char)(high * 16 + low);
                i += 2;
            }
        }
        status->message[used++] = c;
    }
    status->message[used] = 0;
}

static int base64_digit(char c) {
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    if (c == '+') return 62;
    if (c == '/') return 63;
    return -1;
}

/* Returns the number of bytes written to `out`, which has room for 3 of each 4 characters. */
static size_t base64_decode(const char *text, size_t length, uint8_t *out) {
    uint32_t bits = 0;
    int bit_count = 0;
    size_t used = 0;
    for (size_t i = 0; i < length; i++) {
        int digit = base64_digit(text[i]);
        if (digit < 0) continue;
        bits = bits << 6 | (uint32_t)digit;
        bit_count += 6;
        if (bit_count >= 8) {
            bit_count -= 8;
            out[used++] = (uint8_t)(bits >> bit_count);
        }
    }
    return used;
}

static int has_suffix(const char *text, const char *suffix) {
    size_t text_length = strlen(text), suffix_length = strlen(suffix);
    return text_length >= suffix_length
        && strcmp(text + text_length - suffix_length, suffix) == 0;
}

void kyrodb_status_details(kyrodb_status *status, const char *base64, size_t length) {
    uint8_t *bytes = malloc(length + 1);
    if (bytes == NULL) return;
    size_t count = base64_decode(base64, length, bytes);
    Google__Rpc__Status *decoded = google__rpc__status__unpack(NULL, count, bytes);
    free(bytes);
    if (decoded == NULL) return;
    for (size_t i = 0; i < decoded->n_details; i++) {
        const Google__Protobuf__Any *any = decoded->details[i];
        if (has_suffix(any->type_url, "/google.rpc.ErrorInfo")) {
            Google__Rpc__ErrorInfo *info =
                google__rpc__error_info__unpack(NULL, any->value.len, any->value.data);
            if (info == NULL) continue;
            snprintf(status->reason, sizeof status->reason, "%s", info->reason);
            google__rpc__error_info__free_unpacked(info, NULL);
        } else if (has_suffix(any->type_url, "/google.rpc.BadRequest")) {
            Google__Rpc__BadRequest *bad =
                google__rpc__bad_request__unpack(NULL, any->value.len, any->value.data);
            if (bad == NULL) continue;
            if (bad->n_field_violations > 0) {
                snprintf(status->field, sizeof status->field, "%s",
                         bad->field_violations[0]->field);
            }
            google__rpc__bad_request__free_unpacked(bad, NULL);
        }
    }
    google__rpc__status__free_unpacked(decoded, NULL);
}
