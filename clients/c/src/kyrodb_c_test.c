/* kyrodb-c-test HOST PORT: writes, looks up and searches through the C client, and checks every
 * answer against what it wrote. Prints `N passed, N failed`. */
#include <inttypes.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kyrodb_client.h"

enum { COUNT = 200, DIMENSION = 24 };

static int passed, failed;

#define CHECK(HOLDS, ...)                \
    do {                                 \
        if (HOLDS) {                     \
            passed++;                    \
        } else {                         \
            failed++;                    \
            printf("FAILED  %s: ", #HOLDS); \
            printf(__VA_ARGS__);         \
            printf("\n");                \
        }                                \
    } while (0)

/* Document n's vector: reproducible, no two alike. */
static void fill_vector(uint32_t n, float *out) {
    uint32_t state = n * 2654435761u + 12345u;
    for (int i = 0; i < DIMENSION; i++) {
        state = state * 1664525u + 1013904223u;
        out[i] = (float)(int32_t)state / 2147483648.0f;
    }
}

static double cosine(const float *a, const float *b) {
    double dot = 0, aa = 0, bb = 0;
    for (int i = 0; i < DIMENSION; i++) {
        dot += (double)a[i] * b[i];
        aa += (double)a[i] * a[i];
        bb += (double)b[i] * b[i];
    }
    return dot / sqrt(aa * bb);
}

/* One document and every part it points to. */
struct document {
    float components[DIMENSION];
    char words[64];
    Kyrodb__V2__DocumentId id;
    Kyrodb__V2__DenseVector vector;
    Kyrodb__V2__Document__VectorsEntry vector_entry, *vectors[1];
    Kyrodb__V2__Document__TextsEntry text_entry, *texts[1];
    Kyrodb__V2__Value number;
    Kyrodb__V2__Document__MetadataEntry number_entry, *metadata[1];
    Kyrodb__V2__Document message;
    Kyrodb__V2__Mutation mutation;
};

static void make_document(struct document *d, uint32_t n) {
    fill_vector(n, d->components);
    snprintf(d->words, sizeof d->words, "common cword%" PRIu32 "q", n);
    kyrodb__v2__document_id__init(&d->id);
    d->id.kind_case = KYRODB__V2__DOCUMENT_ID__KIND_NUMBER;
    d->id.number = n;
    kyrodb__v2__dense_vector__init(&d->vector);
    d->vector.packed.len = sizeof d->components;
    d->vector.packed.data = (uint8_t *)d->components;
    kyrodb__v2__document__vectors_entry__init(&d->vector_entry);
    d->vector_entry.key = "v";
    d->vector_entry.value = &d->vector;
    d->vectors[0] = &d->vector_entry;
    kyrodb__v2__document__texts_entry__init(&d->text_entry);
    d->text_entry.key = "body";
    d->text_entry.value = d->words;
    d->texts[0] = &d->text_entry;
    kyrodb__v2__value__init(&d->number);
    d->number.kind_case = KYRODB__V2__VALUE__KIND_INT_VALUE;
    d->number.int_value = n;
    kyrodb__v2__document__metadata_entry__init(&d->number_entry);
    d->number_entry.key = "n";
    d->number_entry.value = &d->number;
    d->metadata[0] = &d->number_entry;
    kyrodb__v2__document__init(&d->message);
    d->message.id = &d->id;
    d->message.n_vectors = d->message.n_texts = d->message.n_metadata = 1;
    d->message.vectors = d->vectors;
    d->message.texts = d->texts;
    d->message.metadata = d->metadata;
    kyrodb__v2__mutation__init(&d->mutation);
    d->mutation.operation_case = KYRODB__V2__MUTATION__OPERATION_UPSERT;
    d->mutation.upsert = &d->message;
}

static void check_write(
    kyrodb_client *client, Kyrodb__V2__Scope *scope, struct document *documents) {
    static Kyrodb__V2__Mutation *mutations[COUNT];
    kyrodb_status status;
    for (uint32_t n = 0; n < COUNT; n++) {
        make_document(&documents[n], n);
        mutations[n] = &documents[n].mutation;
    }
    Kyrodb__V2__CreateIfMissing create = KYRODB__V2__CREATE_IF_MISSING__INIT;
    Kyrodb__V2__WriteRequest request = KYRODB__V2__WRITE_REQUEST__INIT;
    request.scope = scope;
    request.mutations = mutations;
    request.n_mutations = COUNT;

    Kyrodb__V2__WriteResponse *refused = kyrodb_client_write(client, &request, &status);
    CHECK(refused == NULL && status.code == 5, "code %d", status.code);
    CHECK(strcmp(status.reason, "COLLECTION_NOT_FOUND") == 0, "reason %s", status.reason);

    request.create_if_missing = &create;
    Kyrodb__V2__WriteResponse *answer = kyrodb_client_write(client, &request, &status);
    CHECK(answer != NULL, "%d %s %s", status.code, status.reason, status.message);
    if (answer == NULL) return;
    CHECK(answer->n_outcomes == COUNT, "%zu outcomes", answer->n_outcomes);
    for (size_t n = 0; n < answer->n_outcomes; n++) {
        CHECK(answer->outcomes[n]->result == KYRODB__V2__WRITE_RESULT__WRITE_RESULT_APPLIED,
              "outcome %zu is %d", n, (int)answer->outcomes[n]->result);
    }
    kyrodb__v2__write_response__free_unpacked(answer, NULL);

    /* One document of a wrong dimension is refused, alone. */
    struct document wrong;
    make_document(&wrong, COUNT);
    wrong.vector.packed.len = 8;
    Kyrodb__V2__Mutation *two[] = {&wrong.mutation, &documents[0].mutation};
    request.mutations = two;
    request.n_mutations = 2;
    answer = kyrodb_client_write(client, &request, &status);
    CHECK(answer != NULL && answer->n_outcomes == 2, "%s", status.message);
    if (answer == NULL) return;
    CHECK(answer->outcomes[0]->error != NULL
              && strcmp(answer->outcomes[0]->error->reason, "DIMENSION_MISMATCH") == 0,
          "outcome %d", (int)answer->outcomes[0]->result);
    CHECK(answer->outcomes[1]->result == KYRODB__V2__WRITE_RESULT__WRITE_RESULT_APPLIED,
          "outcome %d", (int)answer->outcomes[1]->result);
    kyrodb__v2__write_response__free_unpacked(answer, NULL);
}

static void check_lookup(
    kyrodb_client *client, Kyrodb__V2__Scope *scope, struct document *documents) {
    Kyrodb__V2__DocumentId miss = KYRODB__V2__DOCUMENT_ID__INIT;
    miss.kind_case = KYRODB__V2__DOCUMENT_ID__KIND_TEXT;
    miss.text = "7";
    Kyrodb__V2__DocumentId *ids[] = {&documents[7].id, &miss, &documents[3].id};
    Kyrodb__V2__LookupRequest request = KYRODB__V2__LOOKUP_REQUEST__INIT;
    request.scope = scope;
    request.ids = ids;
    request.n_ids = 3;
    Kyrodb__V2__Projection projection = KYRODB__V2__PROJECTION__INIT;
    Kyrodb__V2__Selection all = KYRODB__V2__SELECTION__INIT;
    all.all = 1;
    projection.metadata = projection.texts = projection.vectors = &all;
    projection.vector_encoding = KYRODB__V2__VECTOR_ENCODING__VECTOR_ENCODING_PACKED_F32;
    request.projection = &projection;

    kyrodb_status status;
    Kyrodb__V2__LookupResponse *answer = kyrodb_client_lookup(client, &request, &status);
    CHECK(answer != NULL && answer->n_results == 3, "%d %s", status.code, status.message);
    if (answer == NULL || answer->n_results != 3) return;
    CHECK(answer->results[1]->document == NULL, "\"7\" is not 7");
    const uint32_t wanted[] = {7, 0, 3};
    for (int i = 0; i < 3; i += 2) {
        const Kyrodb__V2__Document *got = answer->results[i]->document;
        const struct document *ours = &documents[wanted[i]];
        CHECK(got != NULL && got->n_vectors == 1 && got->n_texts == 1 && got->n_metadata == 1,
              "document %" PRIu32, wanted[i]);
        if (got == NULL || got->n_vectors != 1 || got->n_texts != 1 || got->n_metadata != 1) {
            continue;
        }
        const ProtobufCBinaryData *packed = &got->vectors[0]->value->packed;
        CHECK(packed->len == sizeof ours->components
                  && memcmp(packed->data, ours->components, packed->len) == 0,
              "vector of %zu bytes", packed->len);
        CHECK(strcmp(got->texts[0]->value, ours->words) == 0, "text %s", got->texts[0]->value);
        CHECK(got->metadata[0]->value->int_value == wanted[i], "metadata");
    }
    kyrodb__v2__lookup_response__free_unpacked(answer, NULL);
}

static void check_search(
    kyrodb_client *client, Kyrodb__V2__Scope *scope, struct document *documents) {
    struct document query;
    make_document(&query, 123456);
    Kyrodb__V2__VectorQuery vector = KYRODB__V2__VECTOR_QUERY__INIT;
    vector.field = "v";
    vector.vector = &query.vector;
    Kyrodb__V2__SearchRequest request = KYRODB__V2__SEARCH_REQUEST__INIT;
    request.scope = scope;
    request.vector = &vector;
    request.limit = 10;
    request.exact = 1;

    uint32_t best = 0;
    for (uint32_t n = 1; n < COUNT; n++) {
        if (cosine(query.components, documents[n].components)
            > cosine(query.components, documents[best].components)) {
            best = n;
        }
    }
    kyrodb_status status;
    Kyrodb__V2__SearchResponse *answer = kyrodb_client_search(client, &request, &status);
    CHECK(answer != NULL && answer->n_hits == 10, "%d %s", status.code, status.message);
    if (answer != NULL && answer->n_hits == 10) {
        double wanted = cosine(query.components, documents[best].components);
        CHECK(answer->hits[0]->id->number == best, "hit %" PRIu64, answer->hits[0]->id->number);
        CHECK(fabs(answer->hits[0]->score - wanted) < 1e-5, "score %f, wanted %f",
              answer->hits[0]->score, wanted);
        for (size_t i = 1; i < answer->n_hits; i++) {
            CHECK(answer->hits[i - 1]->score >= answer->hits[i]->score, "hit %zu", i);
        }
    }
    if (answer != NULL) kyrodb__v2__search_response__free_unpacked(answer, NULL);

    Kyrodb__V2__TextQuery text = KYRODB__V2__TEXT_QUERY__INIT;
    text.query = "cword42q";
    request.vector = NULL;
    request.text = &text;
    answer = kyrodb_client_search(client, &request, &status);
    CHECK(answer != NULL && answer->n_hits == 1 && answer->hits[0]->id->number == 42, "%d %s",
          status.code, status.message);
    if (answer != NULL) kyrodb__v2__search_response__free_unpacked(answer, NULL);

    /* A refused call names its field, and the connection stays good. */
    request.limit = 0;
    answer = kyrodb_client_search(client, &request, &status);
    CHECK(answer == NULL && status.code == 3, "code %d", status.code);
    CHECK(strstr(status.field, "limit") != NULL, "field %s", status.field);
    CHECK(strstr(status.message, "limit") != NULL, "message %s", status.message);
}

int main(int count, char **arguments) {
    if (count != 3) {
        fprintf(stderr, "usage: kyrodb-c-test HOST PORT\n");
        return 2;
    }
    kyrodb_status status;
    kyrodb_client *nobody = kyrodb_client_connect("127.0.0.1", "1", &status);
    CHECK(nobody == NULL && status.code == 14, "code %d", status.code);
    kyrodb_client_close(nobody);

    kyrodb_client *client = kyrodb_client_connect(arguments[1], arguments[2], &status);
    CHECK(client != NULL, "%s", status.message);
    struct document *documents = calloc(COUNT, sizeof *documents);
    if (client != NULL && documents != NULL) {
        kyrodb_client_set_timeout(client, 20000);
        Kyrodb__V2__Scope scope = KYRODB__V2__SCOPE__INIT;
        scope.namespace_ = "c-client";
        check_write(client, &scope, documents);
        check_lookup(client, &scope, documents);
        check_search(client, &scope, documents);
    }
    free(documents);
    kyrodb_client_close(client);
    printf("%d passed, %d failed\n", passed, failed);
    return failed != 0;
}
