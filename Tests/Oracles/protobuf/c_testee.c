// Unpacks messages with libprotobuf-c and packs them again. Framing and arguments are those of
// Tests/WireTestee/main.swift; kind 0: first = the packed bytes, kind 1: not unpacked.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "google/rpc/status.pb-c.h"
#include "grpc/health/v1/health.pb-c.h"
#include "kyrodb/v2/collections.pb-c.h"
#include "kyrodb/v2/ingest.pb-c.h"
#include "kyrodb/v2/operations.pb-c.h"
#include "kyrodb/v2/search.pb-c.h"
#include "kyrodb/v2/tuning.pb-c.h"
#include "kyrodb/v2/types.pb-c.h"

static const ProtobufCMessageDescriptor *const descriptors[] = {
    &kyrodb__v2__document__descriptor,
    &kyrodb__v2__filter__descriptor,
    &kyrodb__v2__value__descriptor,
    &kyrodb__v2__projection__descriptor,
    &kyrodb__v2__create_collection_request__descriptor,
    &kyrodb__v2__create_collection_response__descriptor,
    &kyrodb__v2__describe_collection_request__descriptor,
    &kyrodb__v2__describe_collection_response__descriptor,
    &kyrodb__v2__list_collections_request__descriptor,
    &kyrodb__v2__list_collections_response__descriptor,
    &kyrodb__v2__drop_collection_request__descriptor,
    &kyrodb__v2__drop_collection_response__descriptor,
    &kyrodb__v2__rebuild_request__descriptor,
    &kyrodb__v2__rebuild_response__descriptor,
    &kyrodb__v2__set_retention_request__descriptor,
    &kyrodb__v2__set_retention_response__descriptor,
    &kyrodb__v2__tune_request__descriptor,
    &kyrodb__v2__tune_response__descriptor,
    &kyrodb__v2__roll_back_tuning_request__descriptor,
    &kyrodb__v2__roll_back_tuning_response__descriptor,
    &kyrodb__v2__write_request__descriptor,
    &kyrodb__v2__stream_request__descriptor,
    &kyrodb__v2__write_response__descriptor,
    &kyrodb__v2__stream_response__descriptor,
    &kyrodb__v2__search_request__descriptor,
    &kyrodb__v2__search_response__descriptor,
    &kyrodb__v2__search_many_request__descriptor,
    &kyrodb__v2__search_many_response__descriptor,
    &kyrodb__v2__lookup_request__descriptor,
    &kyrodb__v2__lookup_response__descriptor,
    &kyrodb__v2__scan_request__descriptor,
    &kyrodb__v2__scan_response__descriptor,
    &kyrodb__v2__status_response__descriptor,
    &kyrodb__v2__snapshot_response__descriptor,
    &kyrodb__v2__flush_response__descriptor,
    &kyrodb__v2__status_request__descriptor,
    &kyrodb__v2__snapshot_request__descriptor,
    &kyrodb__v2__flush_request__descriptor,
    &kyrodb__v2__create_backup_request__descriptor,
    &kyrodb__v2__create_backup_response__descriptor,
    &grpc__health__v1__health_check_request__descriptor,
    &grpc__health__v1__health_check_response__descriptor,
    &google__rpc__status__descriptor,
};

static const ProtobufCMessageDescriptor *find(const char *name) {
    for (size_t i = 0; i < sizeof descriptors / sizeof descriptors[0]; i++) {
        if (strcmp(descriptors[i]->short_name, name) == 0) return descriptors[i];
    }
    fprintf(stderr, "no message is called %s\n", name);
    exit(2);
}

// A buffer that grows.
static uint8_t *answer;
static size_t answer_count, answer_capacity;

static uint8_t *extend(size_t count) {
    if (answer_count + count > answer_capacity) {
        answer_capacity = 2 * (answer_count + count);
        answer = realloc(answer, answer_capacity);
        if (answer == NULL) exit(3);
    }
    answer_count += count;
    return answer + answer_count - count;
}

static void store(uint8_t *at, size_t value) {
    for (int i = 0; i < 4; i++) at[i] = (uint8_t)(value >> (8 * i));
}

static size_t load(const uint8_t *at) {
    return at[0] | (size_t)at[1] << 8 | (size_t)at[2] << 16 | (size_t)at[3] << 24;
}

static void judge(const ProtobufCMessageDescriptor *type, const uint8_t *data, size_t count) {
    ProtobufCMessage *message = protobuf_c_message_unpack(type, NULL, count, data);
    size_t packed = message ? protobuf_c_message_get_packed_size(message) : 0;
    uint8_t *head = extend(5);
    head[0] = message ? 0 : 1;
    store(head + 1, packed);
    if (message) {
        protobuf_c_message_pack(message, extend(packed));
        protobuf_c_message_free_unpacked(message, NULL);
    }
    store(extend(4), 0);
}

int main(int count, char **names) {
    const ProtobufCMessageDescriptor *types[256];
    for (int i = 1; i < count && i <= 256; i++) types[i - 1] = find(names[i]);
    uint8_t header[4];
    while (fread(header, 1, 4, stdin) == 4) {
        size_t size = load(header);
        uint8_t *batch = malloc(size ? size : 1);
        if (batch == NULL || fread(batch, 1, size, stdin) != size) return 1;
        answer_count = 0;
        extend(4);
        for (size_t at = 0; at < size;) {
            size_t length = load(batch + at + 1);
            judge(types[batch[at]], batch + at + 5, length);
            at += 5 + length;
        }
        store(answer, answer_count - 4);
        if (fwrite(answer, 1, answer_count, stdout) != answer_count) return 1;
        fflush(stdout);
        free(batch);
    }
    return 0;
}
