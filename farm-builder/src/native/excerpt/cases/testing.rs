//! Tests, packaging, and what a machine does when it cannot go on.

use super::{Case, case};

pub const TESTS: &[Case] = &[
    case(
        "automake",
        "PASS: one
FAIL: two
XFAIL: three
=======
# TOTAL: 3
# PASS:  1
# FAIL:  1
See ./test-suite.log
make[1]: *** [Makefile:600: test-suite.log] Error 1
",
        "FAIL: two",
        "# FAIL:  1",
    ),
    case(
        "ctest",
        " 1/2 Test  #1: adds .............................   Passed    0.00 sec
 2/2 Test  #2: divides ..........................***Failed    0.01 sec

50% tests passed, 1 tests failed out of 2

The following tests FAILED:
\t  2 - divides (Failed)
Errors while running CTest
",
        "2/2 Test  #2: divides ..........................***Failed    0.01 sec",
        "   2 - divides (Failed)",
    ),
    case(
        "pytest",
        "tests/test_a.py .F                                    [100%]

    def test_divides():
>       assert divide(4, 2) == 3
E       assert 2 == 3
E        +  where 2 = divide(4, 2)

tests/test_a.py:7: AssertionError
=========================== short test summary info ============================
FAILED tests/test_a.py::test_divides - assert 2 == 3
========================= 1 failed, 1 passed in 0.02s ==========================
",
        "E       assert 2 == 3",
        "FAILED tests/test_a.py::test_divides - assert 2 == 3",
    ),
    case(
        "unittest",
        "FAIL: test_divides (tests.TestMath.test_divides)
----------------------------------------------------------------------
Traceback (most recent call last):
  File \"/builddir/build/BUILD/x/tests.py\", line 7, in test_divides
    self.assertEqual(2, 3)
AssertionError: 2 != 3

Ran 2 tests in 0.001s

FAILED (failures=1)
",
        "FAIL: test_divides (tests.TestMath.test_divides)",
        "AssertionError: 2 != 3",
    ),
    case(
        "go test",
        "--- FAIL: TestDivide (0.00s)
    math_test.go:7: got 2, want 3
FAIL
FAIL\texample.org/math\t0.002s
",
        "--- FAIL: TestDivide (0.00s)",
        "    math_test.go:7: got 2, want 3",
    ),
    case(
        "cargo test",
        "running 2 tests
test tests::adds ... ok
test tests::divides ... FAILED

failures:

---- tests::divides stdout ----

thread 'tests::divides' panicked at src/lib.rs:9:9:
assertion `left == right` failed
  left: 2
 right: 3

test result: FAILED. 1 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out

error: test failed, to rerun pass `--lib`
",
        "test tests::divides ... FAILED",
        "assertion `left == right` failed",
    ),
    case(
        "prove",
        "ok 1 - adds
not ok 2 - divides

#   Failed test 'divides'
#   at t/math.t line 5.
#          got: '2'
t/math.t .. Failed 1/2 subtests
Result: FAIL
",
        "not ok 2 - divides",
        "#   Failed test 'divides'",
    ),
    case(
        "gtest",
        "[ RUN      ] Math.Divides\nmath.cc:5: Failure\n[  FAILED  ] Math.Divides (0 ms)\n",
        "[  FAILED  ] Math.Divides (0 ms)",
        "",
    ),
    case(
        "meson test",
        "1/2 adds      OK      0.01s\n2/2 divides   FAIL    0.01s   exit status 1\n",
        "2/2 divides   FAIL    0.01s   exit status 1",
        "",
    ),
    case(
        "an assertion",
        "t: math.c:5: divide: Assertion `b != 0' failed.\n/bin/sh: line 1: 1234 Aborted                 (core dumped) ./t\n",
        "t: math.c:5: divide: Assertion `b != 0' failed.",
        "/bin/sh: line 1: 1234 Aborted                 (core dumped) ./t",
    ),
];

pub const PACKAGING: &[Case] = &[
    case(
        "files that no one packages",
        "Checking for unpackaged file(s): /usr/lib/rpm/check-files /builddir/build/BUILDROOT
error: Installed (but unpackaged) file(s) found:
   /usr/bin/extra
   /usr/lib/libextra.so
RPM build errors:
    Installed (but unpackaged) file(s) found:
   /usr/bin/extra
",
        "error: Installed (but unpackaged) file(s) found: /usr/bin/extra, /usr/lib/libextra.so",
        "   /usr/lib/libextra.so",
    ),
    case(
        "a file that is not there",
        "Processing files: hello-1.0-1.x86_64\nerror: File not found: /builddir/build/BUILDROOT/usr/bin/hello\n",
        "error: File not found: /builddir/build/BUILDROOT/usr/bin/hello",
        "",
    ),
    case(
        "debuginfo",
        "Processing files: hello-debugsource-1.0-1.x86_64\nerror: Empty %files file /builddir/build/BUILD/hello-1.0/debugsourcefiles.list\n",
        "error: Empty %files file /builddir/build/BUILD/hello-1.0/debugsourcefiles.list",
        "",
    ),
    case(
        "build ids",
        "extracting debug info from /builddir/BUILDROOT/usr/bin/hello\n*** ERROR: No build ID note found in /builddir/BUILDROOT/usr/bin/hello\n",
        "*** ERROR: No build ID note found in /builddir/BUILDROOT/usr/bin/hello",
        "",
    ),
    case(
        "a program in a package without architecture",
        "error: Arch dependent binaries in noarch package\n",
        "error: Arch dependent binaries in noarch package",
        "",
    ),
    case(
        "BuildRequires",
        "error: Failed build dependencies:\n\tfoo-devel >= 2 is needed by hello-1.0-1.x86_64\n\tbar is needed by hello-1.0-1.x86_64\n",
        "error: Failed build dependencies: foo-devel >= 2 is needed by hello-1.0-1.x86_64, bar is needed by hello-1.0-1.x86_64",
        "",
    ),
];

pub const MACHINE: &[Case] = &[
    case(
        "a full disk",
        "cc1: error: x.s: No space left on device\nmake: *** [x.o] Error 1\n",
        "cc1: error: x.s: No space left on device",
        "make: *** [x.o] Error 1",
    ),
    case(
        "a compiler that was killed",
        "c++: fatal error: Killed signal terminated program cc1plus\ncompilation terminated.\nmake: *** [x.o] Error 1\n",
        "c++: fatal error: Killed signal terminated program cc1plus",
        "make: *** [x.o] Error 1",
    ),
    case(
        "a program that was killed",
        "/var/tmp/rpm-tmp.x: line 40:  1234 Killed                  ./hog\n",
        "/var/tmp/rpm-tmp.x: line 40:  1234 Killed                  ./hog",
        "",
    ),
    case(
        "C++",
        "terminate called after throwing an instance of 'std::bad_alloc'\n",
        "terminate called after throwing an instance of 'std::bad_alloc'",
        "",
    ),
    case(
        "a crash",
        "/var/tmp/rpm-tmp.x: line 40:  1234 Segmentation fault      (core dumped) ./hello\n",
        "/var/tmp/rpm-tmp.x: line 40:  1234 Segmentation fault      (core dumped) ./hello",
        "",
    ),
];
