# SPDX-License-Identifier: BSD-3-Clause
# All tests print TAP.  C programs use Check; scripts are bash.
TEST_EXTENSIONS = .sh
TAP_DRIVER = env AM_TAP_AWK='$(AWK)' $(SHELL) $(top_srcdir)/build-aux/tap-driver.sh
LOG_DRIVER = $(TAP_DRIVER)
SH_LOG_DRIVER = $(TAP_DRIVER)
SH_LOG_COMPILER = bash
AM_TESTS_ENVIRONMENT = \
	top_srcdir='$(abs_top_srcdir)' top_builddir='$(abs_top_builddir)' \
	SANITIZER='$(SANITIZER)' CC='$(CC)' FUZZ_CC='$(FUZZ_CC)'; \
	export top_srcdir top_builddir SANITIZER CC FUZZ_CC;

EXTRA_DIST += tests/tap.h tests/tap.sh

# Device and front-end on one thread.
check_LTLIBRARIES += tests/libstepped.la
tests_libstepped_la_SOURCES = tests/stepped.c tests/stepped.h

if HAVE_CHECK
# The device which most tests of the library are about.
check_LTLIBRARIES += tests/libecho.la
tests_libecho_la_SOURCES = tests/echo.c tests/echo.h
# What a test is linked with unless it says otherwise.
LDADD = tests/libecho.la frontend/libfrontend.la libvhost/libcore.la $(CHECK_LIBS)

stepped_LDADD = tests/libstepped.la frontend/libfrontend.la libvhost/libcore.la $(CHECK_LIBS)

library_tests = \
	tests/proto/test_backend \
	tests/proto/test_channel \
	tests/proto/test_disconnect \
	tests/proto/test_endpoint \
	tests/proto/test_ends \
	tests/proto/test_fds \
	tests/proto/test_features \
	tests/proto/test_hostile \
	tests/proto/test_hugetlb \
	tests/proto/test_inband \
	tests/proto/test_inflight \
	tests/proto/test_inflight_kill \
	tests/proto/test_inflight_rings \
	tests/proto/test_iommu \
	tests/proto/test_iommu_invalidate \
	tests/proto/test_log \
	tests/proto/test_memory \
	tests/proto/test_messages \
	tests/proto/test_migrate \
	tests/proto/test_migrate_iommu \
	tests/proto/test_migrate_load \
	tests/proto/test_migrate_log \
	tests/proto/test_order \
	tests/proto/test_packed \
	tests/proto/test_packed_hostile \
	tests/proto/test_pause \
	tests/proto/test_poll \
	tests/proto/test_postcopy \
	tests/proto/test_regions \
	tests/proto/test_requests \
	tests/proto/test_rings \
	tests/proto/test_session \
	tests/proto/test_state \
	tests/proto/test_together \
	tests/proto/test_types \
	tests/unit/test_inflight \
	tests/unit/test_iov \
	tests/unit/test_limit_clock \
	tests/unit/test_ring_model \
	tests/unit/test_ring_stress \
	tests/unit/test_window \
	tests/unit/test_worker
check_PROGRAMS += $(library_tests)
TESTS += $(library_tests)

tests_proto_test_fds_LDADD = $(stepped_LDADD)
tests_unit_test_ring_model_SOURCES = \
	tests/unit/ring_model.c tests/unit/ring_model.h tests/unit/test_ring_model.c
tests_unit_test_ring_model_LDADD = $(stepped_LDADD)
tests_unit_test_ring_stress_LDADD = $(stepped_LDADD)
tests_proto_test_disconnect_SOURCES = tests/proto/test_disconnect.c \
	tests/proxy.c tests/proxy.h tests/session.c tests/session.h
tests_unit_test_inflight_SOURCES = \
	tests/unit/inflight_world.c tests/unit/inflight_world.h tests/unit/test_inflight.c
tests_proto_test_inflight_SOURCES = \
	tests/proto/inflight.c tests/proto/inflight.h tests/proto/test_inflight.c
tests_proto_test_inflight_rings_SOURCES = \
	tests/proto/inflight.c tests/proto/inflight.h tests/proto/test_inflight_rings.c
tests_proto_test_iommu_SOURCES = \
	tests/proto/iommu_world.c tests/proto/iommu_world.h tests/proto/test_iommu.c
tests_proto_test_iommu_invalidate_SOURCES = \
	tests/proto/iommu_world.c tests/proto/iommu_world.h tests/proto/test_iommu_invalidate.c
tests_proto_test_migrate_SOURCES = \
	tests/proto/logged.c tests/proto/logged.h tests/proto/test_migrate.c
tests_proto_test_migrate_load_SOURCES = \
	tests/proto/logged.c tests/proto/logged.h tests/proto/test_migrate_load.c
tests_proto_test_migrate_log_SOURCES = \
	tests/proto/logged.c tests/proto/logged.h tests/proto/test_migrate_log.c
tests_proto_test_packed_SOURCES = \
	tests/proto/hostile.c tests/proto/hostile.h tests/proto/test_packed.c
tests_proto_test_packed_hostile_SOURCES = \
	tests/proto/hostile.c tests/proto/hostile.h tests/proto/test_packed_hostile.c
tests_proto_test_regions_SOURCES = \
	tests/proto/hostile.c tests/proto/hostile.h tests/proto/test_regions.c
tests_proto_test_hostile_SOURCES = \
	tests/proto/hostile.c tests/proto/hostile.h tests/proto/test_hostile.c

# The allocator is the sanitizers' own business.
if !HAVE_SANITIZER
alloc_tests = tests/unit/test_alloc tests/unit/test_alloc_blk tests/unit/test_alloc_net \
	tests/unit/test_alloc_scsi
check_PROGRAMS += $(alloc_tests)
TESTS += $(alloc_tests)

tests_unit_test_alloc_SOURCES = \
	tests/unit/count_alloc.c tests/unit/count_alloc.h tests/unit/test_alloc.c

tests_unit_test_alloc_net_SOURCES = \
	tests/unit/count_alloc.c tests/unit/count_alloc.h tests/unit/test_alloc_net.c \
	$(net_fixture)
tests_unit_test_alloc_net_LDADD = $(net_test_ldadd)

tests_unit_test_alloc_blk_SOURCES = \
	tests/unit/count_alloc.c tests/unit/count_alloc.h tests/unit/test_alloc_blk.c \
	$(blk_fixture)
tests_unit_test_alloc_blk_LDFLAGS = $(blk_test_ldflags)
tests_unit_test_alloc_blk_LDADD = $(blk_test_ldadd)

tests_unit_test_alloc_scsi_SOURCES = \
	tests/unit/count_alloc.c tests/unit/count_alloc.h tests/unit/test_alloc_scsi.c \
	$(scsi_world)
tests_unit_test_alloc_scsi_LDFLAGS = $(scsi_world_ldflags)
tests_unit_test_alloc_scsi_LDADD = $(scsi_world_ldadd)
endif
endif
