# SPDX-License-Identifier: BSD-3-Clause
# The SCSI target, as a convenience library for its tests too, and its daemon.
noinst_LTLIBRARIES += scsi/libscsi.la
scsi_libscsi_la_SOURCES = \
	scsi/address.c scsi/bytes.h scsi/command.c scsi/command.h scsi/format.c \
	scsi/inquiry.c scsi/job.c scsi/log.c scsi/lun.c scsi/lun.h scsi/mmc.c scsi/mode.c \
	scsi/nexus.c scsi/op.h scsi/opcodes.c scsi/pass.c scsi/pass.h scsi/pr.c scsi/pr.h \
	scsi/pr_file.c scsi/pr_in.c scsi/pr_out.c scsi/range.c scsi/same.c scsi/sbc.c \
	scsi/sbc.h scsi/scsi.h scsi/sense.c scsi/sense.h scsi/spc.c scsi/state.h \
	scsi/status.c scsi/sweep.c scsi/table.c scsi/target.c scsi/target.h scsi/tmf.c \
	scsi/virtio_control.c scsi/virtio_event.c scsi/virtio_queue.h scsi/virtio_scsi.c \
	scsi/virtio_scsi.h
scsi_libscsi_la_LIBADD = storage/libstorage.la libvhost/libvhost.la $(EVENT_LIBS)

bin_PROGRAMS += scsi/vhost-user-scsi
scsi_vhost_user_scsi_SOURCES = scsi/main.c scsi/units.c scsi/units.h
scsi_vhost_user_scsi_LDADD = daemons/libdaemons.la scsi/libscsi.la $(JSON_LIBS)

TESTS += tests/daemon/cli-scsi.sh
EXTRA_DIST += tests/daemon/cli-scsi.sh

if HAVE_CHECK
scsi_world_tests = tests/unit/test_virtio_scsi tests/unit/test_scsi_tmf tests/unit/test_scsi_hotplug
check_PROGRAMS += $(scsi_world_tests)
TESTS += $(scsi_world_tests)

# The fixture keeps back what the device submits.
scsi_world = tests/unit/scsi_world.c tests/unit/scsi_world.h tests/tap.h
scsi_world_ldflags = $(AM_LDFLAGS) -Wl,--wrap=storage_submit,--wrap=storage_commit
scsi_world_ldadd = scsi/libscsi.la frontend/libfrontend.la $(CHECK_LIBS)

tests_unit_test_virtio_scsi_SOURCES = tests/unit/test_virtio_scsi.c $(scsi_world)
tests_unit_test_virtio_scsi_LDFLAGS = $(scsi_world_ldflags)
tests_unit_test_virtio_scsi_LDADD = $(scsi_world_ldadd)

tests_unit_test_scsi_tmf_SOURCES = tests/unit/test_scsi_tmf.c $(scsi_world)
tests_unit_test_scsi_tmf_LDFLAGS = $(scsi_world_ldflags)
tests_unit_test_scsi_tmf_LDADD = $(scsi_world_ldadd)

tests_unit_test_scsi_hotplug_SOURCES = tests/unit/test_scsi_hotplug.c $(scsi_world)
tests_unit_test_scsi_hotplug_LDFLAGS = $(scsi_world_ldflags)
tests_unit_test_scsi_hotplug_LDADD = $(scsi_world_ldadd)

check_LTLIBRARIES += tests/libscsifx.la
tests_libscsifx_la_SOURCES = tests/unit/scsi_fixture.c tests/unit/scsi_fixture.h
tests_libscsifx_la_LIBADD = scsi/libscsi.la tests/libstepped.la frontend/libfrontend.la

scsi_command_tests = \
	tests/unit/test_scsi_block tests/unit/test_scsi_cdrom tests/unit/test_scsi_primary \
	tests/unit/test_scsi_provision tests/unit/test_scsi_random tests/unit/test_scsi_reserve
check_PROGRAMS += $(scsi_command_tests)
TESTS += $(scsi_command_tests)
tests_unit_test_scsi_block_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=storage_submit
tests_unit_test_scsi_block_LDADD = tests/libscsifx.la $(CHECK_LIBS)
tests_unit_test_scsi_cdrom_LDADD = tests/libscsifx.la $(CHECK_LIBS)
tests_unit_test_scsi_primary_LDADD = tests/libscsifx.la $(CHECK_LIBS)
tests_unit_test_scsi_provision_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=storage_submit
tests_unit_test_scsi_provision_LDADD = tests/libscsifx.la $(CHECK_LIBS)
tests_unit_test_scsi_random_LDADD = tests/libscsifx.la $(CHECK_LIBS)
tests_unit_test_scsi_reserve_LDADD = tests/libscsifx.la $(CHECK_LIBS)
endif
