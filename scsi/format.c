/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * FORMAT UNIT (SBC-3 5.2): all blocks are unmapped.
 *
 * The standard lets a device leave the medium as it is; but who formats a disk counts on the data
 * to be gone.  To write zeroes would take hours, in which the driver cannot stop the queue, so
 * units have the command only where blocks can be unmapped.  It is done in pieces, as by UNMAP, and
 * can be aborted between them; other commands which change blocks wait for it, and the unit is
 * never "becoming ready".  With IMMED the status comes late, which it may.
 *
 * There are no defects to be managed, and so no lists of them but empty ones.
 */
#include "scsi/sbc.h"

#define FORMAT_LONGLIST		0x20u	/* of the CDB's byte 1 */
#define FORMAT_FMTDATA		0x10u
#define FORMAT_LIST_FORMAT	0x07u

#define FORMAT_FOV		0x80u	/* of the parameter list's byte 1 */
#define FORMAT_WITH_FOV		0x70u	/* DPRY, DCRT, STPF */
#define FORMAT_IMMED		0x02u

/* Bits of the header's byte 1 which must not be set. */
static unsigned int format_bad_options(uint8_t options)
{
	unsigned int may = FORMAT_FOV | FORMAT_IMMED;

	if (options & FORMAT_FOV)
		may |= FORMAT_WITH_FOV;
	return options & ~may;		/* among them IP: an initialization pattern */
}

/* The parameter list header, 5.2.2.2, short or long; false: the command has ended. */
static bool format_check_list(struct scsi_cmd *cmd, size_t len)
{
	const unsigned int list = len == 8 ? 4 : 2;	/* where the defect list's length is */
	uint8_t header[8] = { 0 };
	unsigned int i, bad;

	scsi_param(cmd, 0, header, len);
	for (i = 0; i < len; i++) {
		bad = i == 1 ? format_bad_options(header[1]) : header[i];
		if (bad) {
			scsi_fail_param(cmd, MIN(i, list), i < list ? 31 - __builtin_clz(bad) : -1);
			return false;
		}
	}
	return true;
}

static void format_end(struct sbc_job *job)
{
	sbc_end(job->cmd);
}

/* Durable by one flush of the whole, not piece by piece. */
static void format_unmapped(struct sbc_job *job)
{
	if (!sbc_durability(job->cmd, false)) {
		format_end(job);
		return;
	}
	job->piece = 0;
	job->next = format_end;
	sbc_job_op(job, STORAGE_FLUSH, 0);
}

static void format_next(struct sbc_job *job)
{
	const struct scsi_lun *lun = job->cmd->lun;

	sbc_job_advance(job);
	if (!job->left) {
		format_unmapped(job);
		return;
	}
	job->piece = MIN(job->left, (uint64_t)sbc_unmap_max(lun) * lun->block_size);
	job->next = format_next;
	if (lun->info.zero_unmap)
		sbc_job_op(job, STORAGE_WRITE_ZEROES, STORAGE_UNMAP);
	else
		sbc_job_op(job, STORAGE_DISCARD, 0);
}

static void format_go(struct scsi_cmd *cmd)
{
	struct sbc_job *job;

	if (scsi_aborted(cmd)) {
		sbc_end(cmd);
		return;
	}
	job = sbc_job_new(cmd, 0);
	if (job)
		format_next(job);
}

void sbc_format_unit(struct scsi_cmd *cmd)
{
	const uint8_t how = cmd->cdb[1];
	const size_t len = how & FORMAT_LONGLIST ? 8 : 4;

	cmd->job = NULL;
	cmd->range = 0;
	cmd->lba = 0;
	cmd->blocks = scsi_lun_blocks(cmd->lun);
	if (how & FORMAT_FMTDATA) {
		if (how & FORMAT_LIST_FORMAT) {
			scsi_fail_cdb(cmd, 1, 2);
			return;
		}
		if (!scsi_given(cmd, len) || !format_check_list(cmd, len))
			return;
		cmd->transferred = len;
	}
	range_enter(cmd, true, format_go);
}
