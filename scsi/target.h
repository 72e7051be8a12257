/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Inside the transport half: how units are found, and how all workers are asked at once.
 *
 *   struct scsi_table  units by address; the target has one of all units, each nexus one of
 *                      its paths.  So a command finds its unit without a lock.
 *   struct scsi_path   a nexus's way to one unit: channel, and the commands on it.
 *   struct scsi_sweep  something which every nexus has to do its part of (struct scsi_part):
 *                      task management, a unit which comes or goes.
 *
 * A part begins on its nexus's worker, waits there for the commands which it concerns,
 * and for the end of the round in which the last one had its done(), so that the driver has
 * seen them all end before it sees the end of the sweep.
 */
#ifndef SCSI_TARGET_H
#define SCSI_TARGET_H

#include "libvhost.h"
#include "scsi/lun.h"

/* Of scsi_cmd.flags */
#define SCSI_CMD_BEGUN		(1u << 0)	/* is carried out; else held back, see nexus.c */
#define SCSI_CMD_ABORTED	(1u << 1)	/* will end as SCSI_ABORTED, whatever it says */
#define SCSI_CMD_RESET		(1u << 2)	/* or as SCSI_RESET */
#define SCSI_CMD_KILLED		(SCSI_CMD_ABORTED | SCSI_CMD_RESET)

/*
 * table.c: sorted by key, which is target and unit
 */

struct scsi_entry {
	uint32_t key;
	void *item;
};

/* Zero is an empty one. */
struct scsi_table {
	struct scsi_entry *entries;
	unsigned int num, room;
};

static inline uint32_t scsi_key(unsigned int target, unsigned int lun)
{
	return target * SCSI_LUNS_MAX + lun;
}

static inline uint32_t scsi_address_key(const struct scsi_address *address)
{
	return scsi_key(address->target, address->lun);
}

/* Number of the first entry whose key is not less; table->num: there is none. */
unsigned int scsi_table_seek(const struct scsi_table *table, uint32_t key);
/* NULL: there is none. */
void *scsi_table_find(const struct scsi_table *table, uint32_t key);
/* Whether there is any in [first, last]. */
bool scsi_table_any(const struct scsi_table *table, uint32_t first, uint32_t last);
/* -EEXIST, -ENOMEM. */
int scsi_table_add(struct scsi_table *table, uint32_t key, void *item);
/* The item, or NULL. */
void *scsi_table_del(struct scsi_table *table, uint32_t key);

/*
 * target.c
 */

struct scsi_target {
	/* constant */
	struct vhost_worker *control;
	struct scsi_target_ops ops;
	void *arg;

	/* of the control worker */
	unsigned int pending;		/* sweeps and changes of size which have not ended */
	bool freed;			/* the last of these frees it */

	/* Changed by the control worker, which alone may read without the lock. */
	pthread_mutex_t lock;
	struct scsi_table luns;
	/* under the lock */
	struct scsi_nexus *nexuses;
	unsigned int opened;		/* nexuses, so far */
};

/* One of them has ended; frees the target if it is time. */
void scsi_target_put(struct scsi_target *target);

/*
 * lun.c
 */

/* A unit in none of the tables yet. */
int scsi_lun_new(struct scsi_lun **lun, struct scsi_target *target,
		 const struct scsi_lun_params *params, char *why, size_t why_size);
void scsi_lun_free(struct scsi_lun *lun);
/* Forget all attentions; or this one. */
void scsi_lun_forget_attentions(struct scsi_lun *lun);
void scsi_lun_forget_attention(struct scsi_lun *lun, uint16_t asc_ascq);

/*
 * nexus.c
 */

/* All of it is the worker's, but for the place in the target's list, which is under its lock. */
struct scsi_nexus {
	struct scsi_target *target;
	struct vhost_worker *worker;
	unsigned int id;		/* constant */
	struct scsi_nexus *next, **link;
	struct scsi_table paths;
	struct scsi_path *touched;	/* since the last commit */
	struct scsi_part *parts;	/* from their begin to their end */
	uint64_t number;		/* of commands taken */
};

struct scsi_path {
	struct scsi_nexus *nexus;
	struct scsi_lun *lun;
	struct storage_chan *chan;	/* one of the two; NULL: it could not be opened yet */
	struct pass_chan *pass;
	struct scsi_cmd *first, **last;	/* commands; those held back are behind all others */
	struct scsi_cmd *held;		/* the first of these */
	bool barrier;			/* an ORDERED one is carried out */
	bool releasing;			/* within scsi_path_release() */
	bool touched;
	struct scsi_path *next_touched;
};

/* The unit is there from now on; -ENOMEM.  Its channel may follow later. */
int scsi_path_add(struct scsi_nexus *nexus, struct scsi_lun *lun);
/* It is gone; the path remains until its commands have ended.  NULL: it was not there. */
struct scsi_path *scsi_path_del(struct scsi_nexus *nexus, uint32_t key);
void scsi_path_free(struct scsi_path *path);

/* Which commands a sweep concerns. */
struct scsi_match {
	uint32_t first, last;		/* keys of units */
	bool one;			/* those with this tag only */
	uint64_t tag;
};

bool scsi_cmd_matches(const struct scsi_cmd *cmd, const struct scsi_match *match);
/*
 * Mark the path's commands which match with flags; those which are held back end at once.
 * Returns how many will end later; *found becomes true if there were any.  In the mail.
 */
unsigned int scsi_path_mark(struct scsi_path *path, const struct scsi_match *match,
			    unsigned int flags, bool *found);

/*
 * sweep.c
 */

struct scsi_part {
	struct vhost_work work;
	struct scsi_sweep *sweep;
	struct vhost_worker *worker;
	struct scsi_nexus *nexus;
	struct scsi_part *next, **link;	/* in the nexus's list */
	uint64_t number;		/* it concerns commands which were taken before this one */
	unsigned int left;		/* commands which it waits for */
	struct scsi_path *path;		/* of a unit which goes */
	/* the outcome */
	bool found;			/* there were such commands */
	int err;
};

struct scsi_sweep {
	struct scsi_target *target;
	/* on each nexus's worker */
	void (*begin)(struct scsi_part *part);
	/* likewise, at the part's end, in the mail; or NULL */
	void (*end)(struct scsi_part *part);
	/* on the control worker, when all parts have ended; the sweep goes afterwards */
	void (*done)(struct scsi_sweep *sweep);

	struct scsi_match match;
	unsigned int flags;		/* SCSI_CMD_*, for those which match */
	struct scsi_lun *lun;		/* which comes or goes */
	void (*user_done)(void *arg);
	void *user;

	bool found;			/* of any part */
	int err;
	unsigned int pending;		/* parts */
	unsigned int num;
	struct scsi_part parts[];	/* [num] */
};

/*
 * One with a part for each nexus that there is.  Under the target's lock: what the sweep is about
 * is changed while it is held, so that a nexus which opens either has a part or sees the change.
 */
struct scsi_sweep *scsi_sweep_new(struct scsi_target *target);
/* The parts begin; with none the sweep is done at once.  Control worker. */
void scsi_sweep_start(struct scsi_sweep *sweep);

/*
 * Mark the commands which match (flags, may be 0); those which are marked the part waits for.
 * Once, within begin.
 */
void scsi_part_wait(struct scsi_part *part);
/* A command with flags has ended, and is off its path's list. */
void scsi_parts_note(struct scsi_nexus *nexus, const struct scsi_cmd *cmd);
/* The nexus closes: its parts are left without it. */
void scsi_parts_orphan(struct scsi_nexus *nexus);

#endif /* SCSI_TARGET_H */
