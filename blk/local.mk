# SPDX-License-Identifier: BSD-3-Clause
# The block device, as a convenience library for its tests too, and its daemon.
noinst_LTLIBRARIES += blk/libblk.la
blk_libblk_la_SOURCES = blk/config.c blk/virtio_blk.c blk/virtio_blk.h
blk_libblk_la_LIBADD = storage/libstorage.la libvhost/libvhost.la

bin_PROGRAMS += blk/vhost-user-blk
blk_vhost_user_blk_SOURCES = blk/main.c
blk_vhost_user_blk_LDADD = daemons/libdaemons.la blk/libblk.la $(JSON_LIBS)

check_PROGRAMS += tests/daemon/give_fd
tests_daemon_give_fd_SOURCES = tests/daemon/give_fd.c
tests_daemon_give_fd_LDADD = frontend/libfrontend.la

TESTS += tests/daemon/cli-blk.sh
EXTRA_DIST += tests/daemon/cli-blk.sh

check_PROGRAMS += tests/unit/blk_steps
tests_unit_blk_steps_LDADD = tests/libstepped.la blk/libblk.la frontend/libfrontend.la
TESTS += tests/unit/blk-instructions.sh
EXTRA_DIST += tests/unit/blk-instructions.sh

if HAVE_CHECK
blk_tests = \
	tests/unit/test_blk_config \
	tests/unit/test_virtio_blk \
	tests/unit/test_virtio_blk_modes
check_PROGRAMS += $(blk_tests)
TESTS += $(blk_tests)

# The fixture watches what the device submits.
blk_fixture = tests/unit/disk.c tests/unit/disk.h tests/tap.h
blk_test_ldflags = $(AM_LDFLAGS) -Wl,--wrap=storage_submit,--wrap=storage_commit
blk_test_ldadd = blk/libblk.la frontend/libfrontend.la $(CHECK_LIBS)

tests_unit_test_blk_config_SOURCES = tests/unit/test_blk_config.c $(blk_fixture)
tests_unit_test_blk_config_LDFLAGS = $(blk_test_ldflags)
tests_unit_test_blk_config_LDADD = $(blk_test_ldadd)

tests_unit_test_virtio_blk_SOURCES = tests/unit/test_virtio_blk.c $(blk_fixture)
tests_unit_test_virtio_blk_LDFLAGS = $(blk_test_ldflags)
tests_unit_test_virtio_blk_LDADD = $(blk_test_ldadd)

tests_unit_test_virtio_blk_modes_SOURCES = tests/unit/test_virtio_blk_modes.c $(blk_fixture)
tests_unit_test_virtio_blk_modes_LDFLAGS = $(blk_test_ldflags)
tests_unit_test_virtio_blk_modes_LDADD = $(blk_test_ldadd)
endif
