/* SPDX-License-Identifier: BSD-3-Clause */
/* WRITE SAME and UNMAP (SBC-3 5.42, 5.43 and 5.28): many blocks by little data. */
#include <stdlib.h>
#include <string.h>

#include "iov.h"
#include "scsi/sbc.h"

/*
 * WRITE SAME
 */

static void same_written(struct sbc_job *job);

/* The buffer is full of copies of the block. */
static void same_next(struct sbc_job *job)
{
	if (!job->left) {
		sbc_end(job->cmd);
		return;
	}
	job->piece = MIN(job->left, SBC_PIECE);
	job->next = same_written;
	sbc_job_buf(job, STORAGE_WRITE, sbc_durability(job->cmd, false));
}

static void same_written(struct sbc_job *job)
{
	sbc_job_advance(job);
	same_next(job);
}

/* As much as one write zeroes should take at a time, in whole blocks. */
static uint64_t same_piece(uint64_t left, uint64_t max, unsigned int block)
{
	return MIN(left, MAX(ALIGN_DOWN(max, block), block));
}

static void zeroes_next(struct sbc_job *job)
{
	const struct scsi_cmd *cmd = job->cmd;
	const struct scsi_lun *lun = cmd->lun;
	unsigned int flags = sbc_durability(cmd, false);

	sbc_job_advance(job);
	if (!job->left) {
		sbc_end(job->cmd);
		return;
	}
	if (cmd->cdb[1] & 0x08)
		flags |= STORAGE_UNMAP;
	job->piece = same_piece(job->left, lun->info.zeroes_max, lun->block_size);
	job->next = zeroes_next;
	sbc_job_op(job, STORAGE_WRITE_ZEROES, flags);
}

static bool same_is_zero(const uint8_t *p, size_t n)
{
	return !p[0] && !memcmp(p, p + 1, n - 1);
}

static bool same_ndob(const struct scsi_cmd *cmd)
{
	return cmd->cdb[0] == 0x93 && cmd->cdb[1] & 0x01;
}

static void same_fill(struct sbc_job *job, uint64_t size, unsigned int block)
{
	uint64_t i;

	for (i = block; i < size; i += block)
		memcpy(job->buf + i, job->buf, block);
}

static void same_go(struct scsi_cmd *cmd)
{
	const unsigned int block = cmd->lun->block_size;
	const uint64_t size = MIN(sbc_bytes(cmd), SBC_PIECE);
	struct sbc_job *job;

	if (scsi_aborted(cmd)) {
		sbc_end(cmd);
		return;
	}
	job = sbc_job_new(cmd, size);
	if (!job)
		return;
	if (!same_ndob(cmd)) {
		cmd->transferred = scsi_param(cmd, 0, job->buf, block);
	} else {
		memset(job->buf, 0, block);
	}
	/* Unmapped blocks read as zeroes, so only those are unmapped (4.7.3.4.4). */
	if (same_is_zero(job->buf, block)) {
		zeroes_next(job);
		return;
	}
	same_fill(job, size, block);
	same_next(job);
}

void sbc_write_same(struct scsi_cmd *cmd)
{
	const struct scsi_lun *lun = cmd->lun;

	if (cmd->cdb[1] & 0x08 && !lun->info.zero_unmap) {
		scsi_fail_cdb(cmd, 1, 3);
		return;
	}
	if (!sbc_extent_any(cmd))
		return;
	/* No blocks would mean all up to the end, but for WSNZ of the block limits page. */
	if (!cmd->blocks || cmd->blocks > sbc_limit(lun, SBC_SAME_MAX))
		scsi_fail_cdb(cmd, cmd->cdb[0] == 0x93 ? 10 : 7, -1);
	else if (scsi_given(cmd, same_ndob(cmd) ? 0 : lun->block_size))
		range_enter(cmd, false, same_go);
}

/*
 * UNMAP.  The parameter list stays with the initiator: each descriptor is checked before the first
 * one is carried out, and read and checked again when its turn has come.
 */

#define UNMAP_HEADER	8u
#define UNMAP_RANGE	16u

uint32_t sbc_unmap_max(const struct scsi_lun *lun)
{
	const uint64_t max = lun->info.zero_unmap ? lun->info.zeroes_max : lun->info.discard_max;

	return (uint32_t)MIN(MAX(max / lun->block_size, 1), UINT32_MAX);
}

struct unmap_range {
	uint64_t lba;
	uint32_t blocks;
};

/* Descriptor i; returns sense, or 0. */
static uint32_t unmap_read(const struct scsi_cmd *cmd, unsigned int i, struct unmap_range *r)
{
	const uint64_t blocks = scsi_lun_blocks(cmd->lun);
	uint8_t desc[UNMAP_RANGE] = { 0 };

	scsi_param(cmd, UNMAP_HEADER + i * UNMAP_RANGE, desc, sizeof(desc));
	r->lba = get_be64(&desc[0]);
	r->blocks = get_be32(&desc[8]);
	if (r->lba > blocks || r->blocks > blocks - r->lba)
		return SENSE_BAD_LBA;
	return r->blocks > sbc_unmap_max(cmd->lun) ? SENSE_BAD_PARAM : 0;
}

/* All descriptors; the command's extent becomes what they span. */
static uint32_t unmap_check(struct scsi_cmd *cmd, unsigned int ranges)
{
	uint64_t sum = 0, start = UINT64_MAX, end = 0;
	struct unmap_range r;
	unsigned int i;
	uint32_t sense;

	for (i = 0; i < ranges; i++) {
		sense = unmap_read(cmd, i, &r);
		if (sense)
			return sense;
		sum += r.blocks;
		start = MIN(start, r.lba);
		end = MAX(end, r.lba + r.blocks);
	}
	cmd->lba = ranges ? start : 0;
	cmd->blocks = ranges ? end - start : 0;
	return sum > sbc_unmap_max(cmd->lun) ? SENSE_BAD_PARAM : 0;
}

static void unmap_next(struct sbc_job *job)
{
	struct scsi_cmd *cmd = job->cmd;
	const struct scsi_lun *lun = cmd->lun;
	struct unmap_range r = { 0 };
	uint32_t sense = 0;

	while (job->range < job->ranges && !r.blocks && !sense)
		sense = unmap_read(cmd, job->range++, &r);
	/* Behind what was promised to the other writers: the initiator has changed the list. */
	if (!sense && r.blocks && (r.lba < cmd->lba || r.lba + r.blocks > cmd->lba + cmd->blocks))
		sense = SENSE_BAD_PARAM;
	if (sense)
		scsi_check_condition(cmd, (uint8_t)(sense >> 16), (uint16_t)sense);
	if (sense || !r.blocks) {
		sbc_end(cmd);
		return;
	}
	job->at = r.lba * lun->block_size;
	job->piece = (uint64_t)r.blocks * lun->block_size;
	job->next = unmap_next;
	if (lun->info.zero_unmap)
		sbc_job_op(job, STORAGE_WRITE_ZEROES, sbc_durability(cmd, false) | STORAGE_UNMAP);
	else
		sbc_job_op(job, STORAGE_DISCARD, sbc_durability(cmd, false));
}

/* Number of whole descriptors (5.28.2: what is cut off is ignored). */
static unsigned int unmap_ranges(const struct scsi_cmd *cmd)
{
	const unsigned int room = get_be16(&cmd->cdb[7]) - UNMAP_HEADER;
	uint8_t header[UNMAP_HEADER] = { 0 };

	scsi_param(cmd, 0, header, sizeof(header));
	return MIN(get_be16(&header[2]), room) / UNMAP_RANGE;
}

static void unmap_go(struct scsi_cmd *cmd)
{
	struct sbc_job *job;

	if (scsi_aborted(cmd)) {
		sbc_end(cmd);
		return;
	}
	job = sbc_job_new(cmd, 0);
	if (!job)
		return;
	job->ranges = MIN(unmap_ranges(cmd), SBC_UNMAP_RANGES);
	unmap_next(job);
}

void sbc_unmap(struct scsi_cmd *cmd)
{
	const uint16_t len = get_be16(&cmd->cdb[7]);
	unsigned int ranges;
	uint32_t sense;

	cmd->job = NULL;
	cmd->range = 0;
	if (!len) {
		scsi_good(cmd);
		return;
	}
	if (!scsi_given(cmd, len))
		return;
	if (len < UNMAP_HEADER) {
		scsi_fail(cmd, SENSE_LIST_LENGTH);
		return;
	}
	ranges = unmap_ranges(cmd);
	sense = ranges > SBC_UNMAP_RANGES ? SENSE_BAD_PARAM : unmap_check(cmd, ranges);
	if (sense) {
		scsi_fail(cmd, sense);
		return;
	}
	cmd->transferred = len;
	range_enter(cmd, false, unmap_go);
}
