# SPDX-License-Identifier: BSD-3-Clause
# Scaffolding of the daemons: a convenience library.
noinst_LTLIBRARIES += daemons/libdaemons.la
daemons_libdaemons_la_SOURCES = \
	daemons/config.c daemons/control.h daemons/daemon.c daemons/daemon.h daemons/internal.h \
	daemons/json.c daemons/json.h daemons/lines.c daemons/landlock.c daemons/lines.h daemons/log.c \
	daemons/methods.c daemons/options.c daemons/options.h daemons/rpc.c daemons/sandbox.c \
	daemons/sandbox.h daemons/seccomp.c daemons/signals.c \
	daemons/sock.c daemons/stats.c daemons/systemd.c
daemons_libdaemons_la_LIBADD = libvhost/libvhost.la $(EVENT_LIBS) \
	$(CAP_NG_LIBS) $(SECCOMP_LIBS) $(JSON_LIBS)
