# SPDX-License-Identifier: BSD-3-Clause
# Backing store of block devices: a convenience library for the daemons.
noinst_LTLIBRARIES += storage/libstorage.la
storage_libstorage_la_SOURCES = \
	storage/aio.c storage/blkdev.c storage/engine.h storage/fault.c storage/file.c \
	storage/file.h storage/inline.c storage/lock.c storage/map.c storage/merge.c \
	storage/merge.h storage/notify.c storage/notify.h storage/null.c storage/pool.c \
	storage/pool.h storage/resize.c storage/storage.c storage/storage.h storage/sync.c \
	storage/sync.h storage/threads.c storage/uring.c
storage_libstorage_la_CFLAGS = $(AM_CFLAGS) $(URING_CFLAGS)
storage_libstorage_la_LIBADD = libvhost/libutil.la libvhost/libvhost.la \
	$(URING_LIBS) $(AIO_LIBS) $(EVENT_LIBS)

if HAVE_CHECK
check_LTLIBRARIES += tests/libstoragefx.la
tests_libstoragefx_la_SOURCES = tests/unit/storage_fixture.c tests/unit/storage_fixture.h
tests_libstoragefx_la_LIBADD = storage/libstorage.la

storage_tests = \
	tests/unit/test_storage tests/unit/test_storage_errors \
	tests/unit/test_storage_map tests/unit/test_storage_merge tests/unit/test_storage_model \
	tests/unit/test_storage_resize tests/unit/test_storage_rmw
check_PROGRAMS += $(storage_tests)
TESTS += $(storage_tests)

tests_unit_test_storage_LDADD = tests/libstoragefx.la $(CHECK_LIBS)
tests_unit_test_storage_errors_LDADD = tests/libstoragefx.la $(CHECK_LIBS)
tests_unit_test_storage_map_LDADD = tests/libstoragefx.la $(CHECK_LIBS)
tests_unit_test_storage_merge_LDADD = tests/libstoragefx.la $(CHECK_LIBS)
tests_unit_test_storage_model_LDADD = tests/libstoragefx.la $(CHECK_LIBS)
tests_unit_test_storage_resize_LDADD = tests/libstoragefx.la $(CHECK_LIBS)
tests_unit_test_storage_rmw_LDADD = tests/libstoragefx.la $(CHECK_LIBS)
endif
