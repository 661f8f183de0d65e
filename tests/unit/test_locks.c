/* Files on a system that refuses locks, as NFS and Lustre may: models are read and written, checkpoints too. Here every call
 * that takes a lock fails, whichever library makes it. */
#include "train/trainer.h"

#include "keras_fixture.h"
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <hdf5.h>
#include <stdarg.h>
#include <sys/file.h>
#include <sys/syscall.h>

static int locks; /* tried */

static int refuse_lock(void)
{
    locks++;
    errno = ENOLCK;
    return -1;
}

KPAR_API int flock(int descriptor, int operation)
{
    (void)descriptor, (void)operation;
    return refuse_lock();
}

KPAR_API int fcntl(int descriptor, int command, ...)
{
    va_list arguments;
    va_start(arguments, command);
    void *argument = va_arg(arguments, void *);
    va_end(arguments);
    const bool lock =
        command == F_SETLK || command == F_SETLKW || command == F_OFD_SETLK || command == F_OFD_SETLKW;
    return lock ? refuse_lock() : (int)syscall(SYS_fcntl, descriptor, command, argument);
}

KPAR_API int fcntl64(int descriptor, int command, ...) __attribute__((alias("fcntl")));

static kpar_trainer *make_trainer(kpar_comm *comm, const char *model)
{
    kpar_trainer *trainer;
    const kpar_trainer_options options = {.modes = 1u << KPAR_MODE_TRAIN,
                                          .device.threads = 1,
                                          .plan = {.mesh = {1, 1, 1},
                                                   .batch_size = 8,
                                                   .microbatches = 1,
                                                   .device = kpar_device_find("cpu"),
                                                   .real = KPAR_F32}};
    kpar_status status = kpar_trainer_create(comm, model, &options, &trainer);
    ck_assert_msg(status == KPAR_OK, "%s: %s", model, kpar_error_message());
    return trainer;
}

static void fit(kpar_trainer *trainer, const char *data, int64_t epochs, const char *output)
{
    kpar_dataset *dataset;
    kpar_status status = kpar_trainer_open_data(trainer, data, &(kpar_dataset_names){0}, &dataset);
    ck_assert_msg(status == KPAR_OK, "%s", kpar_error_message());
    status = kpar_trainer_fit(trainer,
                              &(kpar_fit_options){.train = {dataset, 0, kpar_dataset_rows(dataset)},
                                                  .epochs = epochs,
                                                  .checkpoint = path_of("saved"),
                                                  .checkpoint_every = 2,
                                                  .resume = epochs > 1,
                                                  .output = output},
                              NULL);
    ck_assert_msg(status == KPAR_OK, "%s", kpar_error_message());
    kpar_dataset_close(dataset);
}

/* Or the other tests prove nothing. */
START_TEST(hdf5_by_itself_takes_locks)
{
    make_folder();
    unsetenv("HDF5_USE_FILE_LOCKING");
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    hid_t id = H5Fcreate(path_of("plain.h5"), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    if (id >= 0) H5Fclose(id);
    ck_assert_int_gt(locks, 0);
    remove_folder();
}
END_TEST

static const char *const models[] = {"opt_sgd/model.keras", "format_legacy_h5/model.h5"};

START_TEST(reading_takes_no_lock)
{
    kpar_comm *comm;
    char model[PATH_BYTES], *end;
    snprintf(model, sizeof model, "%s", case_model("opt_sgd"));
    end = strstr(model, "opt_sgd");
    snprintf(end, (size_t)(model + sizeof model - end), "%s", models[_i]);
    ck_assert_int_eq(kpar_comm_local_create(1, 0, &comm), KPAR_OK);
    kpar_trainer_destroy(make_trainer(comm, model));
    kpar_comm_destroy(comm);
    ck_assert_int_eq(locks, 0);
}
END_TEST

START_TEST(checkpoints_and_models_are_written_where_locks_fail)
{
    kpar_comm *comm;
    char data[PATH_BYTES];
    make_folder();
    snprintf(data, sizeof data, "%s", case_model("opt_sgd"));
    strcpy(strstr(data, "model.keras"), "data.npz");
    ck_assert_int_eq(kpar_comm_local_create(1, 0, &comm), KPAR_OK);
    for (int64_t epochs = 1; epochs <= 2; epochs++) {
        kpar_trainer *trainer = make_trainer(comm, case_model("opt_sgd"));
        fit(trainer, data, epochs, path_of("trained.keras"));
        kpar_trainer_destroy(trainer);
    }
    kpar_trainer_destroy(make_trainer(comm, path_of("trained.keras")));
    kpar_comm_destroy(comm);
    remove_folder();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("locks");
    TCase *tests = tcase_create("where locks are refused");
    tcase_add_test(tests, hdf5_by_itself_takes_locks);
    tcase_add_loop_test(tests, reading_takes_no_lock, 0, (int)(sizeof models / sizeof *models));
    tcase_add_test(tests, checkpoints_and_models_are_written_where_locks_fail);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
