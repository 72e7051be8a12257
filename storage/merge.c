/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Operations which are neighbours become one: a call of the kernel for several.
 *
 * Whoever reads or writes in order, many operations at a time, gives small ones each of which
 * begins where the one before it ends.  Each would be a call of the kernel, and for a disk a request
 * of its own.  So what goes on where the latest one ended is held back until the run of its
 * neighbours ends, or the batch does, and is then done as one, in a joint operation with all their
 * buffers.  Only those which come one after the other are found: who submits at random pays for a
 * comparison, and waits for nobody.
 *
 * A joint operation knows nothing but success and failure of the whole.  After a failure each of
 * its parts goes to the pool, as all does that an engine has not done, so each gets its own
 * outcome, and what can be done is.
 *
 * The engine sees the joint operation, everyone else the parts: they are what is in flight, and
 * what is counted.  The filter which injects errors comes before, and does so for each part.
 */
#include "storage/merge.h"

#include <errno.h>
#include <stdlib.h>
#include <strings.h>

#include "storage/file.h"

#define MERGE_JOINTS	32u		/* in flight; when all are, there are no others */
#define MERGE_IOV	32u		/* buffers */
/* Much longer ones are no faster, and one request of a disk then does what several could. */
#define MERGE_LEN	(UINT64_C(128) << 10)

struct merge_joint {
	struct storage_io io;
	struct file_chan *fc;
	struct io_list parts;
	struct iovec iov[MERGE_IOV];	/* theirs */
};

_Static_assert(MERGE_JOINTS == 8 * sizeof(((struct merge *)0)->idle), "a bit for each");

int merge_open(struct merge *m)
{
	m->joints = calloc(MERGE_JOINTS, sizeof(*m->joints));
	m->idle = UINT32_MAX;
	m->end = UINT64_MAX;		/* nothing begins there */
	return m->joints ? 0 : -ENOMEM;
}

void merge_close(struct merge *m)
{
	free(m->joints);
}

/*
 * From parts to the whole
 */

static bool merge_belongs(const struct merge *m, const struct storage_io *io)
{
	const struct storage_io *first = m->held.head;

	return first && io->op == first->op && io->how == first->how &&
	       m->iovcnt + io->iovcnt <= MERGE_IOV &&
	       io->offset - first->offset + io->len <= MERGE_LEN;
}

/* NULL: all are in flight. */
static struct merge_joint *merge_get(struct merge *m)
{
	const int bit = ffs((int)m->idle) - 1;

	if (bit < 0)
		return NULL;
	m->idle &= ~(1u << bit);
	return &m->joints[bit];
}

static void merge_put(struct merge *m, const struct merge_joint *joint)
{
	m->idle |= 1u << (joint - m->joints);
}

static void merge_join(struct merge_joint *joint, struct file_chan *fc, struct io_list parts)
{
	const struct storage_io *first = parts.head, *part;
	struct storage_io *io = &joint->io;
	unsigned int i;

	joint->fc = fc;
	joint->parts = parts;
	io->op = first->op;
	io->how = first->how | HOW_JOINT;
	io->offset = first->offset;
	io->len = 0;
	io->iov = joint->iov;
	io->iovcnt = 0;
	io->chan = first->chan;
	for (part = first; part; part = part->next) {
		for (i = 0; i < part->iovcnt; i++)
			joint->iov[io->iovcnt++] = part->iov[i];
		io->len += part->len;
	}
}

static void merge_start(struct file_chan *fc, struct io_list parts)
{
	const bool several = parts.head != parts.tail;
	struct merge_joint *joint = several ? merge_get(&fc->merge) : NULL;
	struct storage_io *io;

	if (joint) {
		merge_join(joint, fc, parts);
		fc->start(fc, &joint->io);
		return;
	}
	while ((io = io_list_take(&parts)))
		fc->start(fc, io);
}

/* What ends meanwhile may submit others, which then are held. */
void merge_flush(struct file_chan *fc)
{
	struct merge *m = &fc->merge;
	struct io_list parts;

	while (m->held.head) {
		parts = m->held;
		m->held.head = NULL;
		merge_start(fc, parts);
	}
}

static void merge_hold(struct merge *m, struct storage_io *io)
{
	m->iovcnt = io->iovcnt + (m->held.head ? m->iovcnt : 0);
	m->end = io->offset + io->len;
	io_list_add(&m->held, io);
}

void merge_submit(struct storage_chan *chan, struct storage_io *io)
{
	struct file_chan *fc = container_of(chan, struct file_chan, chan);
	struct merge *m = &fc->merge;

	if (unlikely(io->offset == m->end) && io->op <= STORAGE_WRITE) {
		if (!merge_belongs(m, io))
			merge_flush(fc);
		merge_hold(m, io);
		return;
	}
	if (unlikely(m->held.head))
		merge_flush(fc);
	m->end = io->offset + io->len;
	fc->start(fc, io);
}

/*
 * And back
 */

void merge_split(struct storage_io *io, int err)
{
	struct merge_joint *joint = container_of(io, struct merge_joint, io);
	struct file_chan *fc = joint->fc;
	const unsigned int notes = (io->how & HOW_NOTES) | HOW_MERGED;
	struct io_list parts = joint->parts;

	/* Before any done() is called, for it may need one. */
	merge_put(&fc->merge, joint);
	while ((io = io_list_take(&parts))) {
		if (err) {
			pool_submit(&fc->pool, io);
			continue;
		}
		io->how |= notes;
		storage_complete(io, 0);
	}
}
