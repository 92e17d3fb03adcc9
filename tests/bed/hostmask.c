/*
 * hostmask: lets a container answer as a machine of its own.
 *
 * Loaded into every dynamic program of the host through /etc/ld.so.preload. State lives under /etc/hostmask:
 *   uname             three lines: release, version, machine; an empty line keeps the kernel's own answer
 *   root/<path>       stands in for <path> (only below /proc and /sys). A folder stands in for a folder that really
 *                     exists only when it holds a file named ".whole"; otherwise /proc itself would disappear.
 *   hidden/<path>     makes <path> absent (below /proc, /sys)
 *   refuse/<module>   an errno: loading that kernel module fails with it
 *   on-load/<module>  a folder that is copied over root/ when that module is loaded
 *
 * Loading and unloading a kernel module becomes an edit of the stand-in /proc/modules and of /etc/hostmask/module,
 * which is mounted over /sys/module early in the boot. Static programs are not covered.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#define STATE "/etc/hostmask"
#define MODULES STATE "/root/proc/modules"
#define SYSFS STATE "/module/"
#define NOWHERE STATE "/absent/absent"

typedef long (*syscall_fn)(long, ...);

static syscall_fn kernel(void)
{
    static syscall_fn next;
    if (!next)
        next = (syscall_fn)dlsym(RTLD_NEXT, "syscall");
    return next;
}

#define NEXT(type, name)          \
    static __typeof__(type) next; \
    if (!next)                    \
        next = (__typeof__(type))dlsym(RTLD_NEXT, name)

/* 0: absent, 1: exists, 2: is a folder. Never goes through the functions below. */
static int kind(const char *path)
{
    struct stat st;
    int saved = errno, found = 0;
    if (kernel()(SYS_newfstatat, AT_FDCWD, path, &st, AT_SYMLINK_NOFOLLOW) == 0)
        found = S_ISDIR(st.st_mode) ? 2 : 1;
    errno = saved;
    return found;
}

static int below(const char *path, const char *top)
{
    size_t n = strlen(top);
    return !strncmp(path, top, n) && (path[n] == '/' || !path[n]);
}

/* glibc declares paths as never null, so the compiler drops checks; rpm passes null to statx all the same. */
#define MAY_BE_NULL(path) __asm__("" : "+r"(path))

/* The path to use instead of `path`: itself, a stand-in written into `out`, or a path that does not exist. */
static const char *map(const char *path, char *out)
{
    char whole[PATH_MAX], joined[PATH_MAX];
    int found;
    MAY_BE_NULL(path);
    if (!path || !*path)
        return path;
    const char *full = path;
    if (*path != '/') {
        long n = kernel()(SYS_getcwd, joined, sizeof joined);
        if (n <= 0 || (!below(joined, "/proc") && !below(joined, "/sys")))
            return path;
        size_t used = strlen(joined);
        if (snprintf(joined + used, sizeof joined - used, "/%s", path) >= (int)(sizeof joined - used))
            return path;
        full = joined;
    }
    if (!below(full, "/proc") && !below(full, "/sys"))
        return path;
    if (snprintf(out, PATH_MAX, STATE "/hidden%s", full) < PATH_MAX && kind(out) == 1)
        return NOWHERE;
    if (snprintf(out, PATH_MAX, STATE "/root%s", full) >= PATH_MAX)
        return path;
    found = kind(out);
    if (found == 1)
        return out;
    if (found == 2 && (kind(full) == 0 || (snprintf(whole, PATH_MAX, "%s/.whole", out) < PATH_MAX && kind(whole))))
        return out;
    return path;
}

static const char *map_at(int folder, const char *path, char *out)
{
    MAY_BE_NULL(path);
    if (path && *path != '/' && folder != AT_FDCWD)
        return path;
    return map(path, out);
}

/* ---- identity ---------------------------------------------------------------------------------------------- */

static int slurp(const char *path, char *buffer, size_t size)
{
    int saved = errno;
    int fd = (int)kernel()(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
    long n = -1;
    if (fd >= 0) {
        n = kernel()(SYS_read, fd, buffer, size - 1);
        kernel()(SYS_close, fd);
    }
    errno = saved;
    if (n < 0)
        return -1;
    buffer[n] = 0;
    return (int)n;
}

static char *answer(char *text, char *field, size_t size)
{
    char *end = strchr(text, '\n');
    if (end)
        *end = 0;
    if (*text) {
        memset(field, 0, size);
        strncpy(field, text, size - 1);
    }
    return end ? end + 1 : text + strlen(text);
}

int uname(struct utsname *name)
{
    char text[512], *rest = text;
    NEXT(int (*)(struct utsname *), "uname");
    int result = next(name);
    if (result == 0 && slurp(STATE "/uname", text, sizeof text) > 0) {
        rest = answer(rest, name->release, sizeof name->release);
        rest = answer(rest, name->version, sizeof name->version);
        if (strncmp(program_invocation_short_name, "system", 6))  /* systemd stops at another machine's name */
            answer(rest, name->machine, sizeof name->machine);
    }
    return result;
}

/* Seconds since this host's init started. Field 22 of /proc/1/stat is in clock ticks since the kernel's start. */
static int uptime_fd(void)
{
    char text[1024];
    struct timespec now;
    if (slurp("/proc/1/stat", text, sizeof text) <= 0)
        return -1;
    char *at = strrchr(text, ')');
    for (int field = 2; at && field < 22; field++)
        at = strchr(at + 1, ' ');
    if (!at)
        return -1;
    double started = 0;
    for (at++; *at >= '0' && *at <= '9'; at++)
        started = started * 10 + (*at - '0');
    clock_gettime(CLOCK_BOOTTIME, &now);
    double up = (double)now.tv_sec + (double)now.tv_nsec / 1e9 - started / (double)sysconf(_SC_CLK_TCK);
    int fd = (int)kernel()(SYS_memfd_create, "uptime", MFD_CLOEXEC);
    if (fd < 0)
        return -1;
    int n = snprintf(text, sizeof text, "%.2f %.2f\n", up, up);
    kernel()(SYS_write, fd, text, (long)n);
    kernel()(SYS_lseek, fd, 0, SEEK_SET);
    return fd;
}

static int wants_uptime(const char *path)
{
    MAY_BE_NULL(path);
    return path && !strcmp(path, "/proc/uptime");
}

/* ---- files -------------------------------------------------------------------------------------------------- */

#define MODE_OF(flags)                             \
    int mode = 0;                                  \
    if ((flags) & (O_CREAT | __O_TMPFILE)) {       \
        va_list list;                              \
        va_start(list, flags);                     \
        mode = va_arg(list, int);                  \
        va_end(list);                              \
    }

#define OPEN(name)                                          \
    int name(const char *path, int flags, ...)              \
    {                                                       \
        char out[PATH_MAX];                                 \
        MODE_OF(flags)                                      \
        NEXT(int (*)(const char *, int, ...), #name);       \
        int fd = wants_uptime(path) ? uptime_fd() : -1;     \
        return fd >= 0 ? fd : next(map(path, out), flags, mode); \
    }
OPEN(open)
OPEN(open64)

#define OPENAT(name)                                        \
    int name(int folder, const char *path, int flags, ...)  \
    {                                                       \
        char out[PATH_MAX];                                 \
        MODE_OF(flags)                                      \
        NEXT(int (*)(int, const char *, int, ...), #name);  \
        int fd = wants_uptime(path) ? uptime_fd() : -1;     \
        return fd >= 0 ? fd : next(folder, map_at(folder, path, out), flags, mode); \
    }
OPENAT(openat)
OPENAT(openat64)

/* The spellings that fortified programs use when the flags are not a constant. */
int __open_2(const char *path, int flags) { return open(path, flags); }
int __open64_2(const char *path, int flags) { return open64(path, flags); }
int __openat_2(int folder, const char *path, int flags) { return openat(folder, path, flags); }
int __openat64_2(int folder, const char *path, int flags) { return openat64(folder, path, flags); }

#define FOPEN(name)                                         \
    FILE *name(const char *path, const char *mode)          \
    {                                                       \
        char out[PATH_MAX];                                 \
        NEXT(FILE *(*)(const char *, const char *), #name); \
        int fd = wants_uptime(path) ? uptime_fd() : -1;     \
        return fd >= 0 ? fdopen(fd, "r") : next(map(path, out), mode); \
    }
FOPEN(fopen)
FOPEN(fopen64)

#define BY_PATH(type, name, declared, passed)               \
    type name declared                                      \
    {                                                       \
        char out[PATH_MAX];                                 \
        NEXT(type(*) declared, #name);                      \
        return next passed;                                 \
    }
/* The first namespaces of a kernel have fixed inode numbers (PROC_PID_INIT_INO and its like); pretend to be in them. */
static ino_t first_namespace(const char *path)
{
    MAY_BE_NULL(path);
    if (!path || (strncmp(path, "/proc/self/ns/", 14) && strncmp(path, "/proc/1/ns/", 11)))
        return 0;
    const char *name = strrchr(path, '/') + 1;
    return !strcmp(name, "pid") ? 0xEFFFFFFCu : !strcmp(name, "cgroup") ? 0xEFFFFFFBu : !strcmp(name, "uts") ? 0xEFFFFFFEu
           : !strcmp(name, "ipc") ? 0xEFFFFFFFu : 0;
}

#define STAT(name, declared, passed)                        \
    int name declared                                       \
    {                                                       \
        char out[PATH_MAX];                                 \
        NEXT(int(*) declared, #name);                       \
        int result = next passed;                           \
        ino_t first = first_namespace(path);                \
        if (result == 0 && first && !S_ISLNK(st->st_mode))  \
            st->st_ino = first;                             \
        return result;                                      \
    }
#define P map(path, out)
#define AT map_at(folder, path, out)
BY_PATH(int, access, (const char *path, int mode), (P, mode))
BY_PATH(int, euidaccess, (const char *path, int mode), (P, mode))
BY_PATH(int, eaccess, (const char *path, int mode), (P, mode))
BY_PATH(int, faccessat, (int folder, const char *path, int mode, int flags), (folder, AT, mode, flags))
STAT(stat, (const char *path, struct stat *st), (P, st))
STAT(lstat, (const char *path, struct stat *st), (P, st))
STAT(stat64, (const char *path, struct stat64 *st), (P, st))
STAT(lstat64, (const char *path, struct stat64 *st), (P, st))
STAT(fstatat, (int folder, const char *path, struct stat *st, int flags), (folder, AT, st, flags))
STAT(fstatat64, (int folder, const char *path, struct stat64 *st, int flags), (folder, AT, st, flags))
BY_PATH(int, statx, (int folder, const char *path, int flags, unsigned mask, struct statx *st), (folder, AT, flags, mask, st))
BY_PATH(ssize_t, readlink, (const char *path, char *to, size_t size), (P, to, size))
BY_PATH(ssize_t, readlinkat, (int folder, const char *path, char *to, size_t size), (folder, AT, to, size))
BY_PATH(ssize_t, __readlink_chk, (const char *path, char *to, size_t size, size_t room), (P, to, size, room))
BY_PATH(ssize_t, __readlinkat_chk, (int folder, const char *path, char *to, size_t size, size_t room), (folder, AT, to, size, room))
BY_PATH(char *, realpath, (const char *path, char *to), (P, to))
BY_PATH(char *, canonicalize_file_name, (const char *path), (P))
BY_PATH(DIR *, opendir, (const char *path), (P))
BY_PATH(int, chdir, (const char *path), (P))

/* ---- kernel modules ------------------------------------------------------------------------------------------ */

#define WORD "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-"

/* The module's own name, from "name=" in its .modinfo section. */
static int modinfo_name(const char *image, size_t size, char *name, size_t room)
{
    static const char tag[] = "\0name=";
    const char *end = (const char *)image + size, *at = image;
    while ((at = memmem(at, (size_t)(end - at), tag, sizeof tag - 1))) {
        at += sizeof tag - 1;
        size_t n = strnlen(at, (size_t)(end - at));
        if (n == 0 || n >= room || strspn(at, WORD) != n)
            continue;
        memcpy(name, at, n);
        name[n] = 0;
        return 1;
    }
    return 0;
}

static void file_name(int fd, char *name, size_t room)
{
    char link[64], path[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    long n = kernel()(SYS_readlinkat, AT_FDCWD, link, path, sizeof path - 1);
    path[n > 0 ? n : 0] = 0;
    const char *base = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
    size_t i = 0;
    for (; base[i] && base[i] != '.' && i + 1 < room; i++)
        name[i] = base[i] == '-' ? '_' : base[i];
    name[i] = 0;
}

static int shell(const char *format, const char *a)
{
    char command[2 * PATH_MAX];
    snprintf(command, sizeof command, format, a, a, a, a);
    return system(command);
}

static int listed(const char *name, int *users)
{
    char line[1024];
    size_t n = strlen(name);
    int found = 0;
    FILE *file = fopen(MODULES, "re");
    while (file && !found && fgets(line, sizeof line, file)) {
        char *size = strchr(line, ' ');
        if (strncmp(line, name, n) || line[n] != ' ')
            continue;
        found = 1;
        char *count = size ? strchr(size + 1, ' ') : NULL;
        *users = count ? atoi(count + 1) : 0;
    }
    if (file)
        fclose(file);
    return found;
}

static int load(const char *name, long size)
{
    char path[PATH_MAX], text[64];
    int users;
    snprintf(path, sizeof path, STATE "/refuse/%s", name);
    if (slurp(path, text, sizeof text) > 0) {
        errno = atoi(text) ? atoi(text) : ENODEV;
        return -1;
    }
    if (listed(name, &users)) {
        errno = EEXIST;
        return -1;
    }
    FILE *file = fopen(MODULES, "ae");
    if (!file) {
        errno = EPERM;
        return -1;
    }
    fprintf(file, "%s %ld 0 - Live 0x0000000000000000\n", name, size);
    fclose(file);
    shell("mkdir -p " SYSFS "%s/holders; echo live > " SYSFS "%s/initstate; echo 0 > " SYSFS "%s/refcnt", name);
    shell("if [ -d " STATE "/on-load/%s ]; then cp -a " STATE "/on-load/%s/. " STATE "/root/; fi", name);
    return 0;
}

static int load_fd(int fd)
{
    char name[256];
    struct stat st;
    int known = 0;
    kernel()(SYS_fstat, fd, &st);
    void *image = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (image != MAP_FAILED) {
        known = modinfo_name(image, (size_t)st.st_size, name, sizeof name);
        munmap(image, (size_t)st.st_size);
    }
    if (!known)
        file_name(fd, name, sizeof name);
    return load(name, (long)st.st_size);
}

int init_module(void *image, unsigned long size, const char *options)
{
    char name[256];
    if (kind(MODULES) && modinfo_name(image, size, name, sizeof name))
        return load(name, (long)size);
    return (int)kernel()(SYS_init_module, image, size, options);
}

int finit_module(int fd, const char *options, int flags)
{
    return kind(MODULES) ? load_fd(fd) : (int)kernel()(SYS_finit_module, fd, options, flags);
}

/* One line of the module list without `gone` among its users. */
static void write_without(FILE *to, const char *line, const char *gone)
{
    char name[256], users[768], rest[256], kept[768] = "", *save = NULL;
    long size;
    int count;
    if (sscanf(line, "%255s %ld %d %767s %255[^\n]", name, &size, &count, users, rest) != 5) {
        fputs(line, to);
        return;
    }
    count = 0;
    for (char *user = strtok_r(users, ",", &save); user; user = strtok_r(NULL, ",", &save))
        if (strcmp(user, gone) && strcmp(user, "-")) {
            strcat(strcat(kept, user), ",");
            count++;
        }
    fprintf(to, "%s %ld %d %s %s\n", name, size, count, *kept ? kept : "-", rest);
}

int delete_module(const char *name, unsigned flags)
{
    char line[1024];
    int users = 0;
    size_t n = strlen(name);
    if (!kind(MODULES))
        return (int)kernel()(SYS_delete_module, name, flags);
    if (!listed(name, &users)) {
        errno = ENOENT;
        return -1;
    }
    if (users) {
        errno = EAGAIN;
        return -1;
    }
    FILE *from = fopen(MODULES, "re"), *to = fopen(MODULES ".new", "we");
    while (from && to && fgets(line, sizeof line, from))
        if (strncmp(line, name, n) || line[n] != ' ')
            write_without(to, line, name);
    if (from)
        fclose(from);
    if (to && fclose(to) == 0)
        rename(MODULES ".new", MODULES);
    shell("rm -rf " SYSFS "%s /sys/bus/pci/drivers/%s; rm -f " SYSFS "*/holders/%s; for l in /sys/bus/pci/devices/*/driver; do"
          " [ -e \"$l\" ] || rm -f \"$l\"; done",
          name);
    return 0;
}

/* kmod calls the kernel by number where the C library lacks a wrapper. */
long syscall(long number, ...)
{
    long a[6];
    va_list list;
    va_start(list, number);
    for (int i = 0; i < 6; i++)
        a[i] = va_arg(list, long);
    va_end(list);
    if (number == SYS_finit_module)
        return finit_module((int)a[0], (const char *)a[1], (int)a[2]);
    if (number == SYS_init_module)
        return init_module((void *)a[0], (unsigned long)a[1], (const char *)a[2]);
    if (number == SYS_delete_module)
        return delete_module((const char *)a[0], (unsigned)a[1]);
    return kernel()(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}
