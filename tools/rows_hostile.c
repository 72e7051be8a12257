/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Rows about guests and front-ends which are up to no good.
 *
 * What the device does with a chain that makes no sense is its own choice: the request, the ring or
 * the connection may end.  The next front-end is to be served as if nothing had been.
 */
#include "config.h"

#include <errno.h>
#include <linux/virtio_config.h>
#include <poll.h>
#include <unistd.h>

#include "tools/probe.h"
#include "util.h"

/* How long a device has to fall over something. */
#define HOSTILE_WAIT_MS	100

#define NOWHERE		UINT64_C(0xdead00000000)

#define NEXT		VRING_DESC_F_NEXT
#define WRITE		VRING_DESC_F_WRITE
#define INDIRECT	VRING_DESC_F_INDIRECT

/* A chain of up to two descriptors, the first in slot 0, the second in slot 1. */
struct hostile_chain {
	const char *name;
	struct fe_raw_desc descs[2];
	unsigned int num;
	bool inside;			/* addr counts from a page of guest memory */
};

static const struct hostile_chain hostile_chains[] = {
	{ "a chain which ends in itself", { { 0, NEXT, 0, 16 } }, 1, true },
	{ "a chain which goes in a circle", { { 0, NEXT, 1, 16 }, { 1, NEXT, 0, 16 } }, 2, true },
	{ "a chain which leaves the table", { { 0, NEXT, 60000, 16 } }, 1, true },
	{ "a buffer outside of memory", { { 0, 0, 0, 4096, NOWHERE } }, 1 },
	{ "a buffer to write outside of memory",
	  { { 0, NEXT, 1, 16 }, { 1, WRITE, 0, 4096, NOWHERE } }, 2, true },
	{ "a buffer whose end wraps", { { 0, 0, 0, 4096, UINT64_MAX - 10 } }, 1 },
	{ "a buffer of 4 GiB", { { 0, 0, 0, UINT32_MAX } }, 1, true },
	{ "a buffer of no bytes", { { 0, 0, 0, 0 } }, 1, true },
	{ "a buffer of one byte", { { 0, 0, 0, 1 } }, 1, true },
	{ "only a byte to be written", { { 0, WRITE, 0, 1 } }, 1, true },
	{ "a table of 17 bytes", { { 0, INDIRECT, 0, 17 } }, 1, true },
	{ "a table of no bytes", { { 0, INDIRECT, 0, 0 } }, 1, true },
	{ "a table outside of memory", { { 0, INDIRECT, 0, 4096, NOWHERE } }, 1 },
	{ "a table of 4 GiB", { { 0, INDIRECT, 0, UINT32_MAX - 15 } }, 1, true },
	{ "a table and more", { { 0, INDIRECT | NEXT, 1, 32 }, { 1, 0, 0, 16 } }, 2, true },
};

static int hostile_start(struct world *w, uint64_t features)
{
	struct load_params p = world_params(w);

	p.features = features;
	p.features_maybe = FE_BIT(VIRTIO_RING_F_INDIRECT_DESC);
	return world_start(w, &p);
}

/* What has been written takes effect; the next front-end must be served. */
static int hostile_survived(struct world *w, const char *name)
{
	int err;

	fe_ring_kick_always(world_ring(w));
	fe_ring_wait(world_ring(w), HOSTILE_WAIT_MS);
	err = hostile_start(w, 0);
	if (!err)
		err = world_requests(w, 3);
	return err ? load_wrong(&w->l, "after %s: it does not work any more", name) : 0;
}

static int hostile_chain(struct world *w, const struct hostile_chain *c)
{
	struct fe_raw_desc descs[2];
	uint64_t page;
	unsigned int i;
	int err = hostile_start(w, 0);

	if (err)
		return err;
	page = fe_mem_gpa(&w->l.mem, w->l.slots[0].data, 1);
	for (i = 0; i < c->num; i++) {
		descs[i] = c->descs[i];
		descs[i].addr += c->inside && descs[i].addr != NOWHERE ? page : 0;
	}
	fe_split_add_raw(world_ring(w), descs, c->num, w);
	fe_ring_publish(world_ring(w));
	return hostile_survived(w, c->name);
}

static int hostile_all_chains(struct world *w)
{
	size_t i;
	int err = 0;

	for (i = 0; i < ARRAY_SIZE(hostile_chains) && !err; i++)
		err = hostile_chain(w, &hostile_chains[i]);
	return err;
}

static int hostile_head(struct world *w)
{
	int err = hostile_start(w, 0);

	if (err)
		return err;
	fe_split_add_head(world_ring(w), 60000);
	fe_ring_publish(world_ring(w));
	return hostile_survived(w, "a head beyond the table");
}

static int hostile_index(struct world *w)
{
	int err = hostile_start(w, 0);

	if (err)
		return err;
	fe_split_set_avail_idx(world_ring(w), 30000);
	return hostile_survived(w, "an index far ahead");
}

static int hostile_used_event(struct world *w)
{
	int err = hostile_start(w, 0);

	if (err)
		return err;
	fe_split_set_used_event(world_ring(w), 0x8000);
	err = world_submit(w, 3);
	return err ? err : hostile_survived(w, "a used event which is nowhere");
}

/* A packed ring full of descriptors which all go on. */
static int hostile_packed(struct world *w)
{
	struct fe_raw_packed desc = { .len = 16, .id = 60000 };
	uint16_t i;
	int err = hostile_start(w, FE_BIT(VIRTIO_F_RING_PACKED));

	if (err)
		return err;
	desc.addr = fe_mem_gpa(&w->l.mem, w->l.slots[0].data, 1);
	desc.flags = fe_packed_avail_flags(world_ring(w)) | NEXT;
	for (i = 0; i < world_ring(w)->size; i++)
		fe_packed_set_desc(world_ring(w), i, &desc);
	err = hostile_survived(w, "a packed ring without end");
	if (!err)
		err = hostile_start(w, FE_BIT(VIRTIO_F_RING_PACKED));
	if (err)
		return err;
	desc.flags = fe_packed_avail_flags(world_ring(w));
	fe_packed_set_desc(world_ring(w), 0, &desc);
	return hostile_survived(w, "a packed id beyond the ring");
}

/* The memory of requests in flight is gone; so we must not look at it any more, either. */
static int hostile_truncate(struct world *w)
{
	struct pollfd pfd = { .events = POLLIN };
	int err = hostile_start(w, 0);

	if (!err)
		err = world_requests(w, 3);
	if (err)
		return err;
	if (ftruncate(w->l.mem.regions[0].fd, 0) < 0)
		return load_fail(&w->l, -errno, "truncating memory");
	fe_ring_kick_always(world_ring(w));
	pfd.fd = w->l.fe.fd;
	poll(&pfd, 1, HOSTILE_WAIT_MS);
	err = hostile_start(w, 0);
	return err ? err : world_requests(w, 3);
}

const struct row rows_hostile[] = {
	{ "a guest gives a head which is not there", hostile_head, .requests = true },
	{ "a guest gives an index far ahead", hostile_index, .requests = true },
	{ "a guest gives a used event which is nowhere", hostile_used_event,
	  FE_BIT(VIRTIO_RING_F_EVENT_IDX), .requests = true },
	{ "a guest gives chains which make no sense", hostile_all_chains, .requests = true },
	{ "a guest gives a packed ring without end", hostile_packed,
	  FE_BIT(VIRTIO_F_RING_PACKED), .requests = true },
	{ "a front-end truncates the memory", hostile_truncate, .requests = true },
	{ NULL }
};
