/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A ring between two threads: a driver which really sleeps until it is signalled, and a device
 * which really sleeps until it is kicked.
 *
 * A notification which is lost shows up as a wait that meets its deadline; a barrier which is
 * missing as wrong bytes, or as a finding of the thread sanitizer.  For the sake of the latter
 * the queue is configured by hand so that it uses the driver's own mapping of guest memory, at the
 * same addresses.
 *
 * Sleeping threads seldom meet within the few nanoseconds in which a notification can be lost.  So
 * a second test has both sides of the bare ring meet there again and again: one makes something
 * known and reads the other's wish, while the other writes its wish and looks once more.
 * Whatever the order, one of them must have noticed.
 */
#include <inttypes.h>
#include <linux/virtio_config.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/frontend.h"
#include "queue.h"
#include "tests/tap.h"
#include "util.h"

#define F_PACKED	FE_BIT(VIRTIO_F_RING_PACKED)
#define F_EVENT_IDX	FE_BIT(VIRTIO_RING_F_EVENT_IDX)
#define F_INDIRECT	FE_BIT(VIRTIO_RING_F_INDIRECT_DESC)
#define F_IN_ORDER	FE_BIT(VIRTIO_F_IN_ORDER)

#define SIZE_MAX_	64u
#define BYTES		48u		/* of a request, each way */
#define REQUESTS	4000u		/* of each shape */
#define REQUESTS_LONG	2000000u
#define KEEP_MAX	8u

struct shape {
	uint64_t features;
	unsigned int size;
	unsigned int poll_usec;		/* the worker's */
};

/* A request of the driver's. */
struct stress_slot {
	uint8_t *out, *in;		/* guest memory, BYTES each */
	uint64_t seq;
	bool busy;
};

struct stress {
	struct vhost_queue queue;
	struct vhost_worker *worker;
	struct mem_map *map;
	struct log_limit log_limit;
	struct fe_mem mem;
	struct fe_ring ring;
	const struct shape *shape;

	/* the worker's */
	uint32_t device_random;
	struct vhost_req *kept[KEEP_MAX];
	unsigned int nkept;

	/* the driver's */
	uint32_t driver_random;
	struct stress_slot slots[SIZE_MAX_];
	uint64_t seq;
};

/* A multiplicative generator; each thread has its own. */
static uint32_t stress_random(uint32_t *state, uint32_t below)
{
	*state = *state * 1664525 + 1013904223;
	return (*state >> 8) % below;
}

/* Take a little time, to meet the other side at other moments. */
static void stress_dally(uint32_t *state)
{
	volatile unsigned int i;
	unsigned int n = stress_random(state, 8) ? 0 : stress_random(state, 3000);

	for (i = 0; i < n; i++)
		;
}

/*
 * The device
 */

static void stress_complete(struct vhost_req *req)
{
	uint8_t buf[BYTES];
	size_t n = vhost_req_read(req, 0, buf, sizeof(buf)), i;

	for (i = 0; i < n; i++)
		buf[i] ^= 0xff;
	vhost_req_push(req, vhost_req_write(req, 0, buf, n));
}

/* Finish what is kept, in some order. */
static void stress_release(struct stress *t)
{
	while (t->nkept) {
		unsigned int i = stress_random(&t->device_random, t->nkept);
		struct vhost_req *req = t->kept[i];

		t->kept[i] = t->kept[--t->nkept];
		stress_complete(req);
	}
}

static void stress_kick(struct vhost_queue *q)
{
	struct stress *t = container_of(q, struct stress, queue);
	struct vhost_req *reqs[KEEP_MAX];
	unsigned int want, n, i;

	stress_release(t);
	do {
		want = 1 + stress_random(&t->device_random, KEEP_MAX);
		n = vhost_queue_pop(q, reqs, want);
		if (n && !stress_random(&t->device_random, 16)) {
			vhost_queue_unpop(q, 1);
			n--;
			want = 0;	/* there is more */
		}
		for (i = 0; i < n; i++) {
			if (t->nkept < KEEP_MAX && !stress_random(&t->device_random, 8))
				t->kept[t->nkept++] = reqs[i];
			else
				stress_complete(reqs[i]);
		}
		if (!stress_random(&t->device_random, 8))
			vhost_queue_flush(q);
		stress_dally(&t->device_random);
	} while (n >= want);
	/* Nobody else would come back to these. */
	if (t->nkept)
		vhost_queue_again(q);
}

static const struct vhost_dev_ops stress_ops = { .kick = stress_kick };

/* One region, at the addresses where the driver has it; the last hold is never dropped. */
static struct mem_map *stress_map(const struct fe_mem *mem)
{
	struct mem_map *map = calloc(1, sizeof(*map) + sizeof(map->spans[0]));

	ck_assert_ptr_nonnull(map);
	atomic_init(&map->refs, 1);
	map->count = 1;
	map->spans[0] = (struct mem_span){
		mem->regions[0].gpa, mem->regions[0].size, mem->regions[0].ptr,
	};
	return map;
}

static void stress_changed(struct queue_change *change)
{
	ck_assert_int_eq(change->result, 0);
}

/* On the worker: what the control worker would have sent. */
static void stress_queue_start(void *arg)
{
	struct stress *t = arg;

	t->queue.change.next = (struct queue_conf){
		.live = true,
		.enabled = true,
		.ops = t->ring.features & F_PACKED ? &packed_ops : &split_ops,
		.ring = {
			.desc = t->ring.desc_area,
			.driver = t->ring.driver_area,
			.device = t->ring.device_area,
			.num = t->ring.size,
			.base = fe_ring_get_base(&t->ring),
			.event_idx = t->ring.features & F_EVENT_IDX,
			.indirect = t->ring.features & F_INDIRECT,
		},
		.in_order = t->ring.features & F_IN_ORDER,
		.map = t->map,
		.kick_fd = t->ring.kick_fd,
		.call_fd = t->ring.call_fd,
		.err_fd = t->ring.err_fd,
	};
	vhost_worker_set_poll(t->worker, t->shape->poll_usec);
	queue_change(&t->queue, stress_changed);
}

static void stress_queue_stop(void *arg)
{
	struct stress *t = arg;

	stress_release(t);
	t->queue.change.next = (struct queue_conf){ .kick_fd = -1, .call_fd = -1, .err_fd = -1 };
	queue_change(&t->queue, stress_changed);
}

static void stress_start(struct stress *t, const struct shape *shape)
{
	const struct queue_params params = {
		.ops = &stress_ops, .name = "stress", .log_limit = &t->log_limit,
	};
	const struct fe_ring_params ring = {
		.size = shape->size, .features = shape->features,
		.indirect = shape->features & F_INDIRECT ? 8 : 0,
		.base = shape->features & F_PACKED ? 0 : 65500,
	};
	unsigned int i;

	memset(t, 0, sizeof(*t));
	log_limit_init(&t->log_limit);
	t->shape = shape;
	t->device_random = t->driver_random = shape->size;
	ck_assert_int_eq(fe_mem_init(&t->mem, 0x100000, 1 << 20), 0);
	ck_assert_int_eq(fe_ring_init(&t->ring, &t->mem, &ring), 0);
	for (i = 0; i < shape->size; i++) {
		t->slots[i].out = fe_mem_alloc(&t->mem, BYTES, 1);
		t->slots[i].in = fe_mem_alloc(&t->mem, BYTES, 1);
	}
	t->map = stress_map(&t->mem);
	ck_assert_int_eq(vhost_worker_new(&t->worker, NULL), 0);
	queue_init(&t->queue, &params);
	t->queue.worker = t->queue.control = t->worker;
	ck_assert_int_eq(vhost_worker_start(t->worker, "stress"), 0);
	vhost_worker_call(t->worker, stress_queue_start, t);
}

static void stress_stop(struct stress *t)
{
	vhost_worker_call(t->worker, stress_queue_stop, t);
	vhost_worker_stop(t->worker);
	ck_assert(!t->queue.conf.live);
	vhost_worker_free(t->worker);
	log_limit_exit(&t->log_limit);
	free(t->map);
	fe_ring_free(&t->ring);
	fe_mem_free(&t->mem);
}

/*
 * The driver
 */

static struct stress_slot *stress_free_slot(struct stress *t)
{
	unsigned int i;

	for (i = 0; i < t->shape->size && t->slots[i].busy; i++)
		;
	return i < t->shape->size ? &t->slots[i] : NULL;
}

static uint8_t stress_byte(uint64_t seq, unsigned int i)
{
	return (uint8_t)(seq * 7 + i);
}

/* False: there is no room. */
static bool stress_add(struct stress *t)
{
	struct stress_slot *s = stress_free_slot(t);
	unsigned int cut = stress_random(&t->driver_random, BYTES), i;
	struct iovec out[2], in;

	if (!s)
		return false;
	for (i = 0; i < BYTES; i++)
		s->out[i] = stress_byte(t->seq, i);
	memset(s->in, 0, BYTES);
	out[0] = (struct iovec){ s->out, cut };
	out[1] = (struct iovec){ s->out + cut, BYTES - cut };
	in = (struct iovec){ s->in, BYTES };
	/* A short chain now and then fits where a longer one does not. */
	if (cut < 8)
		out[0].iov_len = BYTES;
	t->ring.indirect = stress_random(&t->driver_random, 2) ? t->ring.table_len : 0;
	if (t->ring.size < 3)
		t->ring.indirect = t->ring.table_len;
	if (fe_ring_add(&t->ring, out, cut < 8 ? 1 : 2, &in, 1, s) < 0)
		return false;
	s->seq = t->seq++;
	s->busy = true;
	return true;
}

static void stress_get(struct stress *t)
{
	struct stress_slot *s;
	unsigned int i;
	uint32_t len;
	void *cookie;

	ck_assert_int_eq(fe_ring_get(&t->ring, &cookie, &len), 1);
	s = cookie;
	ck_assert_uint_eq(len, BYTES);
	for (i = 0; i < BYTES; i++)
		ck_assert_uint_eq(s->in[i], (uint8_t)~stress_byte(s->seq, i));
	s->busy = false;
}

/* Wait until at most left are outstanding, sleeping whenever there is nothing to get. */
static void stress_wait(struct stress *t, unsigned int left)
{
	int err;

	while (t->ring.outstanding > left) {
		if (!fe_ring_ready(&t->ring)) {
			err = fe_ring_wait(&t->ring, FE_TIMEOUT_MS);
			ck_assert_msg(!err, "after %" PRIu64 " requests: %s", t->seq,
				      strerrorname_np(-err));
		}
		if (stress_random(&t->driver_random, 2))
			fe_ring_irq_off(&t->ring);
		stress_get(t);
	}
}

/* Some requests, in some batches, and then wait for some of them. */
static void stress_burst(struct stress *t)
{
	unsigned int n = 1 + stress_random(&t->driver_random,
					   stress_random(&t->driver_random, 2) ? 2 : t->shape->size);

	while (n-- && stress_add(t)) {
		if (stress_random(&t->driver_random, 2))
			continue;
		fe_ring_submit(&t->ring);
		stress_dally(&t->driver_random);
	}
	fe_ring_submit(&t->ring);
	stress_wait(t, stress_random(&t->driver_random, 2) ? 0 :
		       stress_random(&t->driver_random, t->ring.outstanding + 1));
	stress_dally(&t->driver_random);
}

/*
 * Races.  The two threads go in step: each waits for the other's count before it goes on.
 */

#define RACES		40000u
#define RACES_LONG	5000000u

struct race {
	struct fe_mem mem;
	struct fe_ring driver;
	struct mem_map *map;
	struct ring device;
	struct ring_req req;
	struct chain_env env;
	atomic_uint driver_step, device_step;
	unsigned int rounds;
	/* the device's findings, valid when its step is done */
	bool awake;			/* it found something when it had asked for a kick */
	bool signals;			/* it sends a signal */
	const char *why;		/* what it finds wrong */
};

/* Behind it the other side is at step n too. */
static void race_meet(atomic_uint *mine, atomic_uint *other, unsigned int n)
{
	unsigned int spins = 0;

	atomic_store_explicit(mine, n, memory_order_release);
	while (atomic_load_explicit(other, memory_order_acquire) < n) {
		if (++spins % 1000 == 0)
			sched_yield();
	}
}

static void race_dally(uint32_t *random)
{
	volatile unsigned int i;

	for (i = stress_random(random, 1 + stress_random(random, 400)); i; i--)
		;
}

static void *race_device(void *arg)
{
	struct race *race = arg;
	struct ring *r = &race->device;
	struct ring_req *req = &race->req;
	uint32_t random = 1;
	unsigned int n, step = 0;

	for (n = 0; n < race->rounds; n++) {
		r->ops->disarm(r);
		race_meet(&race->device_step, &race->driver_step, ++step);
		race_dally(&random);
		race->awake = r->ops->arm(r);
		race_meet(&race->device_step, &race->driver_step, ++step);
		if (r->ops->avail(r, 1) != 1)
			race->why = "no chain";
		else if (n % 2 == 0)
			race->why = r->ops->take(r, &req->chain, &race->env, &req->elem);
		else if (r->ops->take_usual(r, &req + 1, &race->env, 1) != 1)
			race->why = "no usual chain";
		race_meet(&race->device_step, &race->driver_step, ++step);
		race_dally(&random);
		r->ops->publish(r, &req->elem, 1);
		race->signals = r->ops->signal_needed(r);
		race_meet(&race->device_step, &race->driver_step, ++step);
	}
	return NULL;
}

static void race_driver(struct race *race)
{
	struct fe_ring *ring = &race->driver;
	struct iovec out = { ring->mem->regions[0].ptr, 8 };
	unsigned int n, step = 0, kicks = 0, signals = 0;
	uint32_t random = 2, len;
	bool kick, ready;
	void *cookie;

	for (n = 0; n < race->rounds; n++) {
		ck_assert_int_ge(fe_ring_add(ring, &out, 1, NULL, 0, race), 0);
		race_meet(&race->driver_step, &race->device_step, ++step);
		race_dally(&random);
		fe_ring_publish(ring);
		kick = fe_ring_kick_needed(ring);
		race_meet(&race->driver_step, &race->device_step, ++step);
		ck_assert_msg(kick || race->awake, "round %u: the device sleeps and is not kicked", n);
		kicks += kick;
		fe_ring_irq_off(ring);
		race_meet(&race->driver_step, &race->device_step, ++step);
		ck_assert_msg(!race->why, "round %u: %s", n, race->why);
		race_dally(&random);
		ready = fe_ring_irq_on(ring);
		race_meet(&race->driver_step, &race->device_step, ++step);
		ck_assert_msg(ready || race->signals, "round %u: no signal for a driver which waits", n);
		signals += race->signals;
		ck_assert_int_eq(fe_ring_get(ring, &cookie, &len), 1);
	}
	/* They have really met: neither was always first. */
	printf("# %u kicks and %u signals in %u rounds\n", kicks, signals, race->rounds);
}

static void race_setup(struct race *race, const struct shape *shape)
{
	const struct fe_ring_params params = {
		.size = shape->size, .features = shape->features,
	};

	memset(race, 0, sizeof(*race));
	race->rounds = getenv("LIBVHOST_LONG") ? RACES_LONG : TAP_TIMES(RACES);
	ck_assert_int_eq(fe_mem_init(&race->mem, 0x100000, 1 << 16), 0);
	ck_assert_ptr_nonnull(fe_mem_alloc(&race->mem, 64, 64));
	ck_assert_int_eq(fe_ring_init(&race->driver, &race->mem, &params), 0);
	race->map = stress_map(&race->mem);
	chain_init(&race->req.chain);
	race->env = (struct chain_env){ .map = race->map, .direct_max = shape->size };
	race->device.conf = (struct ring_conf){
		.desc = race->driver.desc_area,
		.driver = race->driver.driver_area,
		.device = race->driver.device_area,
		.num = shape->size,
		.base = shape->features & F_PACKED ? RING_PACKED_BASE : 0,
		.event_idx = shape->features & F_EVENT_IDX,
	};
	race->device.ops = shape->features & F_PACKED ? &packed_ops : &split_ops;
	ck_assert_ptr_null(race->device.ops->start(&race->device));
}

static const struct shape race_shapes[] = {
	{ 0, 4, 0 }, { F_EVENT_IDX, 4, 0 }, { F_PACKED, 3, 0 }, { F_PACKED | F_EVENT_IDX, 3, 0 },
};

/* proves: queue.no-lost-kick */
START_TEST(meet)
{
	static struct race race;
	pthread_t thread;

	race_setup(&race, &race_shapes[_i]);
	ck_assert_int_eq(pthread_create(&thread, NULL, race_device, &race), 0);
	race_driver(&race);
	pthread_join(thread, NULL);
	chain_free(&race.req.chain);
	free(race.map);
	fe_ring_free(&race.driver);
	fe_mem_free(&race.mem);
}
END_TEST

static const struct shape shapes[] = {
	{ F_INDIRECT, 1, 0 },
	{ F_INDIRECT, 8, 0 },
	{ F_INDIRECT | F_EVENT_IDX, 2, 0 },
	{ F_INDIRECT | F_EVENT_IDX, 64, 0 },
	{ F_EVENT_IDX | F_IN_ORDER, 16, 0 },
	{ F_INDIRECT | F_EVENT_IDX, 16, 20 },
	{ F_INDIRECT, 16, 20 },
	{ F_PACKED | F_INDIRECT, 1, 0 },
	{ F_PACKED | F_INDIRECT, 8, 0 },
	{ F_PACKED | F_INDIRECT | F_EVENT_IDX, 3, 0 },
	{ F_PACKED | F_INDIRECT | F_EVENT_IDX, 64, 0 },
	{ F_PACKED | F_EVENT_IDX | F_IN_ORDER, 16, 0 },
	{ F_PACKED | F_INDIRECT | F_EVENT_IDX, 13, 20 },
};

/* proves: queue.no-lost-kick */
START_TEST(stress)
{
	uint64_t requests = getenv("LIBVHOST_LONG") ? REQUESTS_LONG : TAP_TIMES(REQUESTS);
	static struct stress t;

	stress_start(&t, &shapes[_i]);
	while (t.seq < requests)
		stress_burst(&t);
	stress_wait(&t, 0);
	stress_stop(&t);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("ring stress");
	TCase *tc = tcase_create("ring stress");

	tcase_set_timeout(tc, 1800);
	tcase_add_loop_test(tc, stress, 0, ARRAY_SIZE(shapes));
	tcase_add_loop_test(tc, meet, 0, ARRAY_SIZE(race_shapes));
	suite_add_tcase(suite, tc);
	return tap_main(suite);
}
