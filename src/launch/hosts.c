/* Hosts and their slots, from -H or a file. */
#include "base/memory.h"
#include "base/number.h"
#include "launch/launch.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static kpar_status add(kpar_launch_hosts *hosts, const char *name, const char *slots)
{
    long long count = 1;
    if (!*name) return kpar_fail(KPAR_EUSAGE, "a host's name is empty; write host:slots");
    if (slots && (!kpar_parse_whole_integer(slots, &count) || count < 1))
        return kpar_fail(KPAR_EUSAGE, "host '%s': slots are '%s', expected a number from 1 on", name, slots);
    KPAR_PUSH(hosts->items, hosts->count, hosts->capacity) =
        (kpar_launch_host){.name = kpar_strdup(name), .slots = count};
    return KPAR_OK;
}

kpar_status kpar_launch_hosts_parse(const char *list, kpar_launch_hosts *hosts)
{
    char *copy = kpar_strdup(list), *rest = copy;
    kpar_status status = KPAR_OK;
    for (char *name; status == KPAR_OK && (name = strsep(&rest, ","));) {
        char *slots = strrchr(name, ':');
        if (slots) *slots++ = '\0';
        status = add(hosts, name, slots);
    }
    kpar_free(copy);
    return status;
}

/* `name`, `name:4` or `name slots=4 ...`; other words of a line mean something to other launchers only. */
static kpar_status add_line(char *line, kpar_launch_hosts *hosts)
{
    char *save = NULL, *slots = NULL;
    line[strcspn(line, "#\n")] = '\0';
    char *name = strtok_r(line, " \t\r", &save);
    if (!name) return KPAR_OK;
    for (char *word; (word = strtok_r(NULL, " \t\r", &save));)
        if (!strncmp(word, "slots=", 6)) slots = word + 6;
    char *colon = strrchr(name, ':');
    if (colon) {
        *colon = '\0';
        slots = colon + 1;
    }
    return add(hosts, name, slots);
}

kpar_status kpar_launch_hosts_read(const char *path, kpar_launch_hosts *hosts)
{
    FILE *file = fopen(path, "re");
    if (!file) return kpar_fail(KPAR_EIO, "%s: cannot read the host file: %s", path, strerror(errno));
    char *line = NULL;
    size_t capacity = 0;
    kpar_status status = KPAR_OK;
    while (status == KPAR_OK && getline(&line, &capacity, file) >= 0) status = add_line(line, hosts);
    if (status != KPAR_OK) status = kpar_fail_in(status, "%s", path);
    if (status == KPAR_OK && !hosts->count)
        status = kpar_fail(KPAR_EUSAGE, "%s: no host in it; a line is: name slots=N", path);
    free(line);
    fclose(file);
    return status;
}

long long kpar_launch_hosts_slots(const kpar_launch_hosts *hosts)
{
    long long slots = 0;
    for (size_t i = 0; i < hosts->count; i++) slots += hosts->items[i].slots;
    return slots;
}

kpar_status kpar_launch_hosts_suffice(const kpar_launch_hosts *hosts, long long ranks)
{
    long long slots = kpar_launch_hosts_slots(hosts);
    if (!hosts->count || ranks <= slots) return KPAR_OK;
    kpar_text list = {0};
    for (size_t i = 0; i < hosts->count; i++)
        kpar_text_printf(&list, "%s%s x %lld", i ? ", " : "", hosts->items[i].name, hosts->items[i].slots);
    kpar_status status = kpar_fail(KPAR_EUSAGE,
                                   "%lld ranks, but the hosts have %lld slots (%s); raise the slots, e.g. -H "
                                   "%s:%lld, or give --oversubscribe",
                                   ranks, slots, kpar_text_get(&list), hosts->items[0].name,
                                   hosts->items[0].slots + ranks - slots);
    kpar_text_clear(&list);
    return status;
}

void kpar_launch_hosts_clear(kpar_launch_hosts *hosts)
{
    for (size_t i = 0; i < hosts->count; i++) kpar_free(hosts->items[i].name);
    kpar_free(hosts->items);
    *hosts = (kpar_launch_hosts){0};
}
