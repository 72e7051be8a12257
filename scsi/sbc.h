/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the commands on blocks share: extents, ends, and jobs.
 *
 * READ and WRITE are one operation of the storage on the initiator's own buffers.  Whatever
 * takes several, or a buffer of its own, is a job, which goes from operation to operation.
 */
#ifndef SCSI_SBC_H
#define SCSI_SBC_H

#include "scsi/op.h"

/* A job's buffer is not larger, but for COMPARE AND WRITE. */
#define SBC_PIECE	(UINT64_C(256) << 10)

struct sbc_job {
	struct scsi_cmd *cmd;
	void (*next)(struct sbc_job *job);	/* when the operation in work has succeeded */
	uint64_t at, left;		/* of the unit, bytes: what is still to be done */
	uint64_t off;			/* in data-out, bytes */
	uint64_t piece;			/* bytes in work */
	unsigned int range, ranges;	/* of UNMAP: the next one, and their number */
	unsigned int bytchk;		/* of VERIFY */
	struct storage_map map;		/* of GET LBA STATUS: runs in buf */
	struct iovec one;		/* all or a part of buf */
	struct iovec *iov;		/* room for a part of the initiator's buffers */
	uint8_t *buf;			/* may be NULL */
};

/*
 * The CDB's first block and number of blocks go to cmd->lba and blocks, into which max blocks
 * and the unit's end set limits.  False: the command has ended, with sense or, with no blocks to
 * be worked on, well.
 */
bool sbc_extent(struct scsi_cmd *cmd, uint64_t max);
/* The same without a limit, and with no blocks allowed. */
bool sbc_extent_any(struct scsi_cmd *cmd);
/* Blocks of a command whose limit is in bytes. */
uint64_t sbc_limit(const struct scsi_lun *lun, uint64_t bytes);
uint64_t sbc_bytes(const struct scsi_cmd *cmd);

/* As READ, of these blocks. */
void sbc_read_part(struct scsi_cmd *cmd, uint64_t lba, uint64_t blocks);

/* STORAGE_FUA, if a write has to be durable when done because of the CDB (fua) or WCE. */
unsigned int sbc_durability(const struct scsi_cmd *cmd, bool fua);
/* Whether the CDB's FUA bit is set; of those which have one. */
bool sbc_fua(const struct scsi_cmd *cmd);

/* Leave the list of writers, free the job, and finish. */
void sbc_end(struct scsi_cmd *cmd);
/* The operation has failed: sense, and the end. */
void sbc_io_failed(struct scsi_cmd *cmd, int err);

/* A job for the command with a buffer of so many bytes; NULL: the command has ended. */
struct sbc_job *sbc_job_new(struct scsi_cmd *cmd, uint64_t buf);
void sbc_job_free(struct sbc_job *job);
/* Start an operation on [at, at + piece), with buf or with data-out from off on. */
void sbc_job_buf(struct sbc_job *job, enum storage_op op, unsigned int flags);
void sbc_job_data(struct sbc_job *job, unsigned int flags);
/* Start one without data. */
void sbc_job_op(struct sbc_job *job, enum storage_op op, unsigned int flags);
/* The piece is done. */
void sbc_job_advance(struct sbc_job *job);

#endif /* SCSI_SBC_H */
