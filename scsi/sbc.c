/* SPDX-License-Identifier: BSD-3-Clause */
/* Reading and writing blocks, and what is told of them (SBC-3). */
#include "scsi/sbc.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "iov.h"

/*
 * Extents
 */

/* By the CDB's length, which the operation code tells (SPC-4 4.2.5.1). */
static void sbc_decode(struct scsi_cmd *cmd)
{
	const uint8_t *cdb = cmd->cdb;

	switch (cdb[0] >> 5) {
	case 0:
		cmd->lba = get_be24(&cdb[1]) & 0x1fffff;
		cmd->blocks = cdb[4] ? cdb[4] : 256;
		break;
	case 4:
		cmd->lba = get_be64(&cdb[2]);
		cmd->blocks = get_be32(&cdb[10]);
		break;
	case 5:
		cmd->lba = get_be32(&cdb[2]);
		cmd->blocks = get_be32(&cdb[6]);
		break;
	default:
		cmd->lba = get_be32(&cdb[2]);
		cmd->blocks = get_be16(&cdb[7]);
	}
}

/* Whether the blocks are there; otherwise the command has ended. */
static bool sbc_in_range(struct scsi_cmd *cmd)
{
	const uint64_t blocks = scsi_lun_blocks(cmd->lun);

	if (cmd->lba <= blocks && cmd->blocks <= blocks - cmd->lba)
		return true;
	scsi_fail(cmd, SENSE_BAD_LBA);
	return false;
}

bool sbc_extent_any(struct scsi_cmd *cmd)
{
	cmd->job = NULL;
	cmd->range = 0;
	sbc_decode(cmd);
	return sbc_in_range(cmd);
}

/* Byte of the CDB at which the number of blocks begins. */
static unsigned int sbc_length_field(const struct scsi_cmd *cmd)
{
	static const uint8_t field[8] = { 4, 7, 7, 7, 10, 6, 7, 7 };

	if (cmd->cdb[0] == 0x89)	/* COMPARE AND WRITE */
		return 13;
	return cmd->cdb[0] == 0xbe ? 6 : field[cmd->cdb[0] >> 5];
}

static bool sbc_within(struct scsi_cmd *cmd, uint64_t max)
{
	if (cmd->blocks > max)
		scsi_fail_cdb(cmd, sbc_length_field(cmd), -1);
	else if (!cmd->blocks)
		scsi_good(cmd);
	else
		return true;
	return false;
}

bool sbc_extent(struct scsi_cmd *cmd, uint64_t max)
{
	return sbc_extent_any(cmd) && sbc_within(cmd, max);
}

uint64_t sbc_limit(const struct scsi_lun *lun, uint64_t bytes)
{
	return bytes / lun->block_size;
}

uint64_t sbc_bytes(const struct scsi_cmd *cmd)
{
	return cmd->blocks * cmd->lun->block_size;
}

bool sbc_fua(const struct scsi_cmd *cmd)
{
	/* Six bytes have no room for it. */
	return cmd->cdb[0] >= 0x20 && cmd->cdb[1] & 0x08;
}

unsigned int sbc_durability(const struct scsi_cmd *cmd, bool fua)
{
	return fua || !spc_mode(cmd->lun, SPC_WCE) ? STORAGE_FUA : 0;
}

/*
 * Ends
 */

void sbc_end(struct scsi_cmd *cmd)
{
	range_leave(cmd);
	sbc_job_free(cmd->job);
	scsi_finish(cmd);
}

static bool sbc_only_reads(const struct storage_io *io)
{
	return io->op == STORAGE_READ || io->op == STORAGE_MAP;
}

static uint32_t sbc_sense(const struct storage_io *io, int err)
{
	switch (err) {
	case -EROFS:
		return SENSE_READ_ONLY;
	case -ERANGE:			/* the unit has become smaller */
		return SENSE_BAD_LBA;
	case -ENOSPC:
	case -EDQUOT:
		return SENSE_NO_SPACE;
	case -EINVAL:
	case -EFAULT:
		return SENSE_TARGET_FAILURE;
	default:
		return sbc_only_reads(io) ? SENSE_READ_ERROR : SENSE_WRITE_ERROR;
	}
}

static enum spc_error sbc_error(const struct scsi_cmd *cmd)
{
	const uint8_t low = cmd->cdb[0] & 0x1f;

	if (!sbc_only_reads(&cmd->io))
		return SPC_WRITE_ERRORS;
	return cmd->cdb[0] >= 0x20 && (low == 0x0e || low == 0x0f) ? SPC_VERIFY_ERRORS
								   : SPC_READ_ERRORS;
}

void sbc_io_failed(struct scsi_cmd *cmd, int err)
{
	const uint32_t code = sbc_sense(&cmd->io, err);

	spc_count_error(cmd->lun, sbc_error(cmd));
	cmd->error = err;
	cmd->transferred = 0;
	scsi_check_condition(cmd, (uint8_t)(code >> 16), (uint16_t)code);
	sbc_end(cmd);
}

/*
 * READ and WRITE
 */

static void sbc_rw_done(struct storage_io *io, int err)
{
	struct scsi_cmd *cmd = container_of(io, struct scsi_cmd, io);

	if (err) {
		sbc_io_failed(cmd, err);
		return;
	}
	cmd->transferred = io->len;
	sbc_end(cmd);
}

/* The initiator's buffers hold more than is wanted: describe the part. */
static bool sbc_rw_part(struct scsi_cmd *cmd, uint64_t len)
{
	struct storage_io *io = &cmd->io;
	struct sbc_job *job = sbc_job_new(cmd, 0);

	if (!job)
		return false;
	io->iovcnt = iov_slice(job->iov, io->iovcnt, io->iov, io->iovcnt, 0, len);
	io->iov = job->iov;
	return true;
}

static void sbc_rw(struct scsi_cmd *cmd, enum storage_op op, unsigned int flags)
{
	const uint64_t len = sbc_bytes(cmd);
	const bool read = op == STORAGE_READ;

	if (scsi_aborted(cmd)) {
		sbc_end(cmd);
		return;
	}
	cmd->io = (struct storage_io){
		.op = op, .flags = flags, .offset = cmd->lba * cmd->lun->block_size, .len = len,
		.iov = read ? cmd->in : cmd->out, .iovcnt = read ? cmd->in_cnt : cmd->out_cnt,
		.done = sbc_rw_done,
	};
	if ((read ? cmd->in_len : cmd->out_len) > len && !sbc_rw_part(cmd, len))
		return;
	storage_submit(scsi_cmd_chan(cmd), &cmd->io);
}

/* FUA and DPO change nothing here: the storage's cache never holds anything else than it reads. */
void sbc_read(struct scsi_cmd *cmd)
{
	if (sbc_extent(cmd, sbc_limit(cmd->lun, SBC_TRANSFER_MAX)) &&
	    scsi_room(cmd, sbc_bytes(cmd)))
		sbc_rw(cmd, STORAGE_READ, 0);
}

void sbc_read_part(struct scsi_cmd *cmd, uint64_t lba, uint64_t blocks)
{
	cmd->job = NULL;
	cmd->range = 0;
	cmd->lba = lba;
	cmd->blocks = blocks;
	if (sbc_in_range(cmd) && sbc_within(cmd, sbc_limit(cmd->lun, SBC_TRANSFER_MAX)) &&
	    scsi_room(cmd, sbc_bytes(cmd)))
		sbc_rw(cmd, STORAGE_READ, 0);
}

static void sbc_write_go(struct scsi_cmd *cmd)
{
	sbc_rw(cmd, STORAGE_WRITE, sbc_durability(cmd, sbc_fua(cmd)));
}

void sbc_write(struct scsi_cmd *cmd)
{
	if (sbc_extent(cmd, sbc_limit(cmd->lun, SBC_TRANSFER_MAX)) &&
	    scsi_given(cmd, sbc_bytes(cmd)))
		range_enter(cmd, false, sbc_write_go);
}

/*
 * Caches
 */

static void sbc_flush_done(struct storage_io *io, int err)
{
	struct scsi_cmd *cmd = container_of(io, struct scsi_cmd, io);

	if (err)
		sbc_io_failed(cmd, err);
	else
		sbc_end(cmd);
}

/*
 * SYNCHRONIZE CACHE, 5.22 and 5.23.  All of the cache is written, whatever the range.  With IMMED
 * the status comes late, which it may.
 */
void sbc_sync_cache(struct scsi_cmd *cmd)
{
	if (!sbc_extent_any(cmd))
		return;
	cmd->io = (struct storage_io){ .op = STORAGE_FLUSH, .done = sbc_flush_done };
	storage_submit(scsi_cmd_chan(cmd), &cmd->io);
}

/*
 * PRE-FETCH, 5.8: CONDITION MET would say that all the blocks are in the cache, GOOD that they
 * need not be.
 */
void sbc_prefetch(struct scsi_cmd *cmd)
{
	if (sbc_extent_any(cmd) &&
	    sbc_within(cmd, sbc_limit(cmd->lun, SBC_TRANSFER_MAX)))
		scsi_good(cmd);
}

/*
 * What there is
 */

/* All ones if there are no blocks, from which initiators count to none. */
static uint64_t sbc_last(const struct scsi_lun *lun)
{
	return scsi_lun_blocks(lun) - 1;
}

void sbc_read_capacity10(struct scsi_cmd *cmd)
{
	uint8_t data[8];

	put_be32(&data[0], (uint32_t)MIN(sbc_last(cmd->lun), UINT32_MAX));
	put_be32(&data[4], cmd->lun->block_size);
	scsi_reply(cmd, data, sizeof(data), sizeof(data));
}

/* 5.16 */
void sbc_read_capacity16(struct scsi_cmd *cmd)
{
	const struct scsi_lun *lun = cmd->lun;
	const unsigned int physical = MAX(lun->info.physical_block / lun->block_size, 1u);
	uint8_t data[32] = { 0 };

	put_be64(&data[0], sbc_last(lun));
	put_be32(&data[8], lun->block_size);
	data[13] = (uint8_t)__builtin_ctz(physical);
	if (scsi_lun_thin(lun))
		data[14] = (uint8_t)(0x80 | (lun->info.zero_unmap ? 0x40 : 0));
	scsi_reply(cmd, data, sizeof(data), get_be32(&cmd->cdb[10]));
}
