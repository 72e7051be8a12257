/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which commands that write blocks of a unit may do so at the same time.
 *
 * COMPARE AND WRITE (SBC-3 5.3) and ORWRITE read, decide and write, and nobody may write in
 * between.  So all commands which write stand in a list of the unit, in the order of their
 * coming, from before their first operation until after their last.  A command waits while
 * one before it overlaps with it and one of the two is exclusive; who leaves wakes those who
 * have waited for it.  Nobody overtakes, so nobody starves.
 *
 * Without an exclusive command, which is nearly always, nobody looks at the list.
 */
#include "scsi/op.h"

static bool range_overlaps(const struct scsi_cmd *a, const struct scsi_cmd *b)
{
	/* Both end within the unit, so the sums do not wrap. */
	return a->lba < b->lba + b->blocks && b->lba < a->lba + a->blocks;
}

static bool range_hindered(const struct scsi_cmd *cmd)
{
	const struct scsi_cmd *c;

	for (c = cmd->lun->spc.writers; c != cmd; c = c->range_next) {
		if ((c->range_exclusive || cmd->range_exclusive) && range_overlaps(c, cmd))
			return true;
	}
	return false;
}

static void range_run(struct vhost_work *work)
{
	struct scsi_cmd *cmd = container_of(work, struct scsi_cmd, work);
	struct storage_chan *chan = scsi_cmd_chan(cmd);

	cmd->go(cmd);
	storage_commit(chan);
}

void range_enter(struct scsi_cmd *cmd, bool exclusive, void (*go)(struct scsi_cmd *cmd))
{
	struct scsi_lun *lun = cmd->lun;
	bool waits;

	cmd->go = go;
	cmd->work.fn = range_run;
	cmd->range_exclusive = exclusive;
	cmd->range_next = NULL;
	pthread_mutex_lock(&lun->lock);
	cmd->range_link = lun->spc.writers_end;
	*cmd->range_link = cmd;
	lun->spc.writers_end = &cmd->range_next;
	lun->spc.exclusive += exclusive;
	waits = lun->spc.exclusive && range_hindered(cmd);
	cmd->range_waits = waits;
	pthread_mutex_unlock(&lun->lock);
	if (!waits)
		go(cmd);
}

static void range_unlink(struct spc_state *spc, struct scsi_cmd *cmd)
{
	*cmd->range_link = cmd->range_next;
	if (cmd->range_next)
		cmd->range_next->range_link = cmd->range_link;
	else
		spc->writers_end = cmd->range_link;
}

/* Those who have waited for cmd go on, on their own workers. */
static void range_wake(struct spc_state *spc, const struct scsi_cmd *cmd)
{
	struct scsi_cmd *c;

	for (c = spc->writers; c; c = c->range_next) {
		if (!c->range_waits || !range_overlaps(c, cmd) || range_hindered(c))
			continue;
		c->range_waits = false;
		vhost_worker_post(scsi_nexus_worker(c->nexus), &c->work);
	}
}

void range_leave(struct scsi_cmd *cmd)
{
	struct scsi_lun *lun = cmd->lun;

	pthread_mutex_lock(&lun->lock);
	range_unlink(&lun->spc, cmd);
	if (lun->spc.exclusive)
		range_wake(&lun->spc, cmd);
	lun->spc.exclusive -= cmd->range_exclusive;
	pthread_mutex_unlock(&lun->lock);
}
