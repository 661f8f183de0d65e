# kpar_train.
bin_PROGRAMS += kpar_train
kpar_train_SOURCES += src/cli/main.c src/cli/settings.c src/cli/settings.h src/cli/settings_file.c src/cli/options.c \
	src/cli/job.c src/cli/job.h src/cli/layout.c src/cli/compile_override.c src/cli/data.c src/cli/random_data.c \
	src/cli/begin.c src/cli/check_layout.c src/cli/end.c src/cli/predict.c src/cli/plan.c src/cli/dump.c \
	src/cli/threads.c
