#include <microhttpd.h>
#include <stdlib.h>

/* MHD_start_daemon is variadic and does not reach Swift. One thread of its own with an epoll set; the
 * socket listens already and is closed with the daemon. */
static inline struct MHD_Daemon *kyro_mhd_start(
    int listener, unsigned connections_max, unsigned timeout_seconds, size_t memory_bytes,
    MHD_AccessHandlerCallback handler, void *user) {
    return MHD_start_daemon(
        MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_EPOLL, 0, NULL, NULL, handler, user,
        MHD_OPTION_LISTEN_SOCKET, listener, MHD_OPTION_CONNECTION_LIMIT, connections_max,
        MHD_OPTION_CONNECTION_TIMEOUT, timeout_seconds, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        memory_bytes, MHD_OPTION_END);
}

static const enum MHD_Result kyro_mhd_no = MHD_NO;
static const enum MHD_ResponseMemoryMode kyro_mhd_copies = MHD_RESPMEM_MUST_COPY;
