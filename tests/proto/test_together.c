/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * All features at once: a random sequence of messages while requests flow on two workers.
 *
 * A seed decides which features there are and what happens.  Some requests are kept by the device
 * for a round, so that messages find them outstanding.  Each must come back with the right bytes,
 * whatever was stopped, abandoned, invalidated, logged, replaced or cut off
 * meanwhile; in the end nothing is left.
 */
#include <errno.h>
#include <linux/virtio_config.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "frontend/fe_iommu.h"
#include "frontend/fe_migrate.h"
#include "tests/echo.h"
#include "tests/tap.h"
#include "util.h"

#define RINGS		3u
#define RING_SIZE	32u
#define REQUESTS	12u		/* of a ring */
#define PAGE		4096u
#define MEM_SIZE	(1u << 20)
#define IOVA		(UINT64_C(1) << 32)
#define SEEDS		16
#define STEPS		80u
#define DEADLINE_MS	20000

struct request {
	uint8_t *out, *in;		/* a page each */
	uint32_t len;
	bool busy;
	bool logged;			/* the log has been on since it was added */
};

struct world {
	struct echo e;
	char path[64];
	uint64_t random;
	uint64_t features;
	struct fe_mem mem;
	struct fe_iommu iommu;
	struct fe_inflight inflight;
	struct fe_log log;
	bool with_iommu, with_inflight, logging;
	bool more_memory;		/* region 1 is announced */
	struct fe_ring ring[RINGS], *list[RINGS];
	struct request requests[RINGS][REQUESTS];
	unsigned int done;
	uint8_t next;			/* contents of the next request */
};

static unsigned int world_random(struct world *w, unsigned int n)
{
	w->random = w->random * UINT64_C(6364136223846793005) + 1442695040888963407u;
	return (unsigned int)(w->random >> 33) % n;
}

/*
 * The device: a request of odd length is kept until the next round, or the stop
 */

static void device_finish(struct echo *e, unsigned int i)
{
	while (e->nheld[i])
		echo_complete(e, e->held[i][--e->nheld[i]]);
}

static void device_kick(struct vhost_queue *q)
{
	struct echo *e = vhost_queue_opaque(q);
	unsigned int i = vhost_queue_index(q);
	struct vhost_req *req;

	device_finish(e, i);
	while (vhost_queue_pop(q, &req, 1)) {
		if (req->out_len & 1)
			e->held[i][e->nheld[i]++] = req;
		else
			echo_complete(e, req);
	}
	if (e->nheld[i])
		vhost_queue_again(q);
}

static void device_stop(struct vhost_queue *q)
{
	device_finish(vhost_queue_opaque(q), vhost_queue_index(q));
}

static int device_save(struct vhost_dev *dev, void **buf, size_t *len)
{
	(void)dev;
	*len = 5;
	*buf = strdup("echo");
	return *buf ? 0 : -ENOMEM;
}

static int device_load(struct vhost_dev *dev, const void *buf, size_t len)
{
	(void)dev;
	return len == 5 && !memcmp(buf, "echo", 5) ? 0 : -EINVAL;
}

static void device_is(struct vhost_dev_ops *ops, struct vhost_dev_params *params)
{
	/* queue_cancel remains the echo device's, which abandons what is held. */
	ops->kick = device_kick;
	ops->queue_stop = device_stop;
	ops->save = device_save;
	ops->load = device_load;
	params->flags |= VHOST_DEV_IOMMU | VHOST_DEV_INBAND | VHOST_DEV_IN_ORDER;
}

/*
 * Requests
 */

static void world_add(struct world *w, unsigned int ring)
{
	unsigned int i, n = 1 + world_random(w, REQUESTS);

	for (i = 0; i < REQUESTS && n; i++) {
		struct request *r = &w->requests[ring][i];
		struct iovec out[2], in;

		if (r->busy)
			continue;
		n--;
		r->len = 2 + world_random(w, PAGE - 1);
		memset(r->out, w->next, r->len);
		memset(r->in, ~w->next++, r->len);
		out[0] = (struct iovec){ r->out, r->len / 2 };
		out[1] = (struct iovec){ r->out + r->len / 2, r->len - r->len / 2 };
		in = (struct iovec){ r->in, r->len };
		if (fe_ring_add(w->list[ring], out, 2, &in, 1, r) < 0)
			break;
		r->busy = true;
		r->logged = w->logging;
	}
	fe_ring_submit(w->list[ring]);
}

static void world_got(struct world *w, struct request *r, uint32_t len)
{
	ck_assert(r->busy);
	ck_assert_uint_eq(len, r->len);
	ck_assert_mem_eq(r->in, r->out, r->len);
	if (r->logged && w->logging)
		ck_assert(fe_log_is_dirty(&w->log, fe_mem_gpa(&w->mem, r->in, 1)));
	r->busy = false;
	w->done++;
}

static void world_get(struct world *w, unsigned int ring)
{
	uint32_t len;
	void *cookie;
	int ret;

	while ((ret = fe_ring_get(w->list[ring], &cookie, &len)) == 1)
		world_got(w, cookie, len);
	ck_assert_int_eq(ret, 0);
}

static bool world_busy(const struct world *w)
{
	unsigned int i, n = 0;

	for (i = 0; i < RINGS; i++)
		n += w->ring[i].outstanding;
	return n;
}

/* All that is outstanding comes back. */
static void world_wait(struct world *w)
{
	struct timespec now, start;
	unsigned int i;

	clock_gettime(CLOCK_MONOTONIC, &start);
	while (world_busy(w)) {
		for (i = 0; i < RINGS; i++) {
			if (w->with_iommu)
				ck_assert_int_ne(fe_iommu_serve(&w->e.fe, &w->iommu, 1), -EPROTO);
			if (w->ring[i].outstanding)
				fe_ring_wait(w->list[i], 1);
			world_get(w, i);
		}
		clock_gettime(CLOCK_MONOTONIC, &now);
		ck_assert_int_lt((now.tv_sec - start.tv_sec) * 1000, DEADLINE_MS);
	}
}

/*
 * What happens
 */

/* Everything that was taken has come back when the ring has stopped. */
static void step_restart(struct world *w, unsigned int ring)
{
	uint32_t base;

	ck_assert_int_eq(fe_stop_ring(&w->e.fe, w->list[ring], &base), 0);
	world_get(w, ring);
	ck_assert_int_eq(fe_start_ring(&w->e.fe, w->list[ring]), 0);
}

static void step_skip_drain(struct world *w, unsigned int ring)
{
	uint32_t base;

	ck_assert_int_eq(fe_get_vring_base_skip_drain(&w->e.fe, ring, &base), 0);
	world_get(w, ring);
	ck_assert_int_eq(fe_start_ring(&w->e.fe, w->list[ring]), 0);
}

static void step_disable(struct world *w, unsigned int ring)
{
	ck_assert_int_eq(fe_set_vring_enable(&w->e.fe, ring, false), 0);
	world_add(w, ring);
	ck_assert_int_eq(fe_set_vring_enable(&w->e.fe, ring, true), 0);
}

static void step_memory(struct world *w, unsigned int ring)
{
	const struct fe_region *more = &w->mem.regions[1];

	(void)ring;
	ck_assert_int_eq(w->more_memory ? fe_rem_mem_reg(&w->e.fe, more) :
					  fe_add_mem_reg(&w->e.fe, more), 0);
	w->more_memory = !w->more_memory;
}

static void step_log(struct world *w, unsigned int ring)
{
	unsigned int i;

	(void)ring;
	if (w->logging) {
		ck_assert_int_eq(fe_log_stop(&w->e.fe, w->list, RINGS), 0);
		w->logging = false;
		return;
	}
	fe_log_clear(&w->log);
	ck_assert_int_eq(fe_set_log_fd(&w->e.fe, w->ring[0].err_fd), 0);
	ck_assert_int_eq(fe_log_start(&w->e.fe, &w->log, w->list, RINGS), 0);
	w->logging = true;
	for (i = 0; i < REQUESTS * RINGS; i++)
		w->requests[i / REQUESTS][i % REQUESTS].logged = false;
}

static void step_invalidate(struct world *w, unsigned int ring)
{
	uint64_t page = world_random(w, MEM_SIZE / PAGE);

	(void)ring;
	if (w->with_iommu)
		ck_assert_int_eq(fe_iotlb_invalidate(&w->e.fe, IOVA + page * PAGE,
						     (1 + world_random(w, 64)) * PAGE), 0);
}

static void step_channel(struct world *w, unsigned int ring)
{
	(void)ring;
	ck_assert_int_eq(fe_set_backend_req_fd(&w->e.fe), 0);
}

static void step_fds(struct world *w, unsigned int ring)
{
	struct fe *fe = &w->e.fe;

	ck_assert_int_eq(fe_set_vring_call(fe, ring, w->ring[ring].call_fd), 0);
	ck_assert_int_eq(fe_set_vring_kick(fe, ring, w->ring[ring].kick_fd), 0);
}

static void step_kick(struct world *w, unsigned int ring)
{
	ck_assert_int_eq(fe_vring_kick(&w->e.fe, ring), 0);
}

static void world_start(struct world *w)
{
	unsigned int i;

	if (w->with_inflight && w->inflight.fd < 0)
		ck_assert_int_eq(fe_inflight_open(&w->e.fe, &w->inflight, RINGS, RING_SIZE), 0);
	else if (w->with_inflight)
		ck_assert_int_eq(fe_inflight_set(&w->e.fe, &w->inflight), 0);
	for (i = 0; i < RINGS; i++)
		ck_assert_int_eq(fe_start_ring(&w->e.fe, w->list[i]), 0);
	for (i = 0; i < RINGS; i++)
		ck_assert_int_eq(fe_set_vring_enable(&w->e.fe, i, true), 0);
}

static void world_stop_rings(struct world *w)
{
	unsigned int i;

	for (i = 0; i < RINGS; i++) {
		ck_assert_int_eq(fe_stop_ring(&w->e.fe, w->list[i], NULL), 0);
		world_get(w, i);
	}
}

static void step_state(struct world *w, unsigned int ring)
{
	size_t len;
	void *buf;

	(void)ring;
	world_stop_rings(w);
	ck_assert_int_eq(fe_state_save(&w->e.fe, &buf, &len), 0);
	ck_assert_int_eq(fe_state_load(&w->e.fe, buf, len), 0);
	free(buf);
	world_start(w);
}

static void step_reset(struct world *w, unsigned int ring)
{
	unsigned int i;

	(void)ring;
	ck_assert_int_eq(fe_reset_device(&w->e.fe), 0);
	w->logging = false;
	for (i = 0; i < RINGS; i++)
		world_get(w, i);
	ck_assert_int_eq(fe_set_features(&w->e.fe, w->e.fe.features), 0);
	world_start(w);
}

static void world_negotiate(struct world *w)
{
	ck_assert_int_eq(fe_negotiate(&w->e.fe, w->features, ~UINT64_C(0)), 0);
	ck_assert_uint_eq(w->e.fe.features, w->features);
	ck_assert_int_eq(fe_set_features(&w->e.fe, w->features), 0);
}

/* Another front-end goes on with what this one has left. */
static void step_reconnect(struct world *w, unsigned int ring)
{
	unsigned int downs = atomic_load(&w->e.downs), i;

	(void)ring;
	fe_close(&w->e.fe);
	echo_wait(&w->e.downs, downs + 1);
	w->logging = w->more_memory = false;
	for (i = 0; i < RINGS; i++)
		world_get(w, i);
	ck_assert_int_eq(fe_connect(&w->e.fe, w->path), 0);
	world_negotiate(w);
	ck_assert_int_eq(fe_add_mem_reg(&w->e.fe, &w->mem.regions[0]), 0);
	world_start(w);
}

static void (*const steps[])(struct world *w, unsigned int ring) = {
	step_restart, step_skip_drain, step_disable, step_memory, step_log, step_invalidate,
	step_invalidate, step_channel, step_fds, step_kick, step_state, step_reset,
	step_reconnect,
};

/*
 * A run
 */

static void world_memory(struct world *w)
{
	const struct fe_region_params more = { .gpa = UINT64_C(1) << 30, .size = PAGE };

	ck_assert_int_eq(fe_mem_init(&w->mem, 0, MEM_SIZE), 0);
	ck_assert_int_eq(fe_mem_add(&w->mem, &more), 1);
	ck_assert_int_eq(fe_iommu_map_region(&w->iommu, &w->mem, 0, IOVA), 0);
	ck_assert_int_eq(fe_log_init(&w->log, MEM_SIZE, 0), 0);
	w->iommu.granule = PAGE;
}

static void world_rings(struct world *w)
{
	unsigned int i, k;

	for (i = 0; i < RINGS; i++) {
		const struct fe_ring_params params = {
			.index = i, .size = RING_SIZE, .features = w->features,
			.indirect = w->features & FE_BIT(VIRTIO_RING_F_INDIRECT_DESC) ? 4 : 0,
			.iommu = w->with_iommu ? &w->iommu : NULL,
		};

		ck_assert_int_eq(fe_ring_init(&w->ring[i], &w->mem, &params), 0);
		w->list[i] = &w->ring[i];
		for (k = 0; k < REQUESTS; k++) {
			w->requests[i][k].out = fe_mem_alloc_in(&w->mem, 0, PAGE, PAGE);
			w->requests[i][k].in = fe_mem_alloc_in(&w->mem, 0, PAGE, PAGE);
		}
	}
}

static void world_up(struct world *w, unsigned int seed)
{
	static const uint64_t optional[] = {
		FE_BIT(VIRTIO_F_RING_PACKED), FE_BIT(VIRTIO_F_ACCESS_PLATFORM),
		FE_BIT(VIRTIO_F_IN_ORDER), FE_BIT(VIRTIO_RING_F_INDIRECT_DESC),
		FE_BIT(VIRTIO_RING_F_EVENT_IDX),
	};
	unsigned int i;

	memset(w, 0, sizeof(*w));
	w->random = seed;
	w->features = FE_BIT(VU_F_PROTOCOL_FEATURES) | FE_BIT(VIRTIO_F_VERSION_1);
	/* The first two by turns, the others at random. */
	for (i = 0; i < ARRAY_SIZE(optional); i++)
		w->features |= (i < 2 ? seed >> i & 1 : world_random(w, 2)) ? optional[i] : 0;
	w->with_iommu = w->features & FE_BIT(VIRTIO_F_ACCESS_PLATFORM);
	w->with_inflight = world_random(w, 3);
	w->inflight = FE_INFLIGHT_NONE;
	snprintf(w->path, sizeof(w->path), "/tmp/libvhost-together-%d.sock", (int)getpid());
	echo_start_listen(&w->e, 2, w->path, device_is);
	world_memory(w);
	world_rings(w);
	world_negotiate(w);
	ck_assert_int_eq(fe_add_mem_reg(&w->e.fe, &w->mem.regions[0]), 0);
	world_start(w);
}

static void world_down(struct world *w)
{
	unsigned int i;

	for (i = 0; i < RINGS; i++)
		fe_ring_free(&w->ring[i]);
	fe_inflight_free(&w->inflight);
	fe_iommu_free(&w->iommu);
	fe_log_free(&w->log);
	fe_mem_free(&w->mem);
	unlink(w->path);
}

START_TEST(all_at_once)
{
	static struct world w;
	unsigned int i, ring;
	int fds = echo_count_fds();

	world_up(&w, (unsigned int)_i);
	for (i = 0; i < TAP_TIMES(STEPS); i++) {
		unsigned int step = world_random(&w, ARRAY_SIZE(steps));

		for (ring = 0; ring < RINGS; ring++) {
			world_get(&w, ring);
			world_add(&w, ring);
		}
		if (getenv("LIBVHOST_TEST_DEBUG"))
			printf("# step %u: %u\n", i, step);
		steps[step](&w, world_random(&w, RINGS));
		if (!world_random(&w, 4))
			world_wait(&w);
	}
	world_wait(&w);
	printf("# seed %d: %u requests\n", _i, w.done);
	/* Some are outstanding when all ends. */
	for (ring = 0; ring < RINGS; ring++)
		world_add(&w, ring);
	fe_close(&w.e.fe);
	world_down(&w);
	echo_stop(&w.e);
	ck_assert_int_eq(echo_count_fds(), fds);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("together");
	TCase *tc = tcase_create("together");

	tcase_set_timeout(tc, 120);
	tcase_add_loop_test(tc, all_at_once, 0, SEEDS);
	suite_add_tcase(suite, tc);
	return tap_main(suite);
}
