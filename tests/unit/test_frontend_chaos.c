/* SPDX-License-Identifier: BSD-3-Clause */
/* The front-end library's hostile guest: where it writes, that it can be repeated, its table. */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "fe_chaos.h"
#include "tap.h"

#define PAGE		4096u
#define GPA		UINT64_C(0x10000)
#define SIZE		16u
#define MEM_SIZE	(32 * PAGE)
#define LONG_MS		10000
#define ALL		(FE_BIT(VIRTIO_RING_F_INDIRECT_DESC) | FE_BIT(VIRTIO_RING_F_EVENT_IDX))

static struct fe_mem mem;
static struct fe_ring ring;
static void *room;

static void open_ring(bool packed)
{
	const struct fe_ring_params params = {
		.size = SIZE, .indirect = 4,
		.features = ALL | (packed ? FE_BIT(VIRTIO_F_RING_PACKED) : 0),
	};

	ck_assert_int_eq(fe_mem_init(&mem, GPA, MEM_SIZE), 0);
	ck_assert_int_eq(fe_ring_init(&ring, &mem, &params), 0);
	room = fe_mem_alloc(&mem, FE_MUTATION_ROOM, PAGE);
	ck_assert_ptr_nonnull(room);
}

static void close_ring(void)
{
	fe_ring_free(&ring);
	fe_mem_free(&mem);
}

/* Nothing beside the target is written, and all of it is, sooner or later. */
START_TEST(bounds)
{
	struct fe_chaos chaos = { .seed = 7 };
	uint32_t words[64] = { 0 };
	unsigned int i, hit = 0;

	ck_assert_int_eq(fe_chaos_start(&chaos), -EINVAL);
	ck_assert_int_eq(fe_chaos_add(&chaos, &words[8], 3, 1), -EINVAL);
	ck_assert_int_eq(fe_chaos_add(&chaos, &words[8], 8, 0), -EINVAL);
	ck_assert_int_eq(fe_chaos_add(&chaos, &words[8], 40 * 4 + 3, 1), 0);
	for (i = 0; i < 20000; i++)
		fe_chaos_write(&chaos);
	ck_assert_uint_eq(chaos.writes, 20000);
	for (i = 0; i < 64; i++) {
		if (i < 8 || i >= 48)
			ck_assert_uint_eq(words[i], 0);
		else
			hit += !!words[i];
	}
	ck_assert_uint_gt(hit, 30);
	while (chaos.num < FE_CHAOS_TARGETS)
		ck_assert_int_eq(fe_chaos_add(&chaos, words, 8, 1), 0);
	ck_assert_int_eq(fe_chaos_add(&chaos, words, 8, 1), -ENOSPC);
}
END_TEST

static void run(uint64_t seed, uint32_t words[2][32])
{
	struct fe_chaos chaos = { .seed = seed, .max = 5000 };
	unsigned int i;

	memset(words, 0, 2 * sizeof(words[0]));
	for (i = 0; i < 2; i++)
		ck_assert_int_eq(fe_chaos_add(&chaos, words[i], sizeof(words[i]), 1 + i), 0);
	ck_assert_int_eq(fe_chaos_start(&chaos), 0);
	ck_assert_int_eq(fe_chaos_wait(&chaos, 5000, LONG_MS), 0);
	fe_chaos_stop(&chaos);
	fe_chaos_stop(&chaos);
	ck_assert_uint_eq(chaos.writes, 5000);
}

START_TEST(repeatable)
{
	uint32_t a[2][32], b[2][32];

	run(42, a);
	run(42, b);
	ck_assert_mem_eq(a, b, sizeof(a));
	run(43, b);
	ck_assert_mem_ne(a, b, sizeof(a));
}
END_TEST

/* The driver survives it: it stays in its memory and never waits. */
START_TEST(driver)
{
	struct fe_chaos chaos = { .seed = 99 };
	struct iovec iov[2];
	unsigned int i, added = 0;
	uint32_t len;
	void *cookie;

	open_ring(_i);
	iov[0] = iov[1] = (struct iovec){ room, 64 };
	ck_assert_int_eq(fe_chaos_add_ring(&chaos, &ring), 0);
	ck_assert_uint_eq(chaos.num, 4);
	ck_assert_int_eq(fe_chaos_start(&chaos), 0);
	for (i = 0; i < 20000 || __atomic_load_n(&chaos.writes, __ATOMIC_RELAXED) < 20000; i++) {
		added += fe_ring_add(&ring, iov, 1, &iov[1], i & 1, &ring) >= 0;
		fe_ring_submit(&ring);
		fe_ring_get(&ring, &cookie, &len);
		fe_ring_irq_on(&ring);
		fe_ring_get_base(&ring);
		ck_assert_uint_le(ring.num_free, SIZE);
		if (!ring.num_free)
			fe_ring_reset(&ring, 0);
	}
	fe_chaos_stop(&chaos);
	ck_assert_uint_gt(added, SIZE);
	close_ring();
}
END_TEST

/* Each fits the formats it says, leaves the driver's books in order and does something. */
START_TEST(mutations)
{
	const bool packed = _i;
	const struct fe_mutation *m;
	static uint8_t before[MEM_SIZE];
	unsigned int num = 0;

	for (m = fe_mutations; m->name; m++) {
		ck_assert_ptr_eq(fe_mutation_find(m->name), m);
		open_ring(packed);
		if (!(m->flags & (packed ? FE_MUTATION_PACKED : FE_MUTATION_SPLIT))) {
			ck_assert(!fe_mutation_fits(m, &ring));
			close_ring();
			continue;
		}
		ck_assert(fe_mutation_fits(m, &ring));
		ring.features &= ~ALL;
		ck_assert_int_eq(fe_mutation_fits(m, &ring),
				 !(m->flags & (FE_MUTATION_INDIRECT | FE_MUTATION_EVENT)));
		ring.features |= ALL;
		memcpy(before, mem.regions[0].ptr, MEM_SIZE);
		m->apply(&ring, room);
		ck_assert_mem_ne(before, mem.regions[0].ptr, MEM_SIZE);
		ck_assert_uint_le(ring.outstanding, SIZE - ring.num_free);
		num++;
		close_ring();
	}
	ck_assert_uint_gt(num, 15);
	ck_assert_ptr_null(fe_mutation_find("nothing"));
}
END_TEST

/* Some of them word by word. */
START_TEST(split_words)
{
	struct vring_desc *d;

	open_ring(false);
	fe_mutation_find("readable_after_writable")->apply(&ring, room);
	d = ring.desc_area;
	ck_assert_uint_eq(ring.split.avail->idx, 1);
	ck_assert_uint_eq(ring.split.avail->ring[0], 0);
	ck_assert(d[0].flags == 1 && d[1].flags == 3 && d[2].flags == 0);
	ck_assert(d[0].next == 1 && d[1].next == 2 && d[0].len == 64);
	ck_assert_ptr_eq(fe_mem_ptr(&mem, d[2].addr, 64), (uint8_t *)room + PAGE + 128);
	fe_mutation_find("split_next_beyond_ring")->apply(&ring, room);
	ck_assert_uint_eq(ring.split.avail->idx, 2);
	ck_assert_uint_eq(d[4].next, SIZE);
	fe_mutation_find("table_loops")->apply(&ring, room);
	ck_assert_uint_eq(d[5].flags, 4);
	ck_assert_uint_eq(d[5].len, 32);
	ck_assert_ptr_eq(fe_mem_ptr(&mem, d[5].addr, 32), room);
	ck_assert_uint_eq(((struct vring_desc *)room)[0].flags, 1);
	ck_assert_uint_eq(((struct vring_desc *)room)[0].next, 0);
	fe_mutation_find("split_head_twice")->apply(&ring, room);
	ck_assert_uint_eq(ring.split.avail->idx, 5);
	ck_assert_uint_eq(ring.split.avail->ring[3], 6);
	ck_assert_uint_eq(ring.split.avail->ring[4], 6);
	fe_mutation_find("split_index_too_far")->apply(&ring, room);
	ck_assert_uint_eq(ring.split.avail->idx, 5 + SIZE + 1);
	close_ring();
}
END_TEST

START_TEST(packed_words)
{
	struct vring_packed_desc *d;
	unsigned int i;

	open_ring(true);
	d = ring.desc_area;
	fe_mutation_find("packed_id_beyond_ring")->apply(&ring, room);
	ck_assert(d[0].id == SIZE && d[0].flags == (0x80 | 2) && d[0].len == 64);
	fe_mutation_find("table_in_table")->apply(&ring, room);
	ck_assert(d[1].flags == (0x80 | 4) && d[1].len == 16);
	ck_assert_uint_eq(((struct vring_packed_desc *)room)[0].flags, 4);
	fe_mutation_find("table_with_next")->apply(&ring, room);
	ck_assert(d[2].flags == (0x80 | 5) && d[3].flags == (0x80 | 2));
	fe_mutation_find("packed_event_reserved")->apply(&ring, room);
	ck_assert_uint_eq(ring.packed.driver->flags, 0xffff);
	fe_ring_reset(&ring, 0);
	fe_mutation_find("packed_chain_without_end")->apply(&ring, room);
	for (i = 0; i < SIZE; i++)
		ck_assert_uint_eq(d[i].flags, 0x80 | 1);
	close_ring();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("frontend-chaos");
	TCase *tc = tcase_create("chaos");

	tcase_add_test(tc, bounds);
	tcase_add_test(tc, repeatable);
	tcase_add_loop_test(tc, driver, 0, 2);
	tcase_add_loop_test(tc, mutations, 0, 2);
	tcase_add_test(tc, split_words);
	tcase_add_test(tc, packed_words);
	suite_add_tcase(suite, tc);
	return tap_main(suite);
}
