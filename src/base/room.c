/* Memory taken and left, from /proc and the control groups of either version. */
#include "base/room.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

/* The number behind `key` in a small file of the system, in bytes; SIZE_MAX where there is none ("max"). */
static size_t read_bytes(const char *path, const char *key, size_t unit)
{
    char line[256];
    size_t value, found = SIZE_MAX;
    FILE *file = fopen(path, "re");
    while (file && found == SIZE_MAX && fgets(line, sizeof line, file))
        if (strncmp(line, key, strlen(key)) == 0 && sscanf(line + strlen(key), "%zu", &value) == 1 &&
            value < SIZE_MAX / unit)
            found = value * unit;
    if (file) fclose(file);
    return found;
}

static size_t own(const char *key)
{
    const size_t bytes = read_bytes("/proc/self/status", key, 1024);
    return bytes == SIZE_MAX ? 0 : bytes;
}

static size_t less(size_t all, size_t taken) { return all > taken ? all - taken : 0; }

static void tighten(kpar_room *room, size_t bytes, const char *limit)
{
    if (bytes < room->bytes) *room = (kpar_room){bytes, limit};
}

/* --- the process --- */

static size_t left_of(const struct rlimit *limit, const char *taken)
{
    return limit->rlim_cur == RLIM_INFINITY ? SIZE_MAX : less((size_t)limit->rlim_cur, own(taken));
}

kpar_room kpar_room_process(void)
{
    kpar_room room = {SIZE_MAX, "nothing"};
    struct rlimit data, addresses;
    if (getrlimit(RLIMIT_DATA, &data) == 0)
        tighten(&room, left_of(&data, "VmData:"), "its limit of data (ulimit -d)");
    if (getrlimit(RLIMIT_AS, &addresses) == 0)
        tighten(&room, left_of(&addresses, "VmSize:"), "its limit of addresses (ulimit -v)");
    return room;
}

size_t kpar_room_peak(void) { return less(own("VmHWM:"), own("RssFile:") + own("RssShmem:")); }

/* --- the machine --- */

/* A version of control groups: how its line in /proc/self/cgroup begins, and its files. */
typedef struct hierarchy {
    const char *controller, *folder, *limit, *used, *cache;
} hierarchy;

static const hierarchy hierarchies[] = {
    {"0::", "", "memory.max", "memory.current", "inactive_file "},
    {":memory:", "/memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file "},
};

/* Where a version's groups are. */
typedef struct tree {
    const hierarchy *version;
    const char *root;
} tree;

static size_t read_group(const tree *t, const char *group, const char *file, const char *key)
{
    char path[4096 + 512];
    snprintf(path, sizeof path, "%s%s%s/%s", t->root, t->version->folder, group, file);
    return read_bytes(path, key, 1);
}

static size_t left_in_group(const tree *t, const char *group)
{
    const size_t limit = read_group(t, group, t->version->limit, ""),
                 used = read_group(t, group, t->version->used, ""),
                 cache = read_group(t, group, "memory.stat", t->version->cache);
    if (limit == SIZE_MAX || used == SIZE_MAX) return limit;
    return less(limit, less(used, cache == SIZE_MAX ? 0 : cache));
}

/* The group's path in a line "number:controller:path". */
static char *group_of(const hierarchy *h, char *line)
{
    char *at = strstr(line, h->controller);
    line[strcspn(line, "\n")] = '\0';
    return at && (at == line || h->controller[0] == ':') ? at + strlen(h->controller) : NULL;
}

/* A group's limit also holds for the groups in it: up to the root, which in a container is the container's. */
static void tighten_by_groups(kpar_room *room, const char *groups, const tree *t)
{
    char line[4096], *group = NULL;
    FILE *file = fopen(groups, "re");
    while (file && !group && fgets(line, sizeof line, file)) group = group_of(t->version, line);
    if (file) fclose(file);
    for (char *end; group && (end = strrchr(group, '/')); *end = '\0')
        tighten(room, left_in_group(t, group), "the limit of its control group");
    tighten(room, left_in_group(t, ""), "the limit of its control group");
}

kpar_room kpar_room_groups(const char *groups, const char *root)
{
    kpar_room room = {SIZE_MAX, "nothing"};
    for (size_t i = 0; i < sizeof hierarchies / sizeof *hierarchies; i++)
        tighten_by_groups(&room, groups, &(tree){&hierarchies[i], root});
    return room;
}

kpar_room kpar_room_machine(void)
{
    kpar_room room = kpar_room_groups("/proc/self/cgroup", "/sys/fs/cgroup");
    tighten(&room, read_bytes("/proc/meminfo", "MemAvailable:", 1024), "the machine's free memory");
    return room;
}
