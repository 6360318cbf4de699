// What the Glibc module of Swift does not export: Linux calls hidden behind feature macros, and
// calls that C declares variadic. Header-only.
//
// The hidden calls are declared here instead of defining _GNU_SOURCE: with it the system headers
// would say other things in this module than in Foundation's, and no file could import both.
#ifndef KYRO_CLINUX_H
#define KYRO_CLINUX_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

extern int accept4(int fd, struct sockaddr *address, socklen_t *length, int flags);
extern int fallocate(int fd, int mode, off_t offset, off_t length);
extern int sync_file_range(int fd, off_t offset, off_t length, unsigned int flags);
extern int pthread_setname_np(pthread_t thread, const char *name);

extern int malloc_trim(size_t pad);
extern int mallopt(int parameter, int value);

// Returns freed memory of all arenas to the kernel; 1 when there was some.
static inline int kyro_give_memory_back(void) { return malloc_trim(0); }

// Freed memory stays with the process, and blocks of any size come from the heap: for a program that
// makes and drops the same things all the time (mallopt(3): M_MXFAST, whose chunks are merged again
// for every large block, M_TRIM_THRESHOLD, M_MMAP_THRESHOLD).
static inline void kyro_keep_memory(void) {
    mallopt(1, 0);
    mallopt(-1, 1 << 30);
    mallopt(-3, 1 << 30);
}

// Bytes of addresses that the process may map; UINT64_MAX without a limit.
static inline unsigned long long kyro_address_limit(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_AS, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return ~0ull;
    return limit.rlim_cur;
}

// Raises the limit of open files to what the process may raise it to. Returns the limit then.
static inline unsigned long long kyro_raise_file_limit(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return ~0ull;
    if (limit.rlim_cur != limit.rlim_max) {
        struct rlimit raised = {limit.rlim_max, limit.rlim_max};
        if (setrlimit(RLIMIT_NOFILE, &raised) == 0) limit = raised;
    }
    return limit.rlim_cur;
}

static inline int kyro_accept4(int fd, int flags) { return accept4(fd, NULL, NULL, flags); }

static inline int kyro_open(const char *path, int flags, mode_t mode) {
    return open(path, flags, mode);
}

static inline int kyro_fallocate(int fd, int mode, off_t offset, off_t length) {
    return fallocate(fd, mode, offset, length);
}

// Writes a range of dirty pages to the disk and waits; changes no metadata and promises nothing.
// The flags are SYNC_FILE_RANGE_WAIT_BEFORE, _WRITE and _WAIT_AFTER (sync_file_range(2)).
static inline int kyro_write_back(int fd, off_t offset, off_t length) {
    return sync_file_range(fd, offset, length, 1 | 2 | 4);
}

static inline int kyro_set_thread_name(const char *name) {
    return pthread_setname_np(pthread_self(), name);
}

static inline int kyro_fcntl_int(int fd, int command, int argument) {
    return fcntl(fd, command, argument);
}

// The kernel keeps 15 bytes of a thread's name and refuses longer ones.
static inline int kyro_set_thread_name_cut(const char *name) {
    char cut[16];
    strncpy(cut, name, sizeof cut - 1);
    cut[sizeof cut - 1] = 0;
    return kyro_set_thread_name(cut);
}

// The POSIX strerror_r, whichever one the headers declare.
extern int __xpg_strerror_r(int code, char *buffer, size_t length);
static inline int kyro_strerror(int code, char *buffer, size_t length) {
    return __xpg_strerror_r(code, buffer, length);
}

static inline const char *kyro_entry_name(const struct dirent *entry) { return entry->d_name; }

#endif
