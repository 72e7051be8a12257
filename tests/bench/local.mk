# SPDX-License-Identifier: BSD-3-Clause
# Benchmarks: built with the tests, run by hand through the scripts.
check_PROGRAMS += tests/bench/bench_blk
tests_bench_bench_blk_SOURCES = \
	tests/bench/bench.c tests/bench/bench.h tests/bench/bench_blk.c tests/bench/bench_disk.h \
	tests/bench/disk_blk.c tests/bench/disk_scsi.c
tests_bench_bench_blk_LDADD = frontend/libfrontend.la

EXTRA_DIST += tests/bench/blk.sh tests/bench/lib.sh tests/bench/scsi.sh
