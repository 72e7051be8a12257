/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which commands that write blocks of a unit may do so at the same time.
 *
 * COMPARE AND WRITE (SBC-3 5.3) and ORWRITE read, decide and write, and nobody may write in
 * between: they are exclusive.  They are rare, so all others pay for them as little as possible.
 *
 * As long as there is no exclusive command, who writes only counts himself, in a counter which
 * his worker shares with few others, and looks whether there is one.  With one, all that come
 * stand in a list of the unit, in the order of their coming, from before their first operation
 * until after their last.  There, a command waits while one before it overlaps with it and one of
 * the two is exclusive; who leaves wakes those who have waited for it.  Nobody overtakes, so
 * nobody starves. Besides, an exclusive command waits until those who were only counted have all
 * ended.
 *
 * Counting and looking is the one side, announcing oneself and adding up the counters the other:
 * each writes first and reads then, all with sequential consistency, so at least one of the two
 * sees the other.  The same goes for the end of who is counted.
 */
#include "scsi/op.h"

enum { RANGE_NONE, RANGE_COUNTED, RANGE_LISTED };

static atomic_uint *range_counter(const struct scsi_cmd *cmd)
{
	return &cmd->lun->spc.counted[scsi_nexus_number(cmd->nexus) % SPC_COUNTERS].n;
}

static bool range_overlaps(const struct scsi_cmd *a, const struct scsi_cmd *b)
{
	/* Both end within the unit, so the sums do not wrap. */
	return a->lba < b->lba + b->blocks && b->lba < a->lba + a->blocks;
}

/*
 * The list; all with the unit's lock held
 */

static bool range_hindered(const struct scsi_cmd *cmd)
{
	const struct scsi_cmd *c;

	for (c = cmd->lun->spc.writers; c != cmd; c = c->range_next) {
		if ((c->range_exclusive || cmd->range_exclusive) && range_overlaps(c, cmd))
			return true;
	}
	return false;
}

/* Once nobody is counted, nobody will be who has come before. */
static bool range_alone(struct scsi_cmd *cmd)
{
	unsigned int i;

	for (i = 0; i < SPC_COUNTERS && !cmd->range_alone; i++) {
		if (atomic_load(&cmd->lun->spc.counted[i].n))
			return false;
	}
	cmd->range_alone = true;
	return true;
}

static bool range_waits(struct scsi_cmd *cmd)
{
	return (cmd->range_exclusive && !range_alone(cmd)) || range_hindered(cmd);
}

static void range_link(struct spc_state *spc, struct scsi_cmd *cmd)
{
	cmd->range_next = NULL;
	cmd->range_link = spc->writers_end;
	*cmd->range_link = cmd;
	spc->writers_end = &cmd->range_next;
}

static void range_unlink(struct spc_state *spc, struct scsi_cmd *cmd)
{
	*cmd->range_link = cmd->range_next;
	if (cmd->range_next)
		cmd->range_next->range_link = cmd->range_link;
	else
		spc->writers_end = cmd->range_link;
}

/* Those who need not wait any more go on, on their own workers. */
static void range_wake(struct spc_state *spc)
{
	struct scsi_cmd *c;

	for (c = spc->writers; c; c = c->range_next) {
		if (!c->range_waits || range_waits(c))
			continue;
		c->range_waits = false;
		vhost_worker_post(scsi_nexus_worker(c->nexus), &c->work);
	}
}

/*
 * Coming and going
 */

/* False: there is an exclusive command. */
static bool range_count(struct scsi_cmd *cmd)
{
	atomic_fetch_add(range_counter(cmd), 1);
	if (likely(!atomic_load(&cmd->lun->spc.exclusive)))
		return true;
	atomic_fetch_sub(range_counter(cmd), 1);
	return false;
}

static void range_run(struct vhost_work *work)
{
	struct scsi_cmd *cmd = container_of(work, struct scsi_cmd, work);
	struct storage_chan *chan = scsi_cmd_chan(cmd);

	cmd->go(cmd);
	storage_commit(chan);
}

/* False: go() comes later. */
static bool range_enlist(struct scsi_cmd *cmd, bool exclusive, void (*go)(struct scsi_cmd *cmd))
{
	struct spc_state *spc = &cmd->lun->spc;
	bool waits;

	cmd->go = go;
	cmd->work.fn = range_run;
	cmd->range_exclusive = exclusive;
	cmd->range_alone = false;
	pthread_mutex_lock(&cmd->lun->lock);
	range_link(spc, cmd);
	atomic_fetch_add(&spc->exclusive, exclusive);
	cmd->range_waits = waits = range_waits(cmd);
	/* It may have been counted for a moment, which somebody has seen. */
	range_wake(spc);
	pthread_mutex_unlock(&cmd->lun->lock);
	return !waits;
}

void range_enter(struct scsi_cmd *cmd, bool exclusive, void (*go)(struct scsi_cmd *cmd))
{
	cmd->range = RANGE_COUNTED;
	if (likely(!exclusive && range_count(cmd))) {
		go(cmd);
		return;
	}
	cmd->range = RANGE_LISTED;
	if (range_enlist(cmd, exclusive, go))
		go(cmd);
}

void range_leave(struct scsi_cmd *cmd)
{
	struct scsi_lun *lun = cmd->lun;
	struct spc_state *spc = &lun->spc;
	const bool listed = cmd->range == RANGE_LISTED;

	if (cmd->range == RANGE_NONE)
		return;
	cmd->range = RANGE_NONE;
	if (!listed) {
		atomic_fetch_sub(range_counter(cmd), 1);
		if (likely(!atomic_load(&spc->exclusive)))
			return;
	}
	pthread_mutex_lock(&lun->lock);
	if (listed)
		range_unlink(spc, cmd);
	range_wake(spc);
	if (listed)
		atomic_fetch_sub(&spc->exclusive, cmd->range_exclusive);
	pthread_mutex_unlock(&lun->lock);
}
