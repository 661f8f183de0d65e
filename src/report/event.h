/* What happens in a run, as one struct. Everything that tells a user or a program about a run is made from
 * these. */
#ifndef KPAR_REPORT_EVENT_H
#define KPAR_REPORT_EVENT_H

#include <stddef.h>
#include <stdint.h>

typedef enum kpar_event_kind {
    KPAR_EVENT_RUN_BEGIN,    /* facts, plan, epochs, first epoch in `epoch` */
    KPAR_EVENT_EPOCH_BEGIN,  /* epoch, epochs, steps */
    KPAR_EVENT_STEP,         /* one step is done: step counts it; logs are those of the epoch so far */
    KPAR_EVENT_EPOCH_END,    /* logs are the epoch's, validation included ("val_loss"), in Keras's order */
    KPAR_EVENT_EVALUATE_END, /* an evaluation on its own is done */
    KPAR_EVENT_MESSAGE,      /* text: one line for the user */
    KPAR_EVENT_CHECKPOINT,   /* text: the path of the checkpoint just made */
    KPAR_EVENT_RUN_END,      /* totals of the run */
} kpar_event_kind;

typedef struct kpar_named_value {
    const char *name;
    double value;
} kpar_named_value;

typedef struct kpar_named_text {
    const char *name, *value;
} kpar_named_text;

/* Borrowed pointers, valid during the call. Members that a kind does not speak of are zero. */
typedef struct kpar_event {
    kpar_event_kind kind;
    int64_t epoch, epochs; /* from 0; total */
    int64_t step, steps;   /* done and to do: of the epoch or evaluation; RUN_END: of the whole run */
    int64_t rows;          /* rows seen: since the epoch or evaluation began; RUN_END: trained by this run */
    double seconds;        /* since the epoch, evaluation or run began */
    double samples_per_second; /* rows per second of the same time, without validation */
    const kpar_named_value *logs;
    size_t n_logs;
    double compute_seconds, wait_seconds; /* RUN_END: mean over ranks */
    uint64_t bytes_read, bytes_sent;      /* RUN_END: payload of the data and between ranks, over all ranks */
    uint64_t peak_rank_bytes;             /* RUN_END: the most memory that a rank had at a time */
    const kpar_named_text *facts;         /* RUN_BEGIN: "model", "mesh", "batch_size" and so on */
    size_t n_facts;
    const kpar_named_value *plan; /* RUN_BEGIN: the plan's predictions, units in the names: "step_seconds" */
    size_t n_plan;
    const char *text;
} kpar_event;

#endif
