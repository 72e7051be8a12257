/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Packed rings: hostile drivers, positions and their wrap counters, event suppression.
 *
 * What does not depend on the format is in test_rings.c and its neighbours, which run
 * for both.
 */
#include <errno.h>
#include <linux/virtio_config.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "tests/echo.h"
#include "tests/proto/hostile.h"
#include "tests/tap.h"
#include "util.h"

#define SIZE HOSTILE_SIZE
#define NEXT VRING_DESC_F_NEXT
#define WRITE VRING_DESC_F_WRITE
#define INDIRECT VRING_DESC_F_INDIRECT
#define AVAIL (1u << VRING_PACKED_DESC_F_AVAIL)
#define USED (1u << VRING_PACKED_DESC_F_USED)
#define F_INDIRECT FE_BIT(VIRTIO_RING_F_INDIRECT_DESC)
#define F_EVENT_IDX FE_BIT(VIRTIO_RING_F_EVENT_IDX)
#define F_PACKED FE_BIT(VIRTIO_F_RING_PACKED)

/*
 * Hostile drivers
 */

struct attack {
	struct hostile_case c;
	unsigned int n;			/* descriptors, at the driver's next places */
	struct fe_raw_packed desc[4];
	/* what cannot be said by descriptors */
	void (*act)(struct fe_ring *ring);
	/* an indirect table at TABLE */
	unsigned int ntable;
	struct fe_raw_packed table[4];
};

/* As many descriptors as there are, and each has a next one. */
static void chain_without_end(struct fe_ring *ring)
{
	const struct fe_raw_packed d = { BUF, 8, 0, NEXT };
	unsigned int i;

	for (i = 0; i < ring->size; i++)
		ck_assert_int_eq(fe_packed_add_raw(ring, &d, 1, NULL), 0);
}

static void chain_of_empty_descriptors_without_end(struct fe_ring *ring)
{
	const struct fe_raw_packed d = { BUF, 0, 0, NEXT | WRITE };
	unsigned int i;

	for (i = 0; i < ring->size; i++)
		ck_assert_int_eq(fe_packed_add_raw(ring, &d, 1, NULL), 0);
}

/* The second descriptor of a chain belongs to the device already. */
static void chain_into_used_descriptors(struct fe_ring *ring)
{
	fe_packed_set_desc(ring, 1, &(struct fe_raw_packed){ BUF, 8, 0, AVAIL | USED });
	fe_packed_set_desc(ring, 0, &(struct fe_raw_packed){ BUF, 8, 0, AVAIL | NEXT });
}

/* The second one is as it will be made available in the next round. */
static void chain_into_the_next_round(struct fe_ring *ring)
{
	fe_packed_set_desc(ring, 1, &(struct fe_raw_packed){ BUF, 8, 0, USED });
	fe_packed_set_desc(ring, 0, &(struct fe_raw_packed){ BUF, 8, 0, AVAIL | NEXT });
}

static const struct attack attacks[] = {
	/* buffer ids */
	{ { "id beyond the ring" }, 1, { { BUF, 8, SIZE, 0 } } },
	{ { "id far beyond the ring" }, 1, { { BUF, 8, 0xffff, 0 } } },
	{ { "id beyond the ring at a chain's end" }, 2,
	  { { BUF, 8, 0, NEXT }, { BUF, 8, SIZE, 0 } } },
	{ { "id beyond the ring of an indirect descriptor" }, 1,
	  { { TABLE, 16, SIZE, INDIRECT } }, NULL, 1, { { BUF, 8, 0, 0 } } },
	{ { "id beyond the ring before a chain's end", true, 8 }, 2,
	  { { BUF, 8, 0xffff, NEXT }, { BUF + 8, 8, 3, WRITE } } },
	{ { "largest id", true, 8 }, 2, { { BUF, 8, 0, NEXT }, { BUF + 8, 8, SIZE - 1, WRITE } } },

	/* chains */
	{ { "chain without end" }, .act = chain_without_end },
	{ { "chain of empty descriptors without end" },
	  .act = chain_of_empty_descriptors_without_end },
	{ { "next one never available" }, 1, { { BUF, 8, 0, NEXT } } },
	{ { "next one is used" }, .act = chain_into_used_descriptors },
	{ { "next one of the next round" }, .act = chain_into_the_next_round },
	{ { "readable behind writable" }, 2, { { BUF, 8, 0, NEXT | WRITE }, { BUF, 8, 0, 0 } } },
	{ { "whole chain of 4 GiB" }, 2, { { 0, 1u << 31, 0, NEXT }, { 0, 1u << 31, 0, 0 } } },
	{ { "writable chain of 4 GiB" }, 2,
	  { { 0, 1u << 31, 0, NEXT | WRITE }, { 0, 1u << 31, 0, WRITE } } },

	/* addresses */
	{ { "address outside" }, 1, { { NOWHERE, 8, 0, 0 } } },
	{ { "writable address outside" }, 1, { { NOWHERE, 8, 0, WRITE } } },
	{ { "end outside" }, 1, { { END, 4097, 0, 0 } } },
	{ { "address wraps" }, 1, { { UINT64_MAX - 8, 4096, 0, WRITE } } },

	/* odd but allowed */
	{ { "no buffer at all", true, 0 }, 1, { { BUF, 0, 0, 0 } } },
	{ { "empty buffer outside of memory", true, 0 }, 1, { { NOWHERE, 0, 0, 0 } } },
	{ { "empty buffers between others", true, 8 }, 4,
	  { { 0, 0, 0, NEXT }, { BUF, 8, 0, NEXT }, { 0, 0, 0, NEXT | WRITE },
	    { BUF + 8, 8, 0, WRITE } } },
	{ { "buffers which are the ring itself", true, 0 }, 1, { { 0, 256, 0, 0 } } },
	{ { "unknown descriptor flags", true, 0 }, 1, { { BUF, 8, 0, 0x7f78 } } },

	/* indirect tables: entries in their order, whatever their NEXT and id */
	{ { "indirect", true, 8 }, 1, { { TABLE, 32, 0, INDIRECT } }, NULL, 2,
	  { { BUF, 8, 0, 0 }, { BUF + 8, 64, 0, WRITE } } },
	{ { "indirect with next and ids", true, 8 }, 1, { { TABLE, 32, 0, INDIRECT } }, NULL, 2,
	  { { BUF, 8, 0xffff, NEXT }, { BUF + 8, 64, 0xffff, NEXT | WRITE } } },
	{ { "indirect with flags of the ring", true, 8 }, 1, { { TABLE, 32, 0, INDIRECT } }, NULL,
	  2, { { BUF, 8, 0, AVAIL | USED }, { BUF + 8, 64, 0, WRITE | USED } } },
	{ { "indirect behind direct", true, 12 }, 2,
	  { { BUF, 4, 0, NEXT }, { TABLE, 32, 7, INDIRECT } }, NULL, 2,
	  { { BUF, 8, 0, 0 }, { BUF + 8, 64, 0, WRITE } } },
	{ { "indirect with the write flag", true, 8 }, 1, { { TABLE, 32, 0, INDIRECT | WRITE } },
	  NULL, 2, { { BUF, 8, 0, 0 }, { BUF + 8, 64, 0, WRITE } } },
	{ { "indirect table longer than the ring", true, 0 }, 1,
	  { { TABLE, 256 * 16, 0, INDIRECT } } },
	{ { "indirect and next" }, 2, { { TABLE, 16, 0, INDIRECT | NEXT }, { BUF, 8, 0, WRITE } },
	  NULL, 1, { { BUF, 8, 0, 0 } } },
	{ { "indirect within indirect" }, 1, { { TABLE, 16, 0, INDIRECT } }, NULL, 1,
	  { { TABLE, 16, 0, INDIRECT } } },
	{ { "indirect table without entries" }, 1, { { TABLE, 0, 0, INDIRECT } } },
	{ { "indirect table of odd length" }, 1, { { TABLE, 24, 0, INDIRECT } } },
	{ { "indirect table too long" }, 1, { { TABLE, 1025 * 16, 0, INDIRECT } } },
	{ { "indirect table of 4 GiB" }, 1, { { TABLE, UINT32_MAX - 15, 0, INDIRECT } } },
	{ { "indirect table outside" }, 1, { { NOWHERE, 16, 0, INDIRECT } } },
	{ { "indirect table ends outside" }, 1, { { MEM_SIZE - 16, 32, 0, INDIRECT } } },
	{ { "indirect table wraps" }, 1, { { UINT64_MAX - 15, 32, 0, INDIRECT } } },
	{ { "indirect readable behind writable" }, 1, { { TABLE, 32, 0, INDIRECT } }, NULL, 2,
	  { { BUF, 8, 0, WRITE }, { BUF, 8, 0, 0 } } },
	{ { "readable in the table behind direct writable" }, 2,
	  { { BUF, 8, 0, NEXT | WRITE }, { TABLE, 16, 0, INDIRECT } }, NULL, 1,
	  { { BUF, 8, 0, 0 } } },
};

/* An attack on a device which did not negotiate what it uses. */
static const struct attack without_indirect = {
	{ "indirect without its feature" }, 1, { { TABLE, 16, 0, INDIRECT } }, NULL, 1,
	{ { BUF, 8, 0, 0 } },
};

static void attack(struct fe_ring *ring, const struct hostile_case *c)
{
	const struct attack *a = container_of(c, const struct attack, c);
	struct vring_packed_desc *table = fe_mem_ptr(ring->mem, TABLE, 4096);
	unsigned int i;

	memset(table, 0, 4096);
	for (i = 0; i < a->ntable; i++)
		table[i] = (struct vring_packed_desc){ a->table[i].addr, a->table[i].len,
						       a->table[i].id, a->table[i].flags };
	/* With a cookie the driver would refuse a wrong id. */
	if (a->n)
		ck_assert_int_ge(fe_packed_add_raw(ring, a->desc, a->n,
						   c->allowed ? ring : NULL), 0);
	if (a->act)
		a->act(ring);
	fe_ring_publish(ring);
	fe_ring_kick_always(ring);
}

/*
 * proves: packed.chain, packed.id, packed.indirect, queue.one-breaks, queue.restart,
 * mem.translate, chain.write-order, chain.length, VIRTIO_F_RING_PACKED
 */
START_TEST(attack_on_one_queue)
{
	unsigned int i = (unsigned int)_i;

	hostile_run(&attacks[i / 2].c, attack, i % 2,
		    F_PACKED | F_INDIRECT | (i % 2 ? F_EVENT_IDX : 0));
}
END_TEST

/* proves: chain.indirect-negotiated */
START_TEST(attack_by_a_feature_which_was_not_negotiated)
{
	hostile_run(&without_indirect.c, attack, (unsigned int)_i, F_PACKED);
}
END_TEST

/* Two rings of a size; what the device takes from them it holds. */
static void up_held(struct echo *e, struct echo_rings *r, int run, unsigned int size)
{
	echo_start(e, echo_run_workers(run), 0);
	echo_up(e, r, 2, size, F_PACKED);
	atomic_store(&e->hold, true);
}

/* One writable descriptor of 8 bytes. */
static void add_raw(struct fe_ring *ring, uint16_t id, uint16_t flags, void *cookie)
{
	const struct fe_raw_packed d = { BUF, 8, id, (uint16_t)(WRITE | flags) };

	ck_assert_int_eq(fe_packed_add_raw(ring, &d, 1, cookie), id);
}

/* Two of them. */
static void add_pair(struct fe_ring *ring, uint16_t id, void *cookie)
{
	const struct fe_raw_packed d[] = { { BUF, 8, id, WRITE | NEXT }, { BUF, 8, id, WRITE } };

	ck_assert_int_eq(fe_packed_add_raw(ring, d, 2, cookie), id);
}

/* The device says of a slot that it was used, in this round. */
static void check_used(const struct fe_ring *ring, uint16_t slot, uint16_t id, bool wrap)
{
	const struct fe_raw_packed d = fe_packed_get_desc(ring, slot);

	ck_assert_uint_eq(d.flags & (AVAIL | USED), wrap ? AVAIL | USED : 0);
	ck_assert_uint_eq(d.id, id);
}

/* proves: packed.id */
START_TEST(id_which_is_outstanding_already)
{
	struct echo_rings r;
	struct echo e;
	uint16_t i;

	/* It is the driver's own trouble: each comes back, nobody else notices. */
	up_held(&e, &r, _i, SIZE);
	for (i = 0; i < 3; i++)
		add_raw(&r.ring[0], 5, 0, NULL);
	fe_ring_submit(&r.ring[0]);
	echo_wait(&e.popped, 3);
	echo_release(&e, 0);
	ck_assert_int_eq(fe_sync(&e.fe), 0);
	ck_assert_int_eq(fe_ring_wait(&r.ring[0], FE_TIMEOUT_MS), 0);
	for (i = 0; i < 3; i++)
		check_used(&r.ring[0], i, 5, true);
	echo_check(&r.ring[1], 10);
	ck_assert_int_eq(fe_stop(&e.fe, r.list, 2), 0);
	echo_down(&e, &r);
	echo_stop(&e);
}
END_TEST

/* proves: packed.chain */
START_TEST(chain_into_what_the_device_holds)
{
	struct echo_rings r;
	struct echo e;

	/* Three of four are free, two are held: the chain ends behind the first of these. */
	up_held(&e, &r, _i, 4);
	add_raw(&r.ring[0], 0, 0, &r);
	add_raw(&r.ring[0], 1, 0, &r);
	fe_ring_submit(&r.ring[0]);
	echo_wait(&e.popped, 2);
	add_raw(&r.ring[0], 2, NEXT, NULL);
	add_raw(&r.ring[0], 2, NEXT, NULL);
	add_raw(&r.ring[0], 2, 0, NULL);
	fe_ring_submit(&r.ring[0]);
	fe_ring_kick_always(&r.ring[0]);
	ck_assert_int_eq(fe_ring_wait_err(&r.ring[0], FE_TIMEOUT_MS), 0);
	/* Those which were taken come back nevertheless. */
	echo_release(&e, 0);
	echo_wait(&e.pushed, 2);
	ck_assert_int_eq(fe_stop(&e.fe, r.list, 2), 0);
	check_used(&r.ring[0], 0, 0, true);
	check_used(&r.ring[0], 1, 1, true);
	echo_down(&e, &r);
	echo_stop(&e);
}
END_TEST

/* proves: packed.id */
START_TEST(what_the_device_holds_made_available_again)
{
	struct vhost_queue_stats before, after;
	struct echo_rings r;
	struct echo e;
	uint16_t i;

	/* No more than the ring has is ever taken, and all that comes back. */
	up_held(&e, &r, _i, SIZE);
	for (i = 0; i < SIZE; i += 2)
		add_pair(&r.ring[0], i, &r);
	fe_ring_submit(&r.ring[0]);
	echo_wait(&e.popped, SIZE / 2);
	for (i = 0; i < SIZE; i++)
		fe_packed_set_desc(&r.ring[0], i, &(struct fe_raw_packed){ BUF, 8, i, USED });
	echo_stats(&e, 0, &before);
	fe_ring_kick_always(&r.ring[0]);
	do {
		echo_stats(&e, 0, &after);
	} while (after.kicks == before.kicks);
	ck_assert_uint_eq(atomic_load(&e.popped), SIZE / 2);
	ck_assert_int_eq(fe_ring_wait_err(&r.ring[0], 0), -ETIMEDOUT);
	echo_release(&e, 0);
	ck_assert_int_eq(fe_stop(&e.fe, r.list, 2), 0);
	for (i = 0; i < SIZE; i += 2)
		check_used(&r.ring[0], i, i, true);
	echo_down(&e, &r);
	echo_stop(&e);
}
END_TEST

/*
 * Bases
 */

/* Stop ring 0 and start it again at base, with its memory as it is. */
static int start_at(struct echo *e, struct echo_rings *r, uint32_t base)
{
	ck_assert_int_eq(fe_stop(&e->fe, r->list, 1), 0);
	ck_assert_int_eq(fe_set_vring_base(&e->fe, 0, base), 0);
	ck_assert_int_eq(fe_set_vring_enable(&e->fe, 0, true), 0);
	return fe_set_vring_kick(&e->fe, 0, r->ring[0].kick_fd);
}

static uint32_t stop_base(struct echo *e)
{
	uint32_t base;

	ck_assert_int_eq(fe_get_vring_base(&e->fe, 0, &base), 0);
	return base;
}

static const struct {
	uint32_t base;			/* as it is told */
	uint32_t start;			/* where the driver is then; 0: such a base makes no sense */
	uint32_t then;			/* after one request of two descriptors */
} bases[] = {
	{ 0x80008000, 0x80008000, 0x80028002 },
	{ 0x80058005, 0x80058005, 0x80078007 },
	{ 0x00050005, 0x00050005, 0x00070007 },
	{ 0x000f000f, 0x000f000f, 0x80018001 },	/* a chain across the end */
	{ 0x800e800e, 0x800e800e, 0x00000000 },
	/* two held, of which the device knows nothing */
	{ 0x80038005, 0x80038005, 0x80058007 },
	{ 0x800f0001, 0x800f0001, 0x00010003 },
	/* all held: nothing can be available */
	{ 0x00038003, 0, 0x00038003 },
	/* 16 bits only */
	{ 0x00008005, 0x80058005, 0x80078007 },
	{ 0x00000005, 0x00050005, 0x00070007 },
	{ 0x00008000, 0x80008000, 0x80028002 },
};

/* proves: packed.base, GET_VRING_BASE, SET_VRING_BASE */
START_TEST(base_as_it_is_told)
{
	const uint32_t value = bases[_i].base, start = bases[_i].start;
	struct echo_rings r;
	struct echo e;

	echo_start(&e, (unsigned int)_i % 2, 0);
	echo_up(&e, &r, 1, SIZE, F_PACKED | F_EVENT_IDX);
	ck_assert_int_eq(fe_stop(&e.fe, r.list, 1), 0);
	fe_ring_reset(&r.ring[0], start ? start : value);
	ck_assert_int_eq(start_at(&e, &r, value), 0);
	if (start)
		echo_check(&r.ring[0], 10);
	ck_assert_uint_eq(stop_base(&e), bases[_i].then);
	ck_assert_int_eq(fe_ring_wait_err(&r.ring[0], 0), -ETIMEDOUT);
	echo_down(&e, &r);
	echo_stop(&e);
}
END_TEST

static const uint32_t wrong_bases[] = {
	0x80008010,	/* next beyond the ring */
	0x80108010, 0x8010800f, 0xffffffff, 0x7fff7fff,
	0x80108000,	/* used beyond the ring */
	0x80058003, 0x00050003,	/* used in front of next */
	0x00058006, 0x8003000f, 0x0001800f,	/* more than a round apart */
	0x00000010, 0x0000ffff,	/* 16 bits only */
};

/* proves: packed.base, ring.base-out-of-range */
START_TEST(wrong_base)
{
	struct echo_rings r;
	struct echo e;

	echo_start(&e, (unsigned int)_i % 2, 0);
	echo_up(&e, &r, 1, SIZE, F_PACKED);
	ck_assert_int_eq(start_at(&e, &r, wrong_bases[_i]), 0);
	ck_assert_int_eq(fe_ring_wait_err(&r.ring[0], FE_TIMEOUT_MS), 0);
	hostile_restart(&e.fe, &r.ring[0]);
	echo_check(&r.ring[0], 10);
	echo_down(&e, &r);
	echo_stop(&e);
}
END_TEST

/* proves: packed.base */
START_TEST(base_0_of_a_fresh_ring)
{
	struct echo_rings r;
	struct echo e;

	/* As User-mode Linux sends it, with and without something in the ring already. */
	echo_start(&e, echo_run_workers(_i), 0);
	echo_up(&e, &r, 1, SIZE, F_PACKED | F_EVENT_IDX);
	ck_assert_int_eq(start_at(&e, &r, 0), 0);
	echo_check(&r.ring[0], 10);
	ck_assert_int_eq(fe_stop(&e.fe, r.list, 1), 0);
	fe_ring_reset(&r.ring[0], 0);
	echo_add(&r.ring[0]);
	ck_assert_int_eq(start_at(&e, &r, 0), 0);
	echo_get(&r.ring[0]);
	ck_assert_uint_eq(stop_base(&e), 0x80028002);
	echo_down(&e, &r);
	echo_stop(&e);
}
END_TEST

/* A request of n writable descriptors, there and back. */
static void check_chain(struct fe_ring *ring, unsigned int n)
{
	struct iovec in[4];
	uint32_t len;
	unsigned int i;
	void *cookie;

	for (i = 0; i < n; i++)
		in[i] = (struct iovec){ fe_mem_alloc(ring->mem, 8, 8), 8 };
	ck_assert_int_ge(fe_ring_add(ring, NULL, 0, in, n, in), 0);
	fe_ring_submit(ring);
	ck_assert_int_eq(fe_ring_wait(ring, FE_TIMEOUT_MS), 0);
	ck_assert_int_eq(fe_ring_get(ring, &cookie, &len), 1);
	ck_assert_ptr_eq(cookie, in);
}

START_TEST(base_0_of_a_ring_which_goes_on)
{
	/* Chains which end a round with both counters 0, the last row's with slot 0 skipped. */
	static const unsigned int rows[][12] = {
		{ 1, 1, 1, 1 }, { 2, 2 }, { 3, 1 }, { 4 }, { 1, 1, 1, 1, 4, 4 },
		{ 1, 1, 1, 1, 3, 2, 3 }, { 4, 2, 4, 1, 1 },
	};
	struct echo_rings r;
	unsigned int i, j;
	struct echo e;

	echo_start(&e, echo_run_workers(_i), 0);
	echo_up(&e, &r, 1, 4, F_PACKED | F_EVENT_IDX);
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		for (j = 0; rows[i][j]; j++)
			check_chain(&r.ring[0], rows[i][j]);
		ck_assert_uint_eq(stop_base(&e), 0);
		if (i % 2)
			echo_add(&r.ring[0]);
		ck_assert_int_eq(start_at(&e, &r, 0), 0);
		if (i % 2)
			echo_get(&r.ring[0]);
		check_chain(&r.ring[0], 1);
		hostile_restart(&e.fe, &r.ring[0]);
	}
	echo_down(&e, &r);
	echo_stop(&e);
}
END_TEST

/*
 * What is judged at a start, when the format is known at last
 */

/* proves: features.from-set-features, packed.base */
START_TEST(size_and_base_before_features)
{
	const struct fe_ring_params params = { .size = 3, .features = F_PACKED };
	struct vu_vring_addr addr;
	struct echo_rings r;
	struct echo e;

	/* Good for a packed ring. */
	echo_start(&e, echo_run_workers(_i), 0);
	ck_assert_int_eq(fe_negotiate(&e.fe, ~UINT64_C(0), ~UINT64_C(0)), 0);
	memset(&r, 0, sizeof(r));
	r.n = 1;
	ck_assert_int_eq(fe_mem_init(&r.mem, 0, 1 << 20), 0);
	ck_assert_int_eq(fe_ring_init(&r.ring[0], &r.mem, &params), 0);
	fe_ring_get_addr(&r.ring[0], &addr);
	ck_assert_int_eq(fe_start_mem(&e.fe, &r.mem), 0);
	ck_assert_int_eq(fe_set_vring_num(&e.fe, 0, 3), 0);
	ck_assert_int_eq(fe_set_vring_base(&e.fe, 0, FE_PACKED_BASE), 0);
	ck_assert_int_eq(fe_set_vring_addr(&e.fe, &addr), 0);
	/* Not for a split one. */
	ck_assert_int_eq(fe_set_vring_kick(&e.fe, 0, r.ring[0].kick_fd), -EIO);
	ck_assert_int_eq(fe_set_features(&e.fe, FE_BIT(VIRTIO_F_VERSION_1) |
					 FE_BIT(VU_F_PROTOCOL_FEATURES)), 0);
	ck_assert_int_eq(fe_set_vring_kick(&e.fe, 0, r.ring[0].kick_fd), -EIO);
	ck_assert_int_eq(fe_set_vring_num(&e.fe, 0, 3), -EIO);
	ck_assert_int_eq(fe_set_vring_base(&e.fe, 0, FE_PACKED_BASE), -EIO);
	ck_assert_int_eq(fe_set_features(&e.fe, FE_BIT(VIRTIO_F_VERSION_1) | F_PACKED |
					 FE_BIT(VU_F_PROTOCOL_FEATURES)), 0);
	/* The event areas are words of four bytes. */
	addr.avail += 2;
	ck_assert_int_eq(fe_set_vring_addr(&e.fe, &addr), -EIO);
	ck_assert_int_eq(fe_set_vring_num(&e.fe, 0, 0), -EIO);
	ck_assert_int_eq(fe_set_vring_num(&e.fe, 0, 32769), -EIO);
	ck_assert_int_eq(fe_set_vring_kick(&e.fe, 0, r.ring[0].kick_fd), 0);
	ck_assert_int_eq(fe_set_vring_call(&e.fe, 0, r.ring[0].call_fd), 0);
	ck_assert_int_eq(fe_set_vring_enable(&e.fe, 0, true), 0);
	echo_check(&r.ring[0], 10);
	echo_down(&e, &r);
	echo_stop(&e);
}
END_TEST

START_TEST(ring_without_base)
{
	const struct fe_ring_params params = { .size = SIZE, .features = F_PACKED };
	struct vu_vring_addr addr;
	struct echo_rings r;
	struct echo e;

	/* Nobody has told where it begins: at the beginning, with wrap counters of 1. */
	echo_start(&e, echo_run_workers(_i), 0);
	ck_assert_int_eq(fe_negotiate(&e.fe, F_PACKED | FE_BIT(VIRTIO_F_VERSION_1), 0), 0);
	ck_assert_int_eq(fe_set_features(&e.fe, F_PACKED | FE_BIT(VIRTIO_F_VERSION_1)), 0);
	memset(&r, 0, sizeof(r));
	r.n = 1;
	ck_assert_int_eq(fe_mem_init(&r.mem, 0, 1 << 20), 0);
	ck_assert_int_eq(fe_ring_init(&r.ring[0], &r.mem, &params), 0);
	fe_ring_get_addr(&r.ring[0], &addr);
	ck_assert_int_eq(fe_start_mem(&e.fe, &r.mem), 0);
	ck_assert_int_eq(fe_set_vring_num(&e.fe, 0, SIZE), 0);
	ck_assert_int_eq(fe_set_vring_addr(&e.fe, &addr), 0);
	ck_assert_int_eq(fe_set_vring_call(&e.fe, 0, r.ring[0].call_fd), 0);
	ck_assert_int_eq(fe_set_vring_kick(&e.fe, 0, r.ring[0].kick_fd), 0);
	echo_check(&r.ring[0], 10);
	ck_assert_uint_eq(stop_base(&e), 0x80028002);
	echo_down(&e, &r);
	echo_stop(&e);
}
END_TEST

/*
 * Positions and wraps
 */

static const unsigned int wrap_sizes[] = { 1, 2, 3, 7, 16 };

/* proves: packed.wrap, packed.any-size, packed.available, packed.publish, VIRTIO_F_RING_PACKED */
START_TEST(every_position)
{
	const unsigned int size = wrap_sizes[_i / 2];
	struct echo_rings r;
	unsigned int pos, i;
	struct echo e;

	/* From each slot with each wrap counter, chains of all lengths, more than a round. */
	echo_start(&e, (unsigned int)_i % 2, 0);
	echo_up(&e, &r, 1, size, F_PACKED | (_i % 2 ? F_EVENT_IDX : 0));
	for (pos = 0; pos < 2 * size; pos++) {
		uint32_t base = pos % size | (pos < size ? 0x8000 : 0);

		/* fe_ring_reset() takes 0 for the beginning; round 0 gets there by itself. */
		if (!base)
			continue;
		ck_assert_int_eq(fe_stop(&e.fe, r.list, 1), 0);
		fe_ring_reset(&r.ring[0], base << 16 | base);
		ck_assert_int_eq(fe_start_ring(&e.fe, &r.ring[0]), 0);
		ck_assert_int_eq(fe_set_vring_enable(&e.fe, 0, true), 0);
		for (i = 0; i < 2 * size + 3; i++)
			check_chain(&r.ring[0], 1 + i % MIN(size, 4u));
		ck_assert_uint_eq(stop_base(&e), fe_ring_get_base(&r.ring[0]));
	}
	echo_down(&e, &r);
	echo_stop(&e);
}
END_TEST

/* Publish n requests at once, take them back, and say how many signals there were. */
static uint64_t signals_of(struct echo *e, struct fe_ring *ring, unsigned int n)
{
	struct vhost_queue_stats before, after;
	struct iovec in = { fe_mem_alloc(ring->mem, 8, 8), 8 };
	unsigned int i;
	uint32_t len;
	void *cookie;

	echo_stats(e, 0, &before);
	for (i = 0; i < n; i++)
		ck_assert_int_ge(fe_ring_add(ring, NULL, 0, &in, 1, ring), 0);
	fe_ring_submit(ring);
	ring->flags |= FE_RING_POLL;
	for (i = 0; i < n; i++) {
		ck_assert_int_eq(fe_ring_wait(ring, FE_TIMEOUT_MS), 0);
		ck_assert_int_eq(fe_ring_get(ring, &cookie, &len), 1);
	}
	/* The signal belongs to the same round, and this is another one. */
	echo_stats(e, 0, &after);
	return after.signals - before.signals;
}

/* A position of the ring, as event areas have it, ahead of where the driver is. */
static uint16_t ahead(const struct fe_ring *ring, unsigned int n)
{
	unsigned int slot = ring->packed.used.slot + n;
	bool wrap = ring->packed.used.wrap;

	for (; slot >= ring->size; slot -= ring->size)
		wrap = !wrap;
	return (uint16_t)(slot | (wrap ? 0x8000 : 0));
}

/* proves: packed.interrupt, packed.wrap, VIRTIO_F_EVENT_IDX */
START_TEST(event_at_every_position)
{
	const unsigned int size = wrap_sizes[_i / 2];
	unsigned int first, event, batch, i;
	struct echo_rings r;
	struct echo e;

	/* From wherever the ring is, the signal comes with the event's descriptor and only then. */
	echo_start(&e, (unsigned int)_i % 2, 0);
	echo_up(&e, &r, 1, size, F_PACKED | F_EVENT_IDX);
	signals_of(&e, &r.ring[0], 1);	/* the first one after a start is always told */
	for (first = 0; first < 2 * size; first++) {
		for (event = 0; event < size; event++) {
			batch = 1 + (first + event) % size;
			fe_packed_set_driver_event(&r.ring[0], ahead(&r.ring[0], event),
						   VRING_PACKED_EVENT_FLAG_DESC);
			for (i = 0; i < size; i += batch) {
				bool hit = event >= i && event < i + batch;

				ck_assert_msg(signals_of(&e, &r.ring[0], batch) == hit,
					      "from %u event %u batch %u at %u", first, event,
					      batch, i);
			}
		}
		signals_of(&e, &r.ring[0], 1);
	}
	echo_down(&e, &r);
	echo_stop(&e);
}
END_TEST

/* proves: packed.interrupt */
START_TEST(event_flags)
{
	struct echo_rings r;
	struct fe_ring *ring = &r.ring[0];
	struct echo e;

	echo_start(&e, (unsigned int)_i % 2, 0);
	echo_up(&e, &r, 1, SIZE, F_PACKED | (_i < 2 ? 0 : F_EVENT_IDX));
	signals_of(&e, ring, 1);
	fe_packed_set_driver_event(ring, 0x8000, VRING_PACKED_EVENT_FLAG_DISABLE);
	ck_assert_uint_eq(signals_of(&e, ring, 3), 0);
	fe_packed_set_driver_event(ring, 0x8000, VRING_PACKED_EVENT_FLAG_ENABLE);
	ck_assert_uint_eq(signals_of(&e, ring, 3), 1);
	/* A position which is long past: it counts only with its feature. */
	fe_packed_set_driver_event(ring, 0x8001, VRING_PACKED_EVENT_FLAG_DESC);
	ck_assert_uint_eq(signals_of(&e, ring, 3), _i < 2);
	/* Positions which are not in the ring mean nothing, and do no harm. */
	fe_packed_set_driver_event(ring, 0xffff, VRING_PACKED_EVENT_FLAG_DESC);
	signals_of(&e, ring, 3);
	fe_packed_set_driver_event(ring, 0x7fff, VRING_PACKED_EVENT_FLAG_DESC);
	signals_of(&e, ring, 3);
	/* Reserved: rather a signal too many. */
	fe_packed_set_driver_event(ring, 0, 3);
	ck_assert_uint_eq(signals_of(&e, ring, 3), 1);
	echo_down(&e, &r);
	echo_stop(&e);
}
END_TEST

/* proves: packed.kick */
START_TEST(kicks_are_asked_for)
{
	uint16_t off_wrap, flags;
	struct echo_rings r;
	struct echo e;
	unsigned int i;

	/* When it is idle the device asks for a kick at exactly the next position. */
	echo_start(&e, (unsigned int)_i % 2, 0);
	echo_up(&e, &r, 1, 7, F_PACKED | (_i < 2 ? 0 : F_EVENT_IDX));
	for (i = 0; i < 40; i++) {
		check_chain(&r.ring[0], 1 + i % 3);
		do {
			ck_assert_int_eq(fe_sync(&e.fe), 0);
			fe_packed_device_event(&r.ring[0], &off_wrap, &flags);
		} while (flags == VRING_PACKED_EVENT_FLAG_DISABLE);
		if (_i < 2) {
			ck_assert_uint_eq(flags, VRING_PACKED_EVENT_FLAG_ENABLE);
			continue;
		}
		ck_assert_uint_eq(flags, VRING_PACKED_EVENT_FLAG_DESC);
		ck_assert_uint_eq(off_wrap, ahead(&r.ring[0], 0));
	}
	echo_down(&e, &r);
	echo_stop(&e);
}
END_TEST

/*
 * A second thread writes garbage all over the ring while requests go through it, as in
 * test_hostile.c: whatever is read must be read once; the sanitizers judge.
 */

struct scribbler {
	volatile struct vring_packed_desc *desc, *table;
	atomic_bool stop;
	unsigned int seed;
};

static void scribbler_init(struct scribbler *s, const struct fe_ring *ring, unsigned int seed)
{
	const struct fe_region *region = &ring->mem->regions[0];
	uint8_t *mem = mmap(NULL, MEM_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, region->fd, 0);

	ck_assert_ptr_ne(mem, MAP_FAILED);
	*s = (struct scribbler){
		.desc = (void *)(mem + ((uint8_t *)ring->packed.desc - region->ptr)),
		.table = (void *)(mem + TABLE),
		.seed = seed,
	};
}

static void *scribble(void *arg)
{
	struct scribbler *s = arg;

	while (!atomic_load(&s->stop)) {
		unsigned int x = (unsigned int)rand_r(&s->seed);
		volatile struct vring_packed_desc *d = x & 16 ? &s->table[x % 16] :
								&s->desc[x % SIZE];

		switch (x >> 8 & 7) {
		case 0: d->flags = (uint16_t)((x >> 12 & 7) | AVAIL); break;
		case 1: d->flags = (uint16_t)((x >> 12 & 7) | USED); break;
		case 2: d->flags = (uint16_t)(x >> 12 & 1 ? AVAIL : USED); break;
		case 3: d->id = (uint16_t)(x >> 12 & 31); break;
		case 4: d->len = x >> 12 & 0x3f0; break;
		case 5: d->addr = x >> 12 & 1 ? BUF : TABLE; break;
		case 6: d->len = UINT32_MAX; break;
		default: d->flags = INDIRECT | AVAIL; d->addr = TABLE; d->len = 256; break;
		}
	}
	return NULL;
}

/* proves: chain.read-once, packed.available */
START_TEST(ring_which_changes_while_it_is_read)
{
	struct scribbler s;
	struct echo_rings r;
	pthread_t thread;
	struct echo e;
	int i, j;

	echo_start(&e, (unsigned int)_i % 2, 0);
	echo_up(&e, &r, 2, SIZE, F_PACKED | F_INDIRECT);
	scribbler_init(&s, &r.ring[0], (unsigned int)_i);
	ck_assert_int_eq(pthread_create(&thread, NULL, scribble, &s), 0);
	for (i = 0; i < 300; i++) {
		for (j = 0; j < 50 && fe_ring_wait_err(&r.ring[0], 0); j++)
			fe_ring_kick_always(&r.ring[0]);
		hostile_restart(&e.fe, &r.ring[0]);
	}
	atomic_store(&s.stop, true);
	pthread_join(thread, NULL);
	hostile_restart(&e.fe, &r.ring[0]);
	echo_check(&r.ring[0], 100);
	echo_check(&r.ring[1], 100);
	munmap((uint8_t *)s.table - TABLE, MEM_SIZE);
	echo_down(&e, &r);
	echo_stop(&e);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("packed");
	TCase *tc = tcase_create("packed");

	tcase_set_timeout(tc, 120);
	tcase_add_loop_test(tc, attack_on_one_queue, 0, 2 * ARRAY_SIZE(attacks));
	tcase_add_loop_test(tc, attack_by_a_feature_which_was_not_negotiated, 0, 2);
	tcase_add_loop_test(tc, id_which_is_outstanding_already, 0, 3);
	tcase_add_loop_test(tc, chain_into_what_the_device_holds, 0, 3);
	tcase_add_loop_test(tc, what_the_device_holds_made_available_again, 0, 3);
	tcase_add_loop_test(tc, base_as_it_is_told, 0, ARRAY_SIZE(bases));
	tcase_add_loop_test(tc, wrong_base, 0, ARRAY_SIZE(wrong_bases));
	tcase_add_loop_test(tc, base_0_of_a_fresh_ring, 0, 3);
	tcase_add_loop_test(tc, base_0_of_a_ring_which_goes_on, 0, 3);
	tcase_add_loop_test(tc, size_and_base_before_features, 0, 3);
	tcase_add_loop_test(tc, ring_without_base, 0, 3);
	tcase_add_loop_test(tc, every_position, 0, 2 * ARRAY_SIZE(wrap_sizes));
	tcase_add_loop_test(tc, event_at_every_position, 0, 2 * ARRAY_SIZE(wrap_sizes));
	tcase_add_loop_test(tc, event_flags, 0, 4);
	tcase_add_loop_test(tc, kicks_are_asked_for, 0, 4);
	tcase_add_loop_test(tc, ring_which_changes_while_it_is_read, 0, 4);
	suite_add_tcase(suite, tc);
	return tap_main(suite);
}
