// The least that an HTTP/2 server over libnghttp2 can do for a unary gRPC call: read the request's
// bytes, return them (or the bytes of a file), say grpc-status 0. One thread, epoll, one `send` a
// wake-up. No limit of any kind: a measure for `kyrobench cost`, no server.
// usage: bare_server PORT-FILE [REPLY-FILE]
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <nghttp2/nghttp2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

typedef struct {
    uint8_t *bytes;
    size_t count, room;
} buffer;

typedef struct {
    int fd;
    nghttp2_session *session;
    buffer output;
    size_t written;
} connection;

typedef struct {
    buffer body;
    size_t sent;
} stream;

static buffer reply; // Of the file; empty where requests are returned.
static nghttp2_session_callbacks *callbacks;
static uint8_t input[64 << 10];

static void die(const char *what) {
    perror(what);
    exit(1);
}

static void append(buffer *to, const uint8_t *bytes, size_t count) {
    if (to->count + count > to->room) {
        to->room = to->room * 2 > to->count + count ? to->room * 2 : to->count + count;
        to->bytes = realloc(to->bytes, to->room);
        if (to->bytes == NULL) die("realloc");
    }
    memcpy(to->bytes + to->count, bytes, count);
    to->count += count;
}

#define FIELD(NAME, VALUE)                                                                         \
    {(uint8_t *)NAME, (uint8_t *)VALUE, sizeof NAME - 1, sizeof VALUE - 1,                         \
     NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE}
static const nghttp2_nv head[] = {
    FIELD(":status", "200"), FIELD("content-type", "application/grpc"),
    FIELD("grpc-accept-encoding", "identity")};
static const nghttp2_nv trailer[] = {FIELD("grpc-status", "0")};

static ssize_t read_body(
    nghttp2_session *session, int32_t id, uint8_t *into, size_t room, uint32_t *flags,
    nghttp2_data_source *source, void *user) {
    (void)user;
    stream *s = source->ptr;
    const buffer *body = reply.count > 0 ? &reply : &s->body;
    size_t count = body->count - s->sent;
    if (count > room) count = room;
    memcpy(into, body->bytes + s->sent, count);
    s->sent += count;
    if (s->sent == body->count) {
        *flags |= NGHTTP2_DATA_FLAG_EOF | NGHTTP2_DATA_FLAG_NO_END_STREAM;
        nghttp2_submit_trailer(session, id, trailer, 1);
    }
    return (ssize_t)count;
}

static int begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *user) {
    (void)user;
    if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST) return 0;
    nghttp2_session_set_stream_user_data(session, frame->hd.stream_id, calloc(1, sizeof(stream)));
    return 0;
}

static int data_received(
    nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *bytes, size_t count,
    void *user) {
    (void)flags, (void)user;
    stream *s = nghttp2_session_get_stream_user_data(session, id);
    if (s != NULL) append(&s->body, bytes, count);
    return 0;
}

static int frame_received(nghttp2_session *session, const nghttp2_frame *frame, void *user) {
    (void)user;
    if ((frame->hd.type != NGHTTP2_DATA && frame->hd.type != NGHTTP2_HEADERS)
        || !(frame->hd.flags & NGHTTP2_FLAG_END_STREAM))
        return 0;
    stream *s = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
    if (s == NULL) return 0;
    nghttp2_data_provider provider = {.source.ptr = s, .read_callback = read_body};
    nghttp2_submit_response(
        session, frame->hd.stream_id, head, sizeof head / sizeof *head, &provider);
    return 0;
}

static int stream_closed(nghttp2_session *session, int32_t id, uint32_t code, void *user) {
    (void)code, (void)user;
    stream *s = nghttp2_session_get_stream_user_data(session, id);
    if (s == NULL) return 0;
    free(s->body.bytes);
    free(s);
    return 0;
}

static void end(connection *c) {
    nghttp2_session_del(c->session);
    close(c->fd);
    free(c->output.bytes);
    free(c);
}

// False when the connection is over. What the socket does not take waits for the next wake-up.
static int flush(connection *c) {
    for (;;) {
        if (c->written == c->output.count) {
            c->written = c->output.count = 0;
            const uint8_t *bytes;
            ssize_t count;
            while (c->output.count < (256 << 10)
                   && (count = nghttp2_session_mem_send(c->session, &bytes)) > 0)
                append(&c->output, bytes, (size_t)count);
        }
        if (c->output.count == 0) break;
        ssize_t sent = send(
            c->fd, c->output.bytes + c->written, c->output.count - c->written, MSG_NOSIGNAL);
        if (sent < 0) return errno == EAGAIN || errno == EINTR;
        c->written += (size_t)sent;
    }
    return nghttp2_session_want_read(c->session) || nghttp2_session_want_write(c->session);
}

static int serve(connection *c) {
    for (;;) {
        ssize_t count = recv(c->fd, input, sizeof input, 0);
        if (count == 0) return 0;
        if (count < 0) return errno == EAGAIN || errno == EINTR ? flush(c) : 0;
        if (nghttp2_session_mem_recv(c->session, input, (size_t)count) < 0) return 0;
        if ((size_t)count < sizeof input) return flush(c);
    }
}

static void take(int listener, int epoll) {
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC), one = 1;
    if (fd < 0) return;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    connection *c = calloc(1, sizeof *c);
    if (c == NULL) die("calloc");
    c->fd = fd;
    nghttp2_session_server_new(&c->session, callbacks, c);
    nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 1024},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 1 << 20}};
    nghttp2_submit_settings(c->session, NGHTTP2_FLAG_NONE, settings, 2);
    nghttp2_session_set_local_window_size(c->session, NGHTTP2_FLAG_NONE, 0, 4 << 20);
    // Edge-triggered: what is left unsent is sent when the socket has room again.
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = c};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) != 0) die("epoll_ctl");
}

static int listen_here(const char *port_file) {
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    struct sockaddr_in address = {.sin_family = AF_INET};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    if (listener < 0 || bind(listener, (struct sockaddr *)&address, size) != 0
        || listen(listener, 128) != 0
        || getsockname(listener, (struct sockaddr *)&address, &size) != 0)
        die("listen");
    FILE *file = fopen(port_file, "w");
    if (file == NULL || fprintf(file, "127.0.0.1:%d\n", ntohs(address.sin_port)) < 0
        || fclose(file) != 0)
        die(port_file);
    return listener;
}

static void read_reply(const char *path) {
    FILE *file = fopen(path, "r");
    if (file == NULL) die(path);
    size_t count;
    while ((count = fread(input, 1, sizeof input, file)) > 0) append(&reply, input, count);
    fclose(file);
}

int main(int argc, char **argv) {
    if (argc < 2 || argc > 3) {
        fprintf(stderr, "usage: bare_server PORT-FILE [REPLY-FILE]\n");
        return 2;
    }
    if (argc == 3) read_reply(argv[2]);
    nghttp2_session_callbacks_new(&callbacks);
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, begin_headers);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, data_received);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, frame_received);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, stream_closed);
    int epoll = epoll_create1(EPOLL_CLOEXEC), listener = listen_here(argv[1]);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL}, ready[64];
    if (epoll < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event) != 0) die("epoll");
    for (;;) {
        int count = epoll_wait(epoll, ready, 64, -1);
        for (int i = 0; i < count; i++) {
            if (ready[i].data.ptr == NULL)
                take(listener, epoll);
            else if (!serve(ready[i].data.ptr))
                end(ready[i].data.ptr);
        }
    }
}
