/* SPDX-License-Identifier: BSD-3-Clause */
/* No allocation on the library's request path in steady state, and no more memory than is said. */
#include <malloc.h>

#include "count_alloc.h"
#include "tests/echo.h"
#include "tests/tap.h"

/*
 * Requests of every number of pieces, some in indirect tables.  Whether all were served;
 * Check's own assertions allocate.
 */
static bool some_requests(struct fe_ring *ring, struct iovec *iov)
{
	unsigned int nout, nin;
	uint32_t len;
	void *cookie;

	for (nout = 1; nout <= 10; nout++) {
		for (nin = 1; nin <= 10; nin++) {
			if (fe_ring_add(ring, iov, nout, iov + 10, nin, iov) < 0)
				return false;
			fe_ring_submit(ring);
			if (fe_ring_wait(ring, FE_TIMEOUT_MS) ||
			    fe_ring_get(ring, &cookie, &len) != 1)
				return false;
		}
	}
	return true;
}

/* Slices each request where its descriptors have no border. */
static void kick(struct vhost_queue *q)
{
	struct vhost_req *req;
	unsigned int cnt;

	while (vhost_queue_pop(q, &req, 1)) {
		vhost_req_slice(req, VHOST_IN, 1, req->in_len - 2, &cnt);
		echo_complete(vhost_queue_opaque(q), req);
	}
}

START_TEST(steady_state)
{
	struct iovec iov[20];
	struct echo_rings r;
	unsigned int i, n;
	bool ok = true;
	struct echo e;

	echo_start_with(&e, echo_run_workers(_i), kick);
	echo_up(&e, &r, 1, 32, FE_BIT(VIRTIO_RING_F_EVENT_IDX) |
		FE_BIT(VIRTIO_RING_F_INDIRECT_DESC) | echo_run_format(_i));
	for (i = 0; i < 20; i++)
		iov[i] = (struct iovec){ fe_mem_alloc(&r.mem, 16, 1), 16 };
	ck_assert(some_requests(&r.ring[0], iov));
	ck_assert_uint_gt(count_allocations(), 0);
	n = count_allocations();
	for (i = 0; ok && i < 10; i++)
		ok = some_requests(&r.ring[0], iov);
	n = count_allocations() - n;
	ck_assert(ok);
	ck_assert_uint_eq(n, 0);
	echo_down(&e, &r);
	echo_stop(&e);
}
END_TEST

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
/*
 * All slots of a ring have chains of the longest kind at once, and then none has: what is kept for
 * others like these is bounded (QUEUE_CHAIN_ROOM).
 */

#define LONG_SLOTS	1024u
#define LONG_CHAIN	1000u		/* elements */
#define LONG_STEP	64u		/* bytes between buffers, so that they are not one */
#define ELEMENT		sizeof(struct iovec)

static struct vhost_req *held[LONG_SLOTS];
static unsigned int num_held;
static size_t most_memory;

static size_t memory_in_use(void)
{
	struct mallinfo2 info = mallinfo2();

	return info.uordblks + info.hblkhd;
}

static void hold_until_all(struct vhost_queue *q)
{
	while (num_held < LONG_SLOTS && vhost_queue_pop(q, &held[num_held], 1))
		num_held++;
	if (num_held < LONG_SLOTS)
		return;
	most_memory = memory_in_use();
	while (num_held)
		vhost_req_push(held[--num_held], 0);
}

static void fill_ring(struct fe_ring *ring, struct fe_mem *mem)
{
	struct iovec iov[LONG_CHAIN];
	uint8_t *data = fe_mem_alloc(mem, LONG_CHAIN * LONG_STEP, 1);
	unsigned int i;

	ck_assert_ptr_nonnull(data);
	for (i = 0; i < LONG_CHAIN; i++)
		iov[i] = (struct iovec){ data + i * LONG_STEP, 1 };
	for (i = 0; i < LONG_SLOTS; i++)
		ck_assert_int_ge(fe_ring_add(ring, iov, LONG_CHAIN / 2, iov + LONG_CHAIN / 2,
					     LONG_CHAIN / 2, iov), 0);
	fe_ring_submit(ring);
}

static void empty_ring(struct fe_ring *ring)
{
	unsigned int i;
	uint32_t len;
	void *cookie;

	for (i = 0; i < LONG_SLOTS; i++) {
		ck_assert_int_eq(fe_ring_wait(ring, FE_TIMEOUT_MS), 0);
		ck_assert_int_eq(fe_ring_get(ring, &cookie, &len), 1);
	}
}

START_TEST(long_chains_are_forgotten)
{
	const uint64_t features = FE_BIT(VU_F_PROTOCOL_FEATURES) | FE_BIT(VIRTIO_F_VERSION_1) |
				  FE_BIT(VIRTIO_RING_F_INDIRECT_DESC) | echo_run_format(_i);
	struct fe_ring_params params = { .size = LONG_SLOTS, .indirect = LONG_CHAIN };
	struct echo_rings r = { .n = 1 };
	size_t before, kept;
	struct echo e;

	mallopt(M_ARENA_MAX, 1);
	echo_start_with(&e, echo_run_workers(_i), hold_until_all);
	ck_assert_int_eq(fe_mem_init(&r.mem, 0, 32 << 20), 0);
	ck_assert_int_eq(fe_negotiate(&e.fe, features, ~UINT64_C(0)), 0);
	params.features = e.fe.features;
	ck_assert_int_eq(fe_ring_init(&r.ring[0], &r.mem, &params), 0);
	r.list[0] = &r.ring[0];
	ck_assert_int_eq(fe_start(&e.fe, &r.mem, r.list, 1), 0);
	ck_assert_int_eq(fe_sync(&e.fe), 0);
	before = memory_in_use();
	fill_ring(&r.ring[0], &r.mem);
	empty_ring(&r.ring[0]);
	kept = memory_in_use() - before;
	ck_assert_uint_ge(most_memory - before, LONG_SLOTS * LONG_CHAIN * ELEMENT);
	/* Other things are small. */
	ck_assert_uint_le(kept, (256u * 1024 + 4096) * ELEMENT);
	echo_down(&e, &r);
	echo_stop(&e);
}
END_TEST
#endif

int main(void)
{
	Suite *suite = suite_create("alloc");
	TCase *tc = tcase_create("alloc");

	tcase_add_loop_test(tc, steady_state, 0, ECHO_RUNS);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
	tcase_add_loop_test(tc, long_chains_are_forgotten, 0, ECHO_RUNS);
#else
	puts("# long_chains_are_forgotten: a sanitizer's memory is not measured");
#endif
	suite_add_tcase(suite, tc);
	return tap_main(suite);
}
