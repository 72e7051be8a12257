# SPDX-License-Identifier: BSD-3-Clause
# Tools for whoever has a back-end, ours or another: what can it do, and how fast is it?
noinst_LTLIBRARIES += tools/libload.la
tools_libload_la_SOURCES = \
	tools/disk.c tools/disk.h tools/hist.c tools/hist.h tools/load.c tools/load.h \
	tools/load_blk.c tools/load_net.c tools/load_rng.c tools/load_run.c tools/load_scsi.c
tools_libload_la_LIBADD = frontend/libfrontend.la

bin_PROGRAMS += tools/vhost-probe
tools_vhost_probe_SOURCES = \
	tools/names.c tools/names.h tools/probe.c tools/probe.h tools/probe_offer.c \
	tools/probe_print.c tools/probe_rows.c tools/probe_world.c tools/rows_hostile.c \
	tools/rows_offer.c tools/rows_refuse.c tools/rows_rings.c tools/rows_work.c \
	tools/tool.c tools/tool.h
tools_vhost_probe_CFLAGS = $(AM_CFLAGS) $(JSON_CFLAGS)
tools_vhost_probe_LDADD = tools/libload.la daemons/libdaemons.la $(JSON_LIBS)

bin_PROGRAMS += tools/vhost-bench
tools_vhost_bench_SOURCES = \
	tools/bench.c tools/bench.h tools/bench_compare.c tools/bench_print.c tools/bench_run.c \
	tools/calm.c tools/calm.h tools/rounds.c tools/rounds.h tools/spawn.c tools/spawn.h \
	tools/tool.c tools/tool.h
tools_vhost_bench_CFLAGS = $(AM_CFLAGS) $(JSON_CFLAGS)
tools_vhost_bench_LDADD = tools/libload.la daemons/libdaemons.la $(JSON_LIBS)

check_PROGRAMS += tests/tools/bad_backend tests/tools/reflect
tests_tools_bad_backend_SOURCES = \
	tests/tools/bad_backend.c tests/tools/bad_ring.c tests/tools/bad_ring.h
tests_tools_bad_backend_LDADD =
tests_tools_reflect_LDADD =
TESTS += tests/tools/bench.sh tests/tools/probe.sh tests/tools/report.sh
EXTRA_DIST += tests/tools/bench.sh tests/tools/lib-tools.sh tests/tools/probe.sh \
	tests/tools/report.lines tests/tools/report.sh

if HAVE_CHECK
check_PROGRAMS += tests/unit/test_hist
TESTS += tests/unit/test_hist
tests_unit_test_hist_LDADD = tools/libload.la $(CHECK_LIBS)
endif

# One file for both, found under the name of each; completionsdir is in vhostctl.mk.
nodist_completions_DATA = tools/completion/vhost-bench tools/completion/vhost-probe
EXTRA_DIST += tools/completion/vhost-tools.bash
CLEANFILES += $(nodist_completions_DATA)

$(nodist_completions_DATA): tools/completion/vhost-tools.bash
	$(AM_V_GEN)$(MKDIR_P) tools/completion && cp $(srcdir)/tools/completion/vhost-tools.bash $@

TESTS += tests/tools/completion.sh
EXTRA_DIST += tests/tools/completion.sh
