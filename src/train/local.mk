libkpar_core_la_SOURCES += src/train/trainer.c src/train/trainer.h src/train/trainer_internal.h \
	src/train/trainer_batch.c \
	src/train/trainer_weights.c \
	src/train/alike.c src/train/check_layout.c src/train/replicas.c src/train/trainer_memory.c \
	src/train/trainer_step.c src/train/trainer_state.c src/train/trainer_checkpoint.c src/train/tally.c \
	src/train/fit.c src/train/predict.c src/train/profile.c \
	src/train/cores.c src/train/cores.h src/train/defaults.c src/train/defaults.h
