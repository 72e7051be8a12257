/* SPDX-License-Identifier: BSD-3-Clause */
/* Operations which are neighbours become one. */
#ifndef STORAGE_MERGE_H
#define STORAGE_MERGE_H

#include "storage/engine.h"

struct file_chan;
struct merge_joint;

/* A part of file_chan. */
struct merge {
	uint64_t end;			/* bytes; where the latest operation ends */
	/* Reads, or writes with the same flags, each of which begins where the one before ends,
	 * the last one at end. */
	struct io_list held;
	unsigned int iovcnt;		/* of all of them */
	uint32_t idle;			/* bits: which of joints are */
	struct merge_joint *joints;
};

int merge_open(struct merge *m);
/* With nothing in flight. */
void merge_close(struct merge *m);

/* storage_ops.submit of engines for files: comes to fc->start, at merge_flush() at the latest. */
void merge_submit(struct storage_chan *chan, struct storage_io *io);
/* To be called by the engine's commit, before it hands anything over. */
void merge_flush(struct file_chan *fc);
/* The parts of a joint operation come to their end, or go to the pool. */
void merge_split(struct storage_io *joint, int err);

/* What came to fc->start has ended. */
static inline void merge_complete(struct storage_io *io, int err)
{
	if (io->how & HOW_JOINT)
		merge_split(io, err);
	else
		storage_complete(io, err);
}

#endif /* STORAGE_MERGE_H */
