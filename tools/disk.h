/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which blocks of a disk a load reads and writes, and what is in them.
 *
 * Where data is judged, no two requests in flight concern the same block: one which is busy is
 * passed over.  So what a block must contain is known at any time.
 *
 * What is written tells by itself to which sector it belongs, and when it was written; each word
 * of a sector follows from the first two.
 */
#ifndef TOOLS_DISK_H
#define TOOLS_DISK_H

#include "tools/load.h"

#define DISK_SECTOR	512u

struct disk {
	struct load *load;
	uint64_t blocks;		/* of load->params.block bytes, in use */
	uint64_t next;			/* in order */
	uint32_t *times;		/* [blocks], how often it was written, and DISK_BUSY; NULL:
					 * nothing is judged */
	uint32_t unit;			/* SCSI: bytes of a block as commands count them */
	uint32_t run;			/* which run of the program this is, at random */
	bool checking;			/* read all that has been written, once */
};

/* A disk of this size for the load; it is load->device from now on, if there is no error. */
int disk_open(struct load *l, uint64_t bytes, bool read_only);
void disk_close(struct load *l);

/* Choose the slot's next block, and whether to write it; false: there is none. */
bool disk_next(struct load *l, struct load_slot *s);

/* The slot's request has succeeded: bytes moved, or a negative errno if its data is wrong. */
int64_t disk_done(struct load *l, struct load_slot *s);

/* From now on disk_next() finds what has been written. */
void disk_recheck(struct load *l);

/* Sectors to a block. */
static inline uint64_t disk_sector(const struct load *l, const struct load_slot *s)
{
	return s->block * (l->params.block / DISK_SECTOR);
}

#endif /* TOOLS_DISK_H */
