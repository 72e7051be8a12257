/* SPDX-License-Identifier: BSD-3-Clause */
/* See logged.h. */
#include <string.h>
#include <unistd.h>

#include "tests/proto/logged.h"
#include "tests/tap.h"

/*
 * The device
 */

static struct vhost_req *kept[2][64];	/* each by its queue's worker */
static unsigned int nkept[2];
static atomic_uint kept_ever;
static atomic_uchar fill;		/* different from request to request */

void keep(struct vhost_queue *q)
{
	unsigned int i = vhost_queue_index(q);

	while (nkept[i] < 64 && vhost_queue_pop(q, &kept[i][nkept[i]], 1)) {
		nkept[i]++;
		atomic_fetch_add(&kept_ever, 1);
	}
}

static void act_slice(struct vhost_req *req)
{
	const struct iovec *iov;
	unsigned int cnt, i;

	iov = vhost_req_slice(req, VHOST_IN, req->in_len / 3, req->in_len / 2, &cnt);
	ck_assert_ptr_nonnull(iov);
	for (i = 0; i < cnt; i++)
		memset(iov[i].iov_base, 0x55, iov[i].iov_len);
	vhost_req_push(req, 0);
}

static size_t act_write(struct vhost_req *req)
{
	uint8_t buf[1024];
	size_t off = 0, n;

	memset(buf, atomic_fetch_add(&fill, 1) + 1, sizeof(buf));
	while ((n = vhost_req_write(req, off, buf, sizeof(buf))))
		off += n;
	return off;
}

static void act_direct(struct vhost_req *req)
{
	int byte = atomic_fetch_add(&fill, 1) + 1;
	unsigned int i;

	for (i = 0; i < req->in_cnt; i++)
		memset(req->in[i].iov_base, byte, req->in[i].iov_len);
	vhost_req_push(req, req->in_len);
}

static void act_on(struct vhost_req *req, enum act act)
{
	switch (act) {
	case ACT_WRITE:
		vhost_req_push(req, act_write(req));
		break;
	case ACT_DIRECT:
		act_direct(req);
		break;
	case ACT_SILENT:
		act_write(req);
		vhost_req_push(req, 0);
		break;
	case ACT_STATUS:
	case ACT_UNPOP:
		vhost_req_write(req, req->in_len - 1, "\x11", 1);
		if (act == ACT_STATUS)
			vhost_req_push(req, 1);
		else
			vhost_queue_unpop(req->queue, 1);
		break;
	case ACT_SLICE:
		act_slice(req);
		break;
	default:
		vhost_req_push(req, 0);
	}
}

struct act_call {
	unsigned int queue;
	enum act act;
};

/* The latest first, as vhost_queue_unpop() wants it. */
static void act_kept(void *arg)
{
	const struct act_call *call = arg;

	while (nkept[call->queue])
		act_on(kept[call->queue][--nkept[call->queue]], call->act);
}

void act(struct echo *e, unsigned int i, enum act act)
{
	struct act_call call = { i, act };

	vhost_worker_call(vhost_queue_worker(vhost_dev_queue(e->dev, i)), act_kept, &call);
}

void write_at_once(struct vhost_queue *q)
{
	struct vhost_req *req;

	while (vhost_queue_pop(q, &req, 1))
		act_on(req, ACT_WRITE);
}

/*
 * Its guest
 */

void mem_up(struct fe_mem *mem)
{
	ck_assert_int_eq(fe_mem_init(mem, 0, REGION), 0);
	ck_assert_int_eq(fe_mem_add(mem, &(struct fe_region_params){ REGION, REGION }), 1);
}

static void negotiate(struct echo *e, uint64_t format, uint64_t protocol)
{
	ck_assert_int_eq(fe_negotiate(&e->fe, format | FE_BIT(VU_F_PROTOCOL_FEATURES) |
				      FE_BIT(VIRTIO_F_VERSION_1) |
				      FE_BIT(VIRTIO_RING_F_INDIRECT_DESC), protocol), 0);
	ck_assert(e->fe.offered & F_LOG);
	ck_assert(!format || e->fe.features & format);
}

void up_with(struct echo *e, struct echo_rings *r, int run, uint64_t protocol,
	     void (*kick)(struct vhost_queue *q))
{
	unsigned int i;

	memset(r, 0, sizeof(*r));
	r->n = 2;
	echo_start_with(e, echo_run_workers(run), kick);
	mem_up(&r->mem);
	negotiate(e, echo_run_format(run), protocol);
	for (i = 0; i < r->n; i++) {
		const struct fe_ring_params params = { .index = i, .size = 64,
						       .features = e->fe.features, .indirect = 8 };

		ck_assert_int_eq(fe_ring_init(&r->ring[i], &r->mem, &params), 0);
		r->list[i] = &r->ring[i];
	}
	ck_assert_int_eq(fe_start(&e->fe, &r->mem, r->list, r->n), 0);
}

void up(struct echo *e, struct echo_rings *r, int run)
{
	up_with(e, r, run, ALL, keep);
}

void down(struct echo *e, struct echo_rings *r, struct fe_log *log)
{
	if (log)
		fe_log_free(log);
	echo_down(e, r);
	echo_stop(e);
}

void *at(struct echo_rings *r, uint64_t gpa)
{
	struct fe_region *region = &r->mem.regions[gpa / REGION];

	return region->ptr + gpa % REGION;
}

void submit(struct echo_rings *r, unsigned int i, struct iovec *in, unsigned int nin)
{
	unsigned int before = atomic_load(&kept_ever);

	ck_assert_int_ge(fe_ring_add(&r->ring[i], NULL, 0, in, nin, r), 0);
	fe_ring_submit(&r->ring[i]);
	echo_wait(&kept_ever, before + 1);
}

void submit_raw(struct echo_rings *r, uint64_t gpa, uint32_t len)
{
	const struct fe_raw_packed packed = { gpa, len, 0, VRING_DESC_F_WRITE };
	const struct fe_raw_desc split = { .slot = 0, .flags = VRING_DESC_F_WRITE, .len = len,
					   .addr = gpa };
	unsigned int before = atomic_load(&kept_ever);
	struct fe_ring *ring = &r->ring[0];

	if (ring->features & FE_BIT(VIRTIO_F_RING_PACKED))
		ck_assert_int_ge(fe_packed_add_raw(ring, &packed, 1, r), 0);
	else
		ck_assert_int_ge(fe_split_add_raw(ring, &split, 1, r), 0);
	fe_ring_submit(ring);
	echo_wait(&kept_ever, before + 1);
}

void get(struct fe_ring *ring)
{
	uint32_t used;
	void *cookie;

	ck_assert_int_eq(fe_ring_wait(ring, FE_TIMEOUT_MS), 0);
	ck_assert_int_eq(fe_ring_get(ring, &cookie, &used), 1);
}

void wait_broken(struct fe_ring *ring)
{
	uint64_t count;

	ck_assert_int_eq(fe_ring_wait_err(ring, FE_TIMEOUT_MS), 0);
	ck_assert_int_eq(read(ring->err_fd, &count, sizeof(count)), sizeof(count));
}

void write_raw(struct echo *e, struct echo_rings *r)
{
	submit_raw(r, BUF, 10);
	act(e, 0, ACT_WRITE);
	get(&r->ring[0]);
}

void settle(struct echo *e, unsigned int i)
{
	ck_assert_int_eq(fe_set_vring_enable(&e->fe, i, true), 0);
}

/*
 * The comparison
 */

static uint8_t before[END];

void snapshot(struct echo_rings *r)
{
	memcpy(before, at(r, 0), REGION);
	memcpy(before + REGION, at(r, REGION), REGION);
}

unsigned int compare(struct echo_rings *r, const struct fe_log *log)
{
	unsigned int changed = 0;
	uint64_t gpa;

	for (gpa = 0; gpa < END; gpa += PAGE) {
		if (!memcmp(before + gpa, at(r, gpa), PAGE))
			continue;
		ck_assert_msg(fe_log_is_dirty(log, gpa), "page %#lx is not in the log",
			      (unsigned long)gpa);
		changed++;
	}
	return changed;
}

/* The device's pages of ring i. */
static unsigned int ring_pages(const struct echo_rings *r, unsigned int i)
{
	const struct fe_ring *ring = &r->ring[i];
	uint64_t device = fe_mem_gpa(&r->mem, ring->device_area, 1);

	if (ring->features & FE_BIT(VIRTIO_F_RING_PACKED))
		return 2;	/* 64 descriptors in one page, and the event area */
	return 1 + (device / PAGE != (device + 6 + 8 * ring->size - 1) / PAGE);
}

void log_up(struct echo *e, struct echo_rings *r, struct fe_log *log)
{
	ck_assert_int_eq(fe_log_init(log, END, 0), 0);
	ck_assert_int_eq(fe_log_start(&e->fe, log, r->list, r->n), 0);
}

unsigned int act_and_compare(struct echo *e, struct echo_rings *r, struct fe_log *log,
			     enum act a, unsigned int pages)
{
	unsigned int changed;

	settle(e, 0);
	snapshot(r);
	fe_log_clear(log);
	act(e, 0, a);
	if (a != ACT_UNPOP)
		get(&r->ring[0]);
	settle(e, 0);
	changed = compare(r, log);
	ck_assert_uint_le(fe_log_count(log), pages + ring_pages(r, 0));
	return changed;
}

void set_log_all(struct echo *e, bool on)
{
	ck_assert_int_eq(fe_set_features(&e->fe, (e->fe.features & ~F_LOG) | (on ? F_LOG : 0)), 0);
}
