// Fails chosen calls of a process and shifts its wall clock: an LD_PRELOAD library that the tests
// steer through a file, mapped by both (fault_shim.py).
//
// The file, little-endian u64 each: KINDS × calls so far, KINDS × the call that fails first (0 for
// none), KINDS × how many fail from there, KINDS × errno, KINDS × calls failed, then the seconds that
// CLOCK_REALTIME is shifted by (signed).
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

enum { FDATASYNC, FSYNC, PWRITE, RENAME, OPEN, UNLINK, FALLOCATE, PREAD, KINDS };

struct control {
    uint64_t calls[KINDS], first[KINDS], count[KINDS], error[KINDS], failed[KINDS];
    int64_t clock_shift;
};

static struct control *control;
static const char *folder;  // OPEN, RENAME and UNLINK count below it alone

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("KYRODB_FAULT_FILE");
    folder = getenv("KYRODB_FAULT_FOLDER");
    if (path == NULL) return;
    int (*real)(const char *, int, ...) = dlsym(RTLD_NEXT, "open");
    int descriptor = real(path, O_RDWR | O_CLOEXEC);
    if (descriptor < 0) abort();
    control = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
    if (control == MAP_FAILED) abort();
    close(descriptor);
}

static int fails(int kind) {
    if (control == NULL) return 0;
    uint64_t call = __atomic_add_fetch(&control->calls[kind], 1, __ATOMIC_SEQ_CST);
    uint64_t first = __atomic_load_n(&control->first[kind], __ATOMIC_SEQ_CST);
    if (first == 0 || call < first || call >= first + control->count[kind]) return 0;
    __atomic_add_fetch(&control->failed[kind], 1, __ATOMIC_SEQ_CST);
    errno = (int)control->error[kind];
    return 1;
}

static int is_ours(const char *path) {
    return folder != NULL && strncmp(path, folder, strlen(folder)) == 0;
}

#define REAL(name) \
    static __typeof__(&name) real; \
    if (real == NULL) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

int fdatasync(int descriptor) {
    REAL(fdatasync);
    return fails(FDATASYNC) ? -1 : real(descriptor);
}

int fsync(int descriptor) {
    REAL(fsync);
    return fails(FSYNC) ? -1 : real(descriptor);
}

ssize_t pwrite(int descriptor, const void *bytes, size_t count, off_t offset) {
    REAL(pwrite);
    return fails(PWRITE) ? -1 : real(descriptor, bytes, count, offset);
}

ssize_t pread(int descriptor, void *bytes, size_t count, off_t offset) {
    REAL(pread);
    return fails(PREAD) ? -1 : real(descriptor, bytes, count, offset);
}

int rename(const char *from, const char *to) {
    REAL(rename);
    return is_ours(from) && fails(RENAME) ? -1 : real(from, to);
}

int unlink(const char *path) {
    REAL(unlink);
    return is_ours(path) && fails(UNLINK) ? -1 : real(path);
}

int fallocate(int descriptor, int mode, off_t offset, off_t count) {
    REAL(fallocate);
    return fails(FALLOCATE) ? -1 : real(descriptor, mode, offset, count);
}

int open(const char *path, int flags, ...) {
    REAL(open);
    va_list arguments;
    va_start(arguments, flags);
    mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(arguments, mode_t) : 0;
    va_end(arguments);
    return is_ours(path) && fails(OPEN) ? -1 : real(path, flags, mode);
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    REAL(clock_gettime);
    int result = real(clock, now);
    if (control != NULL && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
        now->tv_sec += __atomic_load_n(&control->clock_shift, __ATOMIC_SEQ_CST);
    return result;
}
