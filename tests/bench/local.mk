# SPDX-License-Identifier: BSD-3-Clause
# Benchmarks, run by hand through the scripts: vhost-bench does the work but for taps.
check_PROGRAMS += tests/bench/bench_tap tests/bench/calm tests/bench/guest_disk tests/bench/ready
tests_bench_calm_SOURCES = tests/bench/calm.c tools/calm.c tools/calm.h
tests_bench_calm_LDADD = tools/libload.la
# It runs in guests, which are given its libraries, but no sanitizer's.
tests_bench_guest_disk_CFLAGS = -std=gnu11 $(WARN) -pthread
tests_bench_guest_disk_LDFLAGS = -pthread

tests_bench_ready_SOURCES = tests/bench/ready.c tools/spawn.c tools/spawn.h
tests_bench_ready_LDADD = tools/libload.la

tests_bench_bench_tap_SOURCES = \
	tests/bench/bench_tap.c tests/bench/bench_tap.h tests/bench/tap_bare.c \
	tests/bench/tap_guest.c tests/bench/tap_wire.c tests/bench/tap_wire.h \
	tools/calm.c tools/calm.h tools/rounds.c tools/rounds.h tools/tool.c tools/tool.h
tests_bench_bench_tap_CFLAGS = $(AM_CFLAGS) $(JSON_CFLAGS)
tests_bench_bench_tap_LDADD = tools/libload.la daemons/libdaemons.la $(JSON_LIBS)

EXTRA_DIST += \
	tests/bench/blk.sh tests/bench/guest.sh tests/bench/lib.sh tests/bench/limits.sh tests/bench/net.sh \
	tests/bench/peers.sh tests/bench/report tests/bench/report-blk.sh tests/bench/report-daemons.sh \
	tests/bench/report-facts.sh tests/bench/report-guest.sh tests/bench/report-lib.sh tests/bench/report-net.sh \
	tests/bench/report-plot.sh tests/bench/report.awk tests/bench/scsi.sh \
	tests/bench/tap.sh
