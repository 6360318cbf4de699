/* One connection, one call at a time: pack the request behind gRPC's five-byte prefix, let nghttp2
 * carry it, collect the answer until the stream closes, look at the trailers, unpack. */
#include "kyrodb_client.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <nghttp2/nghttp2.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "kyrodb_status.h"

enum {
    PREFIX_BYTES = 5,                /* compressed flag, message length big-endian */
    ANSWER_BYTES_MAX = 64 << 20,     /* the server's limit for one message, twice */
    WINDOW_BYTES = 16 << 20,         /* so that an answer never waits for window updates */
    TIMEOUT_MILLIS = 60000,
};

struct kyrodb_client {
    int socket;
    nghttp2_session *session;
    unsigned timeout_millis;
    char authority[300];
    char authorization[256]; /* empty for none */
    int broken, is_local;
};

/* The call under way; nghttp2's callbacks fill it in. */
struct call {
    uint8_t *request;
    size_t request_size, request_sent;
    uint8_t *answer;
    size_t answer_size, answer_room;
    int http_status, closed;
    uint32_t reset_code;
    int out_of_memory, answer_too_large;
    int grpc_status; /* -1 until it came */
    char *details;
    size_t details_size;
    kyrodb_status status;
};

static ssize_t read_request(
    nghttp2_session *session, int32_t stream, uint8_t *buffer, size_t room, uint32_t *flags,
    nghttp2_data_source *source, void *context) {
    (void)session, (void)stream, (void)context;
    struct call *call = source->ptr;
    size_t left = call->request_size - call->request_sent;
    size_t count = left < room ? left : room;
    memcpy(buffer, call->request + call->request_sent, count);
    call->request_sent += count;
    if (count == left) *flags |= NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t)count;
}

static int is_named(const uint8_t *name, size_t length, const char *wanted) {
    return length == strlen(wanted) && memcmp(name, wanted, length) == 0;
}

static int on_header(
    nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name, size_t name_length,
    const uint8_t *value, size_t value_length, uint8_t flags, void *context) {
    (void)flags, (void)context;
    struct call *call = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
    if (call == NULL) return 0;
    /* nghttp2 ends every value with a zero byte, so atoi stays inside. */
    const char *text = (const char *)value;
    if (is_named(name, name_length, ":status")) {
        call->http_status = atoi(text);
    } else if (is_named(name, name_length, "grpc-status")) {
        call->grpc_status = atoi(text);
    } else if (is_named(name, name_length, "grpc-message")) {
        kyrodb_status_message(&call->status, text, value_length);
    } else if (is_named(name, name_length, "grpc-status-details-bin") && call->details == NULL) {
        call->details = malloc(value_length + 1);
        if (call->details == NULL) return 0;
        memcpy(call->details, text, value_length);
        call->details_size = value_length;
    }
    return 0;
}

static int on_data(
    nghttp2_session *session, uint8_t flags, int32_t stream, const uint8_t *data, size_t length,
    void *context) {
    (void)flags, (void)context;
    struct call *call = nghttp2_session_get_stream_user_data(session, stream);
    if (call == NULL || call->out_of_memory || call->answer_too_large) return 0;
    if (length > (size_t)ANSWER_BYTES_MAX - call->answer_size) {
        call->answer_too_large = 1;
        nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, stream, NGHTTP2_CANCEL);
        return 0;
    }
    if (length > call->answer_room - call->answer_size) {
        size_t room = call->answer_room ? call->answer_room * 2 : 16384;
        while (room - call->answer_size < length) room *= 2;
        uint8_t *grown = realloc(call->answer, room);
        if (grown == NULL) {
            call->out_of_memory = 1;
            nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, stream, NGHTTP2_CANCEL);
            return 0;
        }
        call->answer = grown;
        call->answer_room = room;
    }
    memcpy(call->answer + call->answer_size, data, length);
    call->answer_size += length;
    return 0;
}

static int on_stream_close(
    nghttp2_session *session, int32_t stream, uint32_t error_code, void *context) {
    (void)context;
    struct call *call = nghttp2_session_get_stream_user_data(session, stream);
    if (call == NULL) return 0;
    call->closed = 1;
    call->reset_code = error_code;
    return 0;
}

static nghttp2_session *make_session(void) {
    nghttp2_session_callbacks *callbacks = NULL;
    nghttp2_session *session = NULL;
    if (nghttp2_session_callbacks_new(&callbacks) != 0) return NULL;
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
    int result = nghttp2_session_client_new(&session, callbacks, NULL);
    nghttp2_session_callbacks_del(callbacks);
    if (result != 0) return NULL;
    const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, WINDOW_BYTES},
    };
    if (nghttp2_submit_settings(session, NGHTTP2_FLAG_NONE, settings, 2) != 0
        || nghttp2_session_set_local_window_size(session, NGHTTP2_FLAG_NONE, 0, WINDOW_BYTES)
            != 0) {
        nghttp2_session_del(session);
        return NULL;
    }
    return session;
}

static int send_all(int fd, const uint8_t *data, size_t length) {
    while (length > 0) {
        ssize_t count = send(fd, data, length, MSG_NOSIGNAL);
        if (count < 0) {
            if (errno == EINTR) continue;
            return -1;
        }
        data += count;
        length -= (size_t)count;
    }
    return 0;
}

/* Everything nghttp2 has to send within the peer's windows. */
static int flush(kyrodb_client *client, kyrodb_status *status) {
    for (;;) {
        const uint8_t *data = NULL;
        ssize_t count = nghttp2_session_mem_send(client->session, &data);
        if (count == 0) return 0;
        if (count < 0) {
            kyrodb_status_set(status, KYRODB_INTERNAL, "HTTP/2: %s", nghttp2_strerror((int)count));
            return -1;
        }
        if (send_all(client->socket, data, (size_t)count) != 0) {
            kyrodb_status_set(status, KYRODB_UNAVAILABLE, "send: %s", strerror(errno));
            return -1;
        }
    }
}

static int64_t now_millis(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void set_socket_timeout(int fd, int64_t millis) {
    struct timeval value = {.tv_sec = millis / 1000, .tv_usec = millis % 1000 * 1000};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &value, sizeof value);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &value, sizeof value);
}

/* Moves bytes both ways until the call's stream has closed. */
static int drive(kyrodb_client *client, struct call *call, kyrodb_status *status) {
    uint8_t buffer[32768];
    int64_t deadline = now_millis() + client->timeout_millis;
    while (!call->closed) {
        if (flush(client, status) != 0) return -1;
        if (call->closed) break;
        int64_t left = deadline - now_millis();
        if (left <= 0) {
            kyrodb_status_set(status, KYRODB_DEADLINE_EXCEEDED, "no answer within %u ms",
                              client->timeout_millis);
            return -1;
        }
        set_socket_timeout(client->socket, left);
        ssize_t count = recv(client->socket, buffer, sizeof buffer, 0);
        if (count < 0) {
            if (errno == EINTR || errno == EAGAIN || errno == EWOULDBLOCK) continue;
            kyrodb_status_set(status, KYRODB_UNAVAILABLE, "recv: %s", strerror(errno));
            return -1;
        }
        if (count == 0) {
            kyrodb_status_set(status, KYRODB_UNAVAILABLE, "the server closed the connection");
            return -1;
        }
        ssize_t taken = nghttp2_session_mem_recv(client->session, buffer, (size_t)count);
        if (taken < 0) {
            kyrodb_status_set(status, KYRODB_INTERNAL, "HTTP/2: %s", nghttp2_strerror((int)taken));
            return -1;
        }
    }
    return 0;
}

#define HEADER(NAME, VALUE)                                                              \
    {(uint8_t *)(NAME), (uint8_t *)(VALUE), strlen(NAME), strlen(VALUE), NGHTTP2_NV_FLAG_NONE}

static int32_t submit(kyrodb_client *client, struct call *call, const char *path) {
    char timeout[32];
    snprintf(timeout, sizeof timeout, "%um", client->timeout_millis);
    const nghttp2_nv headers[9] = {
        HEADER(":method", "POST"),
        HEADER(":scheme", "http"),
        HEADER(":path", path),
        HEADER(":authority", client->authority),
        HEADER("te", "trailers"),
        HEADER("content-type", "application/grpc+proto"),
        HEADER("user-agent", "kyrodb-c/0.1"),
        HEADER("grpc-timeout", timeout),
        HEADER("authorization", client->authorization),
    };
    size_t count = client->authorization[0] == '\0' ? 8 : 9;
    nghttp2_data_provider body = {.source.ptr = call, .read_callback = read_request};
    return nghttp2_submit_request(
        client->session, NULL, headers, count, &body, call);
}

/* Checks what came; on success the message lies behind the prefix in call->answer. */
static int judge(struct call *call, kyrodb_status *status) {
    if (call->out_of_memory) {
        kyrodb_status_set(status, KYRODB_RESOURCE_EXHAUSTED, "out of memory for the answer");
    } else if (call->answer_too_large) {
        kyrodb_status_set(status, KYRODB_RESOURCE_EXHAUSTED, "the answer is larger than %d bytes",
                          (int)ANSWER_BYTES_MAX);
    } else if (call->grpc_status > 0) {
        *status = call->status;
        status->code = call->grpc_status;
        if (call->details != NULL) {
            kyrodb_status_details(status, call->details, call->details_size);
        }
    } else if (call->grpc_status < 0 && call->reset_code != NGHTTP2_NO_ERROR) {
        kyrodb_status_set(status, KYRODB_UNAVAILABLE, "the stream was reset: %s",
                          nghttp2_http2_strerror(call->reset_code));
    } else if (call->http_status != 200 || call->grpc_status < 0) {
        kyrodb_status_set(status, KYRODB_INTERNAL, "HTTP status %d without grpc-status",
                          call->http_status);
    } else if (call->answer_size < PREFIX_BYTES || call->answer[0] != 0
               || ((uint64_t)call->answer[1] << 24 | (uint64_t)call->answer[2] << 16
                   | (uint64_t)call->answer[3] << 8 | call->answer[4])
                   != call->answer_size - PREFIX_BYTES) {
        kyrodb_status_set(status, KYRODB_INTERNAL, "the answer is not one whole message");
    } else {
        return 0;
    }
    return -1;
}

static ProtobufCMessage *unary(
    kyrodb_client *client, const char *path, const ProtobufCMessage *request,
    const ProtobufCMessageDescriptor *answer_type, kyrodb_status *status) {
    if (client->broken) {
        kyrodb_status_set(status, KYRODB_UNAVAILABLE, "the connection has failed; connect again");
        return NULL;
    }
    size_t size = protobuf_c_message_get_packed_size(request);
    struct call call = {.grpc_status = -1, .request_size = PREFIX_BYTES + size};
    ProtobufCMessage *answer = NULL;
    call.request = malloc(call.request_size);
    if (call.request == NULL || size > UINT32_MAX) {
        kyrodb_status_set(status, KYRODB_RESOURCE_EXHAUSTED, "no room for %zu bytes", size);
        free(call.request);
        return NULL;
    }
    const uint8_t prefix[PREFIX_BYTES] = {
        0, (uint8_t)(size >> 24), (uint8_t)(size >> 16), (uint8_t)(size >> 8), (uint8_t)size};
    memcpy(call.request, prefix, sizeof prefix);
    protobuf_c_message_pack(request, call.request + PREFIX_BYTES);

    int32_t stream = submit(client, &call, path);
    if (stream < 0) {
        client->broken = 1;
        kyrodb_status_set(status, KYRODB_UNAVAILABLE, "HTTP/2: %s", nghttp2_strerror(stream));
    } else if (drive(client, &call, status) != 0) {
        /* The stream may be half open and `call` is about to go: nothing of it may be touched. */
        nghttp2_session_set_stream_user_data(client->session, stream, NULL);
        client->broken = 1;
    } else if (judge(&call, status) == 0) {
        answer = protobuf_c_message_unpack(
            answer_type, NULL, call.answer_size - PREFIX_BYTES, call.answer + PREFIX_BYTES);
        if (answer == NULL) {
            kyrodb_status_set(status, KYRODB_INTERNAL, "the answer cannot be decoded");
        } else {
            kyrodb_status_set(status, KYRODB_OK, "%s", "");
        }
    }
    free(call.request);
    free(call.answer);
    free(call.details);
    return answer;
}

static int leads_to_this_machine(int fd) {
    struct sockaddr_storage peer;
    socklen_t length = sizeof peer;
    if (getpeername(fd, (struct sockaddr *)&peer, &length) != 0) return 0;
    if (peer.ss_family == AF_INET) {
        return ntohl(((struct sockaddr_in *)&peer)->sin_addr.s_addr) >> 24 == 127;
    }
    return peer.ss_family == AF_INET6
        && IN6_IS_ADDR_LOOPBACK(&((struct sockaddr_in6 *)&peer)->sin6_addr);
}

kyrodb_client *kyrodb_client_connect(const char *host, const char *port, kyrodb_status *status) {
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *addresses = NULL;
    int result = getaddrinfo(host, port, &hints, &addresses);
    if (result != 0) {
        kyrodb_status_set(status, KYRODB_UNAVAILABLE, "%s: %s", host, gai_strerror(result));
        return NULL;
    }
    int fd = -1, problem = 0;
    for (struct addrinfo *address = addresses; address != NULL && fd < 0;
         address = address->ai_next) {
        fd = socket(address->ai_family, address->ai_socktype, address->ai_protocol);
        if (fd >= 0 && connect(fd, address->ai_addr, address->ai_addrlen) != 0) {
            problem = errno;
            close(fd);
            fd = -1;
        }
    }
    freeaddrinfo(addresses);
    if (fd < 0) {
        kyrodb_status_set(status, KYRODB_UNAVAILABLE, "%s:%s: %s", host, port, strerror(problem));
        return NULL;
    }
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    int is_local = leads_to_this_machine(fd);

    kyrodb_client *client = calloc(1, sizeof *client);
    nghttp2_session *session = client != NULL ? make_session() : NULL;
    if (session == NULL) {
        kyrodb_status_set(status, KYRODB_RESOURCE_EXHAUSTED, "out of memory");
        free(client);
        close(fd);
        return NULL;
    }
    client->socket = fd;
    client->is_local = is_local;
    client->session = session;
    client->timeout_millis = TIMEOUT_MILLIS;
    snprintf(client->authority, sizeof client->authority, "%s:%s", host, port);
    if (flush(client, status) != 0) {
        kyrodb_client_close(client);
        return NULL;
    }
    kyrodb_status_set(status, KYRODB_OK, "%s", "");
    return client;
}

int kyrodb_client_set_api_key(kyrodb_client *client, const char *key, int plaintext_allowed) {
    client->authorization[0] = '\0';
    if (key == NULL) return 0;
    if (!client->is_local && !plaintext_allowed) return -1;
    int length = snprintf(client->authorization, sizeof client->authorization, "Bearer %s", key);
    if (length < (int)sizeof client->authorization) return 0;
    client->authorization[0] = '\0';
    return -1;
}

void kyrodb_client_set_timeout(kyrodb_client *client, unsigned timeout_millis) {
    /* gRPC allows eight digits: 99,999,999 ms are 27 hours. */
    client->timeout_millis = timeout_millis < 99999999 ? timeout_millis : 99999999;
}

Kyrodb__V2__WriteResponse *kyrodb_client_write(
    kyrodb_client *client, const Kyrodb__V2__WriteRequest *request, kyrodb_status *status) {
    return (Kyrodb__V2__WriteResponse *)unary(
        client, "/kyrodb.v2.Ingest/Write", &request->base, &kyrodb__v2__write_response__descriptor,
        status);
}

Kyrodb__V2__LookupResponse *kyrodb_client_lookup(
    kyrodb_client *client, const Kyrodb__V2__LookupRequest *request, kyrodb_status *status) {
    return (Kyrodb__V2__LookupResponse *)unary(
        client, "/kyrodb.v2.Search/Lookup", &request->base,
        &kyrodb__v2__lookup_response__descriptor, status);
}

Kyrodb__V2__SearchResponse *kyrodb_client_search(
    kyrodb_client *client, const Kyrodb__V2__SearchRequest *request, kyrodb_status *status) {
    return (Kyrodb__V2__SearchResponse *)unary(
        client, "/kyrodb.v2.Search/Search", &request->base,
        &kyrodb__v2__search_response__descriptor, status);
}

void kyrodb_client_close(kyrodb_client *client) {
    if (client == NULL) return;
    if (!client->broken) {
        kyrodb_status ignored;
        nghttp2_session_terminate_session(client->session, NGHTTP2_NO_ERROR);
        flush(client, &ignored);
    }
    nghttp2_session_del(client->session);
    close(client->socket);
    free(client);
}
