# kpar_train on one rank and on several.
dist_check_SCRIPTS += tests/mpi/test_train_cli.sh
TESTS += tests/mpi/test_train_cli.sh
SLOW_TESTS += tests/mpi/test_train_cli.sh
tests/mpi/test_train_cli.log: kpar_train$(EXEEXT)

# What is the same through layouts, damage, kills and resumes.
dist_check_SCRIPTS += tests/mpi/test_resume.sh
TESTS += tests/mpi/test_resume.sh
SLOW_TESTS += tests/mpi/test_resume.sh
tests/mpi/test_resume.log: kpar_train$(EXEEXT)

# What it finds on the machine.
dist_check_SCRIPTS += tests/mpi/test_machine.sh
TESTS += tests/mpi/test_machine.sh
tests/mpi/test_machine.log: kpar_train$(EXEEXT) kparrun$(EXEEXT)

# How jobs of many ranks end.
dist_check_SCRIPTS += tests/mpi/test_ends.sh
TESTS += tests/mpi/test_ends.sh
tests/mpi/test_ends.log: kpar_train$(EXEEXT) kparrun$(EXEEXT)
