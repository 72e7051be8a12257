# SPDX-License-Identifier: BSD-3-Clause
# The SCSI target, as a convenience library for its tests too, and its daemon.
noinst_LTLIBRARIES += scsi/libscsi.la
scsi_libscsi_la_SOURCES = \
	scsi/address.c scsi/command.h scsi/lun.c scsi/lun.h scsi/nexus.c scsi/sweep.c scsi/scsi.h \
	scsi/pass.c scsi/pass.h scsi/table.c scsi/target.c scsi/target.h scsi/tmf.c \
	scsi/virtio_scsi.c scsi/virtio_scsi.h
scsi_libscsi_la_LIBADD = storage/libstorage.la libvhost/libvhost.la $(EVENT_LIBS)
