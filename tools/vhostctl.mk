# SPDX-License-Identifier: BSD-3-Clause
# vhostctl, the client of the daemons' control sockets.
bin_PROGRAMS += tools/vhostctl
tools_vhostctl_SOURCES = \
	tools/ctl.h tools/ctl_conn.c tools/ctl_print.c tools/vhostctl.c
tools_vhostctl_LDADD = daemons/libjson.la $(JSON_LIBS)

completionsdir = $(datadir)/bash-completion/completions
dist_completions_DATA = tools/completion/vhostctl

controlschemadir = $(pkgdatadir)
dist_controlschema_DATA = daemons/control.schema.json
