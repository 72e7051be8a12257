# SPDX-License-Identifier: BSD-3-Clause
# Tests of whole daemons on a real socket.
check_PROGRAMS += tests/daemon/diff_blk tests/daemon/schema
tests_daemon_schema_SOURCES = tests/daemon/schema.c
tests_daemon_schema_LDADD = $(JSON_LIBS)
tests_daemon_diff_blk_SOURCES = tests/daemon/diff_blk.c
tests_daemon_diff_blk_LDADD = frontend/libfrontend.la

TESTS += tests/daemon/config.sh tests/daemon/control.sh tests/daemon/devices.sh \
	tests/daemon/diff-blk.sh tests/daemon/idle.sh
EXTRA_DIST += tests/daemon/config.sh tests/daemon/control.sh tests/daemon/devices.sh \
	tests/daemon/diff-blk.sh tests/daemon/idle.sh tests/daemon/lib-cli.sh

# Under a service manager.
check_PROGRAMS += tests/daemon/hold tests/daemon/notified
tests_daemon_hold_SOURCES = tests/daemon/hold.c
tests_daemon_hold_LDADD =
tests_daemon_notified_SOURCES = tests/daemon/notified.c
tests_daemon_notified_LDADD =
TESTS += tests/daemon/systemd.sh tests/daemon/sandbox.sh tests/daemon/units.sh \
	tests/daemon/later.sh tests/daemon/packages.sh
EXTRA_DIST += tests/daemon/systemd.sh tests/daemon/sandbox.sh tests/daemon/units.sh \
	tests/daemon/later.sh tests/daemon/packages.sh doc/libvirt/domain.xml

if HAVE_CHECK
check_PROGRAMS += tests/daemon/test_kill_blk tests/daemon/test_control
TESTS += tests/daemon/test_kill_blk tests/daemon/test_control
check_PROGRAMS += tests/daemon/test_metrics
TESTS += tests/daemon/test_metrics
tests_daemon_test_metrics_SOURCES = \
	tests/daemon/disk_daemon.c tests/daemon/disk_daemon.h tests/daemon/test_metrics.c
tests_daemon_test_metrics_LDADD = frontend/libfrontend.la $(CHECK_LIBS)
tests_daemon_test_control_SOURCES = \
	tests/daemon/disk_daemon.c tests/daemon/disk_daemon.h tests/daemon/test_control.c
tests_daemon_test_control_LDADD = frontend/libfrontend.la $(CHECK_LIBS)
tests_daemon_test_kill_blk_LDADD = frontend/libfrontend.la $(CHECK_LIBS)

daemons_tests = tests/unit/test_lines tests/unit/test_sandbox tests/unit/test_systemd
check_PROGRAMS += $(daemons_tests)
TESTS += $(daemons_tests)
tests_unit_test_lines_LDADD = daemons/libdaemons.la $(EVENT_LIBS) $(CHECK_LIBS)
tests_unit_test_sandbox_LDADD = daemons/libdaemons.la $(CHECK_LIBS)
tests_unit_test_systemd_LDADD = daemons/libdaemons.la $(EVENT_LIBS) $(CHECK_LIBS)
endif
