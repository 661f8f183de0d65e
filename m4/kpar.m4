dnl Macros of kpar's configure.ac: compiler flags, and one row a dependency.

dnl KPAR_TRY_FLAG(flag): appends the flag to KPAR_CFLAGS when the compiler takes it.
AC_DEFUN([KPAR_TRY_FLAG],
[AS_VAR_PUSHDEF([cache], [kpar_cv_flag_$1])dnl
AC_CACHE_CHECK([whether $CC takes $1], [cache],
  [kpar_save_CFLAGS=$CFLAGS
   CFLAGS="$CFLAGS -Werror $1"
   AC_COMPILE_IFELSE([AC_LANG_PROGRAM], [AS_VAR_SET([cache], [yes])], [AS_VAR_SET([cache], [no])])
   CFLAGS=$kpar_save_CFLAGS])
AS_VAR_IF([cache], [yes], [KPAR_CFLAGS="$KPAR_CFLAGS $1"])
AS_VAR_POPDEF([cache])dnl
])

AC_DEFUN([KPAR_WARNINGS],
[AC_ARG_ENABLE([werror],
  [AS_HELP_STRING([--enable-werror], [warnings are errors])], [], [enable_werror=no])
KPAR_TRY_FLAG([-Wall])
KPAR_TRY_FLAG([-Wextra])
dnl snprintf is how names and messages are cut to a buffer.
KPAR_TRY_FLAG([-Wno-format-truncation])
KPAR_TRY_FLAG([-Wconversion])
KPAR_TRY_FLAG([-Wshadow])
dnl gcc cannot see that kpar_fail() never returns KPAR_OK, and takes what KPAR_TRY() guards for unset.
KPAR_TRY_FLAG([-Wno-maybe-uninitialized])
AS_IF([test "x$enable_werror" != xno], [KPAR_CFLAGS="$KPAR_CFLAGS -Werror"])
])

dnl --enable-sanitizers=address,undefined: the list goes to -fsanitize as it is.
AC_DEFUN([KPAR_SANITIZERS],
[AC_ARG_ENABLE([sanitizers],
  [AS_HELP_STRING([--enable-sanitizers=LIST], [e.g. address,undefined])], [], [enable_sanitizers=no])
AS_IF([test "x$enable_sanitizers" = xyes], [enable_sanitizers=address,undefined])
KPAR_LDFLAGS=
AS_IF([test "x$enable_sanitizers" != xno],
  [KPAR_CFLAGS="$KPAR_CFLAGS -fsanitize=$enable_sanitizers -fno-omit-frame-pointer -fno-sanitize-recover=undefined"
   KPAR_LDFLAGS="-fsanitize=$enable_sanitizers"])
AM_CONDITIONAL([SANITIZERS], [test "x$enable_sanitizers" != xno])
AC_SUBST([KPAR_LDFLAGS])
])

AC_DEFUN([AX_KPAR_OPENMP],
[AC_OPENMP
AS_IF([test "x$enable_openmp" = xno], [kpar_openmp_found=no], [test "x$ac_cv_prog_c_openmp" = xunsupported],
  [kpar_openmp_found="no: a rank computes with one thread"], [kpar_openmp_found="yes ($OPENMP_CFLAGS)"])
])

dnl KPAR_LINKS(header, library, function): sets kpar_links to yes when a program that uses them links with
dnl kpar_try_CFLAGS and kpar_try_LIBS.
AC_DEFUN([KPAR_LINKS],
[kpar_save_CPPFLAGS=$CPPFLAGS; kpar_save_LIBS=$LIBS
CPPFLAGS="$CPPFLAGS $kpar_try_CFLAGS"; LIBS="$kpar_try_LIBS $LIBS"
AC_LINK_IFELSE([AC_LANG_PROGRAM([[#include <$1>]], [[return (void *)&$3 == 0;]])], [kpar_links=yes], [kpar_links=no])
CPPFLAGS=$kpar_save_CPPFLAGS; LIBS=$kpar_save_LIBS
])

dnl KPAR_FIND(name, pkg-config module or empty, header, library, function): looks in --with-name=DIR, else asks
dnl pkg-config, else tries -llibrary. Sets kpar_try_CFLAGS, kpar_try_LIBS and kpar_links.
AC_DEFUN([KPAR_FIND],
[AC_MSG_CHECKING([for $1])
kpar_try_CFLAGS=; kpar_try_LIBS="-l$4"
AS_CASE([$with_$1],
  [yes|check],
    [m4_ifval([$2], [AS_IF([test -n "$PKG_CONFIG" && $PKG_CONFIG --exists $2],
      [kpar_try_CFLAGS=`$PKG_CONFIG --cflags $2`; kpar_try_LIBS=`$PKG_CONFIG --libs $2`])], [:])],
  [kpar_try_CFLAGS="-I$with_$1/include"; kpar_try_LIBS="-L$with_$1/lib -Wl,-rpath,$with_$1/lib -l$4"])
KPAR_LINKS([$3], [$4], [$5])
AC_MSG_RESULT([$kpar_links])
])

dnl KPAR_WITH(name, NAME, what for, pkg-config module, header, library, function, required|optional)
AC_DEFUN([KPAR_WITH],
[AC_ARG_WITH([$1],
  [AS_HELP_STRING([--with-$1@<:@=DIR@:>@], [$3 ($8); DIR has include/ and lib/])], [], [with_$1=check])
kpar_found_$1=no
m4_if([$8], [required], [AS_IF([test "x$with_$1" = xno], [AC_MSG_ERROR([$1 is required ($3): leave --without-$1 out])])])
AS_IF([test "x$with_$1" != xno],
  [KPAR_FIND([$1], [$4], [$5], [$6], [$7])
   AS_IF([test $kpar_links = yes],
     [kpar_found_$1="yes ($kpar_try_LIBS)"
      $2_CFLAGS=$kpar_try_CFLAGS; $2_LIBS=$kpar_try_LIBS
      AC_DEFINE([KPAR_HAVE_$2], [1], [$1 is there ($3).])],
     [test "x$with_$1" != xcheck || test $8 = required],
     [AC_MSG_ERROR([$1 ($3) was not found: install its development package or give --with-$1=DIR])])])
AM_CONDITIONAL([HAVE_$2], [test "x$kpar_found_$1" != xno])
AC_SUBST([$2_CFLAGS])
AC_SUBST([$2_LIBS])
])

dnl KPAR_REPORT(name, what for, header, library, function): only looked for when --with-name is given.
AC_DEFUN([KPAR_REPORT],
[AC_ARG_WITH([$1], [AS_HELP_STRING([--with-$1@<:@=DIR@:>@], [look for the $2 (off by default)])], [], [with_$1=no])
kpar_found_$1=no
AS_IF([test "x$with_$1" != xno],
  [KPAR_FIND([$1], [], [$3], [$4], [$5])
   AS_IF([test $kpar_links = yes], [kpar_found_$1="yes ($kpar_try_LIBS)"],
     [AC_MSG_ERROR([the $2 was not found: give --with-$1=DIR, or leave --with-$1 out])])])
])
