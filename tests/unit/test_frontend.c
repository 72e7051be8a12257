/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The front-end library: guest memory, the driver's side of rings, block requests.
 *
 * The device of these tests is the few lines below, which work on the raw ring.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fe_blk.h"
#include "tap.h"

#define GPA		UINT64_C(0x100000)
#define MEM_SIZE	(4u << 20)
#define PAGE		4096u
#define EVENT_IDX	FE_BIT(VIRTIO_RING_F_EVENT_IDX)
#define INDIRECT	FE_BIT(VIRTIO_RING_F_INDIRECT_DESC)

/* Long enough for anything to come, short enough to wait for what must not come. */
#define LONG_MS		10000
#define SHORT_MS	10

static struct fe_mem mem;
static struct fe_ring ring;

/* The device: where it stands in the ring. */
static uint16_t dev_avail, dev_used;

static void open_ring(const struct fe_ring_params *params)
{
	ck_assert_int_eq(fe_mem_init(&mem, GPA, MEM_SIZE), 0);
	ck_assert_int_eq(fe_ring_init(&ring, &mem, params), 0);
	dev_avail = dev_used = (uint16_t)params->base;
}

static void close_ring(void)
{
	fe_ring_free(&ring);
	fe_mem_free(&mem);
}

/* The next head, or -1. */
static int dev_pop(void)
{
	if (ring.split.avail->idx == dev_avail)
		return -1;
	return ring.split.avail->ring[dev_avail++ % ring.size];
}

static void dev_push(uint32_t id, uint32_t len)
{
	ring.split.used->ring[dev_used % ring.size] = (struct vring_used_elem){ id, len };
	ring.split.used->idx = ++dev_used;
}

static void dev_set_avail_event(uint16_t idx)
{
	memcpy(&ring.split.used->ring[ring.size], &idx, sizeof(idx));
}

static uint16_t dev_used_event(void)
{
	return ring.split.avail->ring[ring.size];
}

/* Add one chain of one descriptor which the device writes. */
static int add_one(void *cookie)
{
	struct iovec in = { .iov_base = fe_mem_ptr(&mem, GPA, 16), .iov_len = 16 };

	return fe_ring_add(&ring, NULL, 0, &in, 1, cookie);
}

/* The device gives back what it has, the driver gets it. */
static void get_one(void *expected)
{
	uint32_t len;
	void *cookie;

	dev_push((uint32_t)dev_pop(), 1);
	ck_assert_int_eq(fe_ring_get(&ring, &cookie, &len), 1);
	ck_assert_ptr_eq(cookie, expected);
	ck_assert_uint_eq(len, 1);
}

START_TEST(mem_alloc)
{
	uint8_t *a, *b;

	ck_assert_int_eq(fe_mem_init(&mem, GPA, 2 * PAGE), 0);
	a = fe_mem_alloc(&mem, 1, 1);
	b = fe_mem_alloc(&mem, PAGE, 64);
	ck_assert_ptr_eq(a, mem.regions[0].ptr);
	ck_assert_ptr_eq(b, a + 64);
	ck_assert_uint_eq(fe_mem_gpa(&mem, b, PAGE), GPA + 64);
	ck_assert_ptr_null(fe_mem_alloc(&mem, PAGE, 1));
	ck_assert_ptr_nonnull(fe_mem_alloc(&mem, PAGE - 64, 1));
	ck_assert_ptr_null(fe_mem_alloc(&mem, 1, 1));
	ck_assert_ptr_null(fe_mem_alloc(&mem, SIZE_MAX, 1));
	fe_mem_free(&mem);
}
END_TEST

START_TEST(mem_translation)
{
	const struct fe_region_params low = {
		.gpa = GPA, .size = PAGE, .uva = 0x7000, .offset = PAGE,
	};
	const struct fe_region_params high = { .gpa = GPA + PAGE, .size = 2 * PAGE };
	uint8_t *p, *q;
	char c = 0;

	mem = (struct fe_mem){ 0 };
	ck_assert_int_eq(fe_mem_add(&mem, &low), 0);
	ck_assert_int_eq(fe_mem_add(&mem, &high), 1);
	p = mem.regions[0].ptr;
	q = mem.regions[1].ptr;
	ck_assert_uint_eq(fe_mem_gpa(&mem, p + 5, PAGE - 5), GPA + 5);
	ck_assert_uint_eq(fe_mem_uva(&mem, p + 5, PAGE - 5), 0x7005);
	ck_assert_uint_eq(fe_mem_gpa(&mem, q + 5, 2 * PAGE - 5), GPA + PAGE + 5);
	ck_assert_uint_eq(fe_mem_uva(&mem, q, 1), (uintptr_t)q);
	ck_assert_ptr_eq(fe_mem_ptr(&mem, GPA + PAGE - 1, 1), p + PAGE - 1);
	ck_assert_ptr_eq(fe_mem_ptr(&mem, GPA + PAGE, 2 * PAGE), q);

	/* Not even where the border is one of guest addresses only. */
	ck_assert(p + PAGE != q);
	ck_assert_ptr_null(fe_mem_ptr(&mem, GPA + PAGE - 1, 2));
	ck_assert_uint_eq(fe_mem_gpa(&mem, p + 5, PAGE - 4), UINT64_MAX);
	ck_assert_uint_eq(fe_mem_gpa(&mem, &c, 1), UINT64_MAX);
	ck_assert_ptr_null(fe_mem_ptr(&mem, GPA - 1, 1));
	ck_assert_ptr_null(fe_mem_ptr(&mem, GPA + 3 * PAGE, 1));

	/* The back-end finds the region where it is told to. */
	p[7] = 'x';
	ck_assert_int_eq(pread(mem.regions[0].fd, &c, 1, PAGE + 7), 1);
	ck_assert_int_eq(c, 'x');
	fe_mem_del(&mem, 0);
	ck_assert_uint_eq(mem.num, 1);
	ck_assert_ptr_eq(mem.regions[0].ptr, q);
	fe_mem_free(&mem);
}
END_TEST

START_TEST(mem_params)
{
	const struct fe_region_params sealed = { .size = PAGE, .flags = FE_REGION_SEAL_SHRINK };

	mem = (struct fe_mem){ 0 };
	ck_assert_int_eq(fe_mem_add(&mem, &(struct fe_region_params){ .size = 0 }), -EINVAL);
	ck_assert_int_eq(fe_mem_add(&mem, &(struct fe_region_params){ .size = 100 }), -EINVAL);
	ck_assert_int_eq(fe_mem_add(&mem, &sealed), 0);
	ck_assert_int_eq(ftruncate(mem.regions[0].fd, 0), -1);
	ck_assert_int_eq(errno, EPERM);
	fe_mem_free(&mem);
}
END_TEST

START_TEST(ring_params)
{
	const unsigned int bad[] = { 0, 3, 65536, 32769 };
	struct vu_vring_addr addr;
	unsigned int i;

	ck_assert_int_eq(fe_mem_init(&mem, GPA, MEM_SIZE), 0);
	for (i = 0; i < 4; i++) {
		struct fe_ring_params params = { .size = bad[i] };

		ck_assert_int_eq(fe_ring_init(&ring, &mem, &params), -EINVAL);
	}
	mem.regions[0].uva = 0x5000;
	ck_assert_int_eq(fe_ring_init(&ring, &mem, &(struct fe_ring_params){
		.size = 32768, .index = 3 }), 0);
	fe_ring_get_addr(&ring, &addr);
	ck_assert_uint_eq(addr.index, 3);
	ck_assert_uint_eq(addr.desc, 0x5000);
	ck_assert_uint_eq(addr.avail, 0x5000 + 16 * 32768);
	ck_assert_uint_eq(addr.used, 0x5000 + 16 * 32768 + ((6 + 2 * 32768 + 63) & ~63));
	fe_ring_free(&ring);
	ck_assert_int_eq(fe_ring_init(&ring, &mem, &(struct fe_ring_params){
		.size = 32768, .indirect = 1024, .features = INDIRECT }), -ENOMEM);
	fe_mem_free(&mem);
}
END_TEST

static void check_desc(const struct vring_desc *d, uint64_t addr, uint32_t len, uint16_t flags)
{
	ck_assert_uint_eq(d->addr, addr);
	ck_assert_uint_eq(d->len, len);
	ck_assert_uint_eq(d->flags, flags);
}

/* A chain of four elements at ascending addresses, which ends at the index returned. */
static int add_four(void)
{
	uint8_t *p = fe_mem_ptr(&mem, GPA, PAGE);
	const struct iovec out[] = { { p, 16 }, { p + 100, 0 } };
	const struct iovec in[] = { { p + 200, 300 }, { p + 700, 1 } };

	return fe_ring_add(&ring, out, 2, in, 2, &ring);
}

/* The four descriptors of it, in the order of the chain. */
static void check_four(const struct vring_desc *d[4])
{
	check_desc(d[0], GPA, 16, VRING_DESC_F_NEXT);
	check_desc(d[1], GPA + 100, 0, VRING_DESC_F_NEXT);
	check_desc(d[2], GPA + 200, 300, VRING_DESC_F_NEXT | VRING_DESC_F_WRITE);
	check_desc(d[3], GPA + 700, 1, VRING_DESC_F_WRITE);
}

START_TEST(ring_direct)
{
	const struct vring_desc *d[4];
	int head, i;

	open_ring(&(struct fe_ring_params){ .size = 8, .features = INDIRECT });
	head = add_four();
	ck_assert_int_ge(head, 0);
	ck_assert_int_eq(dev_pop(), -1);
	fe_ring_publish(&ring);
	ck_assert_int_eq(dev_pop(), head);
	ck_assert_int_eq(dev_pop(), -1);
	for (i = 0; i < 4; i++)
		d[i] = &ring.split.desc[i ? d[i - 1]->next : head];
	check_four(d);
	ck_assert_uint_eq(ring.num_free, 4);
	ck_assert_uint_eq(ring.outstanding, 1);
	close_ring();
}
END_TEST

START_TEST(ring_indirect)
{
	const struct vring_desc *d[4], *table;
	int head, i;

	open_ring(&(struct fe_ring_params){ .size = 4, .features = INDIRECT, .indirect = 4 });
	head = add_four();
	ck_assert_int_ge(head, 0);
	check_desc(&ring.split.desc[head], ring.split.desc[head].addr, 64, VRING_DESC_F_INDIRECT);
	table = fe_mem_ptr(&mem, ring.split.desc[head].addr, 64);
	ck_assert_ptr_nonnull(table);
	for (i = 0; i < 4; i++)
		d[i] = &table[i ? d[i - 1]->next : 0];
	check_four(d);
	ck_assert_uint_eq(ring.num_free, 3);

	/* Single elements, and chains beyond the table's length, go directly. */
	head = add_one(&ring);
	check_desc(&ring.split.desc[head], GPA, 16, VRING_DESC_F_WRITE);
	ring.indirect = 3;
	ck_assert_int_eq(add_four(), -ENOSPC);
	ring.indirect = 4;
	ck_assert_int_ge(add_four(), 0);
	close_ring();
}
END_TEST

START_TEST(ring_refuses)
{
	struct iovec iov = { .iov_base = &mem, .iov_len = 1 };
	unsigned int i;

	open_ring(&(struct fe_ring_params){ .size = 4 });
	ck_assert_int_eq(fe_ring_add(&ring, &iov, 1, NULL, 0, &ring), -EFAULT);
	ck_assert_int_eq(fe_ring_add(&ring, NULL, 0, NULL, 0, &ring), -EINVAL);
	ck_assert_int_eq(add_one(NULL), -EINVAL);
	for (i = 0; i < 4; i++)
		ck_assert_int_ge(add_one(&ring), 0);
	ck_assert_int_eq(add_one(&ring), -ENOSPC);
	ck_assert_uint_eq(ring.outstanding, 4);
	close_ring();
}
END_TEST

/*
 * Chains of one to three descriptors, as many as there is room for, come back in another order,
 * all along the free-running indices.
 */
START_TEST(ring_wraps)
{
	unsigned int held[16], num_held = 0, rounds, seen;
	uint8_t cookies[16] = { 0 };
	uint8_t *p;

	open_ring(&(struct fe_ring_params){ .size = 16, .base = 65530 });
	ck_assert_uint_eq(fe_ring_get_base(&ring), 65530);
	p = fe_mem_ptr(&mem, GPA, 16);
	for (rounds = seen = 0; rounds < 70000; rounds++) {
		struct iovec out[3] = { { p, 1 }, { p, 2 }, { p, 3 } };
		unsigned int n = 1 + rounds % 3;
		uint32_t len;
		void *cookie;
		int head;

		/* The cookie goes with the id, which is free at this moment. */
		head = ring.num_free >= n ? ring.free[ring.free_at] : -ENOSPC;
		ck_assert_int_eq(fe_ring_add(&ring, out, n, NULL, 0,
					     head < 0 ? cookies : &cookies[head]), head);
		if (head >= 0) {
			ck_assert_uint_eq(cookies[head]++, 0);
			fe_ring_publish(&ring);
			ck_assert_int_eq(dev_pop(), head);
			held[num_held++] = (unsigned int)head;
			continue;
		}
		/* Full: the device returns one from the middle. */
		n = rounds % num_held;
		dev_push(held[n], 0);
		head = (int)held[n];
		held[n] = held[--num_held];
		ck_assert_int_eq(fe_ring_get(&ring, &cookie, &len), 1);
		ck_assert_ptr_eq(cookie, &cookies[head]);
		ck_assert_uint_eq(cookies[head]--, 1);
		ck_assert_int_eq(fe_ring_get(&ring, &cookie, &len), 0);
		seen++;
	}
	ck_assert_uint_gt(seen, 20000);
	ck_assert_uint_eq(ring.outstanding, num_held);
	ck_assert_uint_eq(fe_ring_get_base(&ring), dev_used);
	close_ring();
}
END_TEST

START_TEST(ring_judges)
{
	uint32_t len;
	void *cookie;
	int head;

	open_ring(&(struct fe_ring_params){ .size = 4 });
	dev_push(0, 0);
	ck_assert_int_eq(fe_ring_get(&ring, &cookie, &len), -EPROTO);
	dev_push(4, 0);
	ck_assert_int_eq(fe_ring_get(&ring, &cookie, &len), -EPROTO);
	head = add_one(&ring);
	dev_push((uint32_t)head, 16);
	dev_push((uint32_t)head, 16);
	ck_assert_int_eq(fe_ring_get(&ring, &cookie, &len), 1);
	ck_assert_int_eq(fe_ring_get(&ring, &cookie, &len), -EPROTO);
	head = add_one(&ring);
	dev_push((uint32_t)head, 17);
	ck_assert_int_eq(fe_ring_get(&ring, &cookie, &len), -EPROTO);
	close_ring();
}
END_TEST

START_TEST(kick_flag)
{
	open_ring(&(struct fe_ring_params){ .size = 4 });
	add_one(&ring);
	ck_assert(!fe_ring_kick_needed(&ring));
	fe_ring_publish(&ring);
	ck_assert(fe_ring_kick_needed(&ring));
	ck_assert(!fe_ring_kick_needed(&ring));
	ring.split.used->flags = VRING_USED_F_NO_NOTIFY;
	add_one(&ring);
	fe_ring_publish(&ring);
	ck_assert(!fe_ring_kick(&ring));
	close_ring();
}
END_TEST

/* old and new are the published indices, event the device's; 16 bits wide. */
static const struct {
	uint16_t old, new, event;
	bool kick;
} kick_cases[] = {
	{ 0, 1, 0, true },
	{ 0, 1, 1, false },
	{ 0, 1, 65535, false },
	{ 5, 8, 4, false },
	{ 5, 8, 5, true },
	{ 5, 8, 7, true },
	{ 5, 8, 8, false },
	{ 65534, 1, 65533, false },
	{ 65534, 1, 65534, true },
	{ 65534, 1, 65535, true },
	{ 65534, 1, 0, true },
	{ 65534, 1, 1, false },
};

START_TEST(kick_event)
{
	uint16_t idx;
	eventfd_t count;

	open_ring(&(struct fe_ring_params){
		.size = 4, .features = EVENT_IDX, .base = kick_cases[_i].old });
	dev_set_avail_event(kick_cases[_i].event);
	/* With event index the flag means nothing. */
	ring.split.used->flags = VRING_USED_F_NO_NOTIFY;
	for (idx = kick_cases[_i].old; idx != kick_cases[_i].new; idx++)
		add_one(&ring);
	fe_ring_publish(&ring);
	ck_assert_int_eq(fe_ring_kick(&ring), kick_cases[_i].kick);
	ck_assert_uint_eq(ring.stats.kicks, kick_cases[_i].kick);
	ck_assert_uint_eq(ring.stats.kicks_saved, !kick_cases[_i].kick);
	ck_assert_int_eq(eventfd_read(ring.kick_fd, &count), kick_cases[_i].kick ? 0 : -1);
	fe_ring_kick_always(&ring);
	ck_assert_int_eq(eventfd_read(ring.kick_fd, &count), 0);
	close_ring();
}
END_TEST

START_TEST(irq_flag)
{
	open_ring(&(struct fe_ring_params){ .size = 4 });
	ck_assert_uint_eq(ring.split.avail->flags, 0);
	fe_ring_irq_off(&ring);
	ck_assert_uint_eq(ring.split.avail->flags, VRING_AVAIL_F_NO_INTERRUPT);
	ck_assert(!fe_ring_irq_on(&ring));
	ck_assert_uint_eq(ring.split.avail->flags, 0);
	add_one(&ring);
	dev_push(0, 0);
	ck_assert(fe_ring_irq_on(&ring));
	close_ring();
	open_ring(&(struct fe_ring_params){ .size = 4, .flags = FE_RING_POLL });
	ck_assert_uint_eq(ring.split.avail->flags, VRING_AVAIL_F_NO_INTERRUPT);
	close_ring();
}
END_TEST

START_TEST(irq_event)
{
	open_ring(&(struct fe_ring_params){ .size = 4, .features = EVENT_IDX, .base = 65535 });
	ck_assert_uint_eq(dev_used_event(), 65535);
	add_one(&ring);
	fe_ring_publish(&ring);
	get_one(&ring);
	ck_assert(!fe_ring_irq_on(&ring));
	ck_assert_uint_eq(dev_used_event(), 0);
	fe_ring_irq_off(&ring);
	ck_assert_uint_eq(dev_used_event(), 65535);
	ck_assert_uint_eq(ring.split.avail->flags, 0);
	close_ring();
}
END_TEST

START_TEST(wait_for_signal)
{
	open_ring(&(struct fe_ring_params){ .size = 4, .features = EVENT_IDX });
	add_one(&ring);
	ck_assert_int_eq(fe_ring_wait(&ring, SHORT_MS), -ETIMEDOUT);
	/* A signal without a chain, as devices may send it, ends no wait. */
	eventfd_write(ring.call_fd, 1);
	ck_assert_int_eq(fe_ring_wait(&ring, SHORT_MS), -ETIMEDOUT);
	ck_assert_uint_eq(ring.stats.signals, 1);
	/* A chain without a signal is found before sleeping. */
	dev_push(0, 0);
	ck_assert_int_eq(fe_ring_wait(&ring, LONG_MS), 0);
	ck_assert(!fe_ring_signalled(&ring));
	ck_assert_int_eq(fe_ring_wait_signal(&ring, SHORT_MS), -ETIMEDOUT);
	eventfd_write(ring.call_fd, 1);
	ck_assert_int_eq(fe_ring_wait_signal(&ring, LONG_MS), 0);
	ck_assert(!fe_ring_signalled(&ring));
	close_ring();
}
END_TEST

START_TEST(wait_for_error)
{
	const unsigned int flags[] = { 0, FE_RING_POLL };

	open_ring(&(struct fe_ring_params){ .size = 4, .flags = flags[_i] });
	ck_assert_int_eq(fe_ring_wait(&ring, SHORT_MS), -ETIMEDOUT);
	ck_assert_int_eq(fe_ring_wait_err(&ring, SHORT_MS), -ETIMEDOUT);
	eventfd_write(ring.err_fd, 1);
	ck_assert_int_eq(fe_ring_wait_err(&ring, LONG_MS), 0);
	ck_assert_int_eq(fe_ring_wait(&ring, LONG_MS), -EIO);
	/* What was used before is not lost. */
	add_one(&ring);
	dev_push(0, 0);
	ck_assert_int_eq(fe_ring_wait(&ring, LONG_MS), 0);
	close_ring();
}
END_TEST

START_TEST(ring_reset)
{
	open_ring(&(struct fe_ring_params){ .size = 4, .features = EVENT_IDX });
	add_one(&ring);
	add_one(&ring);
	fe_ring_publish(&ring);
	dev_push((uint32_t)dev_pop(), 1);
	fe_ring_reset(&ring, 9);
	ck_assert_uint_eq(ring.outstanding, 0);
	ck_assert_uint_eq(ring.num_free, 4);
	ck_assert_uint_eq(ring.split.avail->idx, 9);
	ck_assert_uint_eq(ring.split.used->idx, 9);
	ck_assert_uint_eq(ring.split.desc[0].len, 0);
	ck_assert(!fe_ring_ready(&ring));
	dev_avail = dev_used = 9;
	add_one(&mem);
	fe_ring_publish(&ring);
	get_one(&mem);
	close_ring();
}
END_TEST

START_TEST(raw_chain)
{
	const struct fe_raw_desc loop[] = {
		{ .slot = 2, .addr = UINT64_MAX, .len = 7, .flags = VRING_DESC_F_NEXT, .next = 5 },
		{ .slot = 5, .addr = 1, .len = 8, .flags = 0xffff, .next = 2 },
		{ .slot = 5, .addr = 2, .len = 9, .flags = VRING_DESC_F_NEXT, .next = 2 },
	};
	const struct fe_raw_desc outside = { .slot = 8 };

	open_ring(&(struct fe_ring_params){ .size = 8 });
	ck_assert_int_eq(fe_split_add_raw(&ring, &outside, 1, &ring), -EINVAL);
	ck_assert_int_eq(fe_split_add_raw(&ring, loop, 3, &ring), 2);
	ck_assert_int_eq(fe_split_add_raw(&ring, loop, 3, &ring), -EBUSY);
	check_desc(&ring.split.desc[2], UINT64_MAX, 7, VRING_DESC_F_NEXT);
	check_desc(&ring.split.desc[5], 2, 9, VRING_DESC_F_NEXT);
	ck_assert_uint_eq(ring.split.desc[2].next, 5);
	ck_assert_uint_eq(ring.num_free, 6);
	fe_ring_publish(&ring);
	ck_assert_int_eq(dev_pop(), 2);
	dev_avail--;
	get_one(&ring);
	ck_assert_uint_eq(ring.num_free, 8);

	/* What no driver does. */
	fe_split_add_head(&ring, 1000);
	fe_ring_publish(&ring);
	ck_assert_int_eq(dev_pop(), 1000);
	fe_split_set_avail_idx(&ring, 4711);
	ck_assert_uint_eq(ring.split.avail->idx, 4711);
	fe_split_set_used_event(&ring, 99);
	ck_assert_uint_eq(dev_used_event(), 99);
	dev_set_avail_event(77);
	ck_assert_uint_eq(fe_split_avail_event(&ring), 77);
	close_ring();
}
END_TEST

/* A framing, the lengths of the chain's descriptors, and how many of them the device reads. */
static const struct {
	struct fe_blk_req req;
	uint32_t lens[10];
	unsigned int num_out;
} frames[] = {
	{ { .type = VIRTIO_BLK_T_IN, .len = 1024 }, { 16, 1024, 1 }, 1 },
	{ { .type = VIRTIO_BLK_T_OUT, .len = 1024 }, { 16, 1024, 1 }, 2 },
	{ { .type = VIRTIO_BLK_T_FLUSH }, { 16, 1 }, 1 },
	{ { .type = VIRTIO_BLK_T_DISCARD, .len = 16 }, { 16, 16, 1 }, 2 },
	{ { .type = VIRTIO_BLK_T_GET_ID, .len = 20 }, { 16, 20, 1 }, 1 },
	{ { .type = VIRTIO_BLK_T_OUT, .len = 1024, .cut = 500 }, { 16, 500, 500, 24, 1 }, 4 },
	{ { .type = VIRTIO_BLK_T_OUT, .len = 512, .framing = FE_BLK_CUT_HDR },
	  { 5, 5, 5, 1, 512, 1 }, 5 },
	{ { .type = VIRTIO_BLK_T_OUT, .len = 512, .framing = FE_BLK_JOIN_HDR }, { 528, 1 }, 1 },
	{ { .type = VIRTIO_BLK_T_OUT, .len = 512, .framing = FE_BLK_JOIN_HDR, .cut = 500 },
	  { 500, 28, 1 }, 2 },
	{ { .type = VIRTIO_BLK_T_IN, .len = 512, .framing = FE_BLK_JOIN_HDR }, { 16, 512, 1 }, 1 },
	{ { .type = VIRTIO_BLK_T_IN, .len = 512, .framing = FE_BLK_JOIN_STATUS },
	  { 16, 513 }, 1 },
	{ { .type = VIRTIO_BLK_T_IN, .len = 512, .shift = 3, .cut = 256,
	    .framing = FE_BLK_JOIN_STATUS | FE_BLK_CUT_HDR }, { 5, 5, 5, 1, 256, 256, 1 }, 4 },
};

/* Gather a chain into buf and compare it with frame i.  Returns where its last byte is. */
static uint8_t *walk_frame(int head, int i, uint8_t *buf)
{
	const struct vring_desc *d = &ring.split.desc[head];
	unsigned int n;
	uint8_t *ptr;

	for (n = 0;; d = &ring.split.desc[d->next], n++) {
		ck_assert_uint_eq(d->len, frames[i].lens[n]);
		ck_assert_int_eq(!!(d->flags & VRING_DESC_F_WRITE), n >= frames[i].num_out);
		ptr = fe_mem_ptr(&mem, d->addr, d->len);
		ck_assert_ptr_nonnull(ptr);
		memcpy(buf, ptr, d->len);
		buf += d->len;
		if (!(d->flags & VRING_DESC_F_NEXT))
			break;
	}
	ck_assert_uint_eq(frames[i].lens[n + 1], 0);
	return ptr + d->len - 1;
}

START_TEST(blk_frames)
{
	struct virtio_blk_outhdr hdr;
	struct fe_blk_req *req, *back;
	struct fe_blk blk;
	uint8_t buf[2048], *status, *mine;
	uint32_t i;

	open_ring(&(struct fe_ring_params){ .size = 16 });
	ck_assert_int_eq(fe_blk_init(&blk, &ring, 1, 1024), 0);
	req = fe_blk_get(&blk);
	ck_assert_ptr_null(fe_blk_get(&blk));
	mine = req->mem;
	*req = frames[_i].req;
	req->mem = mine;
	req->sector = 0x123456789a;
	ck_assert_uint_eq(((uintptr_t)fe_blk_data(req) - req->shift) % PAGE, 0);
	for (i = 0; i < req->len; i++)
		fe_blk_data(req)[i] = (uint8_t)i;
	ck_assert_int_eq(fe_blk_submit(&blk, req), 0);
	status = walk_frame(dev_pop(), _i, buf);
	memcpy(&hdr, buf, sizeof(hdr));
	ck_assert_uint_eq(hdr.type, req->type);
	ck_assert_uint_eq(hdr.sector, req->sector);
	for (i = 0; i < req->len; i++)
		ck_assert_uint_eq(buf[16 + i], (uint8_t)i);
	ck_assert_uint_eq(*status, FE_BLK_NO_STATUS);
	*status = 2;
	dev_avail--;
	dev_push((uint32_t)dev_pop(), 1);
	ck_assert_int_eq(fe_blk_reap(&blk, &back, LONG_MS), 0);
	ck_assert_ptr_eq(back, req);
	ck_assert_uint_eq(req->used_len, 1);
	ck_assert_uint_eq(fe_blk_status(req), 2);
	fe_blk_put(&blk, req);
	ck_assert_ptr_eq(fe_blk_get(&blk), req);
	fe_blk_free(&blk);
	close_ring();
}
END_TEST

START_TEST(blk_refuses)
{
	struct fe_blk_req *req;
	struct fe_blk blk;

	open_ring(&(struct fe_ring_params){ .size = 16 });
	ck_assert_int_eq(fe_blk_init(&blk, &ring, 1, MEM_SIZE), -ENOMEM);
	ck_assert_int_eq(fe_blk_init(&blk, &ring, 1, PAGE), 0);
	req = fe_blk_get(&blk);
	req->len = PAGE + 1;
	ck_assert_int_eq(fe_blk_add(&blk, req), -EINVAL);
	req->len = PAGE;
	req->cut = 1;
	ck_assert_int_eq(fe_blk_add(&blk, req), -E2BIG);
	req->cut = 200;
	ck_assert_int_eq(fe_blk_add(&blk, req), -ENOSPC);
	fe_blk_free(&blk);
	close_ring();
}
END_TEST

static TCase *add_case(Suite *s, const char *name)
{
	TCase *tc = tcase_create(name);

	tcase_set_timeout(tc, 60);
	suite_add_tcase(s, tc);
	return tc;
}

int main(void)
{
	Suite *s = suite_create("frontend");
	TCase *tc;

	tc = add_case(s, "memory");
	tcase_add_test(tc, mem_alloc);
	tcase_add_test(tc, mem_translation);
	tcase_add_test(tc, mem_params);
	tc = add_case(s, "ring");
	tcase_add_test(tc, ring_params);
	tcase_add_test(tc, ring_direct);
	tcase_add_test(tc, ring_indirect);
	tcase_add_test(tc, ring_refuses);
	tcase_add_test(tc, ring_wraps);
	tcase_add_test(tc, ring_judges);
	tcase_add_test(tc, ring_reset);
	tcase_add_test(tc, raw_chain);
	tc = add_case(s, "notification");
	tcase_add_test(tc, kick_flag);
	tcase_add_loop_test(tc, kick_event, 0, sizeof(kick_cases) / sizeof(kick_cases[0]));
	tcase_add_test(tc, irq_flag);
	tcase_add_test(tc, irq_event);
	tcase_add_test(tc, wait_for_signal);
	tcase_add_loop_test(tc, wait_for_error, 0, 2);
	tc = add_case(s, "blk");
	tcase_add_loop_test(tc, blk_frames, 0, sizeof(frames) / sizeof(frames[0]));
	tcase_add_test(tc, blk_refuses);
	return tap_main(s);
}
