/* SPDX-License-Identifier: BSD-3-Clause */
/* Buffers anywhere in a memory of many regions, and chains of many pieces. */
#include <errno.h>
#include <linux/virtio_config.h>
#include <string.h>
#include <unistd.h>

#include "hostile.h"
#include "tests/echo.h"
#include "tests/tap.h"
#include "util.h"

#define PAGE 4096u
#define REGION		(UINT64_C(1) << 32)
#define REGION_SIZE	(UINT64_C(1) << 20)
#define MANY 400u			/* regions; each is an fd of the front-end */

static void check_copy(struct fe_ring *ring, const struct iovec *out, unsigned int nout,
		       const struct iovec *in, unsigned int nin, uint32_t len)
{
	uint32_t used;
	void *cookie;

	ck_assert_int_ge(fe_ring_add(ring, out, nout, in, nin, ring), 0);
	fe_ring_submit(ring);
	ck_assert_int_eq(fe_ring_wait(ring, FE_TIMEOUT_MS), 0);
	ck_assert_int_eq(fe_ring_get(ring, &cookie, &used), 1);
	ck_assert_uint_eq(used, len);
}

/* A request from one region to another. */
static void check_pair(struct fe_ring *ring, unsigned int from, unsigned int to, int c)
{
	struct iovec o = { fe_mem_alloc_in(ring->mem, from, 64, 1), 64 };
	struct iovec i = { fe_mem_alloc_in(ring->mem, to, 64, 1), 64 };

	memset(o.iov_base, c, 64);
	check_copy(ring, &o, 1, &i, 1, 64);
	ck_assert_mem_eq(i.iov_base, o.iov_base, 64);
}

/* proves: mem.many-regions, ADD_MEM_REG, REM_MEM_REG, PROTOCOL_F_CONFIGURE_MEM_SLOTS */
START_TEST(buffers_in_many_regions)
{
	struct echo_rings r;
	struct echo e;
	unsigned int i;

	echo_start(&e, (unsigned int)_i, 0);
	echo_up(&e, &r, 1, 16, 0);
	/* Pages with holes between them, in an order which is not theirs. */
	for (i = 0; i < MANY; i++) {
		const struct fe_region_params params = {
			.gpa = (UINT64_C(1) << 30) + i * 37 % MANY * 2 * PAGE, .size = PAGE,
		};

		ck_assert_int_eq(fe_mem_add(&r.mem, &params), (int)i + 1);
	}
	ck_assert_int_eq(fe_start_mem(&e.fe, &r.mem), 0);
	for (i = 0; i < 3 * MANY; i++) {
		check_pair(&r.ring[0], 1 + i % MANY, 1 + i * 7 % MANY, (int)i);
	}
	/* They go one by one, and what is left stays in its place. */
	for (i = MANY; i > 1; i--)
		ck_assert_int_eq(fe_rem_mem_reg(&e.fe, &r.mem.regions[i]), 0);
	check_pair(&r.ring[0], 1, 1, 'x');
	echo_down(&e, &r);
	echo_stop(&e);
}
END_TEST

/* proves: mem.gpa-addresses, PROTOCOL_F_GPA_ADDRESSES */
START_TEST(guest_addresses_for_rings)
{
	const struct fe_region_params region = {
		.gpa = 16 << 20, .size = 1 << 20, .uva = 16 << 20,
	};
	const struct fe_ring_params params = { .size = 16 };
	struct echo_rings r = { .n = 1, .list = { &r.ring[0] } };
	struct vu_vring_addr addr;
	struct echo e;
	int i;

	echo_start(&e, (unsigned int)_i, 0);
	e.fe.gpa = true;
	ck_assert_int_eq(fe_negotiate(&e.fe, FE_BIT(VU_F_PROTOCOL_FEATURES) |
				      FE_BIT(VIRTIO_F_VERSION_1), ~UINT64_C(0)), 0);
	ck_assert(e.fe.protocol_features & FE_BIT(VU_PROTOCOL_F_GPA_ADDRESSES));
	ck_assert_int_eq(fe_mem_add(&r.mem, &region), 0);
	ck_assert_int_eq(fe_ring_init(&r.ring[0], &r.mem, &params), 0);
	fe_ring_get_addr(&r.ring[0], &addr);
	ck_assert_uint_eq(addr.desc, fe_mem_gpa(&r.mem, r.ring[0].desc_area, 1));
	ck_assert_int_eq(fe_start(&e.fe, &r.mem, r.list, 1), 0);
	for (i = 0; i < 20; i++)
		echo_check(&r.ring[0], 10);
	echo_down(&e, &r);
	echo_stop(&e);
}
END_TEST

#define LONGEST 1024u

/* proves: chain.many-pieces, chain.header-split, queue.used-length */
START_TEST(chain_as_long_as_its_ring)
{
	struct iovec iov[LONGEST];
	struct echo_rings r;
	struct echo e;
	unsigned int nin, i;

	echo_start(&e, (unsigned int)_i, 0);
	echo_up(&e, &r, 1, LONGEST, 0);
	for (nin = 24; nin < LONGEST; nin += 250) {
		unsigned int nout = LONGEST - nin, len = MIN(nout, nin) * 3;

		for (i = 0; i < LONGEST; i++) {
			iov[i] = (struct iovec){ fe_mem_alloc(&r.mem, 3, 1), 3 };
			memset(iov[i].iov_base, (int)(i % 251), 3);
		}
		check_copy(&r.ring[0], iov, nout, iov + nout, nin, len);
		for (i = 0; i < len / 3; i++)
			ck_assert_mem_eq(iov[nout + i].iov_base, iov[i].iov_base, 3);
		/* And then a short one, in the same place. */
		echo_check(&r.ring[0], 10);
	}
	echo_down(&e, &r);
	echo_stop(&e);
}
END_TEST

/* Beyond the end of the region in which the one before was found, or before its beginning. */
static const struct {
	uint64_t gpa;
	size_t len;
} beyond[] = {
	{ REGION + REGION_SIZE - 8, 9 },
	{ REGION + REGION_SIZE, 1 },
	{ REGION - 1, 2 },
	{ REGION - 8, 8 },
	{ REGION + 4096, UINT32_MAX },
	{ UINT64_MAX - 3, 8 },
};

/* A request which is served, and behind it one which would be if all memory were as near. */
START_TEST(buffer_beyond_the_region_found_last)
{
	const struct fe_region_params region = { .gpa = REGION, .size = REGION_SIZE };
	const uint64_t features = _i & 1 ? FE_BIT(VIRTIO_F_RING_PACKED) : 0;
	struct echo_rings r;
	struct fe_ring *ring = &r.ring[0];
	struct echo e;
	unsigned int i;

	echo_start(&e, (unsigned int)_i / 2, 0);
	echo_up(&e, &r, 1, 16, features);
	ck_assert_int_ge(fe_mem_add(&r.mem, &region), 0);
	ck_assert_int_eq(fe_start_mem(&e.fe, &r.mem), 0);
	for (i = 0; i < ARRAY_SIZE(beyond); i++) {
		struct iovec bad = { (void *)(uintptr_t)beyond[i].gpa, beyond[i].len };

		check_pair(ring, 1, 1, (int)i);
		ring->flags |= FE_RING_ADDR;
		ck_assert_int_ge(fe_ring_add(ring, &bad, 1, NULL, 0, &e), 0);
		fe_ring_submit(ring);
		ck_assert_int_eq(fe_ring_wait_err(ring, FE_TIMEOUT_MS), 0);
		ck_assert(!fe_ring_ready(ring));
		ring->flags &= ~FE_RING_ADDR;
		hostile_restart(&e.fe, ring);
	}
	check_pair(ring, 1, 1, 'x');
	echo_down(&e, &r);
	echo_stop(&e);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("regions");
	TCase *tc = tcase_create("regions");

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, buffers_in_many_regions, 0, 3);
	tcase_add_loop_test(tc, guest_addresses_for_rings, 0, 3);
	tcase_add_loop_test(tc, chain_as_long_as_its_ring, 0, 3);
	tcase_add_loop_test(tc, buffer_beyond_the_region_found_last, 0, 4);
	suite_add_tcase(suite, tc);
	return tap_main(suite);
}
