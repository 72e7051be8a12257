/* SPDX-License-Identifier: BSD-3-Clause */
/* The table of translations: a sorted array, searched by halves. */
#include "iotlb.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int iotlb_init(struct iotlb *t)
{
	/* To cut a piece out of an entry takes one more, for a moment. */
	t->entries = calloc(IOTLB_MAX + 2, sizeof(t->entries[0]));
	if (!t->entries)
		return -ENOMEM;
	if (pthread_mutex_init(&t->lock, NULL)) {
		free(t->entries);
		t->entries = NULL;
		return -ENOMEM;
	}
	return 0;
}

void iotlb_exit(struct iotlb *t)
{
	if (!t->entries)
		return;
	pthread_mutex_destroy(&t->lock);
	free(t->entries);
	t->entries = NULL;
}

/*
 * All below with the lock held, up to the public functions
 */

/* The first entry which ends at addr or behind it. */
static unsigned int iotlb_search(const struct iotlb *t, uint64_t addr)
{
	unsigned int low = 0, high = t->count;

	while (low < high) {
		unsigned int mid = low + (high - low) / 2;

		if (t->entries[mid].last < addr)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

/* The entry which contains addr, or NULL. */
static const struct iotlb_entry *iotlb_at(const struct iotlb *t, uint64_t addr)
{
	unsigned int i = iotlb_search(t, addr);

	return i < t->count && t->entries[i].first <= addr ? &t->entries[i] : NULL;
}

static void iotlb_delete(struct iotlb *t, unsigned int i, unsigned int n)
{
	memmove(&t->entries[i], &t->entries[i + n],
		(t->count - i - n) * sizeof(t->entries[0]));
	t->count -= n;
}

static void iotlb_insert(struct iotlb *t, unsigned int i, const struct iotlb_entry *e)
{
	memmove(&t->entries[i + 1], &t->entries[i], (t->count - i) * sizeof(t->entries[0]));
	t->entries[i] = *e;
	t->count++;
}

/* Cut [first, last] out of entry i.  Returns how many entries it is now: 0, 1 or 2. */
static unsigned int iotlb_cut(struct iotlb *t, unsigned int i, uint64_t first, uint64_t last)
{
	struct iotlb_entry e = t->entries[i], *left = &t->entries[i];
	unsigned int n = 0;

	if (e.first < first) {
		left->last = first - 1;
		n++;
	}
	if (e.last > last) {
		struct iotlb_entry right = { last + 1, e.last, e.hva + (last + 1 - e.first), e.perm };

		if (n)
			iotlb_insert(t, i + 1, &right);
		else
			*left = right;
		n++;
	}
	if (!n)
		iotlb_delete(t, i, 1);
	return n;
}

/* Whether whoever uses old finds no less in e. */
static bool iotlb_agrees(const struct iotlb_entry *old, const struct iotlb_entry *e)
{
	return (uintptr_t)old->hva - old->first == (uintptr_t)e->hva - e->first &&
	       !(old->perm & ~e->perm);
}

/*
 * For the control worker
 */

void iotlb_add(struct iotlb *t, const struct iotlb_entry *e, bool *changed)
{
	unsigned int i;

	*changed = false;
	pthread_mutex_lock(&t->lock);
	i = iotlb_search(t, e->first);
	while (i < t->count && t->entries[i].first <= e->last) {
		*changed |= !iotlb_agrees(&t->entries[i], e);
		i += iotlb_cut(t, i, e->first, e->last);
	}
	while (t->count >= IOTLB_MAX)
		iotlb_delete(t, t->victim++ % t->count, 1);
	iotlb_insert(t, iotlb_search(t, e->first), e);
	pthread_mutex_unlock(&t->lock);
}

void iotlb_remove(struct iotlb *t, uint64_t *first, uint64_t *last)
{
	unsigned int from, i;

	pthread_mutex_lock(&t->lock);
	from = i = iotlb_search(t, *first);
	for (; i < t->count && t->entries[i].first <= *last; i++)
		;
	if (i > from) {
		*first = MIN(*first, t->entries[from].first);
		*last = MAX(*last, t->entries[i - 1].last);
		iotlb_delete(t, from, i - from);
	}
	pthread_mutex_unlock(&t->lock);
}

void iotlb_keep(struct iotlb *t, const struct mem_map *map)
{
	unsigned int i, n = 0;

	if (!t->entries)
		return;
	pthread_mutex_lock(&t->lock);
	for (i = 0; i < t->count; i++) {
		const struct iotlb_entry *e = &t->entries[i];

		if (map && mem_map_has(map, e->hva, e->last - e->first))
			t->entries[n++] = *e;
	}
	t->count = n;
	pthread_mutex_unlock(&t->lock);
}

/*
 * Looking up
 */

/* With the lock held. */
static int iotlb_find_piece(const struct iotlb *t, const struct iotlb_range *range, void **va,
			    uint64_t *missing)
{
	const struct iotlb_entry *e = iotlb_at(t, range->first);
	uint8_t *start = e ? e->hva + (range->first - e->first) : NULL;
	uint64_t addr = range->first;

	*va = start;
	while (e && !(range->access & ~e->perm)) {
		if (e->hva + (addr - e->first) != start + (addr - range->first))
			return -EFAULT;
		if (e->last >= range->last)
			return 0;
		addr = e->last + 1;
		e = iotlb_at(t, addr);
	}
	*missing = addr;
	return -ENOENT;
}

int iotlb_find_range(struct iotlb *t, const struct iotlb_range *range, void **va,
		     uint64_t *missing)
{
	int ret;

	pthread_mutex_lock(&t->lock);
	ret = iotlb_find_piece(t, range, va, missing);
	pthread_mutex_unlock(&t->lock);
	return ret;
}

void iotlb_forget_recent(struct iotlb_recent *r)
{
	unsigned int i;

	for (i = 0; i < IOTLB_RECENT; i++)
		r->entries[i] = (struct iotlb_entry){ .first = 1 };
}

static bool iotlb_allows(const struct iotlb_entry *e, uint64_t iova, uint8_t access)
{
	return iova >= e->first && iova <= e->last && !(access & ~e->perm);
}

void *iotlb_find(struct iotlb *t, struct iotlb_recent *r, uint64_t iova, uint64_t *len,
		 uint8_t access)
{
	struct iotlb_entry *recent = &r->entries[iova / IOTLB_PAGE % IOTLB_RECENT];
	uint64_t rest;

	if (!iotlb_allows(recent, iova, access)) {
		const struct iotlb_entry *e;

		pthread_mutex_lock(&t->lock);
		e = iotlb_at(t, iova);
		if (e)
			*recent = *e;
		pthread_mutex_unlock(&t->lock);
		if (!e || !iotlb_allows(recent, iova, access))
			return NULL;
	}
	rest = recent->last - iova;	/* bytes behind this one */
	if (*len - 1 > rest)
		*len = rest + 1;
	return recent->hva + (iova - recent->first);
}
