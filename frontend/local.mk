# SPDX-License-Identifier: BSD-3-Clause
# The front-end: a convenience library for tests, benchmarks and tools; independent of libvhost.
noinst_LTLIBRARIES += frontend/libfrontend.la

frontend_libfrontend_la_SOURCES = \
	frontend/backend.c \
	frontend/blk.c \
	frontend/chaos.c \
	frontend/conn.c \
	frontend/conn.h \
	frontend/deadline.h \
	frontend/fe_backend.h \
	frontend/fe_blk.h \
	frontend/fe_chaos.h \
	frontend/fe_iommu.h \
	frontend/fe_migrate.h \
	frontend/frontend.h \
	frontend/inflight.c \
	frontend/iommu.c \
	frontend/log.c \
	frontend/mem.c \
	frontend/msg.c \
	frontend/msg.h \
	frontend/msg_dev.c \
	frontend/msg_mem.c \
	frontend/msg_migrate.c \
	frontend/mutate.c \
	frontend/packed.c \
	frontend/postcopy.c \
	frontend/ring.c \
	frontend/ring.h \
	frontend/split.c \
	frontend/start.c \
	frontend/state.c

if HAVE_CHECK
frontend_tests = \
	tests/unit/test_frontend \
	tests/unit/test_frontend_chaos \
	tests/unit/test_frontend_conn \
	tests/unit/test_frontend_in_order \
	tests/unit/test_frontend_iommu \
	tests/unit/test_frontend_migrate \
	tests/unit/test_frontend_msg \
	tests/unit/test_frontend_packed \
	tests/unit/test_frontend_packed_notify \
	tests/unit/test_frontend_postcopy
check_PROGRAMS += $(frontend_tests)
TESTS += $(frontend_tests)

tests_unit_test_frontend_SOURCES = tests/unit/test_frontend.c tests/tap.h
tests_unit_test_frontend_LDADD = frontend/libfrontend.la $(CHECK_LIBS)

frontend_peer = tests/unit/frontend_peer.c tests/unit/frontend_peer.h tests/tap.h

tests_unit_test_frontend_conn_SOURCES = tests/unit/test_frontend_conn.c $(frontend_peer)
tests_unit_test_frontend_conn_LDADD = frontend/libfrontend.la $(CHECK_LIBS)

packed_device = tests/unit/packed_device.c tests/unit/packed_device.h tests/tap.h

tests_unit_test_frontend_packed_SOURCES = tests/unit/test_frontend_packed.c $(packed_device)
tests_unit_test_frontend_packed_LDADD = frontend/libfrontend.la $(CHECK_LIBS)

tests_unit_test_frontend_packed_notify_SOURCES = tests/unit/test_frontend_packed_notify.c $(packed_device)
tests_unit_test_frontend_packed_notify_LDADD = frontend/libfrontend.la $(CHECK_LIBS)

tests_unit_test_frontend_in_order_SOURCES = tests/unit/test_frontend_in_order.c $(packed_device)
tests_unit_test_frontend_in_order_LDADD = frontend/libfrontend.la $(CHECK_LIBS)

tests_unit_test_frontend_msg_SOURCES = tests/unit/test_frontend_msg.c $(frontend_peer)
tests_unit_test_frontend_msg_LDADD = frontend/libfrontend.la $(CHECK_LIBS)

tests_unit_test_frontend_iommu_SOURCES = tests/unit/test_frontend_iommu.c $(frontend_peer)
tests_unit_test_frontend_iommu_LDADD = frontend/libfrontend.la $(CHECK_LIBS)

tests_unit_test_frontend_migrate_SOURCES = tests/unit/test_frontend_migrate.c $(frontend_peer)
tests_unit_test_frontend_migrate_LDADD = frontend/libfrontend.la $(CHECK_LIBS)

tests_unit_test_frontend_postcopy_SOURCES = tests/unit/test_frontend_postcopy.c $(frontend_peer)
tests_unit_test_frontend_postcopy_LDADD = frontend/libfrontend.la $(CHECK_LIBS)

tests_unit_test_frontend_chaos_SOURCES = tests/unit/test_frontend_chaos.c tests/tap.h
tests_unit_test_frontend_chaos_LDADD = frontend/libfrontend.la $(CHECK_LIBS)
endif
