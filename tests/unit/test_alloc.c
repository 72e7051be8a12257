/* SPDX-License-Identifier: BSD-3-Clause */
/* No allocation on the library's request path in steady state. */
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

int main(void)
{
	Suite *suite = suite_create("alloc");
	TCase *tc = tcase_create("alloc");

	tcase_add_loop_test(tc, steady_state, 0, ECHO_RUNS);
	suite_add_tcase(suite, tc);
	return tap_main(suite);
}
