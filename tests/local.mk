# SPDX-License-Identifier: BSD-3-Clause
# All tests print TAP.  C programs use Check; scripts are bash.
TEST_EXTENSIONS = .sh
TAP_DRIVER = env AM_TAP_AWK='$(AWK)' $(SHELL) $(top_srcdir)/build-aux/tap-driver.sh
LOG_DRIVER = $(TAP_DRIVER)
SH_LOG_DRIVER = $(TAP_DRIVER)
SH_LOG_COMPILER = bash
AM_TESTS_ENVIRONMENT = \
	top_srcdir='$(abs_top_srcdir)' top_builddir='$(abs_top_builddir)' \
	SANITIZER='$(SANITIZER)' CC='$(CC)'; \
	export top_srcdir top_builddir SANITIZER CC;

check_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/frontend -I$(top_srcdir)/tests
check_CFLAGS = $(AM_CFLAGS) $(CHECK_CFLAGS)

EXTRA_DIST += tests/tap.h

if HAVE_CHECK
# The device which most tests of the library are about.
check_LTLIBRARIES += tests/libecho.la
tests_libecho_la_SOURCES = tests/echo.c tests/echo.h
tests_libecho_la_CPPFLAGS = $(check_CPPFLAGS)
tests_libecho_la_CFLAGS = $(check_CFLAGS)
echo_LDADD = tests/libecho.la frontend/libfrontend.la libvhost/libcore.la $(CHECK_LIBS)

library_tests = \
	tests/unit/test_iov tests/unit/test_worker \
	tests/proto/test_messages tests/proto/test_session tests/proto/test_rings \
	tests/proto/test_memory tests/proto/test_hostile tests/proto/test_packed \
	tests/proto/test_order tests/proto/test_requests \
	tests/proto/test_endpoint tests/proto/test_poll tests/proto/test_hugetlb
check_PROGRAMS += $(library_tests)
TESTS += $(library_tests)

tests_unit_test_iov_CPPFLAGS = $(check_CPPFLAGS)
tests_unit_test_iov_CFLAGS = $(check_CFLAGS)
tests_unit_test_iov_LDADD = $(echo_LDADD)
tests_unit_test_worker_CPPFLAGS = $(check_CPPFLAGS)
tests_unit_test_worker_CFLAGS = $(check_CFLAGS)
tests_unit_test_worker_LDADD = $(echo_LDADD)
tests_proto_test_messages_CPPFLAGS = $(check_CPPFLAGS)
tests_proto_test_messages_CFLAGS = $(check_CFLAGS)
tests_proto_test_messages_LDADD = $(echo_LDADD)
tests_proto_test_session_CPPFLAGS = $(check_CPPFLAGS)
tests_proto_test_session_CFLAGS = $(check_CFLAGS)
tests_proto_test_session_LDADD = $(echo_LDADD)
tests_proto_test_rings_CPPFLAGS = $(check_CPPFLAGS)
tests_proto_test_rings_CFLAGS = $(check_CFLAGS)
tests_proto_test_rings_LDADD = $(echo_LDADD)
tests_proto_test_packed_SOURCES = \
	tests/proto/hostile.c tests/proto/hostile.h tests/proto/test_packed.c
tests_proto_test_packed_CPPFLAGS = $(check_CPPFLAGS)
tests_proto_test_packed_CFLAGS = $(check_CFLAGS)
tests_proto_test_packed_LDADD = $(echo_LDADD)
tests_proto_test_order_CPPFLAGS = $(check_CPPFLAGS)
tests_proto_test_order_CFLAGS = $(check_CFLAGS)
tests_proto_test_order_LDADD = $(echo_LDADD)
tests_proto_test_memory_CPPFLAGS = $(check_CPPFLAGS)
tests_proto_test_memory_CFLAGS = $(check_CFLAGS)
tests_proto_test_memory_LDADD = $(echo_LDADD)
tests_proto_test_hostile_SOURCES = \
	tests/proto/hostile.c tests/proto/hostile.h tests/proto/test_hostile.c
tests_proto_test_hostile_CPPFLAGS = $(check_CPPFLAGS)
tests_proto_test_hostile_CFLAGS = $(check_CFLAGS)
tests_proto_test_hostile_LDADD = $(echo_LDADD)
tests_proto_test_requests_CPPFLAGS = $(check_CPPFLAGS)
tests_proto_test_requests_CFLAGS = $(check_CFLAGS)
tests_proto_test_requests_LDADD = $(echo_LDADD)
tests_proto_test_endpoint_CPPFLAGS = $(check_CPPFLAGS)
tests_proto_test_endpoint_CFLAGS = $(check_CFLAGS)
tests_proto_test_endpoint_LDADD = $(echo_LDADD)
tests_proto_test_hugetlb_CPPFLAGS = $(check_CPPFLAGS)
tests_proto_test_hugetlb_CFLAGS = $(check_CFLAGS)
tests_proto_test_hugetlb_LDADD = $(echo_LDADD)
tests_proto_test_poll_CPPFLAGS = $(check_CPPFLAGS)
tests_proto_test_poll_CFLAGS = $(check_CFLAGS)
tests_proto_test_poll_LDADD = $(echo_LDADD)

# The allocator is the sanitizers' own business.
if !HAVE_SANITIZER
alloc_tests = tests/unit/test_alloc tests/unit/test_alloc_blk
check_PROGRAMS += $(alloc_tests)
TESTS += $(alloc_tests)

tests_unit_test_alloc_SOURCES = \
	tests/unit/count_alloc.c tests/unit/count_alloc.h tests/unit/test_alloc.c
tests_unit_test_alloc_CPPFLAGS = $(check_CPPFLAGS)
tests_unit_test_alloc_CFLAGS = $(check_CFLAGS)
tests_unit_test_alloc_LDADD = $(echo_LDADD)

tests_unit_test_alloc_blk_SOURCES = \
	tests/unit/count_alloc.c tests/unit/count_alloc.h tests/unit/test_alloc_blk.c \
	$(blk_fixture)
tests_unit_test_alloc_blk_CPPFLAGS = $(check_CPPFLAGS)
tests_unit_test_alloc_blk_CFLAGS = $(check_CFLAGS)
tests_unit_test_alloc_blk_LDFLAGS = $(blk_test_ldflags)
tests_unit_test_alloc_blk_LDADD = $(blk_test_ldadd)
endif
endif
