# Unit tests: one program a subject.
include tests/unit/base.mk
include tests/unit/tensor.mk
include tests/unit/expression.mk
include tests/unit/graph.mk
include tests/unit/gradient.mk
include tests/unit/program.mk
include tests/unit/device.mk
include tests/unit/comm.mk
include tests/unit/algorithm.mk
include tests/unit/keras.mk
include tests/unit/data.mk
include tests/unit/report.mk
include tests/unit/checkpoint_file.mk
include tests/unit/model.mk
include tests/unit/plan.mk
include tests/unit/plan_report.mk
include tests/unit/executor.mk
include tests/unit/train.mk
include tests/unit/guard.mk
include tests/unit/replicas.mk
include tests/unit/save.mk
include tests/unit/locks.mk
include tests/unit/launch.mk
include tests/unit/bench.mk
include tests/unit/api.mk

EXTRA_DIST += tests/unit/unit.h
