# SPDX-License-Identifier: BSD-3-Clause
# Benchmarks, run by hand: vhost-bench with what it takes; bench.[ch] are for those of networks.
EXTRA_DIST += tests/bench/bench.c tests/bench/bench.h \
	tests/bench/blk.sh tests/bench/lib.sh tests/bench/scsi.sh
