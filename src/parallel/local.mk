libkpar_core_la_SOURCES += src/parallel/mesh.h src/parallel/module.c src/parallel/module.h src/parallel/cost.c \
	src/parallel/cost.h \
	src/parallel/deal.c src/parallel/deal.h \
	src/parallel/place.c src/parallel/place.h src/parallel/place_internal.h src/parallel/place_rules.c \
	src/parallel/place_rules.h src/parallel/place_rules_map.c src/parallel/convert.c src/parallel/meetings.c \
	src/parallel/sums.c \
	src/parallel/stages.c src/parallel/stages.h src/parallel/cut.c src/parallel/cut.h src/parallel/homes.c \
	src/parallel/homes.h src/parallel/split_backward.c src/parallel/split_backward.h src/parallel/recompute.c \
	src/parallel/recompute.h \
	src/parallel/bucket.c src/parallel/bucket.h src/parallel/bucket_scalars.c \
	src/parallel/schedule.c src/parallel/schedule.h src/parallel/schedule_gpipe.c \
	src/parallel/schedule_1f1b.c src/parallel/schedule_interleaved.c src/parallel/schedule_zb_h1.c
