/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Sweeps: something which all nexuses have to do their part of, on their workers.
 *
 * A part begins in its worker's mail and marks the commands which it concerns.  When none of
 * them is left, it must still wait until the driver can see that they have ended: their
 * workers publish at the end of a round.  A part may have come to this within the
 * round's events, before the mail of the same round is read; but work which is posted from
 * within mail runs in a later round.  So it posts itself twice, and then to the control worker.
 */
#include <stdlib.h>

#include "scsi/target.h"
#include "util.h"

static void sweep_ended(struct scsi_sweep *sweep)
{
	struct scsi_target *target = sweep->target;

	sweep->done(sweep);
	free(sweep);
	scsi_target_put(target);
}

static void part_ended(struct vhost_work *work)
{
	struct scsi_part *part = container_of(work, struct scsi_part, work);
	struct scsi_sweep *sweep = part->sweep;

	sweep->found |= part->found;
	if (part->err)
		sweep->err = part->err;
	if (!--sweep->pending)
		sweep_ended(sweep);
}

static void part_unlink(struct scsi_part *part)
{
	*part->link = part->next;
	if (part->next)
		part->next->link = part->link;
	part->nexus = NULL;
}

static void part_post(struct scsi_part *part, struct vhost_worker *w,
		      void (*fn)(struct vhost_work *work))
{
	part->work.fn = fn;
	vhost_worker_post(w, &part->work);
}

static void part_end(struct vhost_work *work)
{
	struct scsi_part *part = container_of(work, struct scsi_part, work);

	if (part->nexus) {
		if (part->sweep->end)
			part->sweep->end(part);
		part_unlink(part);
	}
	part_post(part, part->sweep->target->control, part_ended);
}

static void part_wait_round(struct vhost_work *work)
{
	struct scsi_part *part = container_of(work, struct scsi_part, work);

	part_post(part, part->worker, part_end);
}

static void part_settle(struct scsi_part *part)
{
	part_post(part, part->worker, part_wait_round);
}

static void part_begin(struct vhost_work *work)
{
	struct scsi_part *part = container_of(work, struct scsi_part, work);
	struct scsi_nexus *nexus = part->nexus;

	part->number = nexus->number;
	part->sweep->begin(part);
	part->next = nexus->parts;
	part->link = &nexus->parts;
	if (part->next)
		part->next->link = &part->next;
	nexus->parts = part;
	if (!part->left)
		part_settle(part);
	/* The end of commands may have let others begin. */
	scsi_commit(nexus);
}

void scsi_part_wait(struct scsi_part *part)
{
	const struct scsi_match *match = &part->sweep->match;
	const struct scsi_table *paths = &part->nexus->paths;
	unsigned int i = scsi_table_seek(paths, match->first);

	for (; i < paths->num && paths->entries[i].key <= match->last; i++)
		part->left += scsi_path_mark(paths->entries[i].item, match, part->sweep->flags,
					     &part->found);
}

void scsi_parts_note(struct scsi_nexus *nexus, const struct scsi_cmd *cmd)
{
	struct scsi_part *part;

	for (part = nexus->parts; part; part = part->next)
		if (part->left && cmd->number < part->number &&
		    scsi_cmd_matches(cmd, &part->sweep->match) && !--part->left)
			part_settle(part);
}

void scsi_parts_orphan(struct scsi_nexus *nexus)
{
	struct scsi_part *part;

	while ((part = nexus->parts)) {
		if (part->sweep->end)
			part->sweep->end(part);
		part_unlink(part);
	}
}

struct scsi_sweep *scsi_sweep_new(struct scsi_target *target)
{
	struct scsi_nexus *nexus;
	struct scsi_sweep *sweep;
	unsigned int n = 0;

	for (nexus = target->nexuses; nexus; nexus = nexus->next)
		n++;
	sweep = calloc(1, sizeof(*sweep) + n * sizeof(sweep->parts[0]));
	for (nexus = target->nexuses; sweep && nexus; nexus = nexus->next)
		sweep->parts[sweep->num++] = (struct scsi_part){
			.sweep = sweep, .nexus = nexus, .worker = nexus->worker,
		};
	if (sweep)
		sweep->target = target;
	return sweep;
}

void scsi_sweep_start(struct scsi_sweep *sweep)
{
	unsigned int i;

	sweep->target->pending++;
	sweep->pending = sweep->num;
	for (i = 0; i < sweep->num; i++)
		part_post(&sweep->parts[i], sweep->parts[i].worker, part_begin);
	if (!sweep->num)
		sweep_ended(sweep);
}
