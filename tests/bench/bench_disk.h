/* SPDX-License-Identifier: BSD-3-Clause */
/* Kinds of disks which bench_blk drives: how their requests are made. */
#ifndef TESTS_BENCH_DISK_H
#define TESTS_BENCH_DISK_H

#include "frontend/fe_blk.h"
#include "frontend/fe_scsi.h"
#include "tests/bench/bench.h"

#define DISK_SECTOR	512u

/* One back-end with its disk. */
struct disk_target {
	struct bench_target base;
	const struct disk_kind *kind;
	bool write;			/* what all requests do */
	uint32_t block;			/* bytes of each */
	unsigned int depth;		/* requests in work at a time */
	struct fe_mem mem;
	struct fe_ring ring;
	union {
		struct fe_blk blk;
		struct fe_scsi scsi;
	};
	uint64_t sectors;		/* of the disk */
	uint64_t random;		/* state of the generator */
};

struct disk_kind {
	uint64_t features;		/* of the device, for the driver to choose */
	unsigned int queue;		/* number of the virtqueue which is driven */
	unsigned int descriptors;	/* of a request */
	/* Before the ring starts: room for so many requests; afterwards: find the size.  Or NULL. */
	int (*init)(struct disk_target *t, unsigned int requests);
	int (*ask)(struct disk_target *t);
	void (*free)(struct disk_target *t);
	/* A request; add it, on the sectors from this one on; has it failed; give it back. */
	void *(*get)(struct disk_target *t);
	int (*add)(struct disk_target *t, void *req, uint64_t sector);
	bool (*failed)(const void *req);
	void (*put)(struct disk_target *t, void *req);
};

extern const struct disk_kind disk_blk, disk_scsi;

#endif /* TESTS_BENCH_DISK_H */
