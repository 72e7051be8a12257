/* SPDX-License-Identifier: BSD-3-Clause */
/* Requests to virtio-blk devices: header, data and status in a descriptor each. */
#include "config.h"

#include <endian.h>
#include <errno.h>
#include <linux/virtio_blk.h>
#include <string.h>

#include "tools/disk.h"
#include "util.h"

/* In a slot's head: the header, and further on the status. */
#define BLK_STATUS	32u
#define BLK_HEAD	64u

/* Written there before the device gets the request. */
#define BLK_NO_STATUS	0xff

static int blk_open(struct load *l)
{
	unsigned int i;

	if (l->fe.queue_num && l->params.queues > l->fe.queue_num)
		return load_wrong(l, "the back-end has %llu queues only",
				  (unsigned long long)l->fe.queue_num);
	for (i = 0; i < l->params.queues; i++)
		load_add_queue(l, LOAD_ACTIVE);
	return 0;
}

static int blk_started(struct load *l)
{
	uint64_t capacity;
	int err;

	if (!(l->fe.protocol_features & FE_BIT(VU_PROTOCOL_F_CONFIG)) && l->params.area)
		return disk_open(l, l->params.area, l->fe.features & FE_BIT(VIRTIO_BLK_F_RO));
	if (!(l->fe.protocol_features & FE_BIT(VU_PROTOCOL_F_CONFIG)))
		return load_wrong(l, "the back-end does not tell the size of its disk: see --area");
	err = fe_get_config(&l->fe, 0, &capacity, sizeof(capacity));
	if (err)
		return load_fail(l, err, "GET_CONFIG");
	capacity = le64toh(capacity);
	if (capacity > UINT64_MAX / DISK_SECTOR)
		return load_wrong(l, "the disk has %llu sectors, it says",
				  (unsigned long long)capacity);
	return disk_open(l, capacity * DISK_SECTOR, l->fe.features & FE_BIT(VIRTIO_BLK_F_RO));
}

/* What differs from one request to the next. */
static void blk_put_header(struct load *l, struct load_slot *s)
{
	*(struct virtio_blk_outhdr *)(void *)s->head = (struct virtio_blk_outhdr){
		.type = htole32(s->write ? VIRTIO_BLK_T_OUT : VIRTIO_BLK_T_IN),
		.sector = htole64(disk_sector(l, s)),
	};
	s->head[BLK_STATUS] = BLK_NO_STATUS;
}

static bool blk_prepare(struct load_queue *q, struct load_slot *s)
{
	struct load *l = q->load;
	const struct iovec data = { .iov_base = s->data, .iov_len = l->params.block };
	unsigned int i;

	if (!disk_next(l, s))
		return false;
	blk_put_header(l, s);
	s->out[0] = (struct iovec){ .iov_base = s->head,
				    .iov_len = sizeof(struct virtio_blk_outhdr) };
	s->out[1] = s->in[0] = data;
	i = s->write ? 0 : 1;
	s->in[i] = (struct iovec){ .iov_base = &s->head[BLK_STATUS], .iov_len = 1 };
	s->nout = s->write ? 2 : 1;
	s->nin = i + 1;
	return true;
}

static int64_t blk_done(struct load_queue *q, struct load_slot *s, uint32_t len)
{
	uint8_t status = __atomic_load_n(&s->head[BLK_STATUS], __ATOMIC_RELAXED);

	(void)len;
	if (status == BLK_NO_STATUS)
		return load_wrong(q->load, "a request has come back without status");
	if (status != VIRTIO_BLK_S_OK)
		return load_wrong(q->load, "%s sector %llu: status %u, %s",
				  s->write ? "writing" : "reading",
				  (unsigned long long)disk_sector(q->load, s), status,
				  status == VIRTIO_BLK_S_IOERR ? "I/O error" : "unsupported");
	return disk_done(q->load, s);
}

/* The same buffers in the same direction. */
static int64_t blk_again(struct load_queue *q, struct load_slot *s, uint32_t len)
{
	int64_t bytes = blk_done(q, s, len);

	if (bytes > 0 && disk_next(q->load, s))
		blk_put_header(q->load, s);
	return bytes;
}

const struct load_ops load_blk = {
	.name = "blk",
	.title = "block device",
	.unit = "IOPS",
	.features = FE_BIT(VIRTIO_BLK_F_FLUSH) | FE_BIT(VIRTIO_BLK_F_RO) |
		    FE_BIT(VIRTIO_BLK_F_BLK_SIZE) | FE_BIT(VIRTIO_BLK_F_SEG_MAX) |
		    FE_BIT(VIRTIO_BLK_F_MQ),
	.block = 4096, .block_min = DISK_SECTOR, .block_max = 1 << 20, .block_unit = DISK_SECTOR,
	.descs = 3,
	.head = BLK_HEAD,
	.disk = true,
	.open = blk_open,
	.started = blk_started,
	.close = disk_close,
	.prepare = blk_prepare,
	.done = blk_done,
	.again = blk_again,
	.recheck = disk_recheck,
};
