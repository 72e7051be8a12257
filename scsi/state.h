/* SPDX-License-Identifier: BSD-3-Clause */
/* What the commands remember of a unit; a part of struct scsi_lun, under its lock. */
#ifndef SCSI_STATE_H
#define SCSI_STATE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct scsi_cmd;

/* Bits of spc_state.modes. */
enum spc_mode {
	SPC_WCE = 1 << 0,		/* caching page: a write need not be durable when done */
	SPC_D_SENSE = 1 << 1,		/* control page: sense data in descriptor format */
	SPC_SWP = 1 << 2,		/* control page: software write protection */
	SPC_STOPPED = 1 << 3,		/* by START STOP UNIT */
	SPC_EJECTED = 1 << 4,		/* likewise; removable medium only */
	SPC_PREVENTED = 1 << 5,		/* medium removal */
	SPC_MEDIA_NEW = 1 << 6,		/* not told by GET EVENT STATUS NOTIFICATION yet */
	SPC_MEDIA_GONE = 1 << 7,	/* likewise */
};

/* Of which errors LOG SENSE tells. */
enum spc_error { SPC_WRITE_ERRORS, SPC_READ_ERRORS, SPC_VERIFY_ERRORS, SPC_ERRORS };

/* Counters of writers; who shares one loses time only. */
#define SPC_COUNTERS	8u

struct spc_counter {
	atomic_uint n;
	uint8_t pad[60];		/* no two in a cache line */
};

struct spc_state {
	atomic_uint modes;		/* changed under the lock, read by any thread */
	_Atomic uint64_t errors[SPC_ERRORS];	/* any thread */

	/* Commands which write, see range.c.  Any thread: */
	struct spc_counter counted[SPC_COUNTERS];	/* number of those outside the list */
	atomic_uint exclusive;		/* number of those which tolerate no others; changed under
					 * the lock */
	/* in the order of their coming */
	struct scsi_cmd *writers, **writers_end;
};

#define PR_REGISTRATIONS	64	/* which a unit remembers at most */

struct pr_registration {
	uint32_t initiator;
	uint64_t key;
};

struct pr_state {
	atomic_bool any;		/* some reservation exists; any thread reads */

	/* persistent reservations, SPC-4 5.13 */
	struct pr_registration list[PR_REGISTRATIONS];
	unsigned int count;
	uint32_t generation;
	uint8_t type;			/* of the reservation; 0: there is none */
	uint32_t holder;		/* its initiator, unless type is for all registrants */
	bool aptpl;			/* kept through power loss */

	/* those of RESERVE, SPC-2 5.5 */
	bool reserved;
	uint32_t reserved_by;

	/* Where they are kept; constant. */
	int dir;			/* the file's directory; -1: nowhere */
	char *name;
	/* Held through PERSISTENT RESERVE OUT, so that the file tells of the latest.  Taken
	 * before the unit's lock. */
	pthread_mutex_t file_lock;
};

#endif /* SCSI_STATE_H */
