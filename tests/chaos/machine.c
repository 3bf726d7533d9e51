/* What a process takes for its machine: a clock that was stepped, a disk that is full or can only
 * be read. Loaded before the C library (LD_PRELOAD) into the bot of `make chaos`, and there alone.
 * The run writes a page of memory, and this reads it at each call. See machine.py. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

struct page {
  int64_t ahead; /* seconds that the wall's clock is ahead */
  int64_t error; /* why nothing can be written: ENOSPC or EROFS; 0: everything can */
};

static volatile struct page *page;
static const char *disk; /* the folder whose files cannot be written; an absolute path */

__attribute__((constructor)) static void begin(void) {
  const char *name = getenv("CHAOS_PAGE");
  int file = name ? open(name, O_RDONLY | O_CLOEXEC) : -1;
  if (file < 0) return;
  void *found = mmap(NULL, sizeof(struct page), PROT_READ, MAP_SHARED, file, 0);
  close(file);
  disk = getenv("CHAOS_DISK");
  if (found != MAP_FAILED) page = found;
}

/* The C library's own function of that name. */
#define REAL(result, name, ...)                                     \
  static result (*real)(__VA_ARGS__);                               \
  if (!real) real = (result(*)(__VA_ARGS__))dlsym(RTLD_NEXT, #name)

/* The clock */

static int64_t ahead(void) { return page ? page->ahead : 0; }

int clock_gettime(clockid_t clock, struct timespec *at) {
  REAL(int, clock_gettime, clockid_t, struct timespec *);
  int failed = real(clock, at);
  if (!failed && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) at->tv_sec += ahead();
  return failed;
}

int gettimeofday(struct timeval *restrict at, void *restrict zone) {
  REAL(int, gettimeofday, struct timeval *restrict, void *restrict);
  int failed = real(at, zone);
  if (!failed) at->tv_sec += ahead();
  return failed;
}

time_t time(time_t *at) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  if (at) *at = now.tv_sec;
  return now.tv_sec;
}

/* The disk. A full one takes nothing more, but what is there can be cut, moved and deleted; one
 * that can only be read takes no change at all. */

static int below(const char *path) {
  size_t length = disk ? strlen(disk) : 0;
  return length && !strncmp(path, disk, length) && path[length] == '/';
}

static int on_disk(int file) {
  char link[40], path[4096];
  snprintf(link, sizeof link, "/proc/self/fd/%d", file);
  ssize_t length = readlink(link, path, sizeof path - 1);
  if (length < 0) return 0;
  path[length] = 0;
  return below(path);
}

static int refused(int there) {
  if (there) errno = (int)page->error;
  return there;
}

static int cannot_write(int file) { return page && page->error && refused(on_disk(file)); }
static int cannot_cut(int file) { return page && page->error == EROFS && refused(on_disk(file)); }
static int cannot_move(const char *path) {
  return page && page->error == EROFS && refused(below(path));
}
static int cannot_open(const char *path, int flags) {
  return (flags & (O_WRONLY | O_RDWR | O_CREAT | O_TRUNC)) && cannot_move(path);
}

#define REFUSABLE(result, name, cannot, parameters, types, given) \
  result name parameters {                                        \
    REAL(result, name, types);                                    \
    if (cannot) return -1;                                        \
    return real given;                                            \
  }
#define LIST(...) __VA_ARGS__

REFUSABLE(ssize_t, write, cannot_write(file), (int file, const void *from, size_t size),
          LIST(int, const void *, size_t), (file, from, size))
REFUSABLE(ssize_t, pwrite, cannot_write(file), (int file, const void *from, size_t size, off_t at),
          LIST(int, const void *, size_t, off_t), (file, from, size, at))
REFUSABLE(ssize_t, pwrite64, cannot_write(file),
          (int file, const void *from, size_t size, off64_t at),
          LIST(int, const void *, size_t, off64_t), (file, from, size, at))
REFUSABLE(int, fallocate, cannot_write(file), (int file, int mode, off_t at, off_t size),
          LIST(int, int, off_t, off_t), (file, mode, at, size))
REFUSABLE(int, fallocate64, cannot_write(file), (int file, int mode, off64_t at, off64_t size),
          LIST(int, int, off64_t, off64_t), (file, mode, at, size))
REFUSABLE(int, ftruncate, cannot_cut(file), (int file, off_t size), LIST(int, off_t), (file, size))
REFUSABLE(int, ftruncate64, cannot_cut(file), (int file, off64_t size), LIST(int, off64_t),
          (file, size))
REFUSABLE(int, fchmod, cannot_cut(file), (int file, mode_t mode), LIST(int, mode_t), (file, mode))
REFUSABLE(int, chmod, cannot_move(path), (const char *path, mode_t mode),
          LIST(const char *, mode_t), (path, mode))
REFUSABLE(int, unlink, cannot_move(path), (const char *path), LIST(const char *), (path))
REFUSABLE(int, rename, cannot_move(path), (const char *path, const char *to),
          LIST(const char *, const char *), (path, to))

#define OPEN(name)                                         \
  int name(const char *path, int flags, ...) {             \
    REAL(int, name, const char *, int, ...);               \
    if (cannot_open(path, flags)) return -1;               \
    va_list more;                                          \
    va_start(more, flags);                                 \
    mode_t mode = flags & O_CREAT ? va_arg(more, int) : 0; \
    va_end(more);                                          \
    return real(path, flags, mode);                        \
  }

OPEN(open)
OPEN(open64)
