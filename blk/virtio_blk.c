/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * virtio-blk: from requests to storage operations and back.
 *
 * The way of a request: blk_kick() pops a batch, blk_begin() reads the header and looks
 * its type up in blk_types[], whose function either says at once how the request
 * ends or submits an operation, which lives in the request's private bytes.  blk_end()
 * writes the status and pushes, whether the operation completed within
 * storage_submit() or much later.
 *
 * Data is not copied: storage gets the guest's buffers.  Ranges of discard and write zeroes are
 * data for us.  All are checked before the first one is carried out, and each is
 * read and checked again when its turn has come, since the guest may have changed it.
 *
 * Used length (VIRTIO 2.7.8.2) is what has been written from the start on without
 * a gap.  The status byte comes last, so it counts only if all before it was written:
 * a failed read tells 0, because nobody knows how much of it took place.
 *
 * Durability (VIRTIO 5.2.6.2): in writeback mode only a flush makes writes durable;
 * otherwise each write is before it is completed.
 */
#include "virtio_blk.h"

#include <endian.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "util.h"

/* Requests taken at a time; storage_commit() comes once for all of them. */
#define BLK_BATCH 32

/* How a request ends: VIRTIO_BLK_S_*, or not yet. */
#define BLK_PENDING (-1)

/* A way to the storage; used by one worker, once a queue of it has started. */
struct blk_chan {
	struct vhost_worker *worker;
	struct storage_chan *chan;	/* NULL: not opened yet */
};

/* On the queue's worker. */
struct blk_queue {
	struct virtio_blk *blk;
	struct blk_chan *via;
	uint64_t features;		/* the driver's choice; constant while the queue runs */
	struct virtio_blk_stats stats;
} line_aligned;

struct virtio_blk {
	/* constant */
	struct vhost_dev *dev;
	struct storage *storage;
	uint32_t discard_max, zeroes_max; /* sectors of a range */
	bool read_only;
	bool wce_initial;		/* config space's writeback, as first told */
	uint8_t serial[VIRTIO_BLK_ID_BYTES];
	void *arg;
	void (*connection)(void *arg, bool up);
	void (*io_error)(void *arg, struct vhost_queue *q, const struct storage_io *io, int err);
	unsigned int workers;
	struct blk_chan *chans;		/* [workers] */
	struct blk_queue *queues;

	/* of the control worker */
	bool wce;			/* config space's writeback */
	bool wce_forced;		/* it was changed by blk_features() */
	uint64_t sectors;		/* capacity, as told */
	bool resizing;
	struct storage_resize resize;	/* which is in work */

	/* written by the control worker: a write need not be durable when done */
	atomic_bool writeback;
};

/* A request's private bytes. */
struct blk_req {
	struct storage_io io;
	struct vhost_req *req;
	struct blk_queue *bq;
	size_t filled;			/* bytes of writable data which success will have written */
	unsigned int range, ranges;	/* next one and number, in a discard or write zeroes */
};

static struct blk_queue *blk_queue(const struct vhost_queue *q)
{
	const struct virtio_blk *blk = vhost_queue_opaque(q);

	return &blk->queues[vhost_queue_index(q)];
}

/*
 * The end of a request
 */

static void blk_end(struct blk_req *br, int result)
{
	struct vhost_req *req = br->req;
	size_t data = req->in_len - 1;
	size_t filled = result == VIRTIO_BLK_S_OK ? br->filled : 0;
	uint8_t status = (uint8_t)result;

	vhost_req_write(req, data, &status, 1);
	vhost_req_push(req, filled == data ? req->in_len : filled);
}

static int blk_result(int err)
{
	switch (err) {
	case 0:
		return VIRTIO_BLK_S_OK;
	case -EOPNOTSUPP:
		return VIRTIO_BLK_S_UNSUPP;
	default:
		return VIRTIO_BLK_S_IOERR;
	}
}

static void blk_note_error(struct blk_req *br, int err)
{
	struct blk_queue *bq = br->bq;

	bq->stats.errors[br->io.op]++;
	if (bq->blk->io_error && err != -EOPNOTSUPP)
		bq->blk->io_error(bq->blk->arg, br->req->queue, &br->io, err);
}

/* An operation has ended. */
static void blk_note(struct blk_req *br, int err)
{
	struct virtio_blk_stats *stats = &br->bq->stats;

	if (unlikely(err)) {
		blk_note_error(br, err);
		return;
	}
	stats->ops[br->io.op]++;
	stats->bytes[br->io.op] += br->io.len;
}

static void blk_io_done(struct storage_io *io, int err)
{
	struct blk_req *br = container_of(io, struct blk_req, io);

	blk_note(br, err);
	blk_end(br, blk_result(err));
}

/*
 * Types of requests
 */

struct blk_type {
	int (*begin)(struct blk_req *br, const struct blk_type *type, uint64_t sector);
	enum storage_op op;
	bool writes;			/* not on a read-only device */
	uint64_t feature;		/* which the driver must have acknowledged, or 0 */
};

/* Whether a range is whole sectors, and within the disk.  Nothing in it can wrap. */
static bool blk_in_range(const struct blk_queue *bq, uint64_t sector, uint64_t bytes)
{
	const uint64_t sectors = storage_chan_size(bq->via->chan) / VIRTIO_BLK_SECTOR;

	return !(bytes % VIRTIO_BLK_SECTOR) && sector <= sectors &&
	       bytes / VIRTIO_BLK_SECTOR <= sectors - sector;
}

static unsigned int blk_durability(const struct virtio_blk *blk)
{
	return atomic_load_explicit(&blk->writeback, memory_order_relaxed) ? 0 : STORAGE_FUA;
}

static int blk_begin_data(struct blk_req *br, const struct blk_type *type, uint64_t sector)
{
	bool write = type->op == STORAGE_WRITE;
	size_t off = write ? sizeof(struct virtio_blk_outhdr) : 0;
	size_t len = write ? br->req->out_len - off : br->req->in_len - 1;

	if (!blk_in_range(br->bq, sector, len))
		return VIRTIO_BLK_S_IOERR;
	if (!len)
		return VIRTIO_BLK_S_OK;
	br->filled = write ? 0 : len;
	/* Field by field: the engine's part of it is large, and need not be cleared. */
	br->io.op = type->op;
	br->io.flags = write ? blk_durability(br->bq->blk) : 0;
	br->io.offset = sector * VIRTIO_BLK_SECTOR;
	br->io.len = len;
	br->io.map = NULL;
	br->io.done = blk_io_done;
	br->io.iov = vhost_req_slice(br->req, write ? VHOST_OUT : VHOST_IN, off, len,
				     &br->io.iovcnt);
	if (!br->io.iov)
		return VIRTIO_BLK_S_IOERR;
	storage_submit(br->bq->via->chan, &br->io);
	return BLK_PENDING;
}

static int blk_begin_flush(struct blk_req *br, const struct blk_type *type, uint64_t sector)
{
	(void)sector;
	br->io = (struct storage_io){ .op = type->op, .done = blk_io_done };
	storage_submit(br->bq->via->chan, &br->io);
	return BLK_PENDING;
}

static int blk_begin_get_id(struct blk_req *br, const struct blk_type *type, uint64_t sector)
{
	const struct virtio_blk *blk = br->bq->blk;
	size_t len = MIN(sizeof(blk->serial), br->req->in_len - 1);

	(void)type, (void)sector;
	br->filled = vhost_req_write(br->req, 0, blk->serial, len);
	return VIRTIO_BLK_S_OK;
}

/* Range i of a discard or write zeroes into an operation, and what is wrong with it. */
static int blk_read_range(const struct blk_req *br, unsigned int i, struct storage_io *io)
{
	const struct virtio_blk *blk = br->bq->blk;
	bool discard = io->op == STORAGE_DISCARD;
	struct virtio_blk_discard_write_zeroes range;
	size_t off = sizeof(struct virtio_blk_outhdr) + i * sizeof(range);
	uint32_t num, flags;
	uint64_t sector;

	if (vhost_req_read(br->req, off, &range, sizeof(range)) < sizeof(range))
		return VIRTIO_BLK_S_IOERR;
	sector = le64toh(range.sector);
	num = le32toh(range.num_sectors);
	flags = le32toh(range.flags);
	if (flags & ~VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP || (flags && discard))
		return VIRTIO_BLK_S_UNSUPP;
	if (num > (discard ? blk->discard_max : blk->zeroes_max) ||
	    !blk_in_range(br->bq, sector, (uint64_t)num * VIRTIO_BLK_SECTOR))
		return VIRTIO_BLK_S_IOERR;
	io->offset = sector * VIRTIO_BLK_SECTOR;
	io->len = (uint64_t)num * VIRTIO_BLK_SECTOR;
	io->flags = blk_durability(blk) | (flags ? STORAGE_UNMAP : 0);
	return VIRTIO_BLK_S_OK;
}

/* Submit the next range which is not empty; otherwise the request is done. */
static int blk_next_range(struct blk_req *br)
{
	while (br->range < br->ranges) {
		int result = blk_read_range(br, br->range++, &br->io);

		if (result != VIRTIO_BLK_S_OK)
			return result;
		if (!br->io.len)
			continue;
		storage_submit(br->bq->via->chan, &br->io);
		return BLK_PENDING;
	}
	return VIRTIO_BLK_S_OK;
}

static void blk_range_done(struct storage_io *io, int err)
{
	struct blk_req *br = container_of(io, struct blk_req, io);
	int result = blk_result(err);

	blk_note(br, err);
	if (!err)
		result = blk_next_range(br);
	if (result != BLK_PENDING)
		blk_end(br, result);
}

static int blk_begin_ranges(struct blk_req *br, const struct blk_type *type, uint64_t sector)
{
	const size_t size = sizeof(struct virtio_blk_discard_write_zeroes);
	size_t len = br->req->out_len - sizeof(struct virtio_blk_outhdr);
	unsigned int i;
	int result;

	(void)sector;
	if (!len || len % size || len / size > VIRTIO_BLK_RANGES_MAX)
		return VIRTIO_BLK_S_IOERR;
	br->ranges = (unsigned int)(len / size);
	br->range = 0;
	br->io = (struct storage_io){ .op = type->op, .done = blk_range_done };
	for (i = 0; i < br->ranges; i++) {
		result = blk_read_range(br, i, &br->io);
		if (result != VIRTIO_BLK_S_OK)
			return result;
	}
	return blk_next_range(br);
}

static const struct blk_type blk_types[] = {
	[VIRTIO_BLK_T_IN] = { blk_begin_data, STORAGE_READ, false, 0 },
	[VIRTIO_BLK_T_OUT] = { blk_begin_data, STORAGE_WRITE, true, 0 },
	[VIRTIO_BLK_T_FLUSH] = { blk_begin_flush, STORAGE_FLUSH, false, BIT(VIRTIO_BLK_F_FLUSH) },
	[VIRTIO_BLK_T_FLUSH_OUT] = { blk_begin_flush, STORAGE_FLUSH, false,
				     BIT(VIRTIO_BLK_F_FLUSH) },
	[VIRTIO_BLK_T_GET_ID] = { blk_begin_get_id, STORAGE_READ, false, 0 },
	[VIRTIO_BLK_T_DISCARD] = { blk_begin_ranges, STORAGE_DISCARD, true,
				   BIT(VIRTIO_BLK_F_DISCARD) },
	[VIRTIO_BLK_T_WRITE_ZEROES] = { blk_begin_ranges, STORAGE_WRITE_ZEROES, true,
					BIT(VIRTIO_BLK_F_WRITE_ZEROES) },
};

/*
 * The beginning of a request
 */

static int blk_begin_type(struct blk_req *br, uint32_t code, uint64_t sector)
{
	const struct blk_type *type = code < ARRAY_SIZE(blk_types) ? &blk_types[code] : NULL;

	if (!type || !type->begin)
		return VIRTIO_BLK_S_UNSUPP;
	if (type->writes && br->bq->blk->read_only)
		return VIRTIO_BLK_S_IOERR;
	if (type->feature & ~br->bq->features)
		return VIRTIO_BLK_S_UNSUPP;
	return type->begin(br, type, sector);
}

static bool blk_read_header(const struct vhost_req *req, struct virtio_blk_outhdr *header)
{
	/* Most drivers have it in a buffer of its own. */
	if (likely(req->out_cnt && req->out[0].iov_len >= sizeof(*header))) {
		memcpy(header, req->out[0].iov_base, sizeof(*header));
		return true;
	}
	return vhost_req_read(req, 0, header, sizeof(*header)) == sizeof(*header);
}

static void blk_begin(struct blk_queue *bq, struct vhost_req *req)
{
	struct virtio_blk_outhdr header;
	struct blk_req *br = req->priv;
	int result;

	if (!blk_read_header(req, &header) || !req->in_len) {
		/* It cannot be answered, but the driver gets its descriptors back. */
		bq->stats.malformed++;
		vhost_req_push(req, 0);
		return;
	}
	br->req = req;
	br->bq = bq;
	br->filled = 0;
	/* Barriers are of the past: a driver which wants order flushes. */
	result = blk_begin_type(br, le32toh(header.type) & ~VIRTIO_BLK_T_BARRIER,
				le64toh(header.sector));
	if (result != BLK_PENDING)
		blk_end(br, result);
}

/*
 * The status was last in another core's cache, as the header, which the library has fetched: on
 * their way all at once they take the time of one.
 */
static void blk_prefetch(struct vhost_req *const *reqs, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n; i++) {
		const struct vhost_req *req = reqs[i];
		const struct iovec *last;

		if (unlikely(!req->out_cnt || !req->in_cnt))
			continue;
		last = &req->in[req->in_cnt - 1];
		__builtin_prefetch((char *)last->iov_base + last->iov_len - 1, 1);
	}
}

static void blk_kick(struct vhost_queue *q)
{
	struct blk_queue *bq = blk_queue(q);
	struct vhost_req *reqs[BLK_BATCH];
	unsigned int i, n;

	do {
		n = vhost_queue_pop(q, reqs, BLK_BATCH);
		blk_prefetch(reqs, n);
		for (i = 0; i < n; i++)
			blk_begin(bq, reqs[i]);
		if (n)
			storage_commit(bq->via->chan);
	} while (n == BLK_BATCH);
}

/*
 * Queues
 */

static int blk_queue_start(struct vhost_queue *q)
{
	struct blk_queue *bq = blk_queue(q);

	bq->features = vhost_dev_features(vhost_queue_dev(q));
	if (bq->via->chan)
		return 0;
	/* It stays open from front-end to front-end. */
	bq->via->worker = vhost_queue_worker(q);
	return storage_chan_open(bq->blk->storage, bq->via->worker, &bq->via->chan);
}

static void blk_close_chan(void *arg)
{
	struct blk_chan *via = arg;

	storage_chan_close(via->chan);
}

/*
 * Control
 */

/* A driver which cannot flush must not lose what it was told to be written. */
static void blk_set_mode(struct virtio_blk *blk, uint64_t features)
{
	bool writeback = features & BIT(VIRTIO_BLK_F_FLUSH) &&
			 (blk->wce || !(features & BIT(VIRTIO_BLK_F_CONFIG_WCE)));

	atomic_store_explicit(&blk->writeback, writeback, memory_order_relaxed);
}

/* VIRTIO 5.2.5.2: a driver which sees the mode but cannot flush finds writeback off. */
static void blk_force_wce(struct virtio_blk *blk, bool force)
{
	uint8_t wce = !force && blk->wce_initial;

	if (force == blk->wce_forced)
		return;
	vhost_dev_update_config(blk->dev, offsetof(struct virtio_blk_config, wce), &wce, 1);
	blk->wce = wce;
	blk->wce_forced = force;
}

static int blk_features(struct vhost_dev *dev, uint64_t acked)
{
	struct virtio_blk *blk = vhost_dev_opaque(dev);

	blk_force_wce(blk, acked & BIT(VIRTIO_BLK_F_CONFIG_WCE) &&
			   !(acked & BIT(VIRTIO_BLK_F_FLUSH)));
	blk_set_mode(blk, acked);
	return 0;
}

/* The one writable field. */
static int blk_set_config(struct vhost_dev *dev, uint32_t off, const void *buf, uint32_t len)
{
	struct virtio_blk *blk = vhost_dev_opaque(dev);
	uint64_t features = vhost_dev_features(dev);
	uint8_t wce = *(const uint8_t *)buf;

	if (off != offsetof(struct virtio_blk_config, wce) || len != 1 || wce > 1)
		return -EINVAL;
	if (!(features & BIT(VIRTIO_BLK_F_CONFIG_WCE)))
		return -EPERM;
	blk->wce = wce;
	blk_set_mode(blk, features);
	return 0;
}

static void blk_reset(struct vhost_dev *dev)
{
	struct virtio_blk *blk = vhost_dev_opaque(dev);

	blk_force_wce(blk, false);
	blk->wce = blk->wce_initial;
	blk_set_mode(blk, 0);
}

static void blk_resized(void *arg, int err)
{
	struct virtio_blk *blk = arg;
	const struct storage_resize how = blk->resize;
	struct storage_info info;
	uint64_t sectors, capacity;

	storage_info(blk->storage, &info);
	sectors = info.size / VIRTIO_BLK_SECTOR;
	capacity = htole64(sectors);
	if (sectors != blk->sectors)
		vhost_dev_update_config(blk->dev, offsetof(struct virtio_blk_config, capacity),
					&capacity, sizeof(capacity));
	blk->sectors = sectors;
	blk->resizing = false;
	if (how.done)
		how.done(how.arg, err);
}

int virtio_blk_resize(struct virtio_blk *blk, const struct storage_resize *how, char *why,
		      size_t why_size)
{
	const struct storage_resize mine = {
		.size = how->size, .control = how->control, .done = blk_resized, .arg = blk,
	};
	const struct storage_resize before = blk->resize;
	const bool resizing = blk->resizing;
	int ret;

	/* It may end within the call. */
	blk->resize = *how;
	blk->resizing = true;
	ret = storage_resize(blk->storage, &mine, why, why_size);
	if (ret) {
		blk->resize = before;
		blk->resizing = resizing;
	}
	return ret;
}

static void blk_connection(struct vhost_dev *dev, bool up)
{
	struct virtio_blk *blk = vhost_dev_opaque(dev);

	if (blk->connection)
		blk->connection(blk->arg, up);
}

static const struct vhost_dev_ops blk_ops = {
	.kick = blk_kick,
	.queue_start = blk_queue_start,
	.features = blk_features,
	.set_config = blk_set_config,
	.connection = blk_connection,
	.reset = blk_reset,
};

/*
 * Life
 */

static int blk_new_dev(struct virtio_blk *blk, const struct virtio_blk_params *params,
		       const struct storage_info *info)
{
	struct virtio_blk_config config;
	struct vhost_dev_params p = {
		.name = params->name,
		.features = virtio_blk_features(params, info),
		.queues = params->queues,
		.queue_size_max = params->queue_size,
		.config = &config,
		.config_len = VIRTIO_BLK_CONFIG_LEN,
		.req_priv = sizeof(struct blk_req),
		.flags = params->flags,
		.features_off = params->features_off,
	};

	virtio_blk_fill_config(&config, params, info);
	blk->discard_max = le32toh(config.max_discard_sectors);
	blk->zeroes_max = le32toh(config.max_write_zeroes_sectors);
	blk->wce = blk->wce_initial = config.wce;
	return vhost_dev_new(&blk->dev, &blk_ops, &p, blk);
}

static int blk_new_queues(struct virtio_blk *blk, const struct virtio_blk_params *params)
{
	unsigned int i;

	blk->workers = params->workers ? params->workers : 1;
	blk->chans = calloc(blk->workers, sizeof(blk->chans[0]));
	blk->queues = line_calloc(params->queues, sizeof(blk->queues[0]));
	if (!blk->chans || !blk->queues)
		return -ENOMEM;
	for (i = 0; i < params->queues; i++) {
		blk->queues[i].blk = blk;
		blk->queues[i].via = &blk->chans[i % blk->workers];
	}
	return 0;
}

int virtio_blk_new(struct virtio_blk **result, const struct virtio_blk_params *params)
{
	struct virtio_blk *blk = calloc(1, sizeof(*blk));
	struct storage_info info;
	int ret;

	if (!blk)
		return -ENOMEM;
	storage_info(params->storage, &info);
	blk->storage = params->storage;
	blk->sectors = info.size / VIRTIO_BLK_SECTOR;
	blk->read_only = info.read_only;
	blk->arg = params->arg;
	blk->connection = params->connection;
	blk->io_error = params->io_error;
	/* Padded with NUL, which may be missing at the end. */
	if (params->serial)
		memcpy(blk->serial, params->serial,
		       strnlen(params->serial, sizeof(blk->serial)));
	ret = blk_new_queues(blk, params);
	if (!ret)
		ret = blk_new_dev(blk, params, &info);
	if (ret) {
		virtio_blk_free(blk);
		return ret;
	}
	*result = blk;
	return 0;
}

struct vhost_dev *virtio_blk_dev(const struct virtio_blk *blk)
{
	return blk->dev;
}

void virtio_blk_free(struct virtio_blk *blk)
{
	unsigned int i;

	if (blk->resizing)
		storage_resize_cancel(blk->storage);
	for (i = 0; blk->chans && i < blk->workers; i++)
		if (blk->chans[i].chan)
			vhost_worker_call(blk->chans[i].worker, blk_close_chan, &blk->chans[i]);
	if (blk->dev)
		vhost_dev_free(blk->dev);
	free(blk->chans);
	free(blk->queues);
	free(blk);
}

void virtio_blk_stats(const struct virtio_blk *blk, unsigned int queue,
		      struct virtio_blk_stats *stats)
{
	*stats = blk->queues[queue].stats;
}
