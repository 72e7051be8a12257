/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * GET LBA STATUS (SBC-3 5.4): which blocks take room, as the storage tells it.
 *
 * A block which is in a hole of the image is deallocated, and one with any data is mapped.  Where
 * blocks cannot be unmapped they are all mapped, as READ CAPACITY (16) says (4.7.2), holes or not.
 * An answer need not reach to the end: the initiator asks again from there on.
 */
#include <stdlib.h>

#include "iov.h"
#include "scsi/sbc.h"

#define STATUS_HEADER	8u
#define STATUS_DESC	16u
#define STATUS_RUNS	256u		/* descriptors of an answer */

enum { STATUS_MAPPED, STATUS_DEALLOCATED };

/* Descriptors which are whole within the allocation length, and one in any case. */
static unsigned int status_room(uint32_t alloc)
{
	const uint32_t fit = alloc < STATUS_HEADER ? 0 : (alloc - STATUS_HEADER) / STATUS_DESC;

	return MIN(MAX(fit, 1), STATUS_RUNS);
}

/* Write len bytes of the answer at off, as far as they are wanted. */
static void status_put(struct scsi_cmd *cmd, size_t off, const uint8_t *data, size_t len)
{
	const uint32_t alloc = get_be32(&cmd->cdb[10]);

	if (off < alloc)
		cmd->transferred += iov_write(cmd->in, cmd->in_cnt, off, data,
					      MIN(len, alloc - off));
}

static void status_answer(struct sbc_job *job)
{
	const struct storage_map *map = &job->map;
	const unsigned int block = job->cmd->lun->block_size;
	uint8_t header[STATUS_HEADER] = { 0 };
	uint64_t lba = job->cmd->lba;
	unsigned int i;

	put_be32(&header[0], STATUS_HEADER - 4 + map->cnt * STATUS_DESC);
	status_put(job->cmd, 0, header, sizeof(header));
	for (i = 0; i < map->cnt; i++) {
		const struct storage_run *run = &map->runs[i];
		uint8_t desc[STATUS_DESC] = { 0 };

		put_be64(&desc[0], lba);
		put_be32(&desc[8], (uint32_t)(run->len / block));
		desc[12] = run->hole ? STATUS_DEALLOCATED : STATUS_MAPPED;
		status_put(job->cmd, STATUS_HEADER + i * STATUS_DESC, desc, sizeof(desc));
		lba += run->len / block;
	}
	sbc_end(job->cmd);
}

static void status_start(struct scsi_cmd *cmd)
{
	const unsigned int room = status_room(get_be32(&cmd->cdb[10]));
	struct sbc_job *job = sbc_job_new(cmd, room * sizeof(struct storage_run));

	if (!job)
		return;
	job->map = (struct storage_map){
		.unit = cmd->lun->block_size, .room = room, .runs = (struct storage_run *)job->buf,
	};
	job->piece = job->left;
	job->next = status_answer;
	if (scsi_lun_thin(cmd->lun)) {
		cmd->io.map = &job->map;
		sbc_job_op(job, STORAGE_MAP, 0);
		return;
	}
	job->map.runs[job->map.cnt++] = (struct storage_run){ .len = job->piece };
	status_answer(job);
}

void sbc_get_lba_status(struct scsi_cmd *cmd)
{
	const uint64_t blocks = scsi_lun_blocks(cmd->lun);

	cmd->job = NULL;
	cmd->range = 0;
	cmd->lba = get_be64(&cmd->cdb[2]);
	if (cmd->lba >= blocks) {
		scsi_fail(cmd, SENSE_BAD_LBA);
		return;
	}
	/* No descriptor has room for more. */
	cmd->blocks = MIN(blocks - cmd->lba, UINT32_MAX);
	if (scsi_room(cmd, get_be32(&cmd->cdb[10])))
		status_start(cmd);
}
