# SPDX-License-Identifier: BSD-3-Clause
# Benchmarks, run by hand through the scripts: vhost-bench does the work for disks.
check_PROGRAMS += tests/bench/bench_net tests/bench/bench_tap tests/bench/start_time
tests_bench_start_time_LDADD =
tests_bench_bench_net_SOURCES = \
	tests/bench/bench.c tests/bench/bench.h tests/bench/bench_net.c \
	tests/bench/net_load.c tests/bench/net_load.h
tests_bench_bench_net_LDADD = frontend/libfrontend.la

tests_bench_bench_tap_SOURCES = \
	tests/bench/bench.c tests/bench/bench.h tests/bench/bench_tap.c \
	tests/bench/net_load.c tests/bench/net_load.h tests/bench/tap_wire.c tests/bench/tap_wire.h
tests_bench_bench_tap_LDADD = frontend/libfrontend.la

EXTRA_DIST += \
	tests/bench/blk.sh tests/bench/lib.sh tests/bench/limits.sh tests/bench/net.sh tests/bench/scsi.sh tests/bench/start.sh \
	tests/bench/tap.sh tests/bench/tcp.sh
