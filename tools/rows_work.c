/* SPDX-License-Identifier: BSD-3-Clause */
/* Rows about requests in rings of each kind. */
#include "config.h"

#include <errno.h>
#include <linux/virtio_config.h>

#include "tools/probe.h"
#include "util.h"

#define F(feature) FE_BIT(VIRTIO_F_##feature)
#define R(feature) FE_BIT(VIRTIO_RING_F_##feature)

/* Enough to go around the shortest ring several times. */
#define WORK_MANY 1000u

static int work_with(struct world *w, const struct load_params *params)
{
	int err = world_start(w, params);

	if (!err)
		err = world_requests(w, WORK_MANY);
	return err ? err : load_stop(&w->l);
}

static int work_one(struct world *w)
{
	struct load_params p = world_params(w);
	int err = world_start(w, &p);

	if (!err)
		err = world_requests(w, 1);
	return err ? err : load_stop(&w->l);
}

static int work_many(struct world *w)
{
	struct load_params p = world_params(w);

	return work_with(w, &p);
}

static int work_full(struct world *w)
{
	struct load_params p = world_params(w);

	/* Whatever a request takes, this fills the ring. */
	p.ring_size = 128;
	p.depth = p.ring_size / load_find(w->probe->facts.type->name)->descs;
	return work_with(w, &p);
}

static int work_plain(struct world *w)
{
	struct load_params p = world_params(w);

	p.features_maybe = 0;
	return work_with(w, &p);
}

static int work_polled(struct world *w)
{
	struct load_params p = world_params(w);

	p.poll = true;
	return work_with(w, &p);
}

static int work_feature(struct world *w, uint64_t features, bool indirect)
{
	struct load_params p = world_params(w);

	p.features = features;
	p.indirect = indirect;
	return work_with(w, &p);
}

static int work_indirect(struct world *w)
{
	return work_feature(w, 0, true);
}

static int work_in_order(struct world *w)
{
	return work_feature(w, F(IN_ORDER), false);
}

static int work_packed(struct world *w)
{
	return work_feature(w, F(RING_PACKED), false);
}

static int work_packed_indirect(struct world *w)
{
	return work_feature(w, F(RING_PACKED), true);
}

static int work_packed_in_order(struct world *w)
{
	return work_feature(w, F(RING_PACKED) | F(IN_ORDER), false);
}

/* A ring which the device does not take is no failure; one which it takes must work. */
static int work_size(struct world *w, unsigned int size)
{
	struct load_params p = world_params(w);
	int err;

	p.ring_size = size;
	p.depth = 1;
	err = world_open(w, &p);
	if (err)
		return err;
	err = fe_set_features(&w->l.fe, w->l.fe.features);
	if (!err)
		err = fe_set_vring_num(&w->l.fe, world_ring(w)->index, size);
	if (err)
		return world_refused(w, err, "a ring of %u entries", size);
	err = load_start(&w->l);
	return err ? err : world_requests(w, 3 * size > WORK_MANY ? WORK_MANY : 3 * size);
}

static int work_sizes(struct world *w)
{
	static const unsigned int sizes[] = { 4, 8, 256, 1024, 32768 };
	size_t i;
	int err = 0;

	for (i = 0; i < ARRAY_SIZE(sizes) && !err; i++)
		err = work_size(w, sizes[i]);
	return err;
}

/* What the device says that it wrote, of a device type which writes data or none. */
static int work_used_length(struct world *w)
{
	struct load_params p = world_params(w);
	const struct load_ops *ops = load_find(w->probe->facts.type->name);
	uint64_t room, least;
	struct load_slot *s;
	int64_t len;
	int err;

	err = world_start(w, &p);
	if (err)
		return err;
	s = &w->l.slots[0];
	if (!ops->prepare(&w->l.queues[world_ring(w)->index], s))
		return ROW_SKIP;
	room = (s->nin > 0 ? s->in[0].iov_len : 0) + (s->nin > 1 ? s->in[1].iov_len : 0);
	/* A disk fills it all, others at least one byte, if there is room. */
	least = ops->disk ? w->l.params.block : room ? 1 : 0;
	len = load_one(&w->l.queues[world_ring(w)->index], s);
	if (len < 0)
		return (int)len;
	if ((uint64_t)len < least || (uint64_t)len > room)
		return load_wrong(&w->l, "%lld bytes were written, it says, of %llu to %llu",
				  (long long)len, (unsigned long long)least,
				  (unsigned long long)room);
	return 0;
}

/* A guest whose firmware uses the device in one way, and its kernel in another. */
static int work_other_driver(struct world *w)
{
	struct load_params p = world_params(w);
	uint64_t features, maybe = w->probe->facts.features & (F(RING_PACKED) | R(INDIRECT_DESC));
	unsigned int i;
	int err;

	p.features_maybe = 0;
	p.indirect = false;
	err = world_start(w, &p);
	if (!err)
		err = world_requests(w, 3);
	if (!err)
		err = load_stop(&w->l);
	if (err)
		return err;
	features = w->l.fe.features | (maybe & F(RING_PACKED)) |
		   (w->probe->facts.features & R(EVENT_IDX));
	for (i = 0; i < w->l.num_queues && !err; i++) {
		fe_ring_free(&w->l.queues[i].ring);
		err = fe_ring_init(&w->l.queues[i].ring, &w->l.mem, &(struct fe_ring_params){
			.index = i, .size = w->l.params.ring_size, .features = features,
		});
	}
	if (err)
		return load_fail(&w->l, err, "new rings");
	w->l.fe.features = features;
	err = fe_start(&w->l.fe, &w->l.mem, w->l.rings, w->l.num_queues);
	return err ? load_fail(&w->l, err, "second start") : world_requests(w, WORK_MANY);
}

const struct row rows_work[] = {
	{ "a request is answered", work_one, .requests = true },
	{ "what was written is told rightly", work_used_length, .requests = true },
	{ "many requests, in a split ring", work_many, .requests = true },
	{ "a full ring", work_full, .requests = true },
	{ "without event indices", work_plain, .requests = true },
	{ "a driver which polls", work_polled, .requests = true },
	{ "rings of many sizes", work_sizes, .requests = true },
	{ "indirect descriptors", work_indirect, R(INDIRECT_DESC), .requests = true },
	{ "in order", work_in_order, F(IN_ORDER), .requests = true },
	{ "a packed ring", work_packed, F(RING_PACKED), .requests = true },
	{ "a packed ring with indirect descriptors", work_packed_indirect,
	  F(RING_PACKED) | R(INDIRECT_DESC), .requests = true },
	{ "a packed ring in order", work_packed_in_order, F(RING_PACKED) | F(IN_ORDER),
	  .requests = true },
	{ "another driver with other features comes", work_other_driver, .requests = true },
	{ NULL }
};
