# SPDX-License-Identifier: BSD-3-Clause
# The SCSI target, as a convenience library for its tests too, and its daemon.
noinst_LTLIBRARIES += scsi/libscsi.la
scsi_libscsi_la_SOURCES = \
	scsi/address.c scsi/bytes.h scsi/command.c scsi/command.h scsi/inquiry.c scsi/job.c \
	scsi/log.c scsi/lun.c scsi/lun.h scsi/mmc.c scsi/mode.c scsi/nexus.c scsi/op.h \
	scsi/opcodes.c scsi/pass.c scsi/pass.h scsi/pr.c scsi/pr_file.c scsi/range.c scsi/same.c \
	scsi/sbc.c scsi/sbc.h scsi/scsi.h scsi/sense.c scsi/sense.h scsi/spc.c scsi/state.h \
	scsi/sweep.c scsi/table.c scsi/target.c scsi/target.h scsi/tmf.c scsi/virtio_scsi.c \
	scsi/virtio_scsi.h
scsi_libscsi_la_LIBADD = storage/libstorage.la libvhost/libvhost.la $(EVENT_LIBS)

if HAVE_CHECK
check_LTLIBRARIES += tests/libscsifx.la
tests_libscsifx_la_SOURCES = tests/unit/scsi_fixture.c tests/unit/scsi_fixture.h
tests_libscsifx_la_LIBADD = scsi/libscsi.la

scsi_command_tests = \
	tests/unit/test_scsi_block tests/unit/test_scsi_cdrom tests/unit/test_scsi_primary \
	tests/unit/test_scsi_random tests/unit/test_scsi_reserve
check_PROGRAMS += $(scsi_command_tests)
TESTS += $(scsi_command_tests)
tests_unit_test_scsi_block_LDADD = tests/libscsifx.la $(CHECK_LIBS)
tests_unit_test_scsi_cdrom_LDADD = tests/libscsifx.la $(CHECK_LIBS)
tests_unit_test_scsi_primary_LDADD = tests/libscsifx.la $(CHECK_LIBS)
tests_unit_test_scsi_random_LDADD = tests/libscsifx.la $(CHECK_LIBS)
tests_unit_test_scsi_reserve_LDADD = tests/libscsifx.la $(CHECK_LIBS)
endif
