/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A SCSI target device: targets, logical units, and commands on their way.
 *
 *   struct scsi_target  what one daemon offers: up to 256 targets with up to 16384 logical
 *                       units each, found by address.
 *   struct scsi_lun     one logical unit: a disk or CD-ROM on a storage, or a passed-through
 *                       /dev/sg device.  Shared by all workers.
 *   struct scsi_nexus   one worker's way to all logical units: it has the storage channels.
 *   struct scsi_cmd     one command, from scsi_submit() to done().
 *
 * virtio_scsi.c turns requests of the driver into commands; lun.c finds their unit and what
 * holds for every command (unit attention, reservations, task management); spc.c, sbc.c and mmc.c
 * carry them out.  None of the latter three knows virtqueues.
 *
 * Threads: a command belongs to its nexus's worker.  What a unit has of state which
 * several workers need (mode pages, reservations, unit attentions, the list of its commands) is
 * under its lock, which is held for moments only; a command which needs none of it takes no lock.
 *
 * Terms are those of SAM-5, SPC-4, SBC-3 and MMC-6.
 */
#ifndef SCSI_SCSI_H
#define SCSI_SCSI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "libvhost.h"
#include "storage/storage.h"

#define SCSI_CDB_MAX		32	/* bytes, virtio-scsi's cdb_size */
#define SCSI_SENSE_MAX		96	/* bytes, virtio-scsi's sense_size */
#define SCSI_TARGETS_MAX	256
#define SCSI_LUNS_MAX		16384	/* of a target */

struct scsi_cmd;
struct scsi_lun;
struct scsi_nexus;
struct scsi_path;
struct scsi_target;

/* SAM-5 5.3.1 */
enum scsi_status {
	SCSI_GOOD = 0x00,
	SCSI_CHECK_CONDITION = 0x02,
	SCSI_CONDITION_MET = 0x04,
	SCSI_BUSY = 0x08,
	SCSI_RESERVATION_CONFLICT = 0x18,
	SCSI_TASK_SET_FULL = 0x28,
	SCSI_ACA_ACTIVE = 0x30,
	SCSI_TASK_ABORTED = 0x40,
};

/* How a command ended as far as the transport is concerned. */
enum scsi_outcome {
	SCSI_DONE,			/* status and sense say how */
	SCSI_NO_TARGET,			/* there is no such target */
	SCSI_ABORTED,			/* by a task management function: not carried out, or partly */
	SCSI_RESET,			/* by a reset of the unit or the target */
	SCSI_OVERRUN,			/* the command wants more data than there is room for */
};

/* SAM-5 task attributes, with virtio-scsi's numbers. */
enum scsi_attr { SCSI_SIMPLE, SCSI_ORDERED, SCSI_HEAD_OF_QUEUE, SCSI_ACA };

struct scsi_address {
	uint8_t target;
	uint16_t lun;
	bool report_luns;		/* the well-known logical unit REPORT LUNS */
};

struct scsi_cmd {
	/* filled in by the caller, who keeps all of it unchanged until done */
	struct scsi_address address;
	uint64_t tag;			/* the initiator's name for it */
	enum scsi_attr attr;
	uint32_t initiator;		/* whose it is, for reservations; 0 where there is one only */
	uint8_t cdb[SCSI_CDB_MAX];	/* zeroes behind the end */
	const struct iovec *out, *in;	/* data-out and data-in buffers; at most one of them is used */
	unsigned int out_cnt, in_cnt;
	size_t out_len, in_len;		/* bytes */
	/* called once, on the nexus's worker, possibly within scsi_submit() */
	void (*done)(struct scsi_cmd *cmd);

	/* the outcome */
	enum scsi_outcome outcome;
	enum scsi_status status;
	size_t transferred;		/* bytes of the data-in or data-out buffer */
	uint8_t sense[SCSI_SENSE_MAX];	/* fixed or descriptor format, as the control page says */
	size_t sense_len;		/* bytes; 0: none */
	int error;			/* the storage's, a negative errno; 0: none */

	/* private from submit to done */
	struct scsi_nexus *nexus;
	struct scsi_lun *lun;
	struct scsi_path *path;		/* the nexus's way to the unit */
	struct scsi_cmd *next, **link;	/* in the path's list of commands */
	uint64_t number;		/* in the order in which the nexus has taken them */
	unsigned int flags;		/* SCSI_CMD_*, of nexus.c */
	/* private to whoever carries it out */
	uint64_t lba, blocks;
	struct scsi_cmd *range_next, **range_link;	/* in the unit's list of writers */
	uint8_t range;			/* of range.c, as these: whether it counts as a writer */
	bool range_exclusive, range_alone, range_waits;
	void (*go)(struct scsi_cmd *cmd);
	void *job;
	struct vhost_work work;
	struct storage_io io;
};

/* What a unit is to be. */
struct scsi_lun_params {
	struct scsi_address address;
	struct storage *storage;	/* outlives the unit; NULL: passthrough */
	const char *passthrough;	/* a /dev/sg device; NULL: none */
	unsigned int timeout;		/* of its commands, in seconds; 0: none */
	bool cdrom;
	unsigned int block_size;	/* bytes, 512 or 4096; 0: 512, and 2048 of a CD-ROM */
	const char *serial;		/* up to 20 characters; NULL: made of the address */
	const char *reservations;	/* file for persistent reservations (APTPL); NULL: none */
};

/* What the transport is told about units, for its event queue.  Control worker. */
struct scsi_target_ops {
	/* VIRTIO 5.6.6.3: event and reason, as virtio-scsi numbers them. */
	void (*event)(void *arg, const struct scsi_address *address, uint32_t event,
		      uint32_t reason);
};

/* Control worker, which is given. */
int scsi_target_new(struct scsi_target **target, struct vhost_worker *control,
		    const struct scsi_target_ops *ops, void *arg);
/* All nexuses are closed.  Units are freed, their storages are not.  Control worker. */
void scsi_target_free(struct scsi_target *target);

/*
 * Add a unit (-EEXIST: there is one), or take one away: its commands end as with a reset, then
 * done is called.  Each nexus follows by itself.  Control worker.
 */
int scsi_lun_add(struct scsi_target *target, const struct scsi_lun_params *params, char *why,
		 size_t why_size);
int scsi_lun_remove(struct scsi_target *target, const struct scsi_address *address,
		    void (*done)(void *arg), void *arg);
/* The size of the unit's storage has changed: unit attention, and an event. */
void scsi_lun_resized(struct scsi_target *target, const struct scsi_address *address);
/*
 * The size of the unit's storage changes, see storage_resize(); before how->done(), which may be
 * NULL, the driver is told, of all units which have this storage.  -ENOENT, there is no such unit;
 * -EOPNOTSUPP, it has no storage.  Control worker.
 */
int scsi_lun_resize(struct scsi_target *target, const struct scsi_address *address,
		    const struct storage_resize *how, char *why, size_t why_size);

/* A worker's way to the units; on that worker, and closed with no command in work. */
int scsi_nexus_open(struct scsi_target *target, struct vhost_worker *w,
		    struct scsi_nexus **nexus);
void scsi_nexus_close(struct scsi_nexus *nexus);

/* Carry out a command; every outcome comes by done().  On the nexus's worker. */
void scsi_submit(struct scsi_nexus *nexus, struct scsi_cmd *cmd);
/* Hand what was submitted to the storages; once after each batch. */
void scsi_commit(struct scsi_nexus *nexus);

/* SAM-5 7: task management functions, with virtio-scsi's subtypes. */
enum scsi_tmf {
	SCSI_ABORT_TASK, SCSI_ABORT_TASK_SET, SCSI_CLEAR_ACA, SCSI_CLEAR_TASK_SET,
	SCSI_I_T_NEXUS_RESET, SCSI_LOGICAL_UNIT_RESET, SCSI_QUERY_TASK, SCSI_QUERY_TASK_SET,
};

/* Their answers, with virtio-scsi's numbers. */
enum scsi_tmf_response {
	SCSI_TMF_COMPLETE = 0, SCSI_TMF_BAD_TARGET = 3, SCSI_TMF_FAILED = 9,
	SCSI_TMF_SUCCEEDED = 10, SCSI_TMF_REJECTED = 11, SCSI_TMF_INCORRECT_LUN = 12,
};

/*
 * Do one; done comes on the control worker when all commands which it affects have had their
 * done() and their workers have ended the round in which that was.  Control worker.
 */
struct scsi_tmf_request {
	enum scsi_tmf function;
	struct scsi_address address;
	uint64_t tag;			/* ABORT_TASK, QUERY_TASK */
	/* possibly within scsi_tmf() */
	void (*done)(struct scsi_tmf_request *request, enum scsi_tmf_response response);
};
void scsi_tmf(struct scsi_target *target, struct scsi_tmf_request *request);

/* Whether there is such a unit: COMPLETE, BAD_TARGET or INCORRECT_LUN.  Control worker. */
enum scsi_tmf_response scsi_target_knows(const struct scsi_target *target,
					 const struct scsi_address *address);

/* The driver starts anew: unit attention POWER ON, mode pages and reservations as after it. */
void scsi_target_reset(struct scsi_target *target);

#endif /* SCSI_SCSI_H */
