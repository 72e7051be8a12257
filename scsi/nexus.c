/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A worker's way to all units, and the way of a command.
 *
 * scsi_submit() finds the path, puts the command on its list and begins it, unless task
 * attributes say that it has to wait (SAM-5 8): an ORDERED command waits for all before it, and
 * all behind wait for it; HEAD OF QUEUE waits for nobody.  Those which wait are behind all
 * others in the list, and begin when the end of a command makes it possible.  The order is
 * that in which this worker has got them.  Between request queues there is none: VIRTIO 5.6.6
 * leaves it to the driver to await a command before it sends another one, which shall come after
 * it, on another queue.
 *
 * A command which begins gets the unit attention if there is one, otherwise it is carried out.
 */
#include <errno.h>
#include <stdlib.h>

#include "scsi/pass.h"
#include "scsi/target.h"
#include "util.h"

enum {
	OP_REQUEST_SENSE = 0x03,
	OP_INQUIRY = 0x12,
	OP_REPORT_LUNS = 0xa0,
};

#define KEY_ILLEGAL_REQUEST	0x5
#define KEY_UNIT_ATTENTION	0x6
#define INVALID_MESSAGE		0x4900

/*
 * Paths
 */

static int path_open_chan(struct scsi_path *path)
{
	const struct scsi_lun *lun = path->lun;

	if (likely(path->chan || path->pass))
		return 0;
	if (lun->storage)
		return storage_chan_open(lun->storage, path->nexus->worker, &path->chan);
	return pass_chan_open(lun, path->nexus->worker, &path->pass);
}

int scsi_path_add(struct scsi_nexus *nexus, struct scsi_lun *lun)
{
	struct scsi_path *path = calloc(1, sizeof(*path));
	int ret;

	if (!path)
		return -ENOMEM;
	path->nexus = nexus;
	path->lun = lun;
	path->last = &path->first;
	ret = scsi_table_add(&nexus->paths, scsi_address_key(&lun->params.address), path);
	if (ret) {
		free(path);
		return ret;
	}
	return path_open_chan(path);
}

struct scsi_path *scsi_path_del(struct scsi_nexus *nexus, uint32_t key)
{
	return scsi_table_del(&nexus->paths, key);
}

static void path_untouch(struct scsi_path *path)
{
	struct scsi_path **p = &path->nexus->touched;

	while (path->touched && *p != path)
		p = &(*p)->next_touched;
	if (path->touched)
		*p = path->next_touched;
	path->touched = false;
}

void scsi_path_free(struct scsi_path *path)
{
	path_untouch(path);
	if (path->chan)
		storage_chan_close(path->chan);
	if (path->pass)
		pass_chan_close(path->pass);
	free(path);
}

static void path_touch(struct scsi_path *path)
{
	if (path->touched)
		return;
	path->touched = true;
	path->next_touched = path->nexus->touched;
	path->nexus->touched = path;
}

/* Put it behind all others; before all others. */
static void path_append(struct scsi_path *path, struct scsi_cmd *cmd)
{
	cmd->next = NULL;
	cmd->link = path->last;
	*path->last = cmd;
	path->last = &cmd->next;
	if (!path->held)
		path->held = cmd;
}

static void path_prepend(struct scsi_path *path, struct scsi_cmd *cmd)
{
	cmd->next = path->first;
	cmd->link = &path->first;
	if (cmd->next)
		cmd->next->link = &cmd->next;
	else
		path->last = &cmd->next;
	path->first = cmd;
}

static void path_remove(struct scsi_path *path, struct scsi_cmd *cmd)
{
	if (path->held == cmd)
		path->held = cmd->next;
	if (cmd->attr == SCSI_ORDERED && cmd->flags & SCSI_CMD_BEGUN)
		path->barrier = false;
	*cmd->link = cmd->next;
	if (cmd->next)
		cmd->next->link = cmd->link;
	else
		path->last = cmd->link;
}

/*
 * Commands
 */

static void cmd_check_condition(struct scsi_cmd *cmd, uint8_t key, uint16_t asc_ascq)
{
	scsi_check_condition(cmd, key, asc_ascq);
	scsi_finish(cmd);
}

static bool cmd_ignores_attention(const struct scsi_cmd *cmd)
{
	uint8_t op = cmd->cdb[0];

	return op == OP_INQUIRY || op == OP_REPORT_LUNS || op == OP_REQUEST_SENSE;
}

static void cmd_begin(struct scsi_cmd *cmd)
{
	struct scsi_path *path = cmd->path;
	uint16_t attention;

	cmd->flags |= SCSI_CMD_BEGUN;
	if (cmd->attr == SCSI_ORDERED)
		path->barrier = true;
	path_touch(path);
	if (unlikely(path_open_chan(path))) {
		cmd->status = SCSI_BUSY;
		scsi_finish(cmd);
	} else if (unlikely(cmd->attr == SCSI_ACA)) {
		/* There is no auto contingent allegiance here. */
		cmd_check_condition(cmd, KEY_ILLEGAL_REQUEST, INVALID_MESSAGE);
	} else if (!cmd_ignores_attention(cmd) &&
		   unlikely(scsi_lun_take_attention(cmd->lun, &attention))) {
		cmd_check_condition(cmd, KEY_UNIT_ATTENTION, attention);
	} else if (path->pass && cmd->cdb[0] != OP_REPORT_LUNS) {
		pass_execute(path->pass, cmd);
	} else {
		/* Which units there are, the device's own target does not know. */
		scsi_execute(cmd);
	}
}

static bool path_may_begin(const struct scsi_path *path, const struct scsi_cmd *cmd)
{
	return cmd->attr == SCSI_ORDERED ? path->first == cmd : !path->barrier;
}

/* Begin what is held back and need not be.  Ends which come meanwhile do not nest. */
static void path_release(struct scsi_path *path)
{
	struct scsi_cmd *cmd;

	if (path->releasing)
		return;
	path->releasing = true;
	while ((cmd = path->held) && path_may_begin(path, cmd)) {
		path->held = cmd->next;
		cmd_begin(cmd);
	}
	path->releasing = false;
}

static void path_submit(struct scsi_path *path, struct scsi_cmd *cmd)
{
	cmd->path = path;
	cmd->lun = path->lun;
	if (unlikely(cmd->attr == SCSI_HEAD_OF_QUEUE)) {
		path_prepend(path, cmd);
		cmd_begin(cmd);
		return;
	}
	path_append(path, cmd);
	path_release(path);
}

void scsi_submit(struct scsi_nexus *nexus, struct scsi_cmd *cmd)
{
	const struct scsi_address *a = &cmd->address;
	struct scsi_path *path = a->report_luns ?
				 NULL : scsi_table_find(&nexus->paths, scsi_address_key(a));

	cmd->outcome = SCSI_DONE;
	cmd->status = SCSI_GOOD;
	cmd->transferred = cmd->sense_len = 0;
	cmd->error = 0;
	cmd->nexus = nexus;
	cmd->lun = NULL;
	cmd->path = NULL;
	cmd->number = nexus->number++;
	cmd->flags = 0;
	if (likely(path)) {
		path_submit(path, cmd);
	} else if (scsi_table_any(&nexus->paths, scsi_key(a->target, 0),
				  scsi_key(a->target, SCSI_LUNS_MAX - 1))) {
		scsi_execute(cmd);
	} else {
		cmd->outcome = SCSI_NO_TARGET;
		cmd->done(cmd);
	}
}

void scsi_finish(struct scsi_cmd *cmd)
{
	struct scsi_path *path = cmd->path;

	if (!path) {
		cmd->done(cmd);
		return;
	}
	path_remove(path, cmd);
	if (unlikely(cmd->flags & SCSI_CMD_KILLED)) {
		cmd->outcome = cmd->flags & SCSI_CMD_RESET ? SCSI_RESET : SCSI_ABORTED;
		scsi_parts_note(path->nexus, cmd);
	}
	cmd->done(cmd);
	path_release(path);
}

bool scsi_cmd_matches(const struct scsi_cmd *cmd, const struct scsi_match *match)
{
	uint32_t key = scsi_address_key(&cmd->address);

	return key >= match->first && key <= match->last &&
	       (!match->one || cmd->tag == match->tag);
}

unsigned int scsi_path_mark(struct scsi_path *path, const struct scsi_match *match,
			    unsigned int flags, bool *found)
{
	struct scsi_cmd *cmd, *next;
	unsigned int n = 0;

	/* The list must not change otherwise. */
	path->releasing = true;
	for (cmd = path->first; cmd; cmd = next) {
		next = cmd->next;
		if (!scsi_cmd_matches(cmd, match))
			continue;
		*found = true;
		cmd->flags |= flags;
		if (!flags)
			continue;
		if (cmd->flags & SCSI_CMD_BEGUN)
			n++;
		else
			scsi_finish(cmd);
	}
	path->releasing = false;
	path_release(path);
	return n;
}

bool scsi_aborted(const struct scsi_cmd *cmd)
{
	return cmd->flags & SCSI_CMD_KILLED;
}

void scsi_commit(struct scsi_nexus *nexus)
{
	struct scsi_path *path;

	while ((path = nexus->touched)) {
		nexus->touched = path->next_touched;
		path->touched = false;
		if (path->chan)
			storage_commit(path->chan);
	}
}

/*
 * What those who carry out commands want to know
 */

struct storage_chan *scsi_cmd_chan(const struct scsi_cmd *cmd)
{
	return cmd->path->chan;
}

struct vhost_worker *scsi_nexus_worker(const struct scsi_nexus *nexus)
{
	return nexus->worker;
}

unsigned int scsi_nexus_number(const struct scsi_nexus *nexus)
{
	return nexus->id;
}

int scsi_next_lun(const struct scsi_cmd *cmd, unsigned int from)
{
	const struct scsi_table *paths = &cmd->nexus->paths;
	unsigned int i;

	if (from >= SCSI_LUNS_MAX)
		return -1;
	i = scsi_table_seek(paths, scsi_key(cmd->address.target, from));
	if (i == paths->num || paths->entries[i].key / SCSI_LUNS_MAX != cmd->address.target)
		return -1;
	return (int)(paths->entries[i].key % SCSI_LUNS_MAX);
}

void scsi_clear_attention(struct scsi_cmd *cmd, uint16_t asc_ascq)
{
	const struct scsi_table *paths = &cmd->nexus->paths;
	uint32_t last = scsi_key(cmd->address.target, SCSI_LUNS_MAX - 1);
	unsigned int i = scsi_table_seek(paths, scsi_key(cmd->address.target, 0));

	for (; i < paths->num && paths->entries[i].key <= last; i++) {
		const struct scsi_path *path = paths->entries[i].item;

		scsi_lun_forget_attention(path->lun, asc_ascq);
	}
}

/*
 * Life
 */

static int nexus_add_paths(struct scsi_nexus *nexus)
{
	const struct scsi_table *luns = &nexus->target->luns;
	unsigned int i;
	int ret = 0;

	for (i = 0; !ret && i < luns->num; i++)
		ret = scsi_path_add(nexus, luns->entries[i].item);
	return ret;
}

static void nexus_link(struct scsi_nexus *nexus)
{
	nexus->next = nexus->target->nexuses;
	nexus->link = &nexus->target->nexuses;
	if (nexus->next)
		nexus->next->link = &nexus->next;
	nexus->target->nexuses = nexus;
}

static void nexus_unlink(struct scsi_nexus *nexus)
{
	if (!nexus->link)
		return;
	*nexus->link = nexus->next;
	if (nexus->next)
		nexus->next->link = nexus->link;
}

int scsi_nexus_open(struct scsi_target *target, struct vhost_worker *w,
		    struct scsi_nexus **result)
{
	struct scsi_nexus *nexus = calloc(1, sizeof(*nexus));
	int ret;

	if (!nexus)
		return -ENOMEM;
	nexus->target = target;
	nexus->worker = w;
	/* A unit comes or goes either before this, or its sweep knows this nexus. */
	pthread_mutex_lock(&target->lock);
	nexus->id = target->opened++;
	ret = nexus_add_paths(nexus);
	if (!ret)
		nexus_link(nexus);
	pthread_mutex_unlock(&target->lock);
	if (ret) {
		scsi_nexus_close(nexus);
		return ret;
	}
	*result = nexus;
	return 0;
}

void scsi_nexus_close(struct scsi_nexus *nexus)
{
	unsigned int i;

	pthread_mutex_lock(&nexus->target->lock);
	nexus_unlink(nexus);
	pthread_mutex_unlock(&nexus->target->lock);
	scsi_parts_orphan(nexus);
	for (i = 0; i < nexus->paths.num; i++)
		scsi_path_free(nexus->paths.entries[i].item);
	free(nexus->paths.entries);
	free(nexus);
}
