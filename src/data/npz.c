/* The directory of a zip archive, read from the map and checked before anything is believed. */
#include "data/npz_internal.h"

#include "base/memory.h"

#include <string.h>

enum {
    END_BYTES = 22,
    END64_LOCATOR_BYTES = 20,
    END64_BYTES = 56,
    ENTRY_BYTES = 46,
    LOCAL_BYTES = 30,
    LONGEST_COMMENT = 65535,
    LARGEST_RATIO = 1032, /* deflate: 258 bytes from 2 bits */
    ZIP64_EXTRA = 1,
};

static const uint32_t end_signature = 0x06054b50, end64_signature = 0x06064b50,
                      locator_signature = 0x07064b50, entry_signature = 0x02014b50,
                      local_signature = 0x04034b50;

static uint64_t little(const unsigned char *bytes, int count)
{
    uint64_t value = 0;
    while (count--) value = value << 8 | bytes[count];
    return value;
}

/* Whether [offset, offset + bytes) lies within [0, length). */
static bool inside(uint64_t offset, uint64_t bytes, uint64_t length)
{
    return offset <= length && bytes <= length - offset;
}

static kpar_status malformed(const kpar_npz *archive, const char *what)
{
    return kpar_fail(KPAR_EFORMAT, "%s: %s; expected a whole zip archive: copy or save the file again",
                     archive->path, what);
}

/* The place of the directory: its offset, bytes and entries. */
typedef struct directory {
    uint64_t offset, bytes, entries;
} directory;

/* Offset of the end record, or the length of the file where there is none. */
static size_t find_end(const kpar_map *map)
{
    if (map->length < END_BYTES) return map->length;
    size_t last = map->length - END_BYTES;
    size_t first = last > LONGEST_COMMENT ? last - LONGEST_COMMENT : 0;
    for (size_t at = last + 1; at-- > first;)
        if (little(map->bytes + at, 4) == end_signature &&
            at + END_BYTES + little(map->bytes + at + 20, 2) == map->length)
            return at;
    return map->length;
}

static kpar_status read_end64(const kpar_npz *archive, size_t end, directory *found)
{
    const kpar_map *map = &archive->map;
    if (end < END64_LOCATOR_BYTES || little(map->bytes + end - END64_LOCATOR_BYTES, 4) != locator_signature)
        return KPAR_OK;
    uint64_t at = little(map->bytes + end - END64_LOCATOR_BYTES + 8, 8);
    if (!inside(at, END64_BYTES, map->length) || little(map->bytes + at, 4) != end64_signature)
        return malformed(archive, "its zip64 end record is not where its locator says");
    *found = (directory){.entries = little(map->bytes + at + 32, 8),
                         .bytes = little(map->bytes + at + 40, 8),
                         .offset = little(map->bytes + at + 48, 8)};
    return KPAR_OK;
}

static kpar_status find_directory(const kpar_npz *archive, directory *found)
{
    const kpar_map *map = &archive->map;
    size_t end = find_end(map);
    if (end == map->length)
        return malformed(archive, "it has no end-of-archive record: no zip file, or truncated");
    const unsigned char *record = map->bytes + end;
    *found = (directory){
        .entries = little(record + 10, 2), .bytes = little(record + 12, 4), .offset = little(record + 16, 4)};
    KPAR_TRY(read_end64(archive, end, found));
    if (!inside(found->offset, found->bytes, end))
        return malformed(archive, "its directory lies outside the file");
    if (found->entries > found->bytes / ENTRY_BYTES)
        return malformed(archive, "its directory is smaller than its number of entries");
    return KPAR_OK;
}

/* Replaces sizes and offset that did not fit 32 bits by those in the zip64 field, which has only the
 * replaced ones. */
static kpar_status read_zip64(const kpar_npz *archive, const unsigned char *extra, size_t bytes,
                              kpar_member *member)
{
    uint64_t *const values[] = {&member->size, &member->packed, &member->offset};
    while (bytes >= 4) {
        size_t id = little(extra, 2), length = little(extra + 2, 2);
        if (length > bytes - 4) break;
        const unsigned char *field = extra + 4;
        for (size_t i = 0; id == ZIP64_EXTRA && i < 3; i++) {
            if (*values[i] != UINT32_MAX) continue;
            if (length < 8) return malformed(archive, "a zip64 field is too short");
            *values[i] = little(field, 8);
            field += 8;
            length -= 8;
        }
        size_t whole = 4 + little(extra + 2, 2);
        extra += whole;
        bytes -= whole;
    }
    return KPAR_OK;
}

static kpar_status check_member(const kpar_npz *archive, const kpar_member *member)
{
    if (!inside(member->offset, member->packed, archive->map.length) || member->size > SIZE_MAX)
        return kpar_fail(KPAR_EFORMAT, "%s: member '%s' lies outside the file: truncated or damaged",
                         archive->path, member->name);
    if (member->method == KPAR_ZIP_STORED && member->size != member->packed)
        return kpar_fail(KPAR_EFORMAT, "%s: member '%s' is stored but declares %llu bytes and holds %llu",
                         archive->path, member->name, (unsigned long long)member->size,
                         (unsigned long long)member->packed);
    if (member->method == KPAR_ZIP_DEFLATED && member->size / LARGEST_RATIO > member->packed)
        return kpar_fail(KPAR_EFORMAT,
                         "%s: member '%s' declares %llu bytes, more than its %llu deflated bytes can hold",
                         archive->path, member->name, (unsigned long long)member->size,
                         (unsigned long long)member->packed);
    return KPAR_OK;
}

/* Reads the entry at `entry`, of which `left` bytes lie within the directory; *whole is its length. */
static kpar_status read_entry(kpar_npz *archive, const unsigned char *entry, uint64_t left, size_t *whole)
{
    if (left < ENTRY_BYTES || little(entry, 4) != entry_signature)
        return malformed(archive, "its directory is damaged");
    size_t name = little(entry + 28, 2), extra = little(entry + 30, 2), comment = little(entry + 32, 2);
    *whole = ENTRY_BYTES + name + extra + comment;
    if (*whole > left) return malformed(archive, "its directory is damaged");
    kpar_member *member = &KPAR_PUSH(archive->members, archive->count, archive->capacity);
    *member = (kpar_member){.flags = (unsigned)little(entry + 8, 2),
                            .method = (unsigned)little(entry + 10, 2),
                            .packed = little(entry + 20, 4),
                            .size = little(entry + 24, 4),
                            .offset = little(entry + 42, 4)};
    member->name = kpar_alloc(name + 1);
    memcpy(member->name, entry + ENTRY_BYTES, name);
    member->name[name] = '\0';
    KPAR_TRY(read_zip64(archive, entry + ENTRY_BYTES + name, extra, member));
    return check_member(archive, member);
}

static kpar_status read_directory(kpar_npz *archive)
{
    directory found = {0};
    KPAR_TRY(find_directory(archive, &found));
    uint64_t used = 0, held = 0;
    for (uint64_t i = 0; i < found.entries; i++) {
        size_t whole = 0;
        KPAR_TRY(read_entry(archive, archive->map.bytes + found.offset + used, found.bytes - used, &whole));
        used += whole;
        held += LOCAL_BYTES + archive->members[i].packed;
        if (held > found.offset)
            return malformed(archive, "its members overlap: it declares more than it can hold");
    }
    return KPAR_OK;
}

kpar_status kpar_npz_open(const char *path, kpar_npz **archive)
{
    *archive = NULL;
    kpar_npz *opened = kpar_alloc_zeroed(1, sizeof *opened);
    opened->path = kpar_strdup(path);
    kpar_status status = kpar_map_open(path, &opened->map);
    if (status == KPAR_OK) status = read_directory(opened);
    if (status == KPAR_OK)
        *archive = opened;
    else
        kpar_npz_close(opened);
    return status;
}

void kpar_npz_close(kpar_npz *archive)
{
    if (!archive) return;
    if (archive->zip) zip_discard(archive->zip);
    for (size_t i = 0; i < archive->count; i++) {
        kpar_free(archive->members[i].name);
        kpar_free_aligned(archive->members[i].unpacked);
    }
    kpar_free(archive->members);
    kpar_map_close(&archive->map);
    kpar_free(archive->path);
    kpar_free(archive);
}

int kpar_npz_count(const kpar_npz *archive) { return (int)archive->count; }

const char *kpar_npz_name(const kpar_npz *archive, int member) { return archive->members[member].name; }

size_t kpar_npz_size(const kpar_npz *archive, int member) { return (size_t)archive->members[member].size; }

int kpar_npz_find(const kpar_npz *archive, const char *name)
{
    int i = (int)archive->count;
    while (i-- > 0)
        if (!strcmp(archive->members[i].name, name)) return i;
    return -1;
}

kpar_status kpar_npz_place(const kpar_npz *archive, const kpar_member *member, const unsigned char **bytes)
{
    const kpar_map *map = &archive->map;
    if (!inside(member->offset, LOCAL_BYTES, map->length) ||
        little(map->bytes + member->offset, 4) != local_signature)
        return kpar_fail(KPAR_EFORMAT,
                         "%s: member '%s' is not where the directory says: truncated or damaged",
                         archive->path, member->name);
    const unsigned char *local = map->bytes + member->offset;
    uint64_t start = member->offset + LOCAL_BYTES + little(local + 26, 2) + little(local + 28, 2);
    if (!inside(start, member->packed, map->length))
        return kpar_fail(KPAR_EFORMAT, "%s: member '%s' lies outside the file: truncated or damaged",
                         archive->path, member->name);
    *bytes = map->bytes + start;
    return KPAR_OK;
}
