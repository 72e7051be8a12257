/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Rings against a model: random but repeatable driver and device, one step after the other.
 *
 * Driver operations go through the front-end's rings, device operations through a real queue of a
 * real device; the test chooses their order.  The model knows which chains are where, which bytes
 * they hold, and from the specification alone which notifications are due: signals are counted
 * exactly, and a device which waits for a kick must not be left with chains it was not told of.
 *
 * LIBVHOST_SEED=n runs the one seed of that number in each shape.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#include "queue.h"
#include "tests/tap.h"
#include "tests/unit/ring_model.h"
#include "util.h"

static struct model model;

/*
 * The device's callbacks only take notice: what the device does is one of the steps.
 */

static void model_kick(struct vhost_queue *q)
{
	struct model *m = vhost_queue_opaque(q);

	model_check(m, m->running);
	m->kicked = true;
	m->waits = false;
}

static void model_queue_stop(struct vhost_queue *q)
{
	struct model *m = vhost_queue_opaque(q);

	m->running = false;
	m->stops++;
}

static const struct vhost_dev_ops model_ops = {
	.kick = model_kick,
	.queue_stop = model_queue_stop,
};

/*
 * Notifications to the driver, as VIRTIO 2.7.7 and 2.8.10 have them
 */

/* The device judges: is a signal due for what it has written since it judged last? */
static bool model_signal_due(struct model *m)
{
	/* Positions which look alike to the device. */
	uint64_t lap = model_packed(m) ? 2 * m->size : 65536, at = m->event;

	if (m->wish == WISH_OFF && (model_packed(m) || !(m->features & F_EVENT_IDX)))
		return false;
	if (!(m->features & F_EVENT_IDX) || !m->judged_once)
		return true;
	if (m->wish == WISH_OFF)
		return false;
	while (at < m->judged)
		at += lap;
	return at < m->used;
}

/* What was pushed is written. */
static void model_write(struct model *m)
{
	unsigned int i;

	for (i = m->done.n - m->pending; i < m->done.n; i++)
		m->used += model_width(m, m->done.chain[i]);
	m->untold |= m->pending > 0;
	m->pending = 0;
}

/* What was pushed, and may be written, is written, and told. */
static void model_written(struct model *m)
{
	model_write(m);
	if (!m->untold)
		return;
	m->untold = false;
	m->signals += model_signal_due(m);
	m->judged = m->used;
	m->judged_once = true;
}

static void model_count_signals(struct model *m)
{
	eventfd_t count = 0;

	if (eventfd_read(m->ring.call_fd, &count))
		model_check(m, errno == EAGAIN);
	model_check(m, count == m->signals);
	m->signals = 0;
}

/* All that is due happens until the device is idle. */
static void model_run(struct model *m)
{
	bool waited = m->waits;

	model_written(m);
	stepped_run(&m->s);
	model_count_signals(m);
	if (waited && m->running && !m->armed) {
		m->armed = true;
		m->armed_at = m->taken;
	}
	m->disarmed = false;
	m->quota = QUEUE_QUOTA;
	/* No lost kick; and a queue which had its share of the round has its turn again. */
	model_check(m, !m->running || !m->waits || m->told <= m->taken);
}

/*
 * The device
 */

static struct vhost_queue *model_queue(const struct model *m)
{
	return vhost_dev_queue(m->s.dev, 0);
}

static void model_check_req(struct model *m, struct model_chain *c, struct vhost_req *req)
{
	uint8_t buf[CHAIN_BYTES];

	model_check(m, req->out_len == c->out_len && req->in_len == c->in_len);
	model_check(m, vhost_req_read(req, 0, buf, sizeof(buf)) == c->out_len);
	model_check(m, !memcmp(buf, c->out, c->out_len));
	c->req = req;
}

static void model_pop(struct model *m)
{
	unsigned int want = 1 + model_random(m, model_random(m, 2) ? m->size + 1 : 3), n, i;
	struct vhost_req *reqs[SIZE_MAX_ + 1];

	n = vhost_queue_pop(model_queue(m), reqs, want);
	model_check(m, n == (m->running ? MIN(MIN(want, m->published.n), m->quota) : 0));
	m->quota -= n;
	for (i = 0; i < n; i++) {
		struct model_chain *c = list_take(&m->published, 0);

		model_check_req(m, c, reqs[i]);
		m->taken += model_width(m, c);
		list_put(&m->popped, c);
	}
	m->latest += n;
	if (n) {
		m->disarmed = m->armed;
		m->armed = false;
	}
	m->waits = m->running && n < want;
}

/* With IN_ORDER what was pushed too early waits. */
static void model_pushed(struct model *m)
{
	bool in_order = m->features & F_IN_ORDER;
	unsigned int i;

	for (i = 0; i < m->popped.n;) {
		if (m->popped.chain[i]->pushed) {
			list_put(&m->done, list_take(&m->popped, i));
			if (++m->pending == MODEL_EARLY)
				model_write(m);
		} else if (in_order) {
			return;
		} else {
			i++;
		}
	}
}

/* The device is done with the i-th of what it has. */
static void model_push(struct model *m, unsigned int i)
{
	struct model_chain *c = m->popped.chain[i];
	uint8_t buf[CHAIN_BYTES];

	if (c->pushed)
		return;
	c->len = model_random(m, c->in_len + 1);
	for (i = 0; i < c->len; i++)
		buf[i] = (uint8_t)~(c->pattern + i);
	model_check(m, vhost_req_write(c->req, 0, buf, c->len) == c->len);
	vhost_req_push(c->req, c->len);
	c->pushed = true;
	for (i = 0; m->popped.chain[m->popped.n - 1 - i] != c; i++)
		;
	m->latest = MIN(m->latest, i);
	model_pushed(m);
}

static void model_push_any(struct model *m)
{
	if (m->popped.n)
		model_push(m, model_random(m, 2) ? 0 : model_random(m, m->popped.n));
}

static void model_unpop(struct model *m, unsigned int n)
{
	unsigned int i;

	vhost_queue_unpop(model_queue(m), n);
	m->latest -= n;
	m->quota += n;
	for (i = 0; i < n; i++) {
		struct model_chain *c = list_take(&m->popped, m->popped.n - 1);

		m->taken -= model_width(m, c);
		list_put_first(&m->published, c);
	}
	/* What it has given back the device knows of without a kick. */
	if (n)
		m->waits = false;
}

static void model_flush(struct model *m)
{
	model_written(m);
	vhost_queue_flush(model_queue(m));
}

/*
 * Messages
 */

static void model_query(struct model *m, uint32_t request, const void *payload, uint32_t size,
			struct fe_msg *reply)
{
	const struct vu_header hdr = { request, VU_VERSION, size };

	model_check(m, !fe_send_raw(&m->s.fe, &hdr, payload, size, NULL, 0));
	model_run(m);
	model_check(m, !fe_recv_raw(&m->s.fe, reply));
}

static void model_start_ring(struct model *m)
{
	m->running = true;
	m->kicked = false;
	m->judged_once = m->waits = m->armed = m->disarmed = false;
	m->judged = m->used;
	/* What was signalled before the stop may have been lost. */
	m->signals++;
	model_check(m, !fe_start_ring(&m->s.fe, &m->ring));
	model_check(m, !fe_set_vring_enable(&m->s.fe, 0, true));
	model_run(m);
	/* What was available before comes with no kick of the driver's. */
	model_check(m, m->kicked);
}

/* Stop the ring; the device gives back or finishes what it has; and start it where it was. */
static void model_restart(struct model *m)
{
	const struct vu_vring_state state = { .index = 0 };
	const struct vu_header hdr = { VU_GET_VRING_BASE, VU_VERSION, sizeof(state) };
	unsigned int stops = m->stops;
	struct fe_msg reply;

	model_check(m, !fe_send_raw(&m->s.fe, &hdr, &state, sizeof(state), NULL, 0));
	model_run(m);
	model_check(m, m->stops == stops + 1);
	model_check(m, fe_recv_raw(&m->s.fe, &reply) == (m->popped.n ? -ETIMEDOUT : 0) ||
		    !m->popped.n);
	if (m->popped.n) {
		model_unpop(m, model_random(m, m->latest + 1));
		while (m->popped.n)
			model_push_any(m);
		model_run(m);
		model_check(m, !fe_recv_raw(&m->s.fe, &reply));
	}
	model_check(m, reply.u.state.num == fe_ring_get_base(&m->ring));
	model_check(m, m->taken == m->used);
	model_start_ring(m);
}

/*
 * A run
 */

static void model_step(struct model *m)
{
	unsigned int what = model_random(m, 64);

	if (!model_random(m, 256))
		model_add_many(m);
	else if (what < 16)
		model_add(m);
	else if (what < 22)
		model_publish(m);
	else if (what < 28)
		model_decide(m);
	else if (what < 36)
		model_get(m);
	else if (what < 39)
		model_wish(m);
	else if (what < 45)
		model_pop(m);
	else if (what < 53)
		model_push_any(m);
	else if (what < 55)
		model_unpop(m, model_random(m, m->latest + 1));
	else if (what < 57)
		model_flush(m);
	else if (what < 63 || model_random(m, 4))
		model_run(m);
	else
		model_restart(m);
}

/* Everything comes back in the end. */
static void model_finish(struct model *m)
{
	model_publish(m);
	model_decide(m);
	model_run(m);
	while (m->published.n) {
		model_pop(m);
		while (m->popped.n)
			model_push_any(m);
		model_run(m);
	}
	while (m->popped.n)
		model_push_any(m);
	model_run(m);
	while (m->done.n)
		model_get(m);
	model_check(m, !m->ring.outstanding && m->ring.num_free == m->size);
}

static void model_alloc(struct model *m)
{
	unsigned int i;

	for (i = 0; i < m->size; i++) {
		struct model_chain *c = &m->chains[i];

		c->out = fe_mem_alloc(&m->mem, CHAIN_BYTES, 1);
		c->in = fe_mem_alloc(&m->mem, CHAIN_BYTES, 1);
		c->table = fe_mem_alloc(&m->mem, 2 * SEGMENTS * sizeof(*c->table), 16);
		model_check(m, c->out && c->in && c->table);
		c->used = true;
	}
}

/* A base near the end of the count, where there is one. */
static uint32_t model_base(struct model *m)
{
	uint32_t base;

	if (!model_packed(m))
		return 65536 - model_random(m, 2 * m->size);
	base = model_random(m, m->size) | (model_random(m, 2) ? 0x8000 : 0);
	return base | base << 16;
}

static void model_start(struct model *m)
{
	const struct vhost_dev_params dev_params = {
		.queue_size_max = SIZE_MAX_, .flags = VHOST_DEV_IN_ORDER,
	};
	const struct fe_ring_params ring_params = {
		.size = m->size, .features = m->features,
		.indirect = m->features & F_INDIRECT ? 2 * SEGMENTS : 0,
		.base = model_base(m),
	};
	struct fe_msg reply;

	m->fd_count = stepped_count_fds();
	stepped_start(&m->s, &model_ops, &dev_params, m);
	stepped_connect(&m->s);
	model_check(m, !fe_mem_init(&m->mem, 0x100000, 1 << 20));
	model_check(m, !fe_ring_init(&m->ring, &m->mem, &ring_params));
	model_alloc(m);
	model_query(m, VU_GET_FEATURES, NULL, 0, &reply);
	model_check(m, !(m->features & ~reply.u.u64));
	model_check(m, !fe_set_features(&m->s.fe, m->features));
	model_check(m, !fe_set_mem_table(&m->s.fe, &m->mem));
	model_start_ring(m);
}

static void model_stop(struct model *m)
{
	stepped_stop(&m->s);
	fe_ring_free(&m->ring);
	fe_mem_free(&m->mem);
	model_check(m, stepped_count_fds() == m->fd_count);
}

struct shape {
	uint64_t features;
	unsigned int size;
};

static void model_one(const struct shape *shape, uint64_t seed)
{
	struct model *m = &model;
	unsigned int steps;

	memset(m, 0, sizeof(*m));
	m->size = shape->size;
	m->features = shape->features | F_BASE;
	m->seed = seed;
	m->random = seed * 2 + 1;
	/* The first numbers of neighbouring seeds are alike. */
	for (steps = 0; steps < 8; steps++)
		model_random(m, 1);
	model_start(m);
	steps = 20 + model_random(m, 20 + 8 * m->size);
	for (m->step = 1; m->step <= steps; m->step++)
		model_step(m);
	model_finish(m);
	model_stop(m);
}

static const unsigned int sizes[] = { 1, 2, 3, 8, 64, 256, 512 };

/* The i-th combination of features; all of them follow one another. */
static uint64_t features_of(unsigned int i)
{
	return (i & 1 ? F_EVENT_IDX : 0) | (i & 2 ? F_INDIRECT : 0) | (i & 4 ? F_IN_ORDER : 0);
}

#define COMBINATIONS 8

static void model_seeds(uint64_t format, unsigned int size)
{
	const char *only = getenv("LIBVHOST_SEED");
	unsigned int count = getenv("LIBVHOST_LONG") ? 5000 : TAP_TIMES(MAX(48u, 1000 / size));
	unsigned int i, seed;

	for (i = 0; i < COMBINATIONS; i++) {
		const struct shape shape = { format | features_of(i), size };

		if (only) {
			model_one(&shape, strtoull(only, NULL, 0));
			continue;
		}
		for (seed = 0; seed < count; seed++)
			model_one(&shape, seed);
	}
}

/*
 * proves: queue.one-signal, queue.suppressed, queue.fair, queue.used-length, split.interrupt,
 * split.used-event, split.avail-event, split.in-order, chain.indirect,
 * chain.indirect-after-direct, ring.stop-keeps-position, ring.stop-drains, ring.base-any
 */
START_TEST(split)
{
	if (is_power_of_2(sizes[_i]))
		model_seeds(0, sizes[_i]);
}
END_TEST

/*
 * proves: queue.one-signal, queue.suppressed, queue.fair, queue.used-length, packed.interrupt,
 * packed.kick, packed.in-order, packed.wrap, packed.chain, packed.any-size
 */
START_TEST(packed)
{
	model_seeds(F_PACKED, sizes[_i]);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("ring model");
	TCase *t = tcase_create("ring model");

	tcase_set_timeout(t, 1800);
	tcase_add_loop_test(t, split, 0, ARRAY_SIZE(sizes));
	tcase_add_loop_test(t, packed, 0, ARRAY_SIZE(sizes));
	suite_add_tcase(suite, t);
	return tap_main(suite);
}
