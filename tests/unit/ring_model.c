/* SPDX-License-Identifier: BSD-3-Clause */
/* See ring_model.h. */
#include <errno.h>
#include <string.h>

#include "tests/unit/ring_model.h"

/*
 * Random numbers: xorshift64*
 */

uint32_t model_random(struct model *m, uint32_t below)
{
	m->random ^= m->random >> 12;
	m->random ^= m->random << 25;
	m->random ^= m->random >> 27;
	return (uint32_t)((m->random * UINT64_C(2685821657736338717)) >> 33) % below;
}

bool model_packed(const struct model *m)
{
	return m->features & F_PACKED;
}

unsigned int model_width(const struct model *m, const struct model_chain *c)
{
	return model_packed(m) ? c->descs : 1;
}

/*
 * Lists
 */

void list_put(struct model_list *l, struct model_chain *c)
{
	l->chain[l->n++] = c;
}

struct model_chain *list_take(struct model_list *l, unsigned int i)
{
	struct model_chain *c = l->chain[i];

	l->n--;
	memmove(&l->chain[i], &l->chain[i + 1], (l->n - i) * sizeof(l->chain[0]));
	return c;
}

void list_put_first(struct model_list *l, struct model_chain *c)
{
	memmove(&l->chain[1], &l->chain[0], l->n * sizeof(l->chain[0]));
	l->chain[0] = c;
	l->n++;
}

/*
 * The driver
 */

static struct model_chain *model_free_chain(struct model *m)
{
	unsigned int i;

	for (i = 0; i < m->size; i++) {
		if (m->chains[i].used)
			return &m->chains[i];
	}
	return NULL;
}

/* Cut bytes into segments, some of which are empty. */
static unsigned int model_cut(struct model *m, uint8_t *buf, struct iovec *iov, unsigned int max,
			      unsigned int *len)
{
	unsigned int n = model_random(m, max + 1), i;

	*len = 0;
	for (i = 0; i < n; i++) {
		size_t l = model_random(m, 4) ? 1 + model_random(m, SEGMENT_MAX) : 0;

		iov[i] = (struct iovec){ buf + *len, l };
		*len += (unsigned int)l;
	}
	return n;
}

static void model_fill(struct model_chain *c)
{
	unsigned int i;

	for (i = 0; i < c->out_len; i++)
		c->out[i] = (uint8_t)(c->pattern + i);
	memset(c->in, UNTOUCHED, CHAIN_BYTES);
}

/* The first element in the ring, the others in a table behind it. */
static int model_add_mixed(struct model *m, struct model_chain *c, const struct iovec *iov,
			   unsigned int nout, unsigned int n)
{
	const struct fe_mem *mem = &m->mem;
	struct fe_raw_desc d[2] = {
		{ .flags = VRING_DESC_F_NEXT | (nout ? 0 : VRING_DESC_F_WRITE),
		  .len = (uint32_t)iov[0].iov_len, .addr = fe_mem_gpa(mem, iov[0].iov_base, 1) },
		{ .flags = VRING_DESC_F_INDIRECT, .len = 16 * (n - 1),
		  .addr = fe_mem_gpa(mem, c->table, 1) },
	};
	unsigned int i;

	if (m->ring.num_free < 2)
		return -ENOSPC;
	for (i = 1; i < n; i++) {
		bool more = !model_packed(m) && i + 1 < n;

		c->table[i - 1] = (struct vring_desc){
			.addr = fe_mem_gpa(mem, iov[i].iov_base, 1),
			.len = (uint32_t)iov[i].iov_len,
		};
		/* Where packed descriptors have their flags, split ones have next. */
		if (model_packed(m)) {
			c->table[i - 1].next = i < nout ? 0 : VRING_DESC_F_WRITE;
			continue;
		}
		c->table[i - 1].flags = (i < nout ? 0 : VRING_DESC_F_WRITE) |
					(more ? VRING_DESC_F_NEXT : 0);
		c->table[i - 1].next = more ? (uint16_t)i : 0;
	}
	if (model_packed(m)) {
		struct fe_raw_packed p[2] = {
			{ .addr = d[0].addr, .len = d[0].len, .flags = d[0].flags },
			{ .addr = d[1].addr, .len = d[1].len, .flags = d[1].flags,
			  .id = fe_ring_free_id(&m->ring, 0) },
		};

		return fe_packed_add_raw(&m->ring, p, 2, c);
	}
	d[0].slot = fe_ring_free_id(&m->ring, 0);
	d[0].next = d[1].slot = fe_ring_free_id(&m->ring, 1);
	return fe_split_add_raw(&m->ring, d, 2, c);
}

void model_add(struct model *m)
{
	struct model_chain *c = model_free_chain(m);
	unsigned int nout, nin, free = m->ring.num_free;
	struct iovec iov[2 * SEGMENTS];
	int ret;

	if (!c)
		return;
	nout = model_cut(m, c->out, iov, SEGMENTS, &c->out_len);
	nin = model_cut(m, c->in, iov + nout, SEGMENTS, &c->in_len);
	if (!(nout + nin))
		return;
	c->pattern = m->next_pattern++;
	model_fill(c);
	m->ring.indirect = model_random(m, 2) ? m->ring.table_len : 0;
	if (m->features & F_INDIRECT && !(m->features & F_IN_ORDER) && nout + nin > 1 &&
	    !model_random(m, 4))
		ret = model_add_mixed(m, c, iov, nout, nout + nin);
	else
		ret = fe_ring_add(&m->ring, iov, nout, iov + nout, nin, c);
	if (ret == -ENOSPC)
		return;
	model_check(m, ret >= 0);
	c->descs = free - m->ring.num_free;
	c->used = c->pushed = false;
	list_put(&m->added, c);
}

void model_add_many(struct model *m)
{
	unsigned int i;

	for (i = 0; i < m->size; i++)
		model_add(m);
}

void model_publish(struct model *m)
{
	while (m->added.n) {
		m->shown += model_width(m, m->added.chain[0]);
		list_put(&m->published, list_take(&m->added, 0));
	}
	fe_ring_publish(&m->ring);
}

/*
 * Kick if the device wants it.  Once it has asked, it wants a kick for what lies where it waits;
 * once it has found something, none.
 */
void model_decide(struct model *m)
{
	bool news = m->shown > m->told, event = m->features & F_EVENT_IDX;
	bool hit = news && (!event || (m->told <= m->armed_at && m->armed_at < m->shown));
	bool kicks = fe_ring_kick(&m->ring);

	if (m->running && m->armed)
		model_check(m, kicks == hit);
	if (m->running && m->disarmed)
		model_check(m, !kicks);
	m->told = m->shown;
}

void model_get(struct model *m)
{
	struct model_chain *c, *expected;
	unsigned int i;
	uint32_t len;
	void *cookie;
	int ret = fe_ring_get(&m->ring, &cookie, &len);

	model_check(m, ret == (m->done.n > m->pending));
	if (!ret)
		return;
	c = cookie;
	expected = list_take(&m->done, 0);
	model_check(m, c == expected && c->len == len);
	for (i = 0; i < c->in_len; i++)
		model_check(m, c->in[i] == (i < len ? (uint8_t)~(c->pattern + i) : UNTOUCHED));
	m->got += model_width(m, c);
	c->used = true;
}

void model_wish(struct model *m)
{
	uint64_t ahead = model_random(m, m->size);

	m->wish = model_random(m, m->features & F_EVENT_IDX ? 3 : 2);
	if (m->wish == WISH_OFF) {
		fe_ring_irq_off(&m->ring);
		return;
	}
	m->event = m->got;
	model_check(m, fe_ring_irq_on(&m->ring) == (m->got < m->used));
	if (m->wish != WISH_EVENT)
		return;
	/* Not now, but when so many more are used. */
	m->event += ahead;
	if (model_packed(m)) {
		struct fe_packed_pos pos = m->ring.packed.used;
		unsigned int slot = pos.slot + (unsigned int)ahead;
		bool over = slot >= m->size;

		fe_packed_set_driver_event(&m->ring, (uint16_t)((over ? slot - m->size : slot) |
								 (pos.wrap != over ? 0x8000 : 0)),
					   VRING_PACKED_EVENT_FLAG_DESC);
	} else {
		fe_split_set_used_event(&m->ring,
					(uint16_t)(m->ring.split.used_idx + ahead));
	}
}
