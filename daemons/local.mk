# SPDX-License-Identifier: BSD-3-Clause
# Scaffolding of the daemons: a convenience library.
noinst_LTLIBRARIES += daemons/libdaemons.la daemons/libjson.la
# For their clients too.
daemons_libjson_la_SOURCES = daemons/json.c daemons/json.h
daemons_libjson_la_LIBADD = $(JSON_LIBS)
daemons_libdaemons_la_SOURCES = \
	daemons/check.c daemons/common.c daemons/config.c daemons/config_file.c daemons/control.h \
	daemons/daemon.c daemons/daemon.h daemons/device.c daemons/image.c daemons/image.h \
	daemons/internal.h daemons/landlock.c daemons/limits.c daemons/lines.c daemons/lines.h \
	daemons/log.c daemons/metrics.c \
	daemons/methods.c daemons/options.c daemons/options.h daemons/pool.c daemons/rpc.c daemons/sandbox.c \
	daemons/sandbox.h daemons/seccomp.c daemons/signals.c daemons/sock.c daemons/stats.c \
	daemons/systemd.c
daemons_libdaemons_la_LIBADD = daemons/libjson.la libvhost/libvhost.la $(EVENT_LIBS) \
	$(CAP_NG_LIBS) $(SECCOMP_LIBS) $(JSON_LIBS)
