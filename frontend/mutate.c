/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The table of what a guest can do wrong with a ring, and of what only looks so.
 *
 * Most of it is about the buffers of a chain, which both formats describe alike: those are given as
 * struct mutate_buf and written in whichever format the ring has.  Tables lie in the first page of
 * the room, buffers in the second.
 */
#include "config.h"

#include <string.h>

#include "frontend/fe_chaos.h"
#include "frontend/ring.h"

#define NEXT		VRING_DESC_F_NEXT
#define WRITE		VRING_DESC_F_WRITE
#define INDIRECT	VRING_DESC_F_INDIRECT

#define MUTATE_TABLE	4096u		/* bytes of room before the buffers */
#define MUTATE_NOWHERE	UINT64_C(0x7fff00000000)	/* no guest has memory there */
#define MUTATE_MAX	8u		/* buffers of a chain */

/* A buffer, with the flags as they are to be in its descriptor. */
struct mutate_buf {
	uint64_t addr;
	uint32_t len;
	uint16_t flags;
};

static bool mutate_is_packed(const struct fe_ring *ring)
{
	return fe_ring_has(ring, VIRTIO_F_RING_PACKED);
}

/* Guest addresses of the table and of the i-th buffer of 64 bytes. */
static uint64_t mutate_table(const struct fe_ring *ring, void *room)
{
	return fe_ring_addr_of(ring, room, FE_MUTATION_ROOM);
}

static uint64_t mutate_data(const struct fe_ring *ring, void *room, unsigned int i)
{
	return mutate_table(ring, room) + MUTATE_TABLE + i * 64;
}

static void mutate_add_split(struct fe_ring *ring, const struct mutate_buf *bufs, unsigned int n)
{
	struct fe_raw_desc descs[MUTATE_MAX];
	unsigned int i;

	for (i = 0; i < n; i++)
		descs[i] = (struct fe_raw_desc){
			.slot = fe_ring_free_id(ring, i),
			.next = fe_ring_free_id(ring, i + 1),
			.addr = bufs[i].addr, .len = bufs[i].len, .flags = bufs[i].flags,
		};
	fe_split_add_raw(ring, descs, n, ring);
}

static void mutate_add_packed(struct fe_ring *ring, const struct mutate_buf *bufs, unsigned int n)
{
	struct fe_raw_packed descs[MUTATE_MAX];
	unsigned int i;

	for (i = 0; i < n; i++)
		descs[i] = (struct fe_raw_packed){
			.id = fe_ring_free_id(ring, 0),
			.addr = bufs[i].addr, .len = bufs[i].len, .flags = bufs[i].flags,
		};
	fe_packed_add_raw(ring, descs, n, ring);
}

/* Make these buffers available as one chain. */
static void mutate_add(struct fe_ring *ring, const struct mutate_buf *bufs, unsigned int n)
{
	if (mutate_is_packed(ring))
		mutate_add_packed(ring, bufs, n);
	else
		mutate_add_split(ring, bufs, n);
	fe_ring_publish(ring);
}

/* The same behind an indirect descriptor; in a split ring next is the one after. */
static void mutate_fill_table(struct fe_ring *ring, void *room, const struct mutate_buf *bufs,
			      unsigned int n)
{
	unsigned int i;

	memset(room, 0, MUTATE_TABLE);
	for (i = 0; i < n && mutate_is_packed(ring); i++)
		((struct vring_packed_desc *)room)[i] = (struct vring_packed_desc){
			.addr = htole64(bufs[i].addr), .len = htole32(bufs[i].len),
			.flags = htole16(bufs[i].flags),
		};
	for (i = 0; i < n && !mutate_is_packed(ring); i++)
		((struct vring_desc *)room)[i] = (struct vring_desc){
			.addr = htole64(bufs[i].addr), .len = htole32(bufs[i].len),
			.flags = htole16(bufs[i].flags), .next = htole16((uint16_t)(i + 1)),
		};
}

/* A table of two sound buffers, and a descriptor for it of len bytes with more flags. */
static void mutate_indirect(struct fe_ring *ring, void *room, uint32_t len, uint16_t flags)
{
	/* Tables of packed rings know no NEXT. */
	const uint16_t next = mutate_is_packed(ring) ? 0 : NEXT;
	const struct mutate_buf bufs[] = {
		{ mutate_data(ring, room, 0), 64, next },
		{ mutate_data(ring, room, 1), 64, WRITE },
	};
	const struct mutate_buf head[] = {
		{ mutate_table(ring, room), len, INDIRECT | flags },
		{ mutate_data(ring, room, 2), 64, WRITE },
	};

	mutate_fill_table(ring, room, bufs, 2);
	mutate_add(ring, head, flags & NEXT ? 2 : 1);
}

/* A table with these buffers in it. */
static void mutate_table_of(struct fe_ring *ring, void *room, const struct mutate_buf *bufs,
			    unsigned int n)
{
	const struct mutate_buf head = {
		mutate_table(ring, room), n * (uint32_t)sizeof(struct vring_desc), INDIRECT,
	};

	mutate_fill_table(ring, room, bufs, n);
	mutate_add(ring, &head, 1);
}

static void buffer_outside(struct fe_ring *ring, void *room)
{
	const struct mutate_buf buf = { MUTATE_NOWHERE, 64, WRITE };

	(void)room;
	mutate_add(ring, &buf, 1);
}

static void buffer_wraps(struct fe_ring *ring, void *room)
{
	const struct mutate_buf buf = { UINT64_MAX - 31, 64, WRITE };

	(void)room;
	mutate_add(ring, &buf, 1);
}

static void buffer_leaves_memory(struct fe_ring *ring, void *room)
{
	const struct mutate_buf buf = { mutate_data(ring, room, 0), UINT32_MAX, 0 };

	mutate_add(ring, &buf, 1);
}

static void readable_after_writable(struct fe_ring *ring, void *room)
{
	const struct mutate_buf bufs[] = {
		{ mutate_data(ring, room, 0), 64, NEXT },
		{ mutate_data(ring, room, 1), 64, WRITE | NEXT },
		{ mutate_data(ring, room, 2), 64, 0 },
	};

	mutate_add(ring, bufs, 3);
}

static void empty_buffers(struct fe_ring *ring, void *room)
{
	const struct mutate_buf bufs[] = {
		{ mutate_data(ring, room, 0), 64, NEXT },
		{ 0, 0, NEXT },
		{ MUTATE_NOWHERE, 0, WRITE | NEXT },
		{ mutate_data(ring, room, 1), 64, WRITE },
	};

	mutate_add(ring, bufs, 4);
}

static void unknown_flags(struct fe_ring *ring, void *room)
{
	const struct mutate_buf bufs[] = {
		{ mutate_data(ring, room, 0), 64, NEXT | 0x78 },
		{ mutate_data(ring, room, 1), 64, WRITE | 0x3f00 },
	};

	mutate_add(ring, bufs, 2);
}

static void table_of_no_length(struct fe_ring *ring, void *room)
{
	mutate_indirect(ring, room, 0, 0);
}

static void table_of_odd_length(struct fe_ring *ring, void *room)
{
	mutate_indirect(ring, room, 33, 0);
}

static void table_too_long(struct fe_ring *ring, void *room)
{
	mutate_indirect(ring, room, 0xfffffff0, 0);
}

static void table_with_next(struct fe_ring *ring, void *room)
{
	mutate_indirect(ring, room, 32, NEXT);
}

static void table_with_write(struct fe_ring *ring, void *room)
{
	mutate_indirect(ring, room, 32, WRITE);
}

static void table_outside(struct fe_ring *ring, void *room)
{
	const struct mutate_buf head = { MUTATE_NOWHERE, 32, INDIRECT };

	(void)room;
	mutate_add(ring, &head, 1);
}

static void table_in_table(struct fe_ring *ring, void *room)
{
	const struct mutate_buf bufs[] = { { mutate_table(ring, room), 32, INDIRECT } };

	mutate_table_of(ring, room, bufs, 1);
}

static void table_with_buffer_outside(struct fe_ring *ring, void *room)
{
	const struct mutate_buf bufs[] = { { MUTATE_NOWHERE, 64, WRITE } };

	mutate_table_of(ring, room, bufs, 1);
}

static void table_readable_after_writable(struct fe_ring *ring, void *room)
{
	const uint16_t next = mutate_is_packed(ring) ? 0 : NEXT;
	const struct mutate_buf bufs[] = {
		{ mutate_data(ring, room, 0), 64, (uint16_t)(WRITE | next) },
		{ mutate_data(ring, room, 1), 64, 0 },
	};

	mutate_table_of(ring, room, bufs, 2);
}

static void table_behind_buffer(struct fe_ring *ring, void *room)
{
	const struct mutate_buf bufs[] = { { mutate_data(ring, room, 1), 64, WRITE } };
	const struct mutate_buf head[] = {
		{ mutate_data(ring, room, 0), 64, NEXT },
		{ mutate_table(ring, room), 16, INDIRECT },
	};

	mutate_fill_table(ring, room, bufs, 1);
	mutate_add(ring, head, 2);
}

/* A split table's next, which leads anywhere: its head has NEXT. */
static void mutate_table_next(struct fe_ring *ring, void *room, uint16_t next)
{
	const struct mutate_buf bufs[] = {
		{ mutate_data(ring, room, 0), 64, NEXT },
		{ mutate_data(ring, room, 1), 64, WRITE },
	};
	struct vring_desc *table = room;
	const struct mutate_buf head = { mutate_table(ring, room), 32, INDIRECT };

	mutate_fill_table(ring, room, bufs, 2);
	table[0].next = htole16(next);
	mutate_add(ring, &head, 1);
}

static void table_loops(struct fe_ring *ring, void *room)
{
	mutate_table_next(ring, room, 0);
}

static void table_next_leaves_it(struct fe_ring *ring, void *room)
{
	mutate_table_next(ring, room, 2);
}

/* Two chains which are sound, so that something can be done to the second. */
static void mutate_two(struct fe_ring *ring, void *room)
{
	const struct mutate_buf buf = { mutate_data(ring, room, 0), 64, WRITE };

	mutate_add(ring, &buf, 1);
	mutate_add(ring, &buf, 1);
}

static void split_index_too_far(struct fe_ring *ring, void *room)
{
	(void)room;
	fe_split_set_avail_idx(ring, (uint16_t)(ring->split.published + ring->size + 1));
}

static void split_index_goes_back(struct fe_ring *ring, void *room)
{
	(void)room;
	fe_split_set_avail_idx(ring, (uint16_t)(ring->split.published - 1));
}

static void split_head_beyond_ring(struct fe_ring *ring, void *room)
{
	(void)room;
	fe_split_add_head(ring, (uint16_t)ring->size);
	fe_ring_publish(ring);
}

static void split_head_twice(struct fe_ring *ring, void *room)
{
	const uint16_t head = fe_ring_free_id(ring, 0);
	const struct mutate_buf buf = { mutate_data(ring, room, 0), 64, WRITE };

	mutate_add_split(ring, &buf, 1);
	fe_split_add_head(ring, head);
	fe_ring_publish(ring);
}

/* A chain of two whose second descriptor leads anywhere. */
static void mutate_split_next(struct fe_ring *ring, void *room, uint16_t next)
{
	const struct fe_raw_desc descs[] = {
		{ .slot = fe_ring_free_id(ring, 0), .next = fe_ring_free_id(ring, 1),
		  .addr = mutate_data(ring, room, 0), .len = 64, .flags = NEXT },
		{ .slot = fe_ring_free_id(ring, 1), .next = next,
		  .addr = mutate_data(ring, room, 1), .len = 64, .flags = NEXT },
	};

	fe_split_add_raw(ring, descs, 2, ring);
	fe_ring_publish(ring);
}

static void split_chain_loops(struct fe_ring *ring, void *room)
{
	mutate_split_next(ring, room, fe_ring_free_id(ring, 0));
}

static void split_chain_loops_at_itself(struct fe_ring *ring, void *room)
{
	mutate_split_next(ring, room, fe_ring_free_id(ring, 1));
}

static void split_next_beyond_ring(struct fe_ring *ring, void *room)
{
	mutate_split_next(ring, room, (uint16_t)ring->size);
}

static void split_event_nowhere(struct fe_ring *ring, void *room)
{
	mutate_two(ring, room);
	fe_split_set_used_event(ring, (uint16_t)(ring->split.used_idx + 0x8000));
}

/* A chain of one with an id of our choice. */
static void mutate_packed_id(struct fe_ring *ring, void *room, uint16_t id)
{
	const struct fe_raw_packed desc = {
		.addr = mutate_data(ring, room, 0), .len = 64, .id = id, .flags = WRITE,
	};

	fe_packed_add_raw(ring, &desc, 1, NULL);
	fe_ring_publish(ring);
}

static void packed_id_beyond_ring(struct fe_ring *ring, void *room)
{
	mutate_packed_id(ring, room, (uint16_t)ring->size);
}

static void packed_id_huge(struct fe_ring *ring, void *room)
{
	mutate_packed_id(ring, room, 0xffff);
}

static void packed_id_twice(struct fe_ring *ring, void *room)
{
	const struct fe_raw_packed descs[] = {
		{ .addr = mutate_data(ring, room, 0), .len = 64, .id = 0, .flags = WRITE },
		{ .addr = mutate_data(ring, room, 1), .len = 64, .id = 0, .flags = WRITE },
	};

	fe_packed_add_raw(ring, descs, 2, NULL);
	fe_ring_publish(ring);
}

/* All of the ring in one chain without end. */
static void packed_chain_without_end(struct fe_ring *ring, void *room)
{
	const struct fe_raw_packed desc = {
		.addr = mutate_data(ring, room, 0), .len = 64, .id = 0, .flags = NEXT,
	};
	unsigned int i;

	for (i = 0; i < ring->size; i++)
		fe_packed_add_raw(ring, &desc, 1, NULL);
	fe_ring_publish(ring);
}

/* A chain which goes on with what is not available. */
static void packed_chain_unfinished(struct fe_ring *ring, void *room)
{
	const struct fe_raw_packed desc = {
		.addr = mutate_data(ring, room, 0), .len = 64, .id = 0, .flags = NEXT,
	};

	fe_packed_add_raw(ring, &desc, 1, NULL);
	fe_ring_publish(ring);
}

/* Only the id of the last descriptor counts. */
static void packed_other_ids(struct fe_ring *ring, void *room)
{
	const struct fe_raw_packed descs[] = {
		{ .addr = mutate_data(ring, room, 0), .len = 64, .id = 0xffff, .flags = NEXT },
		{ .addr = mutate_data(ring, room, 1), .len = 64, .id = fe_ring_free_id(ring, 0),
		  .flags = WRITE },
	};

	fe_packed_add_raw(ring, descs, 2, ring);
	fe_ring_publish(ring);
}

static void packed_event_beyond_ring(struct fe_ring *ring, void *room)
{
	mutate_two(ring, room);
	fe_packed_set_driver_event(ring, 0x7fff, VRING_PACKED_EVENT_FLAG_DESC);
}

static void packed_event_reserved(struct fe_ring *ring, void *room)
{
	mutate_two(ring, room);
	fe_packed_set_driver_event(ring, 0, 0xffff);
}

#define SPLIT(name, more)	{ #name, FE_MUTATION_SPLIT | (more), name }
#define PACKED(name, more)	{ #name, FE_MUTATION_PACKED | (more), name }
#define BOTH(name, more)	{ #name, FE_MUTATION_BOTH | (more), name }

const struct fe_mutation fe_mutations[] = {
	BOTH(buffer_outside, 0),
	BOTH(buffer_wraps, 0),
	BOTH(buffer_leaves_memory, 0),
	BOTH(readable_after_writable, 0),
	BOTH(empty_buffers, FE_MUTATION_LEGAL),
	BOTH(unknown_flags, FE_MUTATION_LEGAL),
	BOTH(table_of_no_length, FE_MUTATION_INDIRECT),
	BOTH(table_of_odd_length, FE_MUTATION_INDIRECT),
	BOTH(table_too_long, FE_MUTATION_INDIRECT),
	BOTH(table_with_next, FE_MUTATION_INDIRECT),
	BOTH(table_with_write, FE_MUTATION_INDIRECT | FE_MUTATION_LEGAL),
	BOTH(table_outside, FE_MUTATION_INDIRECT),
	BOTH(table_in_table, FE_MUTATION_INDIRECT),
	BOTH(table_with_buffer_outside, FE_MUTATION_INDIRECT),
	BOTH(table_readable_after_writable, FE_MUTATION_INDIRECT),
	SPLIT(table_behind_buffer, FE_MUTATION_INDIRECT | FE_MUTATION_LEGAL),
	SPLIT(table_loops, FE_MUTATION_INDIRECT),
	SPLIT(table_next_leaves_it, FE_MUTATION_INDIRECT),
	SPLIT(split_index_too_far, 0),
	SPLIT(split_index_goes_back, 0),
	SPLIT(split_head_beyond_ring, 0),
	SPLIT(split_head_twice, 0),
	SPLIT(split_chain_loops, 0),
	SPLIT(split_chain_loops_at_itself, 0),
	SPLIT(split_next_beyond_ring, 0),
	SPLIT(split_event_nowhere, FE_MUTATION_EVENT | FE_MUTATION_LEGAL),
	PACKED(packed_id_beyond_ring, 0),
	PACKED(packed_id_huge, 0),
	PACKED(packed_id_twice, 0),
	PACKED(packed_chain_without_end, 0),
	PACKED(packed_chain_unfinished, 0),
	PACKED(packed_other_ids, FE_MUTATION_LEGAL),
	PACKED(packed_event_beyond_ring, FE_MUTATION_EVENT),
	PACKED(packed_event_reserved, 0),
	{ NULL, 0, NULL },
};

const struct fe_mutation *fe_mutation_find(const char *name)
{
	const struct fe_mutation *m;

	for (m = fe_mutations; m->name; m++)
		if (!strcmp(m->name, name))
			return m;
	return NULL;
}

bool fe_mutation_fits(const struct fe_mutation *m, const struct fe_ring *ring)
{
	return (m->flags & (mutate_is_packed(ring) ? FE_MUTATION_PACKED : FE_MUTATION_SPLIT)) &&
	       (!(m->flags & FE_MUTATION_INDIRECT) ||
		fe_ring_has(ring, VIRTIO_RING_F_INDIRECT_DESC)) &&
	       (!(m->flags & FE_MUTATION_EVENT) || fe_ring_has(ring, VIRTIO_RING_F_EVENT_IDX));
}
