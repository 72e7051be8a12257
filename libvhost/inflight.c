/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * In-flight tracking, and how it survives a crash.
 *
 * The process may be killed between any two stores; then the memory holds all
 * stores before that point and none behind it.  All stores here, as those of the ring
 * around them, are release stores, which the compiler leaves in order.  Each request's way
 * has one store which decides: before it the way was not gone, after it it was.
 *
 * Split.
 *   take:     counter, then inflight = 1, which decides.  A head which is not marked was not
 *             fetched, since the next position is used->idx plus the number of marks.
 *   untake:   inflight = 0.
 *   publish:  each head goes to the list of the last batch; then used->idx moves, which decides for
 *             the whole batch; then the marks go, and at last used_idx follows.  As long as
 *             used_idx differs from used->idx, the difference is the number of heads, from
 *             last_batch_head on, whose marks may still be there: recovery clears them.  If it
 *             does not differ, last_batch_head means nothing.
 *
 * Packed.  The ring's own descriptors are overwritten by used ones, so they are copied into
 * entries, which come from a free list.
 *   take:     the head of the free list and those behind it are filled and the first one is marked.
 *             Then old_free_head moves, which decides: what is on the list from old_free_head
 *             on is free, whatever its mark says, and recovery clears it.
 *   untake:   the chain's last entry is linked to the list, and old_free_head moves to its first.
 *   publish:  one request at a time.  The chain goes to the free list by free_head, and used
 *             moves ahead of its old counterpart; both are for the case that the next store has
 *             been done, which decides: the flags of the ring's slot at old_idx.  While they
 *             say "available" recovery goes back to the old values, otherwise it takes the new
 *             ones.  The driver may have used the slot again by then, but with the other
 *             wrap counter.  Then the mark goes and the old values follow.  Index and wrap counter
 *             move in one store, as one without the other could mean another slot's flags.
 *             Two requests at once would leave a slot behind the decisive one which
 *             looks used, though the process was killed before it was.
 *
 * Recovery repeats what was to be done and changes nothing else, so it can be killed too.
 *
 * Both front-end and guest may write this memory at any time.  It is read at the start only,
 * each word once, and judged; what a ring needs afterwards it remembers in struct inflight.  The
 * exception are copied descriptors, which are judged like any of the guest's.
 */
#include "inflight.h"

#include <stdlib.h>
#include <string.h>

#include "util.h"

#define PACKED_AVAIL	(1u << VRING_PACKED_DESC_F_AVAIL)
#define PACKED_USED	(1u << VRING_PACKED_DESC_F_USED)

/* A word of shared memory: written after all before it, or read once. */
#define region_store(p, v) __atomic_store_n(p, v, __ATOMIC_RELEASE)
#define region_load(p) __atomic_load_n(p, __ATOMIC_RELAXED)

_Static_assert(sizeof(struct inflight_split) == 16 && sizeof(struct inflight_split_desc) == 16 &&
	       sizeof(struct inflight_packed) == 32 && sizeof(struct inflight_packed_desc) == 32 &&
	       sizeof(struct inflight_used) == 8, "a layout shared with others");

size_t inflight_stride(bool packed, unsigned int size)
{
	size_t len = packed ? sizeof(struct inflight_packed) +
			      size * sizeof(struct inflight_packed_desc) :
			      sizeof(struct inflight_split) +
			      size * sizeof(struct inflight_split_desc);

	return ALIGN_UP(len, (size_t)INFLIGHT_ALIGN);
}

/* Both layouts begin alike. */
static uint16_t region_version(const void *region)
{
	const struct inflight_split *s = region;

	return region_load(&s->version);
}

bool inflight_valid(const void *region, unsigned int size)
{
	const struct inflight_split *s = region;
	uint16_t version = region_version(region);

	return !version || (version == INFLIGHT_VERSION && !region_load(&s->features) &&
			    region_load(&s->desc_num) == size);
}

struct inflight *inflight_new(void *region, bool packed, unsigned int size)
{
	struct inflight *fl = calloc(1, sizeof(*fl));

	if (!fl)
		return NULL;
	fl->region = region;
	fl->size = size;
	if (packed) {
		fl->next = calloc(size, sizeof(fl->next[0]));
		fl->last = calloc(size, sizeof(fl->last[0]));
	} else {
		fl->busy = calloc(size, sizeof(fl->busy[0]));
	}
	if (packed ? !fl->next || !fl->last : !fl->busy) {
		inflight_free(fl);
		return NULL;
	}
	return fl;
}

void inflight_free(struct inflight *fl)
{
	if (!fl)
		return;
	free(fl->again);
	free(fl->busy);
	free(fl->next);
	free(fl->last);
	free(fl);
}

/*
 * What is to be served once more
 */

static int again_order(const void *a, const void *b)
{
	const struct inflight_again *x = a, *y = b;

	if (x->counter != y->counter)
		return x->counter < y->counter ? -1 : 1;
	return x->entry < y->entry ? -1 : x->entry > y->entry;
}

static bool again_alloc(struct inflight *fl, unsigned int count)
{
	fl->again = calloc(MAX(count, 1u), sizeof(fl->again[0]));
	return fl->again;
}

static void again_add(struct inflight *fl, const struct inflight_again *again)
{
	fl->again[fl->again_cnt++] = *again;
}

/* Counters begin with 1. */
static void again_sort(struct inflight *fl)
{
	if (fl->again_cnt)
		qsort(fl->again, fl->again_cnt, sizeof(fl->again[0]), again_order);
	fl->counter = fl->again_cnt ? fl->again[fl->again_cnt - 1].counter + 1 : 1;
}

/*
 * Split
 */

static void split_init(struct inflight *fl, uint16_t used)
{
	struct inflight_split *s = fl->split;
	unsigned int i;

	region_store(&s->features, 0);
	region_store(&s->desc_num, (uint16_t)fl->size);
	region_store(&s->last_batch_head, 0);
	region_store(&s->used_idx, used);
	for (i = 0; i < fl->size; i++)
		region_store(&s->desc[i].inflight, 0);
	region_store(&s->version, INFLIGHT_VERSION);
}

/* Which heads are marked. */
static unsigned int split_read_marks(struct inflight *fl)
{
	unsigned int i, count = 0;

	for (i = 0; i < fl->size; i++) {
		fl->busy[i] = region_load(&fl->split->desc[i].inflight) == 1;
		count += fl->busy[i];
	}
	return count;
}

/* Clear what is left of the marks of the last batch, which has been published. */
static const char *split_finish_batch(struct inflight *fl, uint16_t used, unsigned int *count)
{
	struct inflight_split *s = fl->split;
	uint16_t batch = used - region_load(&s->used_idx);
	uint16_t head = region_load(&s->last_batch_head);

	if (batch > fl->size)
		return "the in-flight region does not fit the used ring";
	while (batch--) {
		if (head >= fl->size)
			return "the in-flight region's last batch makes no sense";
		*count -= fl->busy[head];
		fl->busy[head] = 0;
		region_store(&s->desc[head].inflight, 0);
		head = region_load(&s->desc[head].next);
	}
	return NULL;
}

static const char *split_collect(struct inflight *fl, unsigned int num, unsigned int count)
{
	unsigned int i;

	if (!again_alloc(fl, count))
		return "out of memory for requests in flight";
	for (i = 0; i < fl->size; i++) {
		if (!fl->busy[i])
			continue;
		if (i >= num)
			return "the in-flight region has a head beyond the ring";
		again_add(fl, &(struct inflight_again){
			.counter = region_load(&fl->split->desc[i].counter),
			.entry = (uint16_t)i,
		});
	}
	again_sort(fl);
	return NULL;
}

const char *inflight_split_start(struct inflight *fl, uint16_t used, unsigned int num,
				 unsigned int *count)
{
	const char *why;

	if (!inflight_valid(fl->region, fl->size))
		return "the in-flight region's header makes no sense";
	if (!region_version(fl->region))
		split_init(fl, used);
	*count = split_read_marks(fl);
	/* Where nothing is marked used_idx may be of another life of the ring. */
	why = *count ? split_finish_batch(fl, used, count) : NULL;
	if (why)
		return why;
	region_store(&fl->split->used_idx, used);
	fl->last_head = region_load(&fl->split->last_batch_head);
	return split_collect(fl, num, *count);
}

const char *inflight_split_take(struct inflight *fl, uint16_t head)
{
	struct inflight_split_desc *d = &fl->split->desc[head];

	if (unlikely(fl->busy[head]))
		return "a descriptor chain which is in flight already";
	fl->busy[head] = 1;
	region_store(&d->counter, fl->counter++);
	region_store(&d->inflight, 1);
	return NULL;
}

void inflight_split_untake(struct inflight *fl, uint16_t head)
{
	inflight_split_clear(fl, head);
}

void inflight_split_add_done(struct inflight *fl, uint16_t head)
{
	region_store(&fl->split->desc[head].next, fl->last_head);
	region_store(&fl->split->last_batch_head, head);
	fl->last_head = head;
}

void inflight_split_clear(struct inflight *fl, uint16_t head)
{
	fl->busy[head] = 0;
	region_store(&fl->split->desc[head].inflight, 0);
}

void inflight_split_settle(struct inflight *fl, uint16_t used)
{
	region_store(&fl->split->used_idx, used);
}

/*
 * Packed
 */

static void packed_store_used(struct inflight *fl)
{
	uint64_t word;

	memcpy(&word, &fl->used, sizeof(word));
	region_store(&fl->packed->used, word);
}

/* The old values follow the current ones. */
static void packed_commit(struct inflight *fl)
{
	region_store(&fl->packed->old_free_head, fl->free_head);
	fl->used.old_idx = fl->used.idx;
	fl->used.old_wrap = fl->used.wrap;
	packed_store_used(fl);
}

static void packed_init(struct inflight *fl, const struct inflight_start *start)
{
	struct inflight_packed *p = fl->packed;
	unsigned int i;

	region_store(&p->features, 0);
	region_store(&p->desc_num, (uint16_t)fl->size);
	for (i = 0; i < fl->size; i++) {
		region_store(&p->desc[i].inflight, 0);
		region_store(&p->desc[i].next, (uint16_t)(i + 1));
	}
	region_store(&p->free_head, 0);
	fl->free_head = 0;
	fl->used = (struct inflight_used){ .idx = start->used, .wrap = start->wrap };
	packed_commit(fl);
	region_store(&p->version, INFLIGHT_VERSION);
}

/* Whether the used descriptor at the old position was written, or else is still available. */
static bool packed_published(const struct inflight *fl, const struct inflight_start *start)
{
	const struct vring_packed_desc *ring = start->ring;
	uint16_t flags = le16toh(region_load(&ring[fl->used.old_idx].flags));
	uint16_t available = fl->used.old_wrap ? PACKED_AVAIL : PACKED_USED;

	return (flags & (PACKED_AVAIL | PACKED_USED)) != available;
}

/* End what was begun last, one way or the other. */
static const char *packed_finish(struct inflight *fl, const struct inflight_start *start)
{
	struct inflight_packed *p = fl->packed;
	uint16_t free_head = region_load(&p->free_head);
	uint64_t word = region_load(&p->used);
	struct inflight_used *u = &fl->used;

	memcpy(u, &word, sizeof(word));
	fl->free_head = region_load(&p->old_free_head);
	if (u->idx >= start->num || u->old_idx >= start->num || u->wrap > 1 || u->old_wrap > 1)
		return "the in-flight region's used position makes no sense";
	if ((u->idx != u->old_idx || u->wrap != u->old_wrap) && packed_published(fl, start)) {
		fl->free_head = free_head;
	} else {
		u->idx = u->old_idx;
		u->wrap = u->old_wrap;
	}
	region_store(&p->free_head, fl->free_head);
	packed_commit(fl);
	return NULL;
}

/* Walk the free list; what is seen there is not in flight. */
static const char *packed_read_free(struct inflight *fl, uint8_t *seen)
{
	unsigned int i;

	for (i = fl->free_head; i != fl->size; i = fl->next[i]) {
		if (i > fl->size || seen[i])
			return "the in-flight region's free list makes no sense";
		seen[i] = 1;
		region_store(&fl->packed->desc[i].inflight, 0);
	}
	return NULL;
}

/* The chain which begins at this entry, all of whose entries are its own. */
static bool packed_collect_one(struct inflight *fl, uint8_t *seen, uint16_t entry)
{
	const struct inflight_packed_desc *d = &fl->packed->desc[entry];
	uint16_t num = region_load(&d->num), n, i = entry, last = entry;

	for (n = 0; n < num; n++) {
		if (i >= fl->size || seen[i])
			return false;
		seen[i] = 1;
		last = i;
		i = fl->next[i];
	}
	if (!num || last != fl->last[entry])
		return false;
	again_add(fl, &(struct inflight_again){ region_load(&d->counter), entry, num });
	return true;
}

static const char *packed_collect(struct inflight *fl, uint8_t *seen,
				  struct inflight_start *start)
{
	unsigned int i;

	if (!again_alloc(fl, fl->size))
		return "out of memory for requests in flight";
	start->descs = 0;
	for (i = 0; i < fl->size; i++) {
		if (region_load(&fl->packed->desc[i].inflight) != 1)
			continue;
		if (!packed_collect_one(fl, seen, (uint16_t)i))
			return "the in-flight region has a chain which makes no sense";
		start->descs += fl->again[fl->again_cnt - 1].num;
	}
	if (start->descs > start->num)
		return "the in-flight region has more than the ring";
	again_sort(fl);
	return NULL;
}

static const char *packed_read_entries(struct inflight *fl, struct inflight_start *start)
{
	uint8_t *seen = calloc(fl->size, sizeof(seen[0]));
	const char *why;
	unsigned int i;

	if (!seen)
		return "out of memory for requests in flight";
	for (i = 0; i < fl->size; i++) {
		fl->next[i] = region_load(&fl->packed->desc[i].next);
		fl->last[i] = region_load(&fl->packed->desc[i].last);
	}
	why = packed_read_free(fl, seen);
	if (!why)
		why = packed_collect(fl, seen, start);
	free(seen);
	return why;
}

const char *inflight_packed_start(struct inflight *fl, struct inflight_start *start)
{
	const char *why;

	if (!inflight_valid(fl->region, fl->size))
		return "the in-flight region's header makes no sense";
	if (!region_version(fl->region))
		packed_init(fl, start);
	why = packed_finish(fl, start);
	if (!why)
		why = packed_read_entries(fl, start);
	if (why)
		return why;
	if (!start->descs && start->own_base && start->used < start->num) {
		fl->used.idx = start->used;
		fl->used.wrap = start->wrap;
		packed_commit(fl);
	}
	start->used = fl->used.idx;
	start->wrap = fl->used.wrap;
	return NULL;
}

void inflight_packed_begin(struct inflight *fl)
{
	fl->fill = fl->free_head;
	fl->fill_num = 0;
}

const char *inflight_packed_add(struct inflight *fl, const struct chain_desc *d)
{
	struct inflight_packed_desc *e;

	if (unlikely(fl->fill >= fl->size))
		return "the in-flight region is full";
	e = &fl->packed->desc[fl->fill];
	region_store(&e->id, d->next);
	region_store(&e->flags, d->flags);
	region_store(&e->len, d->len);
	region_store(&e->addr, d->addr);
	fl->last[fl->free_head] = fl->fill;
	fl->fill = fl->next[fl->fill];
	fl->fill_num++;
	return NULL;
}

uint16_t inflight_packed_take(struct inflight *fl)
{
	struct inflight_packed *p = fl->packed;
	uint16_t entry = fl->free_head;
	struct inflight_packed_desc *e = &p->desc[entry];

	region_store(&e->num, fl->fill_num);
	region_store(&e->last, fl->last[entry]);
	region_store(&e->counter, fl->counter++);
	region_store(&e->inflight, 1);
	fl->free_head = fl->fill;
	region_store(&p->free_head, fl->free_head);
	region_store(&p->old_free_head, fl->free_head);
	return entry;
}

/* Put a chain on top of the free list, but for the heads. */
static void packed_link_free(struct inflight *fl, uint16_t entry)
{
	uint16_t last = fl->last[entry];

	fl->next[last] = fl->free_head;
	fl->free_head = entry;
	region_store(&fl->packed->desc[last].next, fl->next[last]);
}

void inflight_packed_untake(struct inflight *fl, uint16_t entry)
{
	packed_link_free(fl, entry);
	region_store(&fl->packed->old_free_head, entry);
	region_store(&fl->packed->free_head, entry);
	region_store(&fl->packed->desc[entry].inflight, 0);
}

struct chain_desc inflight_packed_read(const struct inflight *fl, uint16_t *entry)
{
	const struct inflight_packed_desc *e = &fl->packed->desc[*entry];

	*entry = fl->next[*entry];
	return (struct chain_desc){ region_load(&e->addr), region_load(&e->len),
				    region_load(&e->flags), region_load(&e->id) };
}

void inflight_packed_add_done(struct inflight *fl, uint16_t entry, unsigned int descs,
			      unsigned int ring_num)
{
	unsigned int idx = fl->used.idx + descs;

	packed_link_free(fl, entry);
	region_store(&fl->packed->free_head, entry);
	if (idx >= ring_num) {
		idx -= ring_num;
		fl->used.wrap ^= 1;
	}
	fl->used.idx = (uint16_t)idx;
	packed_store_used(fl);
}

void inflight_packed_settle(struct inflight *fl, uint16_t entry)
{
	region_store(&fl->packed->desc[entry].inflight, 0);
	packed_commit(fl);
}
