/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An image which is in use changes its size.
 *
 * Each channel has the size by which it judges operations, and only its worker touches it.  So the
 * control worker posts a part of the change to each channel's worker, and when all parts have come
 * back the change is done.  The file grows before the channels know, and shrinks after they do.
 * A channel which sees the image shrink drains first: what it has submitted by the old size ends
 * before the file is cut, and would make it longer again otherwise.
 *
 * A channel which opens meanwhile has the new size from the start; one which closes leaves its part
 * without it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "libvhost.h"
#include "storage/engine.h"

struct resize_part {
	struct vhost_work work;
	struct resize *resize;
	struct vhost_worker *worker;
	struct storage_chan *chan;	/* of the worker; NULL: closed */
};

struct resize {
	struct storage *st;		/* NULL: closed */
	struct storage_resize how;	/* done is NULL when it has been called */
	uint64_t size;			/* the new one */
	bool cut;			/* the file is to be made shorter in the end */
	unsigned int pending;		/* parts; of the control worker */
	unsigned int num;
	struct resize_part parts[];	/* [num] */
};

static void resize_tell(struct resize *r, int err)
{
	void (*done)(void *arg, int err) = r->how.done;

	r->how.done = NULL;
	if (done)
		done(r->how.arg, err);
}

/* All channels know the new size. */
static void resize_finish(struct resize *r)
{
	const struct storage_why nowhere = { NULL, 0 };
	int err = 0;

	if (r->st && r->cut)
		err = r->st->ops->resize(r->st, &r->size, &nowhere);
	if (r->st)
		r->st->resize = NULL;
	resize_tell(r, err);
	free(r);
}

static void resize_part_ended(struct vhost_work *work)
{
	struct resize *r = container_of(work, struct resize_part, work)->resize;

	if (!--r->pending)
		resize_finish(r);
}

static void resize_part_end(struct resize_part *part)
{
	part->work.fn = resize_part_ended;
	vhost_worker_post(part->resize->how.control, &part->work);
}

/*
 * On a channel's worker
 */

void resize_drained(struct storage_chan *chan)
{
	struct resize_part *part = chan->part;

	chan->draining = false;
	chan->limit = chan->st->depth;
	chan->size = part->resize->size;
	chan->part = NULL;
	resize_part_end(part);
}

static void resize_part_begin(struct vhost_work *work)
{
	struct resize_part *part = container_of(work, struct resize_part, work);
	struct storage_chan *chan = part->chan;

	if (!chan) {
		resize_part_end(part);
	} else if (chan->inflight && part->resize->size < chan->size) {
		chan->draining = true;
		chan->limit = 0;
	} else {
		resize_drained(chan);
	}
}

void resize_chan_open(struct storage_chan *chan)
{
	struct storage *st = chan->st;

	pthread_mutex_lock(&st->lock);
	chan->size = atomic_load_explicit(&st->size, memory_order_relaxed);
	chan->next = st->chans;
	chan->link = &st->chans;
	if (chan->next)
		chan->next->link = &chan->next;
	st->chans = chan;
	pthread_mutex_unlock(&st->lock);
}

void resize_chan_close(struct storage_chan *chan)
{
	pthread_mutex_lock(&chan->st->lock);
	*chan->link = chan->next;
	if (chan->next)
		chan->next->link = chan->link;
	if (chan->part)
		chan->part->chan = NULL;
	pthread_mutex_unlock(&chan->st->lock);
}

/*
 * On the control worker
 */

/* One with a part for each channel.  Under the image's lock. */
static struct resize *resize_new(struct storage *st, const struct storage_resize *how)
{
	struct storage_chan *chan;
	struct resize *r;
	unsigned int n = 0;

	for (chan = st->chans; chan; chan = chan->next)
		n++;
	r = calloc(1, sizeof(*r) + n * sizeof(r->parts[0]));
	if (!r)
		return NULL;
	r->st = st;
	r->how = *how;
	for (chan = st->chans; chan; chan = chan->next) {
		chan->part = &r->parts[r->num++];
		*chan->part = (struct resize_part){
			.work.fn = resize_part_begin, .resize = r, .worker = chan->worker,
			.chan = chan,
		};
	}
	return r;
}

static int resize_start(struct storage *st, const struct storage_resize *how, uint64_t size,
			bool cut)
{
	struct resize *r;
	unsigned int i;

	pthread_mutex_lock(&st->lock);
	r = resize_new(st, how);
	if (r)
		atomic_store_explicit(&st->size, size, memory_order_relaxed);
	pthread_mutex_unlock(&st->lock);
	if (!r)
		return -ENOMEM;
	r->size = size;
	r->cut = cut;
	r->pending = r->num;
	st->resize = r;
	/* The last post may be the end of it. */
	for (i = 0; i < r->num; i++)
		vhost_worker_post(r->parts[i].worker, &r->parts[i].work);
	if (!r->num)
		resize_finish(r);
	return 0;
}

static int resize_check(const struct storage *st, const struct storage_resize *how,
			const struct storage_why *why)
{
	if (st->resize)
		return storage_why(why, -EBUSY, "its size is changing already");
	if (!how->size)
		return 0;
	if (st->info.read_only)
		return storage_why(why, -EROFS, "it is read-only");
	if (how->size > INT64_MAX)
		return storage_why(why, -EINVAL, "a file cannot have %llu bytes",
				   (unsigned long long)how->size);
	return storage_check_size(st, how->size, why);
}

int storage_resize(struct storage *st, const struct storage_resize *how, char *text,
		   size_t text_size)
{
	const struct storage_why why = { text, text_size };
	uint64_t now = 0, size;
	int err;

	err = resize_check(st, how, &why);
	if (!err)
		err = st->ops->resize(st, &now, &why);
	size = how->size ? how->size : now;
	if (!err && size != now && st->info.fixed_size)
		err = storage_why(&why, -EINVAL, "it has %llu bytes, which cannot be changed",
				  (unsigned long long)now);
	if (!err && size > now)
		err = st->ops->resize(st, &size, &why);
	if (!err)
		err = storage_check_size(st, size, &why);
	if (err)
		return err;
	err = resize_start(st, how, size, size < now);
	return err ? storage_why(&why, err, "%s", strerror(-err)) : 0;
}

void storage_resize_cancel(struct storage *st)
{
	if (st->resize)
		resize_tell(st->resize, -ECANCELED);
}

void resize_storage_close(struct storage *st)
{
	storage_resize_cancel(st);
	if (st->resize)
		st->resize->st = NULL;
}
