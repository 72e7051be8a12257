/* SPDX-License-Identifier: BSD-3-Clause */
/* Hostile drivers of packed rings; see hostile.h. */
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

/* A chain of so many buffers of 8 MiB each. */
static void long_chain(struct fe_ring *ring, uint32_t n)
{
	const struct fe_raw_packed d = { TABLE, n * 16, 0, INDIRECT };
	struct vring_packed_desc *table = fe_mem_ptr(ring->mem, TABLE, n * 16);
	uint32_t i;

	for (i = 0; i < n; i++)
		table[i] = (struct vring_packed_desc){ .len = 8 << 20 };
	ck_assert_int_ge(fe_packed_add_raw(ring, &d, 1, ring), 0);
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
	{ { "next one is used", .fresh = true }, .act = chain_into_used_descriptors },
	{ { "next one of the next round", .fresh = true }, .act = chain_into_the_next_round },
	{ { "readable behind writable" }, 2, { { BUF, 8, 0, NEXT | WRITE }, { BUF, 8, 0, 0 } } },
	{ { "chain of 4 GiB" }, .act = chain_of_4_gib },
	{ { "chain of nearly 4 GiB", true, 0 }, .act = chain_below_4_gib },
	{ { "two buffers of 2 GiB" }, 2, { { 0, 1u << 31, 0, NEXT }, { 0, 1u << 31, 0, 0 } } },
	{ { "two writable buffers of 2 GiB" }, 2,
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
 * msg.process, mem.translate, chain.write-order, chain.length, chain.total-length, chain.empty,
 * chain.indirect, chain.indirect-after-direct, chain.indirect-last, chain.indirect-nested,
 * chain.indirect-length, VIRTIO_F_RING_PACKED, VIRTIO_F_INDIRECT_DESC
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

/* proves: packed.held */
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

/* proves: packed.held */
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

/* proves: chain.read-once */
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
	Suite *suite = suite_create("packed hostile");
	TCase *tc = tcase_create("packed hostile");

	tcase_set_timeout(tc, 120);
	tcase_add_loop_test(tc, attack_on_one_queue, 0, 2 * ARRAY_SIZE(attacks));
	tcase_add_loop_test(tc, attack_by_a_feature_which_was_not_negotiated, 0, 2);
	tcase_add_loop_test(tc, id_which_is_outstanding_already, 0, 3);
	tcase_add_loop_test(tc, chain_into_what_the_device_holds, 0, 3);
	tcase_add_loop_test(tc, what_the_device_holds_made_available_again, 0, 3);
	tcase_add_loop_test(tc, ring_which_changes_while_it_is_read, 0, 4);
	suite_add_tcase(suite, tc);
	return tap_main(suite);
}
