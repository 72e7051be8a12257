# SPDX-License-Identifier: BSD-3-Clause
# What all folders share without exporting it.
noinst_LTLIBRARIES += libvhost/libutil.la
libvhost_libutil_la_SOURCES = libvhost/iov.c libvhost/iov.h libvhost/util.h

# The library's objects, for it and for the tests of its inside.
noinst_LTLIBRARIES += libvhost/libcore.la
libvhost_libcore_la_SOURCES = \
	libvhost/backend.h \
	libvhost/backend_msg.c \
	libvhost/chain.c \
	libvhost/chain.h \
	libvhost/conn.c \
	libvhost/dev.c \
	libvhost/dev_log.c \
	libvhost/dirty.c \
	libvhost/dirty.h \
	libvhost/endpoint.c \
	libvhost/inflight.c \
	libvhost/inflight.h \
	libvhost/internal.h \
	libvhost/iotlb.c \
	libvhost/iotlb.h \
	libvhost/latency.c \
	libvhost/limit.c \
	libvhost/limit_clock.c \
	libvhost/limit_clock.h \
	libvhost/listen.c \
	libvhost/log.c \
	libvhost/log.h \
	libvhost/mem.c \
	libvhost/mem.h \
	libvhost/msg.c \
	libvhost/msg.h \
	libvhost/packed.c \
	libvhost/pipe.c \
	libvhost/pipe.h \
	libvhost/postcopy.c \
	libvhost/probe.h \
	libvhost/proto.c \
	libvhost/proto.h \
	libvhost/proto_dev.c \
	libvhost/proto_inflight.c \
	libvhost/proto_iotlb.c \
	libvhost/proto_log.c \
	libvhost/proto_mem.c \
	libvhost/proto_table.c \
	libvhost/proto_type.c \
	libvhost/proto_vring.c \
	libvhost/queue.c \
	libvhost/queue.h \
	libvhost/queue_conf.c \
	libvhost/queue_log.c \
	libvhost/ring.h \
	libvhost/ring_setup.c \
	libvhost/spec.h \
	libvhost/split.c \
	libvhost/state.c \
	libvhost/window.c \
	libvhost/window.h \
	libvhost/words.c \
	libvhost/worker.c \
	libvhost/worker.h
libvhost_libcore_la_LIBADD = libvhost/libutil.la $(EVENT_LIBS)

lib_LTLIBRARIES += libvhost/libvhost.la
libvhost_libvhost_la_SOURCES =
libvhost_libvhost_la_LIBADD = libvhost/libcore.la
libvhost_libvhost_la_DEPENDENCIES = libvhost/libcore.la $(srcdir)/libvhost/libvhost.map
libvhost_libvhost_la_LDFLAGS = $(AM_LDFLAGS) -version-info 0:0:0 \
	-Wl,--version-script=$(srcdir)/libvhost/libvhost.map -Wl,--no-undefined

include_HEADERS += libvhost/libvhost.h
pkgconfig_DATA = libvhost/libvhost.pc
EXTRA_DIST += libvhost/libvhost.map
