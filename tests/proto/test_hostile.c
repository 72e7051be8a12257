/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Drivers which write what no driver should, in split rings and whatever the format.
 *
 * A table of attacks on queue 0.  What makes no sense breaks that queue: its err fd is
 * signalled and nothing more is taken.  What is odd but allowed is served.  Either
 * way queue 1 goes on, the queue works again after a restart, and the device
 * serves the next front-end.  Run with 0 and 1 workers for the queues, and with indirect
 * descriptors, since a table is walked by other code.
 */
#include <errno.h>
#include <linux/virtio_config.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/echo.h"
#include "tests/proto/hostile.h"
#include "tests/tap.h"
#include "util.h"

#define NEXT VRING_DESC_F_NEXT
#define WRITE VRING_DESC_F_WRITE
#define INDIRECT VRING_DESC_F_INDIRECT
#define F_INDIRECT FE_BIT(VIRTIO_RING_F_INDIRECT_DESC)
#define F_EVENT_IDX FE_BIT(VIRTIO_RING_F_EVENT_IDX)

struct attack {
	struct hostile_case c;
	unsigned int n;			/* descriptors */
	struct fe_raw_desc desc[4];
	/* what cannot be said by descriptors */
	void (*act)(struct fe_ring *ring);
	/* an indirect table at TABLE */
	unsigned int ntable;
	struct fe_raw_desc table[4];
};

static void avail_idx_jumps(struct fe_ring *ring)
{
	fe_split_set_avail_idx(ring, HOSTILE_SIZE + 1);
}

static void avail_idx_far(struct fe_ring *ring)
{
	fe_split_set_avail_idx(ring, 0x8000);
}

static void avail_idx_backwards(struct fe_ring *ring)
{
	fe_split_set_avail_idx(ring, 0xffff);
}

static void head_beyond_ring(struct fe_ring *ring)
{
	fe_split_add_head(ring, HOSTILE_SIZE);
	fe_ring_publish(ring);
}

static void head_far_beyond_ring(struct fe_ring *ring)
{
	fe_split_add_head(ring, 0xffff);
	fe_ring_publish(ring);
}

/* A chain of so many buffers of 8 MiB each. */
static void long_chain(struct fe_ring *ring, uint16_t n)
{
	const struct fe_raw_desc d = { 0, INDIRECT, 0, n * 16u, TABLE };
	struct vring_desc *table = fe_mem_ptr(ring->mem, TABLE, n * 16u);
	uint16_t i;

	for (i = 0; i < n; i++)
		table[i] = (struct vring_desc){ 0, 8 << 20, i + 1 < n ? NEXT : 0, i + 1 };
	ck_assert_int_eq(fe_split_add_raw(ring, &d, 1, ring), 0);
	fe_ring_publish(ring);
}

static void chain_of_4_gib(struct fe_ring *ring)
{
	long_chain(ring, 512);
}

static void chain_below_4_gib(struct fe_ring *ring)
{
	long_chain(ring, 511);
}

static const struct attack attacks[] = {
	/* the available ring */
	{ { "available index jumps by more than the ring", .fresh = true }, .act = avail_idx_jumps },
	{ { "available index half way round" }, .act = avail_idx_far },
	{ { "available index goes backwards" }, .act = avail_idx_backwards },
	{ { "head beyond the ring" }, .act = head_beyond_ring },
	{ { "head far beyond the ring" }, .act = head_far_beyond_ring },

	/* loops */
	{ { "descriptor loops to itself" }, .n = 1, .desc = { { 0, NEXT, 0, 8, BUF } } },
	{ { "two descriptors loop" }, .n = 2,
	  .desc = { { 0, NEXT, 1, 8, BUF }, { 1, NEXT, 0, 8, BUF } } },
	{ { "loop of writable descriptors" }, .n = 2,
	  .desc = { { 0, NEXT | WRITE, 1, 8, BUF }, { 1, NEXT | WRITE, 0, 8, BUF } } },
	{ { "loop of empty descriptors" }, .n = 2,
	  .desc = { { 0, NEXT, 1, 0, BUF }, { 1, NEXT, 0, 0, BUF } } },
	{ { "next beyond the ring" }, .n = 1, .desc = { { 0, NEXT, HOSTILE_SIZE, 8, BUF } } },
	{ { "next far beyond the ring" }, .n = 1, .desc = { { 0, NEXT, 0xffff, 8, BUF } } },

	/* addresses */
	{ { "address outside" }, .n = 1, .desc = { { 0, 0, 0, 8, NOWHERE } } },
	{ { "writable address outside" }, .n = 1, .desc = { { 0, WRITE, 0, 8, NOWHERE } } },
	{ { "end outside" }, .n = 1, .desc = { { 0, 0, 0, 4097, END } } },
	{ { "ends far outside" }, .n = 1, .desc = { { 0, 0, 0, UINT32_MAX, END } } },
	{ { "address wraps" }, .n = 1, .desc = { { 0, WRITE, 0, 4096, UINT64_MAX - 8 } } },
	{ { "address 2^64 - 1" }, .n = 1, .desc = { { 0, 0, 0, 1, UINT64_MAX } } },
	{ { "two buffers of 2 GiB" }, .n = 2,
	  .desc = { { 0, NEXT, 1, 1u << 31, 0 }, { 1, 0, 0, 1u << 31, 0 } } },
	{ { "chain of 4 GiB" }, .act = chain_of_4_gib },
	{ { "chain of nearly 4 GiB", true, 0 }, .act = chain_below_4_gib },

	/* order */
	{ { "readable behind writable" }, .n = 2,
	  .desc = { { 0, NEXT | WRITE, 1, 8, BUF }, { 1, 0, 0, 8, BUF } } },

	/* odd but allowed */
	{ { "no buffer at all", true, 0 }, 1, { { 0, 0, 0, 0, BUF } } },
	{ { "empty buffer outside of memory", true, 0 }, 1, { { 0, 0, 0, 0, NOWHERE } } },
	{ { "empty buffers between others", true, 8 }, 4,
	  { { 0, NEXT, 1, 0, 0 }, { 1, NEXT, 2, 8, BUF }, { 2, NEXT | WRITE, 3, 0, 0 },
	    { 3, WRITE, 0, 8, BUF + 8 } } },
	{ { "empty readable buffer behind a writable empty one", true, 8 }, 4,
	  { { 0, NEXT | WRITE, 1, 0, 0 }, { 1, NEXT, 2, 8, BUF }, { 2, NEXT | WRITE, 3, 4, BUF + 8 },
	    { 3, WRITE, 0, 4, BUF + 12 } } },
	{ { "overlapping buffers", true, 64 }, 2,
	  { { 0, NEXT, 1, 64, BUF }, { 1, WRITE, 0, 64, BUF + 8 } } },
	{ { "buffers which are the ring itself", true, 0 }, 1, { { 0, 0, 0, 256, 0 } } },
	{ { "chain against the order of descriptors", true, 8 }, 3,
	  { { 9, NEXT, 5, 4, BUF }, { 5, NEXT, 1, 4, BUF + 4 }, { 1, WRITE, 0, 64, BUF + 64 } } },
	{ { "last byte of memory", true, 1 }, 2,
	  { { 0, NEXT, 1, 1, MEM_SIZE - 1 }, { 1, WRITE, 0, 1, BUF } } },
	{ { "next of a last descriptor", true, 0 }, 1, { { 0, 0, 0xffff, 8, BUF } } },
	{ { "unknown descriptor flags", true, 0 }, 1, { { 0, 0xfff8, 0, 8, BUF } } },

	/* indirect tables */
	{ { "indirect", true, 8 }, 1, { { 0, INDIRECT, 0, 32, TABLE } }, NULL, 2,
	  { { 0, NEXT, 1, 8, BUF }, { 1, WRITE, 0, 64, BUF + 8 } } },
	{ { "indirect behind direct", true, 12 }, 2,
	  { { 3, NEXT, 7, 4, BUF }, { 7, INDIRECT, 0, 32, TABLE } }, NULL, 2,
	  { { 0, NEXT, 1, 8, BUF }, { 1, WRITE, 0, 64, BUF + 8 } } },
	{ { "indirect with the write flag", true, 8 }, 1, { { 0, INDIRECT | WRITE, 0, 32, TABLE } },
	  NULL, 2, { { 0, NEXT, 1, 8, BUF }, { 1, WRITE, 0, 64, BUF + 8 } } },
	{ { "indirect against the order of its table", true, 8 }, 1, { { 0, INDIRECT, 0, 64, TABLE } },
	  NULL, 4, { { 0, NEXT, 3, 4, BUF }, { 1 }, { 2, WRITE, 0, 64, BUF + 8 },
		     { 3, NEXT, 2, 4, BUF } } },
	{ { "indirect and next" }, .n = 2,
	  .desc = { { 0, INDIRECT | NEXT, 1, 16, TABLE }, { 1, WRITE, 0, 8, BUF } },
	  .ntable = 1, .table = { { 0, 0, 0, 8, BUF } } },
	{ { "indirect within indirect" }, .n = 1, .desc = { { 0, INDIRECT, 0, 16, TABLE } },
	  .ntable = 1, .table = { { 0, INDIRECT, 0, 16, TABLE } } },
	{ { "indirect table without entries" }, .n = 1, .desc = { { 0, INDIRECT, 0, 0, TABLE } } },
	{ { "indirect table of odd length" }, .n = 1, .desc = { { 0, INDIRECT, 0, 24, TABLE } } },
	{ { "indirect table too long" }, .n = 1, .desc = { { 0, INDIRECT, 0, 1025 * 16, TABLE } } },
	{ { "indirect table of 4 GiB" }, .n = 1, .desc = { { 0, INDIRECT, 0, UINT32_MAX - 15, TABLE } } },
	{ { "indirect table outside" }, .n = 1, .desc = { { 0, INDIRECT, 0, 16, NOWHERE } } },
	{ { "indirect table ends outside" }, .n = 1, .desc = { { 0, INDIRECT, 0, 32, MEM_SIZE - 16 } },
	  .act = NULL },
	{ { "indirect table wraps" }, .n = 1, .desc = { { 0, INDIRECT, 0, 32, UINT64_MAX - 15 } } },
	{ { "indirect next leaves its table" }, .n = 1, .desc = { { 0, INDIRECT, 0, 32, TABLE } },
	  .ntable = 1, .table = { { 0, NEXT, 2, 8, BUF } } },
	{ { "indirect descriptor loops to itself" }, .n = 1, .desc = { { 0, INDIRECT, 0, 32, TABLE } },
	  .ntable = 1, .table = { { 0, NEXT, 0, 8, BUF } } },
	{ { "indirect descriptors loop" }, .n = 1, .desc = { { 0, INDIRECT, 0, 32, TABLE } },
	  .ntable = 2, .table = { { 0, NEXT, 1, 0, BUF }, { 1, NEXT, 0, 0, BUF } } },
	{ { "indirect readable behind writable" }, .n = 1, .desc = { { 0, INDIRECT, 0, 32, TABLE } },
	  .ntable = 2, .table = { { 0, NEXT | WRITE, 1, 8, BUF }, { 1, 0, 0, 8, BUF } } },
	{ { "readable in the table behind direct writable" }, .n = 2,
	  .desc = { { 0, NEXT | WRITE, 1, 8, BUF }, { 1, INDIRECT, 0, 16, TABLE } },
	  .ntable = 1, .table = { { 0, 0, 0, 8, BUF } } },
};

/* Attacks on a device which did not negotiate what they use. */
static const struct attack without_indirect = {
	{ "indirect without its feature" }, .n = 1, .desc = { { 0, INDIRECT, 0, 16, TABLE } },
	.ntable = 1, .table = { { 0, 0, 0, 8, BUF } },
};

static void attack(struct fe_ring *ring, const struct hostile_case *c)
{
	const struct attack *a = container_of(c, const struct attack, c);
	struct vring_desc *table = fe_mem_ptr(ring->mem, TABLE, 4096);
	unsigned int i;

	memset(table, 0, 4096);
	/* The last page of memory holds a table which goes on outside. */
	*(struct vring_desc *)fe_mem_ptr(ring->mem, MEM_SIZE - 16, 16) =
		(struct vring_desc){ BUF, 8, NEXT, 1 };
	for (i = 0; i < a->ntable; i++)
		table[a->table[i].slot] = (struct vring_desc){ a->table[i].addr, a->table[i].len,
							       a->table[i].flags, a->table[i].next };
	if (a->n) {
		ck_assert_int_eq(fe_split_add_raw(ring, a->desc, a->n, ring), a->desc[0].slot);
		fe_ring_publish(ring);
	}
	if (a->act)
		a->act(ring);
	fe_ring_kick_always(ring);
}

/*
 * proves: queue.one-breaks, queue.restart, msg.process, split.available-index, split.head,
 * split.next, chain.length, mem.translate, chain.total-length, chain.write-order, chain.empty,
 * chain.indirect, chain.indirect-after-direct, chain.indirect-last, chain.indirect-nested,
 * chain.indirect-length, VIRTIO_F_INDIRECT_DESC
 */
START_TEST(attack_on_one_queue)
{
	unsigned int i = (unsigned int)_i;

	hostile_run(&attacks[i / 2].c, attack, i % 2,
		    i % 2 ? F_INDIRECT | F_EVENT_IDX : F_INDIRECT);
}
END_TEST

/* proves: chain.indirect-negotiated */
START_TEST(attack_by_a_feature_which_was_not_negotiated)
{
	hostile_run(&without_indirect.c, attack, (unsigned int)_i, 0);
}
END_TEST

/* proves: ring.base-out-of-range */
START_TEST(base_which_does_not_fit_the_used_index)
{
	struct echo_rings r;
	struct echo e;
	uint32_t base;

	echo_start(&e, (unsigned int)_i, 0);
	echo_up(&e, &r, 2, HOSTILE_SIZE, 0);
	ck_assert_int_eq(fe_get_vring_base(&e.fe, 0, &base), 0);
	ck_assert_int_eq(fe_set_vring_base(&e.fe, 0, 1000), 0);
	ck_assert_int_eq(fe_set_vring_kick(&e.fe, 0, r.ring[0].kick_fd), 0);
	ck_assert_int_eq(fe_ring_wait_err(&r.ring[0], FE_TIMEOUT_MS), 0);
	hostile_restart(&e.fe, &r.ring[0]);
	echo_check(&r.ring[0], 10);
	echo_down(&e, &r);
	echo_stop(&e);
}
END_TEST

/* proves: ring.err-fd, SET_VRING_ERR */
START_TEST(err_fd_which_comes_late_is_told)
{
	struct echo_rings r;
	struct echo e;

	echo_start(&e, (unsigned int)_i, 0);
	echo_up(&e, &r, 1, HOSTILE_SIZE, 0);
	ck_assert_int_eq(fe_set_vring_err(&e.fe, 0, -1), 0);
	attack(&r.ring[0], &attacks[0].c);
	ck_assert_int_eq(fe_ring_wait_err(&r.ring[0], 20), -ETIMEDOUT);
	ck_assert_int_eq(fe_set_vring_err(&e.fe, 0, r.ring[0].err_fd), 0);
	ck_assert_int_eq(fe_ring_wait_err(&r.ring[0], FE_TIMEOUT_MS), 0);
	echo_down(&e, &r);
	echo_stop(&e);
}
END_TEST

/*
 * A second thread writes garbage all over the ring while requests go through it: whatever is
 * read must be read once.  Bounded in number, not in time; the sanitizers judge.
 */

/*
 * It writes through a mapping of its own: the race is with the device, which must
 * stand it, not with the rest of this test.
 */
struct scribbler {
	volatile struct vring_desc *desc, *table;
	volatile struct vring_avail *avail;
	atomic_bool stop;
	unsigned int seed;
};

static void scribbler_init(struct scribbler *s, const struct fe_ring *ring, unsigned int seed)
{
	const struct fe_region *region = &ring->mem->regions[0];
	uint8_t *mem = mmap(NULL, MEM_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, region->fd, 0);

	ck_assert_ptr_ne(mem, MAP_FAILED);
	*s = (struct scribbler){
		.desc = (void *)(mem + ((uint8_t *)ring->split.desc - region->ptr)),
		.avail = (void *)(mem + ((uint8_t *)ring->split.avail - region->ptr)),
		.table = (void *)(mem + TABLE),
		.seed = seed,
	};
}

static void *scribble(void *arg)
{
	struct scribbler *s = arg;

	while (!atomic_load(&s->stop)) {
		unsigned int x = (unsigned int)rand_r(&s->seed);
		volatile struct vring_desc *d = x & 16 ? &s->table[x % 16] : &s->desc[x % HOSTILE_SIZE];

		switch (x >> 8 & 7) {
		case 0: d->flags = (uint16_t)(x >> 12 & 7); break;
		case 1: d->next = (uint16_t)(x >> 12 & 31); break;
		case 2: d->len = x >> 12 & 0x3ff; break;
		case 3: d->addr = x >> 12 & 1 ? BUF : TABLE; break;
		case 4: d->len = UINT32_MAX; break;
		case 5: d->addr = NOWHERE; break;
		case 6: s->avail->ring[x % HOSTILE_SIZE] = (uint16_t)(x >> 12 & 31); break;
		default: d->flags = INDIRECT; d->addr = TABLE; d->len = 256; break;
		}
	}
	return NULL;
}

/* proves: chain.read-once */
START_TEST(ring_which_changes_while_it_is_read)
{
	struct scribbler s;
	struct echo_rings r;
	pthread_t thread;
	struct echo e;
	int i;

	echo_start(&e, (unsigned int)_i % 2, 0);
	echo_up(&e, &r, 2, HOSTILE_SIZE, F_INDIRECT);
	scribbler_init(&s, &r.ring[0], (unsigned int)_i);
	ck_assert_int_eq(pthread_create(&thread, NULL, scribble, &s), 0);
	for (i = 0; i < 300; i++) {
		unsigned int idx;

		/* All that fits is available again and again, until the queue breaks. */
		for (idx = 0; idx < 50; idx++) {
			uint16_t used = fe_split_used_idx(&r.ring[0]);

			fe_split_set_avail_idx(&r.ring[0], (uint16_t)(used + HOSTILE_SIZE));
			fe_ring_kick_always(&r.ring[0]);
			if (!fe_ring_wait_err(&r.ring[0], 0))
				break;
		}
		hostile_restart(&e.fe, &r.ring[0]);
	}
	atomic_store(&s.stop, true);
	pthread_join(thread, NULL);
	hostile_restart(&e.fe, &r.ring[0]);
	echo_check(&r.ring[0], 100);
	echo_check(&r.ring[1], 100);
	echo_down(&e, &r);
	echo_stop(&e);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("hostile");
	TCase *tc = tcase_create("hostile");

	tcase_set_timeout(tc, 120);
	tcase_add_loop_test(tc, attack_on_one_queue, 0, 2 * ARRAY_SIZE(attacks));
	tcase_add_loop_test(tc, attack_by_a_feature_which_was_not_negotiated, 0, 2);
	tcase_add_loop_test(tc, base_which_does_not_fit_the_used_index, 0, 2);
	tcase_add_loop_test(tc, err_fd_which_comes_late_is_told, 0, 2);
	tcase_add_loop_test(tc, ring_which_changes_while_it_is_read, 0, 4);
	suite_add_tcase(suite, tc);
	return tap_main(suite);
}
