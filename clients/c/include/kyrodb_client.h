/* A small blocking client of KyroDB: messages by libprotobuf-c, transport by nghttp2 over one
 * plaintext connection. One call at a time; a client belongs to one thread. */
#ifndef KYRODB_CLIENT_H
#define KYRODB_CLIENT_H

#include "kyrodb/v2/ingest.pb-c.h"
#include "kyrodb/v2/search.pb-c.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct kyrodb_client kyrodb_client;

/* What became of a call. `code` is a google.rpc.Code: 0 is success, 14 (UNAVAILABLE) also says that
 * the connection failed, after which every further call fails and the client is to be closed.
 * `reason` is the server's stable name of the error, such as "DIMENSION_MISMATCH"; `field` the path
 * of the field to blame, if any. Texts that are too long are cut. */
typedef struct {
    int code;
    char reason[64];
    char field[256];
    char message[1024];
} kyrodb_status;

/* Connects to a server, such as "127.0.0.1" and "50051". Returns NULL on failure, told in status. */
kyrodb_client *kyrodb_client_connect(const char *host, const char *port, kyrodb_status *status);

/* Bounds each further call, on the server (grpc-timeout) and while waiting for it. Default 60 s. */
void kyrodb_client_set_timeout(kyrodb_client *client, unsigned timeout_millis);

/* Sends an API key with each further call; NULL for none. Connections are plaintext: keys are refused,
 * with -1 and nothing set, for hosts beyond this machine unless `plaintext_allowed`. */
int kyrodb_client_set_api_key(kyrodb_client *client, const char *key, int plaintext_allowed);

/* Each call returns the answer, or NULL with the status filled in. Free an answer with
 * kyrodb__v2__write_response__free_unpacked(answer, NULL) and its like. */
Kyrodb__V2__WriteResponse *kyrodb_client_write(
    kyrodb_client *client, const Kyrodb__V2__WriteRequest *request, kyrodb_status *status);
Kyrodb__V2__LookupResponse *kyrodb_client_lookup(
    kyrodb_client *client, const Kyrodb__V2__LookupRequest *request, kyrodb_status *status);
Kyrodb__V2__SearchResponse *kyrodb_client_search(
    kyrodb_client *client, const Kyrodb__V2__SearchRequest *request, kyrodb_status *status);

/* Says goodbye and frees everything. NULL is allowed. */
void kyrodb_client_close(kyrodb_client *client);

#ifdef __cplusplus
}
#endif
#endif
