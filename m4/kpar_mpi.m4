dnl KPAR_WITH_MPI: $CC when it is a wrapper such as mpicc, else pkg-config's ompi-c, then mpich.
dnl --with-mpi=MODULE names the pkg-config module, --with-mpi=DIR the place, --without-mpi leaves MPI out.

AC_DEFUN([KPAR_MPI_TRY],
[AS_IF([test "x$kpar_mpi_found" = xno],
  [kpar_try_CFLAGS=$1; kpar_try_LIBS=$2
   KPAR_LINKS([mpi.h], [mpi], [MPI_Init])
   AS_IF([test $kpar_links = yes], [kpar_mpi_found="$3"; MPI_CFLAGS=$1; MPI_LIBS=$2])])
])

AC_DEFUN([KPAR_MPI_MODULE],
[AS_IF([test -n "$PKG_CONFIG" && $PKG_CONFIG --exists $1],
  [KPAR_MPI_TRY([`$PKG_CONFIG --cflags $1`], [`$PKG_CONFIG --libs $1`], [$1 `$PKG_CONFIG --modversion $1`])])
])

dnl Which MPI's headers were taken decides which mpirun can start the result.
AC_DEFUN([KPAR_MPI_KIND],
[kpar_save_CPPFLAGS=$CPPFLAGS
CPPFLAGS="$CPPFLAGS $MPI_CFLAGS"
AC_CACHE_CHECK([whose MPI this is], [kpar_cv_mpi_kind],
  [kpar_cv_mpi_kind=other
   AC_PREPROC_IFELSE([AC_LANG_PROGRAM([[#include <mpi.h>
#ifndef OPEN_MPI
#error not Open MPI
#endif]])], [kpar_cv_mpi_kind=openmpi])
   AC_PREPROC_IFELSE([AC_LANG_PROGRAM([[#include <mpi.h>
#ifndef MPICH_VERSION
#error not MPICH
#endif]])], [kpar_cv_mpi_kind=mpich])])
CPPFLAGS=$kpar_save_CPPFLAGS
AS_CASE([$kpar_cv_mpi_kind],
  [openmpi], [AC_CHECK_PROGS([MPIRUN], [mpirun.openmpi mpirun mpiexec], [mpirun])],
  [mpich], [AC_CHECK_PROGS([MPIRUN], [mpirun.mpich mpiexec.hydra mpirun mpiexec], [mpirun])],
  [AC_CHECK_PROGS([MPIRUN], [mpirun mpiexec], [mpirun])])
])

AC_DEFUN([KPAR_WITH_MPI],
[AC_ARG_WITH([mpi],
  [AS_HELP_STRING([--with-mpi@<:@=MODULE|DIR@:>@], [MPI: a pkg-config module (ompi-c, mpich) or a place])],
  [], [with_mpi=check])
kpar_mpi_found=no
AC_MSG_CHECKING([for MPI])
AS_CASE([$with_mpi],
  [no], [:],
  [yes|check],
    [KPAR_MPI_TRY([], [], [of the compiler, $CC])
     KPAR_MPI_MODULE([ompi-c])
     KPAR_MPI_MODULE([mpich])],
  [*/*],
    [KPAR_MPI_TRY([-I$with_mpi/include], [-L$with_mpi/lib -Wl,-rpath,$with_mpi/lib -lmpi], [in $with_mpi])],
  [AS_IF([test -n "$PKG_CONFIG" && $PKG_CONFIG --exists $with_mpi],
    [KPAR_MPI_TRY([`$PKG_CONFIG --cflags $with_mpi`], [`$PKG_CONFIG --libs $with_mpi`],
       [$with_mpi `$PKG_CONFIG --modversion $with_mpi`])])])
AC_MSG_RESULT([$kpar_mpi_found])
AS_IF([test "x$kpar_mpi_found" = xno && test "x$with_mpi" != xno],
  [AC_MSG_ERROR([MPI was not found: install libopenmpi-dev or libmpich-dev, or configure with CC=mpicc])])
AS_IF([test "x$kpar_mpi_found" != xno],
  [AC_DEFINE([KPAR_HAVE_MPI], [1], [MPI is there.])
   KPAR_MPI_KIND])
AM_CONDITIONAL([HAVE_MPI], [test "x$kpar_mpi_found" != xno])
AM_CONDITIONAL([MPI_IS_MPICH], [test "x$kpar_cv_mpi_kind" = xmpich])
AC_SUBST([MPI_CFLAGS])
AC_SUBST([MPI_LIBS])
])
