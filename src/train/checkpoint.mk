# The container of checkpoints.
libkpar_core_la_SOURCES += \
	src/train/checkpoint_file.h src/train/checkpoint_internal.h \
	src/train/checkpoint_find.c src/train/checkpoint_folder.c src/train/checkpoint_lock.c \
	src/train/checkpoint_manifest.c src/train/checkpoint_piece.c \
	src/train/checkpoint_read.c src/train/checkpoint_write.c
