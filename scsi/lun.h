/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Logical units as those see them who carry out commands.
 *
 * One initiator is behind a target: the driver.  So a unit has one queue of unit attentions.
 */
#ifndef SCSI_LUN_H
#define SCSI_LUN_H

#include <pthread.h>
#include <stdatomic.h>

#include "scsi/command.h"
#include "scsi/scsi.h"

#define SCSI_ATTENTIONS_MAX	12	/* waiting at a unit: room for each code that there is */

/* Additional sense codes of unit attentions, ASC << 8 | ASCQ. */
enum scsi_attention {
	SCSI_UA_POWER_ON = 0x2901,
	SCSI_UA_UNIT_RESET = 0x2903,		/* BUS DEVICE RESET FUNCTION OCCURRED */
	SCSI_UA_NEXUS_LOSS = 0x2907,
	SCSI_UA_MODE_CHANGED = 0x2a01,
	SCSI_UA_CAPACITY_CHANGED = 0x2a09,
	SCSI_UA_LUNS_CHANGED = 0x3f0e,		/* REPORTED LUNS DATA HAS CHANGED */
};

struct scsi_lun {
	/* constant */
	struct scsi_target *target;
	struct scsi_lun_params params;	/* its strings are the unit's own; serial is never NULL */
	struct storage *storage;	/* NULL: passthrough */
	struct storage_info info;	/* but for size, see below; passthrough: zero */
	unsigned int block_size;	/* bytes of a logical block: 512, 2048 or 4096 */

	/* changed by the control worker only; any thread may read */
	_Atomic uint64_t size;		/* bytes, whole blocks */
	atomic_uint attentions;		/* number of those which wait */

	/* Held for moments only, never while waiting for anything, or calling done(). */
	pthread_mutex_t lock;
	/* under the lock: */
	uint16_t attention[SCSI_ATTENTIONS_MAX];	/* the oldest first */
	struct spc_state spc;
	struct pr_state pr;
};

/* Number of logical blocks.  Any thread. */
static inline uint64_t scsi_lun_blocks(const struct scsi_lun *lun)
{
	return atomic_load_explicit(&lun->size, memory_order_relaxed) / lun->block_size;
}

/*
 * Unit attentions: a code which waits already is not added again.  Any thread; takes the lock.
 * scsi_submit() reports them to all commands but INQUIRY, REPORT LUNS and REQUEST SENSE, of
 * which the latter takes the oldest, and REPORT LUNS clears SCSI_UA_LUNS_CHANGED.
 */
void scsi_lun_attention(struct scsi_lun *lun, uint16_t asc_ascq);
/* The oldest one goes to *asc_ascq and is forgotten; false: there is none. */
bool scsi_lun_take_attention(struct scsi_lun *lun, uint16_t *asc_ascq);
/* Forget this one, at all units of the target, in the command's nexus's eyes. */
void scsi_clear_attention(struct scsi_cmd *cmd, uint16_t asc_ascq);

/*
 * The command has ended, with cmd->outcome, status, transferred and sense as they are (at first
 * SCSI_DONE, GOOD, nothing and none): it is taken off the unit's list, and its done() is
 * called.  It may be gone then.  On its worker.
 */
void scsi_finish(struct scsi_cmd *cmd);

/*
 * Whether a task management function has aborted the command: who carries it out in several
 * steps asks before each, and finishes early.  On its worker.
 */
bool scsi_aborted(const struct scsi_cmd *cmd);

/*
 * The way of a command, which has a unit, to the unit's storage.  What is submitted within
 * scsi_execute(), or within done() of an operation, needs no commit.  On its worker.
 */
struct storage_chan *scsi_cmd_chan(const struct scsi_cmd *cmd);
struct vhost_worker *scsi_nexus_worker(const struct scsi_nexus *nexus);
/* Small, and different for most of a target's nexuses.  Any thread. */
unsigned int scsi_nexus_number(const struct scsi_nexus *nexus);

/*
 * For REPORT LUNS: the number of the command's target's first unit from this one on, or -1.
 * On the command's worker.
 */
int scsi_next_lun(const struct scsi_cmd *cmd, unsigned int from);

#endif /* SCSI_LUN_H */
