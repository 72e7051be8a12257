/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The units of a daemon: they come, change and go while the driver uses them.
 *
 * A unit which comes is in the target's table first, and then each nexus gets its path.  One
 * which goes leaves the table first; each nexus gives up its path when its commands have ended;
 * when all have, nobody can reach the unit any more.  Only then the driver is told.
 */
#include <errno.h>
#include <linux/virtio_scsi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "scsi/target.h"
#include "util.h"

static void target_event(struct scsi_target *target, const struct scsi_lun *lun, uint32_t event,
			 uint32_t reason)
{
	if (!target->freed && target->ops.event)
		target->ops.event(target->arg, &lun->params.address, event, reason);
}

/* Units come or go: the others of their target have other neighbours now (SPC-4 5.6.3). */
static void target_luns_changed(struct scsi_target *target, const struct scsi_lun *changed)
{
	unsigned int number = changed->params.address.target, i;

	for (i = scsi_table_seek(&target->luns, scsi_key(number, 0)); i < target->luns.num; i++) {
		struct scsi_lun *lun = target->luns.entries[i].item;

		if (lun->params.address.target != number)
			break;
		if (lun != changed)
			scsi_lun_attention(lun, SCSI_UA_LUNS_CHANGED);
	}
}

/*
 * A unit goes
 */

static void target_begin_remove(struct scsi_part *part)
{
	scsi_part_wait(part);
	part->path = scsi_path_del(part->nexus, part->sweep->match.first);
}

static void target_end_remove(struct scsi_part *part)
{
	if (part->path)
		scsi_path_free(part->path);
	part->path = NULL;
}

static void target_removed(struct scsi_sweep *sweep)
{
	target_luns_changed(sweep->target, sweep->lun);
	target_event(sweep->target, sweep->lun, VIRTIO_SCSI_T_TRANSPORT_RESET,
		     VIRTIO_SCSI_EVT_RESET_REMOVED);
	scsi_lun_free(sweep->lun);
	if (sweep->user_done)
		sweep->user_done(sweep->user);
}

static struct scsi_sweep *target_new_remove(struct scsi_target *target, uint32_t key)
{
	struct scsi_sweep *sweep = scsi_sweep_new(target);

	if (!sweep)
		return NULL;
	sweep->begin = target_begin_remove;
	sweep->end = target_end_remove;
	sweep->done = target_removed;
	sweep->match = (struct scsi_match){ .first = key, .last = key };
	sweep->flags = SCSI_CMD_RESET;
	sweep->lun = scsi_table_del(&target->luns, key);
	return sweep;
}

int scsi_lun_remove(struct scsi_target *target, const struct scsi_address *address,
		    void (*done)(void *arg), void *arg)
{
	uint32_t key = scsi_address_key(address);
	struct scsi_sweep *sweep;

	if (!scsi_table_find(&target->luns, key))
		return -ENOENT;
	pthread_mutex_lock(&target->lock);
	sweep = target_new_remove(target, key);
	pthread_mutex_unlock(&target->lock);
	if (!sweep)
		return -ENOMEM;
	sweep->user_done = done;
	sweep->user = arg;
	scsi_sweep_start(sweep);
	return 0;
}

/*
 * A unit comes
 */

static void target_begin_add(struct scsi_part *part)
{
	struct scsi_lun *lun = part->sweep->lun;

	/* Without a channel the first command tries again. */
	if (scsi_path_add(part->nexus, lun))
		part->err = scsi_table_find(&part->nexus->paths, part->sweep->match.first) ?
			    0 : -ENOMEM;
}

static void target_added(struct scsi_sweep *sweep)
{
	struct scsi_target *target = sweep->target;

	/* It may have gone again meanwhile. */
	if (scsi_table_find(&target->luns, sweep->match.first) != sweep->lun)
		return;
	if (sweep->err) {
		scsi_lun_remove(target, &sweep->lun->params.address, NULL, NULL);
		return;
	}
	target_luns_changed(target, sweep->lun);
	target_event(target, sweep->lun, VIRTIO_SCSI_T_TRANSPORT_RESET,
		     VIRTIO_SCSI_EVT_RESET_RESCAN);
}

static struct scsi_sweep *target_new_add(struct scsi_target *target, struct scsi_lun *lun)
{
	uint32_t key = scsi_address_key(&lun->params.address);
	struct scsi_sweep *sweep = scsi_sweep_new(target);

	if (!sweep)
		return NULL;
	if (scsi_table_add(&target->luns, key, lun)) {
		free(sweep);
		return NULL;
	}
	sweep->begin = target_begin_add;
	sweep->done = target_added;
	sweep->match = (struct scsi_match){ .first = key, .last = key };
	sweep->lun = lun;
	return sweep;
}

int scsi_lun_add(struct scsi_target *target, const struct scsi_lun_params *params, char *why,
		 size_t why_size)
{
	struct scsi_lun *lun;
	struct scsi_sweep *sweep;
	int ret;

	if (scsi_table_find(&target->luns, scsi_address_key(&params->address))) {
		snprintf(why, why_size, "there is such a unit already");
		return -EEXIST;
	}
	ret = scsi_lun_new(&lun, target, params, why, why_size);
	if (ret)
		return ret;
	pthread_mutex_lock(&target->lock);
	sweep = target_new_add(target, lun);
	pthread_mutex_unlock(&target->lock);
	if (!sweep) {
		snprintf(why, why_size, "%s", strerror(ENOMEM));
		scsi_lun_free(lun);
		return -ENOMEM;
	}
	scsi_sweep_start(sweep);
	return 0;
}

/*
 * Units change
 */

static void target_lun_resized(struct scsi_target *target, struct scsi_lun *lun)
{
	struct storage_info info;

	storage_info(lun->storage, &info);
	atomic_store_explicit(&lun->size, ALIGN_DOWN(info.size, lun->block_size),
			      memory_order_relaxed);
	scsi_lun_attention(lun, SCSI_UA_CAPACITY_CHANGED);
	/* VIRTIO 5.6.6.3: not for MMC devices, which have their own way. */
	if (!lun->params.cdrom)
		target_event(target, lun, VIRTIO_SCSI_T_PARAM_CHANGE,
			     SCSI_UA_CAPACITY_CHANGED >> 8 |
			     (SCSI_UA_CAPACITY_CHANGED & 0xff) << 8);
}

void scsi_lun_resized(struct scsi_target *target, const struct scsi_address *address)
{
	struct scsi_lun *lun = scsi_table_find(&target->luns, scsi_address_key(address));

	if (lun && lun->storage)
		target_lun_resized(target, lun);
}

/* A change of size in work. */
struct target_resize {
	struct scsi_target *target;
	const struct storage *storage;
	uint64_t before;		/* bytes */
	struct storage_resize user;
};

/* The unit which was named may have gone; others with its storage may have come. */
static void target_resized(void *arg, int err)
{
	struct target_resize *r = arg;
	const struct scsi_table *luns = &r->target->luns;
	struct storage_info info;
	unsigned int i;

	storage_info(r->storage, &info);
	for (i = 0; i < luns->num && info.size != r->before; i++) {
		struct scsi_lun *lun = luns->entries[i].item;

		if (lun->storage == r->storage)
			target_lun_resized(r->target, lun);
	}
	if (r->user.done)
		r->user.done(r->user.arg, err);
	scsi_target_put(r->target);
	free(r);
}

static int target_resize(struct scsi_target *target, struct storage *storage,
			 const struct storage_resize *user, char *why, size_t why_size)
{
	struct target_resize *r = malloc(sizeof(*r));
	const struct storage_resize how = {
		.size = user->size, .control = target->control, .done = target_resized, .arg = r,
	};
	struct storage_info info;
	int ret;

	if (!r) {
		snprintf(why, why_size, "%s", strerror(ENOMEM));
		return -ENOMEM;
	}
	storage_info(storage, &info);
	*r = (struct target_resize){ target, storage, info.size, *user };
	target->pending++;
	ret = storage_resize(storage, &how, why, why_size);
	if (ret) {
		target->pending--;
		free(r);
	}
	return ret;
}

int scsi_lun_resize(struct scsi_target *target, const struct scsi_address *address,
		    const struct storage_resize *how, char *why, size_t why_size)
{
	const struct scsi_lun *lun = scsi_table_find(&target->luns, scsi_address_key(address));

	if (!lun) {
		snprintf(why, why_size, "there is no such unit");
		return -ENOENT;
	}
	if (!lun->storage) {
		snprintf(why, why_size, "the device has its own size");
		return -EOPNOTSUPP;
	}
	if (how->size % lun->block_size) {
		snprintf(why, why_size, "the size is not a multiple of the block size %u",
			 lun->block_size);
		return -EINVAL;
	}
	return target_resize(target, lun->storage, how, why, why_size);
}

void scsi_target_reset(struct scsi_target *target)
{
	unsigned int i;

	for (i = 0; i < target->luns.num; i++) {
		struct scsi_lun *lun = target->luns.entries[i].item;

		if (lun->storage)
			scsi_unit_reset(lun, SCSI_RESET_POWER_ON);
		scsi_lun_forget_attentions(lun);
		scsi_lun_attention(lun, SCSI_UA_POWER_ON);
	}
}

/*
 * Life
 */

int scsi_target_new(struct scsi_target **result, struct vhost_worker *control,
		    const struct scsi_target_ops *ops, void *arg)
{
	struct scsi_target *target = calloc(1, sizeof(*target));

	if (!target)
		return -ENOMEM;
	scsi_execute_init();
	target->control = control;
	target->ops = *ops;
	target->arg = arg;
	pthread_mutex_init(&target->lock, NULL);
	*result = target;
	return 0;
}

static void target_free(struct scsi_target *target)
{
	unsigned int i;

	for (i = 0; i < target->luns.num; i++)
		scsi_lun_free(target->luns.entries[i].item);
	free(target->luns.entries);
	pthread_mutex_destroy(&target->lock);
	free(target);
}

void scsi_target_free(struct scsi_target *target)
{
	target->freed = true;
	if (!target->pending)
		target_free(target);
}

void scsi_target_put(struct scsi_target *target)
{
	if (!--target->pending && target->freed)
		target_free(target);
}
