/* Whether the plan fits in memory, before anything large is asked for; and if not, where it would. */
#include "base/room.h"
#include "plan/memory.h"
#include "train/defaults.h"
#include "train/trainer_internal.h"

#include <stdint.h>
#include <stdio.h>

/* Of a rank; plain data, to be gathered. */
typedef struct need {
    size_t bytes;
    size_t own_room, machine_room;
    char own_limit[48], machine_limit[48];
} need;

/* The first rank that has too little, and how much it may take. */
typedef struct shortage {
    int rank; /* -1: none */
    size_t needed, room;
    const char *limit;
} shortage;

static need find_need(const kpar_trainer *t)
{
    const kpar_room own = kpar_room_process(), machine = kpar_room_machine();
    need n = {.bytes = kpar_rank_memory(t->plan, t->programs, KPAR_MODE_COUNT),
              .own_room = own.bytes,
              .machine_room = machine.bytes};
    snprintf(n.own_limit, sizeof n.own_limit, "%s", own.limit);
    snprintf(n.machine_limit, sizeof n.machine_limit, "%s", machine.limit);
    return n;
}

/* What all ranks of a node need together, and the share of the machine's room that falls to one. */
static void look_at_node(const kpar_trainer *t, const need *all, int rank, shortage *found)
{
    size_t together = 0, ranks = 0;
    for (int other = 0; other < kpar_comm_size(t->comm); other++) {
        if (t->nodes[other] != t->nodes[rank]) continue;
        together = all[other].bytes > SIZE_MAX - together ? SIZE_MAX : together + all[other].bytes;
        ranks++;
    }
    if (together > all[rank].machine_room)
        *found = (shortage){rank, all[rank].bytes, all[rank].machine_room / ranks, all[rank].machine_limit};
}

static shortage find_shortage(const kpar_trainer *t, const need *all)
{
    shortage found = {.rank = -1};
    for (int rank = 0; rank < kpar_comm_size(t->comm) && found.rank < 0; rank++) {
        if (all[rank].bytes > all[rank].own_room)
            found = (shortage){rank, all[rank].bytes, all[rank].own_room, all[rank].own_limit};
        else
            look_at_node(t, all, rank, &found);
    }
    return found;
}

/* --- where it would fit --- */

static bool fits(const kpar_trainer *t, kpar_mesh mesh, size_t room, size_t *bytes)
{
    kpar_plan_options o = t->options.plan;
    kpar_catalog *catalog = kpar_catalog_create();
    kpar_plan *plan = NULL;
    o.mesh = mesh;
    o.nodes = NULL;
    o.check_passes = false;
    if (mesh.pipeline != t->options.plan.mesh.pipeline) o.stages = NULL;
    if (o.leaves == 0) o.microbatches = kpar_default_microbatches(&mesh, o.batch_size);
    kpar_status status = kpar_plan_create(t->model, catalog, &o, t->options.modes, &plan);
    if (status == KPAR_OK) status = kpar_plan_memory(plan, bytes);
    kpar_plan_destroy(plan);
    kpar_catalog_destroy(catalog);
    return status == KPAR_OK && *bytes <= room;
}

/* By doubling the stages, or the tensor ranks, up to where planning takes long: "--pipeline 4 (8 ranks, 1.5 MiB each)". */
static void suggest(const kpar_trainer *t, bool pipeline, size_t room, kpar_text *text)
{
    enum { MOST = 64 };
    kpar_mesh mesh = t->options.plan.mesh;
    int *degree = pipeline ? &mesh.pipeline : &mesh.tensor;
    for (*degree *= 2; *degree <= MOST; *degree *= 2) {
        size_t bytes = 0;
        if (!fits(t, mesh, room, &bytes)) continue;
        kpar_text_printf(text, "%s --%s %d (%d ranks, %zu MiB each)", text->length ? " or" : "",
                         pipeline ? "pipeline" : "tensor", *degree, kpar_mesh_size(mesh), bytes >> 20);
        return;
    }
}

static kpar_status refuse(const kpar_trainer *t, const shortage *s)
{
    kpar_text meshes = {0};
    suggest(t, true, s->room, &meshes);
    suggest(t, false, s->room, &meshes);
    kpar_status status = kpar_fail(
        KPAR_ENOMEM,
        "memory: rank %d needs %zu bytes (%zu MiB) and may take %zu (%zu MiB), its share of %s; %s%s, a "
        "smaller batch, or --no-memory-check to go on all the same",
        s->rank, s->needed, s->needed >> 20, s->room, s->room >> 20, s->limit,
        meshes.length ? "it would fit with" : "use more machines", kpar_text_get(&meshes));
    kpar_text_clear(&meshes);
    return status;
}

kpar_status kpar_trainer_check_memory(kpar_trainer *t)
{
    const need own = find_need(t);
    need *all = kpar_alloc((size_t)kpar_comm_size(t->comm) * sizeof *all);
    kpar_status status = kpar_comm_all_gather(t->comm, &own, all, sizeof own);
    if (status == KPAR_OK) {
        const shortage found = find_shortage(t, all);
        if (found.rank >= 0) /* known to all, told by one: the search takes a while */
            status = kpar_comm_rank(t->comm) == 0 ? refuse(t, &found) : KPAR_OK;
        status = kpar_comm_agree(t->comm, status);
    }
    kpar_free(all);
    return status;
}
