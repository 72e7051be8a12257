/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * In-flight tracking of rings: what is marked, stopping without a drain, and memory which the
 * front-end spoils.
 *
 * Tests run with 0, 1 and 2 workers for the queues, in both formats.
 */
#include <errno.h>
#include <linux/virtio_config.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/proto/inflight.h"
#include "tests/tap.h"
#include "util.h"

/* Loops: workers, and format. */
#define CASES 6
#define WORKERS(i) ((unsigned int)(i) % 3)
#define FORMAT(i) ((i) / 3 ? FE_BIT(VIRTIO_F_RING_PACKED) : 0)

struct tracked {
	struct echo e;
	struct echo_rings r;
	struct vu_inflight v;
	int fd;				/* of the in-flight memory */
	uint8_t *region;		/* ours */
	size_t stride;			/* from queue to queue */
	bool packed;
};

static void tracked_rings(struct tracked *t, unsigned int n)
{
	unsigned int i;

	ck_assert_int_eq(fe_mem_init(&t->r.mem, 0, 1 << 20), 0);
	for (i = 0; i < n; i++) {
		const struct fe_ring_params params = {
			.index = i,
			.size = SIZE,
			.features = t->e.fe.features,
			.base = t->packed ? FE_PACKED_BASE : 0,
		};

		ck_assert_int_eq(fe_ring_init(&t->r.ring[i], &t->r.mem, &params), 0);
		t->r.list[i] = &t->r.ring[i];
	}
	t->r.n = n;
}

static void tracked_region(struct tracked *t, unsigned int n)
{
	t->v = (struct vu_inflight){ .num_queues = (uint16_t)n, .queue_size = SIZE };
	ck_assert_int_eq(fe_get_inflight_fd(&t->e.fe, &t->v, &t->fd), 0);
	ck_assert_int_eq(fe_set_inflight_fd(&t->e.fe, &t->v, t->fd), 0);
	t->region = mmap(NULL, t->v.mmap_size, PROT_READ | PROT_WRITE, MAP_SHARED, t->fd, 0);
	ck_assert_ptr_ne(t->region, MAP_FAILED);
	t->stride = t->v.mmap_size / n;
}

/* n rings run; with in-flight memory, unless regions is 0. */
static void tracked_up(struct tracked *t, int i, unsigned int n, unsigned int regions,
		       uint64_t features)
{
	memset(t, 0, sizeof(*t));
	t->packed = FORMAT(i);
	t->fd = -1;
	echo_start(&t->e, WORKERS(i), FLAGS | VHOST_DEV_IN_ORDER);
	ck_assert_int_eq(fe_negotiate(&t->e.fe, FEATURES | FORMAT(i) | features, ALL), 0);
	ck_assert_uint_eq(t->e.fe.features & features, features);
	ck_assert_int_eq(fe_set_features(&t->e.fe, t->e.fe.features), 0);
	tracked_rings(t, n);
	if (regions)
		tracked_region(t, regions);
	ck_assert_int_eq(fe_start(&t->e.fe, &t->r.mem, t->r.list, n), 0);
}

static void tracked_down(struct tracked *t)
{
	if (t->region)
		munmap(t->region, t->v.mmap_size);
	if (t->fd >= 0)
		close(t->fd);
	echo_down(&t->e, &t->r);
	echo_stop(&t->e);
}

/* Add n requests which the device keeps. */
static void hold(struct tracked *t, unsigned int n)
{
	struct fe_ring *ring = &t->r.ring[0];
	unsigned int popped = atomic_load(&t->e.popped), i;

	atomic_store(&t->e.hold, true);
	for (i = 0; i < n; i++) {
		uint8_t *buf = fe_mem_alloc(&t->r.mem, 16, 8);
		struct iovec out = { buf, 8 }, in = { buf + 8, 8 };

		ck_assert_int_ge(fe_ring_add(ring, &out, 1, &in, 1, buf), 0);
	}
	fe_ring_submit(ring);
	echo_wait(&t->e.popped, popped + n);
}

/* Marks in the memory of queue 0. */
static unsigned int marks(const struct tracked *t)
{
	unsigned int i, n = 0;

	for (i = 0; i < SIZE; i++)
		n += t->region[t->packed ? 32 + 32 * i : 16 + 16 * i] == 1;
	return n;
}

/* n requests come back, in any order, each once. */
static void get_back(struct tracked *t, unsigned int n)
{
	struct fe_ring *ring = &t->r.ring[0];
	void *cookie;
	uint32_t len;

	while (n--) {
		ck_assert_int_eq(fe_ring_wait(ring, FE_TIMEOUT_MS), 0);
		ck_assert_int_eq(fe_ring_get(ring, &cookie, &len), 1);
		ck_assert_uint_eq(len, 8);
	}
	ck_assert(!fe_ring_ready(ring));
}

/* proves: SET_INFLIGHT_FD, PROTOCOL_F_INFLIGHT_SHMFD */
START_TEST(requests_are_marked_while_they_are_out)
{
	struct tracked t;

	tracked_up(&t, _i, 2, 2, 0);
	hold(&t, 3);
	ck_assert_uint_eq(marks(&t), 3);
	echo_release(&t.e, 0);
	get_back(&t, 3);
	ck_assert_int_eq(fe_stop(&t.e.fe, t.r.list, 2), 0);
	ck_assert_uint_eq(marks(&t), 0);
	ck_assert_uint_eq(atomic_load(&t.e.cancels), 0);
	tracked_down(&t);
}
END_TEST

/* proves: inflight.while-running, reply.own-error */
START_TEST(no_new_memory_while_rings_run)
{
	struct vu_inflight v;
	struct fe_msg reply;
	struct tracked t;

	tracked_up(&t, _i, 1, 1, 0);
	v = t.v;
	ck_assert_int_eq(fe_set_inflight_fd(&t.e.fe, &t.v, t.fd), -EIO);
	ck_assert_int_eq(fe_query(&t.e.fe, VU_GET_INFLIGHT_FD, &v, sizeof(v), NULL, 0, &reply), 0);
	ck_assert_uint_eq(reply.u.inflight.mmap_size, 0);
	ck_assert_uint_eq(reply.nfds, 0);
	echo_check(&t.r.ring[0], 10);
	ck_assert_int_eq(fe_stop(&t.e.fe, t.r.list, 1), 0);
	ck_assert_int_eq(fe_set_inflight_fd(&t.e.fe, &t.v, t.fd), 0);
	tracked_down(&t);
}
END_TEST

/* proves: inflight.fits */
START_TEST(a_ring_must_fit_into_the_memory)
{
	struct tracked t;

	tracked_up(&t, _i, 1, 1, 0);
	ck_assert_int_eq(fe_stop(&t.e.fe, t.r.list, 1), 0);
	t.v.queue_size = SIZE / 2;
	ck_assert_int_eq(ftruncate(t.fd, 0), -1);
	memset(t.region, 0, t.v.mmap_size);
	ck_assert_int_eq(fe_set_inflight_fd(&t.e.fe, &t.v, t.fd), 0);
	ck_assert_int_eq(fe_start_ring(&t.e.fe, &t.r.ring[0]), -EIO);
	t.v.queue_size = SIZE;
	ck_assert_int_eq(fe_set_inflight_fd(&t.e.fe, &t.v, t.fd), 0);
	ck_assert_int_eq(fe_start_ring(&t.e.fe, &t.r.ring[0]), 0);
	tracked_down(&t);
}
END_TEST

/* proves: inflight.fits */
START_TEST(memory_of_the_other_format)
{
	const struct vu_inflight v = { .mmap_size = FILE_SIZE, .num_queues = 1,
				       .queue_size = SIZE };
	const uint64_t packed = FE_BIT(VIRTIO_F_RING_PACKED);
	int fd = new_file(FILE_SIZE);
	struct tracked t;

	tracked_up(&t, _i, 1, 0, 0);
	ck_assert_int_eq(fe_stop(&t.e.fe, t.r.list, 1), 0);
	ck_assert_int_eq(fe_set_features(&t.e.fe, t.e.fe.features ^ packed), 0);
	ck_assert_int_eq(fe_set_inflight_fd(&t.e.fe, &v, fd), 0);
	ck_assert_int_eq(fe_set_features(&t.e.fe, t.e.fe.features ^ packed), 0);
	ck_assert_int_eq(fe_start_ring(&t.e.fe, &t.r.ring[0]), -EIO);
	ck_assert_int_eq(fe_set_inflight_fd(&t.e.fe, &v, fd), 0);
	ck_assert_int_eq(fe_start_ring(&t.e.fe, &t.r.ring[0]), 0);
	tracked_down(&t);
	close(fd);
}
END_TEST

/* proves: inflight.base */
START_TEST(a_ring_reset_begins_anew)
{
	struct tracked t;
	int i;

	tracked_up(&t, _i, 1, 1, 0);
	for (i = 0; i < 21; i++)
		echo_check(&t.r.ring[0], 10);
	ck_assert_int_eq(fe_stop(&t.e.fe, t.r.list, 1), 0);
	fe_ring_reset(&t.r.ring[0], t.packed ? FE_PACKED_BASE : 0);
	ck_assert_int_eq(fe_start_ring(&t.e.fe, &t.r.ring[0]), 0);
	ck_assert_int_eq(fe_set_vring_enable(&t.e.fe, 0, true), 0);
	for (i = 0; i < 21; i++)
		echo_check(&t.r.ring[0], 10);
	tracked_down(&t);
}
END_TEST

/*
 * Stopping without a drain
 */

static const struct vu_header skip_hdr = { VU_GET_VRING_BASE_SKIP_DRAIN, VU_VERSION, 8 };

/* How far base is ahead of what has been used. */
static unsigned int ahead_of_used(const struct tracked *t, uint32_t base)
{
	uint32_t used = fe_ring_get_base(&t->r.ring[0]);
	int n;

	if (!t->packed)
		return (uint16_t)(base - used);
	n = (int)(base & 0x7fff) - (int)(used & 0x7fff);
	return (unsigned int)((base ^ used) & 0x8000 ? n + (int)SIZE : n);
}

static void start_again(struct tracked *t)
{
	ck_assert_int_eq(fe_start_ring(&t->e.fe, &t->r.ring[0]), 0);
	ck_assert_int_eq(fe_set_vring_enable(&t->e.fe, 0, true), 0);
}

/*
 * proves: inflight.skip-drain, inflight.base, GET_VRING_BASE_SKIP_DRAIN,
 * PROTOCOL_F_GET_VRING_BASE_SKIP_DRAIN
 */
START_TEST(skip_drain_abandons_what_the_device_lets_go)
{
	const struct vu_vring_state state = { 0, 0 };
	struct fe_msg reply;
	struct tracked t;

	tracked_up(&t, _i, 1, 1, 0);
	echo_check(&t.r.ring[0], 10);
	hold(&t, 5);
	atomic_store(&t.e.cancel_keep, 2);
	ck_assert_int_eq(fe_send_raw(&t.e.fe, &skip_hdr, &state, 8, NULL, 0), 0);
	echo_wait(&t.e.cancels, 1);
	ck_assert_uint_eq(marks(&t), 5);
	/* The two which it does not let go are awaited and given back as usual. */
	echo_release(&t.e, 0);
	ck_assert_int_eq(fe_recv_raw(&t.e.fe, &reply), 0);
	ck_assert_uint_eq(reply.hdr.request, VU_GET_VRING_BASE_SKIP_DRAIN);
	get_back(&t, 2);
	ck_assert_uint_eq(marks(&t), 3);
	/* Two descriptors each in a packed ring, one head in a split one. */
	ck_assert_uint_eq(ahead_of_used(&t, reply.u.state.num), t.packed ? 6 : 3);
	ck_assert_uint_eq(atomic_load(&t.e.stops), 0);
	/* The next one who has the memory goes on. */
	start_again(&t);
	get_back(&t, 3);
	echo_check(&t.r.ring[0], 10);
	ck_assert_int_eq(fe_stop(&t.e.fe, t.r.list, 1), 0);
	ck_assert_uint_eq(marks(&t), 0);
	tracked_down(&t);
}
END_TEST

/*
 * proves: inflight.skip-drain, inflight.base, GET_VRING_BASE_SKIP_DRAIN,
 * PROTOCOL_F_GET_VRING_BASE_INFLIGHT
 */
START_TEST(skip_drain_moves_requests_to_another_device)
{
	struct echo other;
	struct tracked t;
	uint32_t base;

	tracked_up(&t, _i, 1, 1, 0);
	echo_check(&t.r.ring[0], 10);
	hold(&t, 4);
	ck_assert_int_eq(fe_get_vring_base_skip_drain(&t.e.fe, 0, &base), 0);
	ck_assert_uint_eq(marks(&t), 4);
	echo_start(&other, WORKERS(_i), FLAGS);
	ck_assert_int_eq(fe_negotiate(&other.fe, t.e.fe.features, ALL), 0);
	ck_assert_int_eq(fe_set_features(&other.fe, t.e.fe.features), 0);
	ck_assert_int_eq(fe_set_inflight_fd(&other.fe, &t.v, t.fd), 0);
	ck_assert_int_eq(fe_start(&other.fe, &t.r.mem, t.r.list, 1), 0);
	get_back(&t, 4);
	echo_check(&t.r.ring[0], 10);
	ck_assert_uint_eq(marks(&t), 0);
	echo_stop(&other);
	tracked_down(&t);
}
END_TEST

/* proves: inflight.skip-drain, ring.stop-drains */
START_TEST(skip_drain_without_memory_drains)
{
	const struct vu_vring_state state = { 0, 0 };
	struct fe_msg reply;
	struct tracked t;

	tracked_up(&t, _i, 1, 0, 0);
	hold(&t, 3);
	ck_assert_int_eq(fe_send_raw(&t.e.fe, &skip_hdr, &state, 8, NULL, 0), 0);
	echo_wait(&t.e.stops, 1);
	ck_assert_uint_eq(atomic_load(&t.e.cancels), 0);
	echo_release(&t.e, 0);
	ck_assert_int_eq(fe_recv_raw(&t.e.fe, &reply), 0);
	get_back(&t, 3);
	ck_assert_uint_eq(ahead_of_used(&t, reply.u.state.num), 0);
	tracked_down(&t);
}
END_TEST

/* proves: inflight.skip-drain */
START_TEST(skip_drain_in_order)
{
	const struct vu_vring_state state = { 0, 0 };
	struct fe_msg reply;
	struct tracked t;

	tracked_up(&t, _i, 1, 1, FE_BIT(VIRTIO_F_IN_ORDER));
	hold(&t, 5);
	/* The oldest are let go, so that the others cannot be given back, nor be lost. */
	atomic_store(&t.e.cancel_keep, 2);
	ck_assert_int_eq(fe_send_raw(&t.e.fe, &skip_hdr, &state, 8, NULL, 0), 0);
	echo_wait(&t.e.cancels, 1);
	echo_release(&t.e, 0);
	ck_assert_int_eq(fe_recv_raw(&t.e.fe, &reply), 0);
	ck_assert(!fe_ring_ready(&t.r.ring[0]));
	ck_assert_uint_eq(marks(&t), 5);
	start_again(&t);
	get_back(&t, 5);
	tracked_down(&t);
}
END_TEST

/* proves: inflight.drain, ring.stop-drains */
START_TEST(a_drain_includes_what_was_in_flight_before)
{
	struct tracked t;
	uint32_t base;

	tracked_up(&t, _i, 1, 1, 0);
	hold(&t, 4);
	ck_assert_int_eq(fe_get_vring_base_skip_drain(&t.e.fe, 0, &base), 0);
	ck_assert_uint_eq(ahead_of_used(&t, base), t.packed ? 8 : 4);
	/* Started but never enabled: nobody pops them, until the stop. */
	atomic_store(&t.e.hold, false);
	ck_assert_int_eq(fe_set_vring_enable(&t.e.fe, 0, false), 0);
	ck_assert_int_eq(fe_start_ring(&t.e.fe, &t.r.ring[0]), 0);
	ck_assert_uint_eq(marks(&t), 4);
	ck_assert_int_eq(fe_stop_ring(&t.e.fe, &t.r.ring[0], &base), 0);
	get_back(&t, 4);
	ck_assert_uint_eq(marks(&t), 0);
	ck_assert_uint_eq(ahead_of_used(&t, base), 0);
	tracked_down(&t);
}
END_TEST

/* proves: session.disconnect-drains */
START_TEST(a_lost_connection_is_a_drain)
{
	struct tracked t;

	tracked_up(&t, _i, 1, 1, 0);
	hold(&t, 4);
	fe_close(&t.e.fe);
	echo_wait(&t.e.stops, 1);
	echo_release(&t.e, 0);
	echo_wait(&t.e.downs, 1);
	get_back(&t, 4);
	ck_assert_uint_eq(marks(&t), 0);
	ck_assert_uint_eq(atomic_load(&t.e.cancels), 0);
	ck_assert_uint_eq(count_mappings("vhost-inflight"), 1);	/* ours */
	tracked_down(&t);
}
END_TEST

/*
 * Memory which the front-end spoils
 */

/* proves: inflight.content */
START_TEST(spoilt_memory_is_not_looked_at)
{
	struct tracked t;

	tracked_up(&t, _i, 2, 2, 0);
	hold(&t, 5);
	memset(t.region, 0xff, t.v.mmap_size);
	echo_release(&t.e, 0);
	get_back(&t, 5);
	memset(t.region, 0xaa, t.v.mmap_size);
	echo_check(&t.r.ring[0], 10);
	echo_check(&t.r.ring[1], 10);
	tracked_down(&t);
}
END_TEST

/* proves: inflight.content, queue.one-breaks */
START_TEST(spoilt_memory_breaks_its_queue_only)
{
	struct tracked t;
	eventfd_t errors;

	tracked_up(&t, _i, 2, 2, 0);
	echo_check(&t.r.ring[0], 10);
	ck_assert_int_eq(fe_stop(&t.e.fe, t.r.list, 2), 0);
	memset(t.region, 0xff, t.stride);
	start_again(&t);
	ck_assert_int_eq(fe_ring_wait_err(&t.r.ring[0], FE_TIMEOUT_MS), 0);
	ck_assert_int_eq(eventfd_read(t.r.ring[0].err_fd, &errors), 0);
	ck_assert_int_eq(fe_start_ring(&t.e.fe, &t.r.ring[1]), 0);
	ck_assert_int_eq(fe_set_vring_enable(&t.e.fe, 1, true), 0);
	echo_check(&t.r.ring[1], 10);
	/* With good memory it works again. */
	ck_assert_int_eq(fe_stop(&t.e.fe, t.r.list, 1), 0);
	memset(t.region, 0, t.stride);
	start_again(&t);
	echo_check(&t.r.ring[0], 10);
	tracked_down(&t);
}
END_TEST

/* proves: mem.truncated */
START_TEST(truncated_memory_costs_the_connection)
{
	const struct vu_inflight v = { .mmap_size = FILE_SIZE, .num_queues = 1,
				       .queue_size = SIZE };
	int fd = new_file(FILE_SIZE);
	struct tracked t;
	struct iovec in;

	echo_catch_sigbus();
	tracked_up(&t, _i, 1, 0, 0);
	ck_assert_int_eq(fe_stop(&t.e.fe, t.r.list, 1), 0);
	ck_assert_int_eq(fe_set_inflight_fd(&t.e.fe, &v, fd), 0);
	start_again(&t);
	echo_check(&t.r.ring[0], 10);
	ck_assert_int_eq(ftruncate(fd, 0), 0);
	in = (struct iovec){ fe_mem_alloc(&t.r.mem, 8, 8), 8 };
	ck_assert_int_ge(fe_ring_add(&t.r.ring[0], NULL, 0, &in, 1, &t), 0);
	fe_ring_submit(&t.r.ring[0]);
	ck_assert_int_eq(fe_wait_closed(&t.e.fe), 0);
	echo_wait(&t.e.downs, 1);
	tracked_down(&t);
	close(fd);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("inflight-rings");
	TCase *rings = tcase_create("rings");

	tcase_set_timeout(rings, 60);
	tcase_add_loop_test(rings, requests_are_marked_while_they_are_out, 0, CASES);
	tcase_add_loop_test(rings, no_new_memory_while_rings_run, 0, CASES);
	tcase_add_loop_test(rings, a_ring_must_fit_into_the_memory, 0, CASES);
	tcase_add_loop_test(rings, memory_of_the_other_format, 0, CASES);
	tcase_add_loop_test(rings, a_ring_reset_begins_anew, 0, CASES);
	tcase_add_loop_test(rings, skip_drain_abandons_what_the_device_lets_go, 0, CASES);
	tcase_add_loop_test(rings, skip_drain_moves_requests_to_another_device, 0, CASES);
	tcase_add_loop_test(rings, skip_drain_without_memory_drains, 0, CASES);
	tcase_add_loop_test(rings, skip_drain_in_order, 0, CASES);
	tcase_add_loop_test(rings, a_drain_includes_what_was_in_flight_before, 0, CASES);
	tcase_add_loop_test(rings, a_lost_connection_is_a_drain, 0, CASES);
	tcase_add_loop_test(rings, spoilt_memory_is_not_looked_at, 0, CASES);
	tcase_add_loop_test(rings, spoilt_memory_breaks_its_queue_only, 0, CASES);
	tcase_add_loop_test(rings, truncated_memory_costs_the_connection, 0, CASES);
	suite_add_tcase(suite, rings);
	return tap_main(suite);
}
