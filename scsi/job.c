/* SPDX-License-Identifier: BSD-3-Clause */
/* Commands of several steps: those which compare, and those which read before they write. */
#include <stdlib.h>
#include <string.h>

#include "iov.h"
#include "scsi/sbc.h"

#define JOB_CHUNK	4096u		/* bytes of the initiator's looked at in one go */

/*
 * Jobs
 */

void sbc_job_free(struct sbc_job *job)
{
	if (job) {
		free(job->buf);
		free(job);
	}
}

struct sbc_job *sbc_job_new(struct scsi_cmd *cmd, uint64_t buf)
{
	const size_t iovs = MAX(cmd->in_cnt, cmd->out_cnt);
	struct sbc_job *job = calloc(1, sizeof(*job) + iovs * sizeof(struct iovec));

	cmd->job = job;
	if (!job || (buf && posix_memalign((void **)&job->buf, 4096, buf))) {
		/* Later there will be memory again. */
		cmd->status = SCSI_BUSY;
		sbc_end(cmd);
		return NULL;
	}
	job->cmd = cmd;
	job->iov = (struct iovec *)(job + 1);
	job->at = cmd->lba * cmd->lun->block_size;
	job->left = sbc_bytes(cmd);
	return job;
}

static void job_done(struct storage_io *io, int err)
{
	struct scsi_cmd *cmd = container_of(io, struct scsi_cmd, io);
	struct sbc_job *job = cmd->job;

	if (err)
		sbc_io_failed(cmd, err);
	else if (scsi_aborted(cmd))
		sbc_end(cmd);
	else
		job->next(job);
}

static void job_submit(struct sbc_job *job, enum storage_op op, unsigned int flags)
{
	struct storage_io *io = &job->cmd->io;

	io->op = op;
	io->flags = flags;
	io->offset = job->at;
	io->len = job->piece;
	io->done = job_done;
	storage_submit(scsi_cmd_chan(job->cmd), io);
}

void sbc_job_buf(struct sbc_job *job, enum storage_op op, unsigned int flags)
{
	job->one = (struct iovec){ job->buf, job->piece };
	job->cmd->io.iov = &job->one;
	job->cmd->io.iovcnt = 1;
	job_submit(job, op, flags);
}

void sbc_job_data(struct sbc_job *job, unsigned int flags)
{
	struct scsi_cmd *cmd = job->cmd;

	cmd->io.iovcnt = iov_slice(job->iov, cmd->out_cnt, cmd->out, cmd->out_cnt, job->off,
				   job->piece);
	cmd->io.iov = job->iov;
	job_submit(job, STORAGE_WRITE, flags);
}

void sbc_job_op(struct sbc_job *job, enum storage_op op, unsigned int flags)
{
	job->cmd->io.iov = NULL;
	job->cmd->io.iovcnt = 0;
	job_submit(job, op, flags);
}

void sbc_job_advance(struct sbc_job *job)
{
	job->at += job->piece;
	job->off += job->piece;
	job->left -= job->piece;
}

static void job_read_piece(struct sbc_job *job, void (*next)(struct sbc_job *job))
{
	job->piece = MIN(job->left, SBC_PIECE);
	job->next = next;
	sbc_job_buf(job, STORAGE_READ, 0);
}

/*
 * Comparing
 */

static size_t job_first_difference(const uint8_t *a, const uint8_t *b, size_t n)
{
	size_t i = 0;

	while (i < n && a[i] == b[i])
		i++;
	return i;
}

/*
 * Where the n bytes of the buffer begin to differ from data-out, of which a block is compared
 * again and again when period is not 0; n: they do not.
 */
static uint64_t job_differs(const struct sbc_job *job, uint64_t n, uint64_t period)
{
	const uint64_t step = period ? MIN(period, JOB_CHUNK) : JOB_CHUNK;
	uint8_t chunk[JOB_CHUNK];
	uint64_t i, off;
	size_t len;

	for (i = 0; i < n; i += len) {
		off = job->off + i;
		len = MIN(n - i, step);
		if (scsi_param(job->cmd, period ? off % period : off, chunk, len) < len)
			return i;
		if (memcmp(job->buf + i, chunk, len))
			return i + job_first_difference(job->buf + i, chunk, len);
	}
	return n;
}

/* SBC-3 5.3 tells the offset of the first byte in data-out which differs. */
static void job_miscompare(struct sbc_job *job, uint64_t off)
{
	struct scsi_cmd *cmd = job->cmd;
	const struct sense_data data = { .code = SENSE_MISCOMPARE, .has_info = true, .info = off };

	cmd->status = SCSI_CHECK_CONDITION;
	cmd->sense_len = sense_build(cmd->sense, spc_mode(cmd->lun, SPC_D_SENSE), &data);
	sbc_end(cmd);
}

/*
 * VERIFY, 5.29 and on
 */

enum { BYTCHK_NONE, BYTCHK_ALL, BYTCHK_BAD, BYTCHK_ONE };

static void verify_next(struct sbc_job *job);

static void verify_read(struct sbc_job *job)
{
	const uint64_t period = job->bytchk == BYTCHK_ONE ? job->cmd->lun->block_size : 0;
	uint64_t same = job->piece;

	if (job->bytchk != BYTCHK_NONE)
		same = job_differs(job, job->piece, period);
	if (same < job->piece) {
		job_miscompare(job, period ? (job->off + same) % period : job->off + same);
		return;
	}
	sbc_job_advance(job);
	verify_next(job);
}

static void verify_next(struct sbc_job *job)
{
	if (job->left)
		job_read_piece(job, verify_read);
	else
		sbc_end(job->cmd);
}

/* Bytes of data-out which BYTCHK wants. */
static uint64_t verify_given(const struct scsi_cmd *cmd, unsigned int bytchk)
{
	if (bytchk == BYTCHK_NONE)
		return 0;
	return bytchk == BYTCHK_ONE ? cmd->lun->block_size : sbc_bytes(cmd);
}

void sbc_verify(struct scsi_cmd *cmd)
{
	const unsigned int bytchk = cmd->cdb[1] >> 1 & 3;
	struct sbc_job *job;

	if (bytchk == BYTCHK_BAD) {
		scsi_fail_cdb(cmd, 1, 2);
		return;
	}
	if (!sbc_extent(cmd, sbc_limit(cmd->lun, SBC_TRANSFER_MAX)) ||
	    !scsi_given(cmd, verify_given(cmd, bytchk)))
		return;
	job = sbc_job_new(cmd, MIN(sbc_bytes(cmd), SBC_PIECE));
	if (!job)
		return;
	job->bytchk = bytchk;
	cmd->transferred = verify_given(cmd, bytchk);
	verify_next(job);
}

/*
 * WRITE AND VERIFY, 5.36 and on: a write, durable, and then as VERIFY
 */

static void write_and_verify_go(struct scsi_cmd *cmd)
{
	struct sbc_job *job = sbc_job_new(cmd, MIN(sbc_bytes(cmd), SBC_PIECE));

	if (!job)
		return;
	job->bytchk = cmd->cdb[1] >> 1 & 3;
	job->piece = job->left;
	job->next = verify_next;
	cmd->transferred = job->left;
	sbc_job_data(job, STORAGE_FUA);
}

void sbc_write_and_verify(struct scsi_cmd *cmd)
{
	if (cmd->cdb[1] & 0x04)		/* BYTCHK 10b and 11b are reserved */
		scsi_fail_cdb(cmd, 1, 2);
	else if (sbc_extent(cmd, sbc_limit(cmd->lun, SBC_TRANSFER_MAX)) &&
		 scsi_given(cmd, sbc_bytes(cmd)))
		range_enter(cmd, false, write_and_verify_go);
}

/*
 * COMPARE AND WRITE, 5.3: the first half of data-out is compared, the second one is written
 */

static void job_finished(struct sbc_job *job)
{
	sbc_end(job->cmd);
}

static void compare_read(struct sbc_job *job)
{
	const uint64_t same = job_differs(job, job->piece, 0);

	if (same < job->piece) {
		job_miscompare(job, same);
		return;
	}
	job->off = job->piece;
	job->next = job_finished;
	sbc_job_data(job, sbc_durability(job->cmd, sbc_fua(job->cmd)));
}

static void compare_go(struct scsi_cmd *cmd)
{
	struct sbc_job *job = sbc_job_new(cmd, sbc_bytes(cmd));

	if (!job)
		return;
	cmd->transferred = 2 * sbc_bytes(cmd);
	job->piece = job->left;
	job->next = compare_read;
	sbc_job_buf(job, STORAGE_READ, 0);
}

void sbc_compare_and_write(struct scsi_cmd *cmd)
{
	/* Its number of blocks is where others have the last byte of theirs; the rest is reserved. */
	if (sbc_extent(cmd, SBC_COMPARE_MAX) && scsi_given(cmd, 2 * sbc_bytes(cmd)))
		range_enter(cmd, true, compare_go);
}

/*
 * ORWRITE (16), 5.6
 */

static void or_next(struct sbc_job *job);

static void or_written(struct sbc_job *job)
{
	sbc_job_advance(job);
	or_next(job);
}

static void or_chunk(uint8_t *to, const uint8_t *from, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		to[i] |= from[i];
}

static void or_read(struct sbc_job *job)
{
	uint8_t chunk[JOB_CHUNK];
	uint64_t i;
	size_t len;

	for (i = 0; i < job->piece; i += len) {
		len = MIN(job->piece - i, JOB_CHUNK);
		scsi_param(job->cmd, job->off + i, chunk, len);
		or_chunk(job->buf + i, chunk, len);
	}
	job->next = or_written;
	sbc_job_buf(job, STORAGE_WRITE, sbc_durability(job->cmd, sbc_fua(job->cmd)));
}

static void or_next(struct sbc_job *job)
{
	if (job->left)
		job_read_piece(job, or_read);
	else
		sbc_end(job->cmd);
}

static void or_go(struct scsi_cmd *cmd)
{
	struct sbc_job *job = sbc_job_new(cmd, MIN(sbc_bytes(cmd), SBC_PIECE));

	if (!job)
		return;
	cmd->transferred = sbc_bytes(cmd);
	or_next(job);
}

void sbc_or_write(struct scsi_cmd *cmd)
{
	if (sbc_extent(cmd, sbc_limit(cmd->lun, SBC_TRANSFER_MAX)) &&
	    scsi_given(cmd, sbc_bytes(cmd)))
		range_enter(cmd, true, or_go);
}
