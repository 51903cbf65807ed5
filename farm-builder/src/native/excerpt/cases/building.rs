//! Compilers, linkers, and what looks for what they need.

use super::{Case, case};

pub const COMPILERS: &[Case] = &[
    case(
        "gcc",
        "+ make -j2
gcc -O2 -g -c -o error.o error.c
hello.c: In function 'main':
hello.c:4:10: error: 'x' undeclared (first use in this function)
    4 |   return x;
      |          ^
hello.c:4:10: note: each undeclared identifier is reported only once
make: *** [Makefile:3: hello.o] Error 1
",
        "hello.c:4:10: error: 'x' undeclared (first use in this function)",
        "    4 |   return x;",
    ),
    case(
        "a missing header",
        "x.c:1:10: fatal error: zlib.h: No such file or directory
    1 | #include <zlib.h>
      |          ^~~~~~~~
compilation terminated.
make[2]: *** [Makefile:512: x.o] Error 1
make[1]: *** [Makefile:40: all-recursive] Error 1
",
        "x.c:1:10: fatal error: zlib.h: No such file or directory",
        "    1 | #include <zlib.h>",
    ),
    case(
        "clang",
        "main.cpp:7:3: error: use of undeclared identifier 'foo'
  foo();
  ^
1 error generated.
ninja: build stopped: subcommand failed.
",
        "main.cpp:7:3: error: use of undeclared identifier 'foo'",
        "ninja: build stopped: subcommand failed.",
    ),
    case(
        "a linker",
        "/usr/bin/ld: main.o: in function `main':
main.c:(.text+0xa): undefined reference to `deflate'
collect2: error: ld returned 1 exit status
make: *** [Makefile:7: prog] Error 1
",
        "main.c:(.text+0xa): undefined reference to `deflate'",
        "collect2: error: ld returned 1 exit status",
    ),
    case(
        "a library that is not there",
        "/usr/bin/ld: cannot find -lfoo: No such file or directory\ncollect2: error: ld returned 1 exit status\n",
        "/usr/bin/ld: cannot find -lfoo: No such file or directory",
        "collect2: error: ld returned 1 exit status",
    ),
    case(
        "rustc",
        "   Compiling hello v0.1.0 (/builddir/build/BUILD/hello)
error[E0425]: cannot find value `x` in this scope
 --> src/main.rs:2:20
  |
2 |     println!(\"{}\", x);
  |                    ^ not found in this scope

error: aborting due to 1 previous error

For more information about this error, try `rustc --explain E0425`.
error: could not compile `hello` (bin \"hello\") due to 1 previous error
",
        "error[E0425]: cannot find value `x` in this scope",
        " --> src/main.rs:2:20",
    ),
    case(
        "go",
        "# example.org/hello\n./main.go:6:2: undefined: foo\n./main.go:9:5: too many errors\n",
        "./main.go:6:2: undefined: foo",
        "./main.go:9:5: too many errors",
    ),
    case(
        "a go module",
        "main.go:4:2: no required module provides package github.com/x/y; to add it:\n\tgo get github.com/x/y\n",
        "main.go:4:2: no required module provides package github.com/x/y; to add it:",
        " go get github.com/x/y",
    ),
    case(
        "make",
        "make: *** No rule to make target 'doc/hello.1', needed by 'all'.  Stop.\n",
        "make: *** No rule to make target 'doc/hello.1', needed by 'all'.  Stop.",
        "",
    ),
    case("a makefile", "Makefile:3: *** missing separator.  Stop.\n", "Makefile:3: *** missing separator.  Stop.", ""),
    case(
        "gfortran",
        "solve.f90:3:9:

    3 |   call foo(
      |         1
Error: Syntax error in argument list at (1)
make: *** [solve.o] Error 1
",
        "Error: Syntax error in argument list at (1)",
        "make: *** [solve.o] Error 1",
    ),
    case(
        "javac and maven",
        "[INFO] BUILD FAILURE\n[ERROR] Failed to execute goal org.apache:x: Compilation failure\n",
        "[ERROR] Failed to execute goal org.apache:x: Compilation failure",
        "[INFO] BUILD FAILURE",
    ),
];

pub const CONFIGURATION: &[Case] = &[
    case(
        "autoconf",
        "checking for gcc... gcc
conftest.c:11:10: fatal error: foo.h: No such file or directory
checking for libssl... no
configure: error: Package requirements (libssl >= 3) were not met:

Package 'libssl', required by 'virtual:world', not found
",
        "configure: error: Package requirements (libssl >= 3) were not met:",
        "Package 'libssl', required by 'virtual:world', not found",
    ),
    case(
        "cmake",
        "-- Could NOT find Doxygen (missing: DOXYGEN_EXECUTABLE)
CMake Error at CMakeLists.txt:5 (find_package):
  By not providing \"FindFoo.cmake\" in CMAKE_MODULE_PATH this project has
  asked CMake to find a package configuration file provided by \"Foo\".


-- Configuring incomplete, errors occurred!
",
        "CMake Error at CMakeLists.txt:5 (find_package): By not providing \"FindFoo.cmake\" in CMAKE_MODULE_PATH this \
         project has, asked CMake to find a package configuration file provided by \"Foo\".",
        "-- Configuring incomplete, errors occurred!",
    ),
    case(
        "meson",
        "Run-time dependency glib-2.0 found: NO (tried pkgconfig and cmake)

../meson.build:12:7: ERROR: Dependency \"glib-2.0\" not found, tried pkgconfig and cmake

A full log can be found at /builddir/build/BUILD/x/meson-logs/meson-log.txt
",
        "../meson.build:12:7: ERROR: Dependency \"glib-2.0\" not found, tried pkgconfig and cmake",
        "",
    ),
    case(
        "python",
        "Traceback (most recent call last):
  File \"/usr/lib/python3/x.py\", line 1, in <module>
    one()
  File \"/usr/lib/python3/x.py\", line 2, in one
    two()
  File \"setup.py\", line 3, in two
    import foo
ModuleNotFoundError: No module named 'foo'
",
        "ModuleNotFoundError: No module named 'foo'",
        "    import foo",
    ),
    case(
        "perl",
        "Can't locate Foo/Bar.pm in @INC (you may need to install the Foo::Bar module) (@INC contains: /etc/perl) at Makefile.PL line 3.
BEGIN failed--compilation aborted at Makefile.PL line 3.
",
        "Can't locate Foo/Bar.pm in @INC (you may need to install the Foo::Bar module) (@INC contains: /etc/perl) at Makefile.PL line 3.",
        "BEGIN failed--compilation aborted at Makefile.PL line 3.",
    ),
    case("a shell", "/var/tmp/rpm-tmp.x: line 33: ninja: command not found\n", "/var/tmp/rpm-tmp.x: line 33: ninja: command not found", ""),
    case(
        "patch",
        "patching file a.c\nHunk #1 FAILED at 3.\n1 out of 2 hunks FAILED -- saving rejects to file a.c.rej\n",
        "Hunk #1 FAILED at 3.",
        "1 out of 2 hunks FAILED -- saving rejects to file a.c.rej",
    ),
    case("%prep", "+ cd hello-1.0\n/var/tmp/rpm-tmp.x: line 30: cd: hello-1.0: No such file or directory\n", "/var/tmp/rpm-tmp.x: line 30: cd: hello-1.0: No such file or directory", ""),
];
