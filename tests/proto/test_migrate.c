/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The dirty log: what the device writes is in it, at any time and whatever happens to the log.
 *
 * The device keeps requests until it is told what to do with them.  What it has written then is
 * found by comparing guest memory page by page with a copy from before.  Nearly all tests run
 * with 0, 1 and 2 workers, with split and with packed rings.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "frontend/fe_migrate.h"
#include "tests/echo.h"
#include "tests/tap.h"
#include "util.h"

#define PAGE ((uint64_t)VU_LOG_PAGE)
#define REGION (UINT64_C(1) << 20)
#define END (2 * REGION)
/* In region 0 behind what fe_mem_alloc() has handed out, and in region 1. */
#define BUF (REGION / 2)
#define BUF1 (REGION + REGION / 2)
#define F_LOG FE_BIT(VU_F_LOG_ALL)
#define ALL ~UINT64_C(0)

/*
 * The device
 */

/* What it does with a request. */
enum act {
	ACT_WRITE,			/* all, and says so */
	ACT_DIRECT,			/* the same without the library's help */
	ACT_SILENT,			/* all, and says nothing of it */
	ACT_STATUS,			/* the last byte only, as a failed request of a disk */
	ACT_SLICE,			/* some bytes in the middle by vhost_req_slice() */
	ACT_NOTHING,
	ACT_UNPOP,			/* as ACT_STATUS, and gives it back; it comes again */
	ACTS
};

static struct vhost_req *kept[2][64];	/* each by its queue's worker */
static unsigned int nkept[2];
static atomic_uint kept_ever;
static atomic_uchar fill;		/* different from request to request */

static void keep(struct vhost_queue *q)
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

static void act(struct echo *e, unsigned int i, enum act act)
{
	struct act_call call = { i, act };

	vhost_worker_call(vhost_queue_worker(vhost_dev_queue(e->dev, i)), act_kept, &call);
}

static void write_at_once(struct vhost_queue *q)
{
	struct vhost_req *req;

	while (vhost_queue_pop(q, &req, 1))
		act_on(req, ACT_WRITE);
}

/*
 * Its guest
 */

static void mem_up(struct fe_mem *mem)
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

/* Two regions which are neighbours, and two rings. */
static void up_with(struct echo *e, struct echo_rings *r, int run, uint64_t protocol,
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

static void up(struct echo *e, struct echo_rings *r, int run)
{
	up_with(e, r, run, ALL, keep);
}

static void down(struct echo *e, struct echo_rings *r, struct fe_log *log)
{
	if (log)
		fe_log_free(log);
	echo_down(e, r);
	echo_stop(e);
}

static void *at(struct echo_rings *r, uint64_t gpa)
{
	struct fe_region *region = &r->mem.regions[gpa / REGION];

	return region->ptr + gpa % REGION;
}

/* The device has one request for these bytes, and waits. */
static void submit(struct echo_rings *r, unsigned int i, struct iovec *in, unsigned int nin)
{
	unsigned int before = atomic_load(&kept_ever);

	ck_assert_int_ge(fe_ring_add(&r->ring[i], NULL, 0, in, nin, r), 0);
	fe_ring_submit(&r->ring[i]);
	echo_wait(&kept_ever, before + 1);
}

/* One descriptor, which may lie across regions. */
static void submit_raw(struct echo_rings *r, uint64_t gpa, uint32_t len)
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

static void get(struct fe_ring *ring)
{
	uint32_t used;
	void *cookie;

	ck_assert_int_eq(fe_ring_wait(ring, FE_TIMEOUT_MS), 0);
	ck_assert_int_eq(fe_ring_get(ring, &cookie, &used), 1);
}

static void wait_broken(struct fe_ring *ring)
{
	uint64_t count;

	ck_assert_int_eq(fe_ring_wait_err(ring, FE_TIMEOUT_MS), 0);
	ck_assert_int_eq(read(ring->err_fd, &count, sizeof(count)), sizeof(count));
}

/* All which the queue has done so far is in the log when this returns. */
static void settle(struct echo *e, unsigned int i)
{
	ck_assert_int_eq(fe_set_vring_enable(&e->fe, i, true), 0);
}

/*
 * The comparison
 */

static uint8_t before[END];

static void snapshot(struct echo_rings *r)
{
	memcpy(before, at(r, 0), REGION);
	memcpy(before + REGION, at(r, REGION), REGION);
}

/* Each page which has changed is in the log; returns how many have. */
static unsigned int compare(struct echo_rings *r, const struct fe_log *log)
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

static void log_up(struct echo *e, struct echo_rings *r, struct fe_log *log)
{
	ck_assert_int_eq(fe_log_init(log, END, 0), 0);
	ck_assert_int_eq(fe_log_start(&e->fe, log, r->list, r->n), 0);
}

/*
 * The request which waits on queue 0 is done, and what was written is logged, and of its pages, if
 * not all were written, no others.  Returns how many pages have changed.
 */
static unsigned int act_and_compare(struct echo *e, struct echo_rings *r, struct fe_log *log,
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

/*
 * Everything which is written is in the log
 */

/* Pages of [gpa, gpa + len). */
static unsigned int pages_of(uint64_t gpa, uint64_t len)
{
	return (unsigned int)((gpa + len - 1) / PAGE - gpa / PAGE + 1);
}

struct shape {
	uint64_t gpa;
	uint32_t len;
};

/* Within a page, whole pages, all over several, at the very end, across the regions. */
static const struct shape shapes[] = {
	{ BUF + 100, 50 },
	{ BUF, PAGE },
	{ BUF + 4000, 200 },
	{ BUF + 1, 20 * PAGE },
	{ END - 10, 10 },
	{ REGION - 3000, 6000 },
	{ 3 * PAGE * 64 - PAGE, 2 * PAGE },
};

/* proves: log.writes, VHOST_F_LOG_ALL, SET_LOG_BASE, PROTOCOL_F_LOG_SHMFD */
START_TEST(all_that_is_written)
{
	static const enum act whole[] = { ACT_WRITE, ACT_DIRECT, ACT_SILENT };
	unsigned int i, j;
	struct echo_rings r;
	struct fe_log log;
	struct echo e;

	up(&e, &r, _i);
	log_up(&e, &r, &log);
	for (i = 0; i < ARRAY_SIZE(shapes); i++) {
		for (j = 0; j < ARRAY_SIZE(whole); j++) {
			unsigned int pages = pages_of(shapes[i].gpa, shapes[i].len);

			submit_raw(&r, shapes[i].gpa, shapes[i].len);
			ck_assert_uint_gt(act_and_compare(&e, &r, &log, whole[j], pages), pages);
		}
	}
	down(&e, &r, &log);
}
END_TEST

/* proves: log.writes */
START_TEST(a_status_behind_what_was_not_written)
{
	struct echo_rings r;
	struct fe_log log;
	struct echo e;

	up(&e, &r, _i);
	log_up(&e, &r, &log);
	/* All up to the status counts as written; that is allowed. */
	submit(&r, 0, (struct iovec[]){ { at(&r, BUF), 2 * PAGE }, { at(&r, BUF1), 1 } }, 2);
	ck_assert_uint_ge(act_and_compare(&e, &r, &log, ACT_STATUS, 1 + 2), 2);
	ck_assert(fe_log_is_dirty(&log, BUF1));
	down(&e, &r, &log);
}
END_TEST

/* proves: log.writes */
START_TEST(slices_of_a_table)
{
	struct iovec in[8];
	struct echo_rings r;
	struct fe_log log;
	struct echo e;
	uint64_t gpa;
	unsigned int i;

	up(&e, &r, _i);
	log_up(&e, &r, &log);
	for (i = 0; i < 8; i++)
		in[i] = (struct iovec){ at(&r, (i % 2 ? BUF : BUF1) + 3 * i * PAGE), 900 + i };
	submit(&r, 0, in, 8);
	settle(&e, 0);
	snapshot(&r);
	fe_log_clear(&log);
	act(&e, 0, ACT_SLICE);
	get(&r.ring[0]);
	settle(&e, 0);
	/* The slice covers elements 2 to 6. */
	ck_assert_uint_ge(compare(&r, &log), 5);
	gpa = fe_mem_gpa(&r.mem, in[7].iov_base, 1);
	ck_assert(!fe_log_is_dirty(&log, gpa));
	down(&e, &r, &log);
}
END_TEST

START_TEST(nothing_written_is_nothing_logged)
{
	struct echo_rings r;
	struct fe_log log;
	struct echo e;

	up(&e, &r, _i);
	log_up(&e, &r, &log);
	submit_raw(&r, BUF, 4 * PAGE);
	act_and_compare(&e, &r, &log, ACT_NOTHING, 0);
	ck_assert(!fe_log_is_dirty(&log, BUF));
	down(&e, &r, &log);
}
END_TEST

/* proves: log.writes */
START_TEST(given_back_after_it_was_written)
{
	struct echo_rings r;
	struct fe_log log;
	struct echo e;

	up(&e, &r, _i);
	log_up(&e, &r, &log);
	submit_raw(&r, BUF, PAGE);
	ck_assert_uint_ge(act_and_compare(&e, &r, &log, ACT_UNPOP, 1), 1);
	ck_assert(fe_log_is_dirty(&log, BUF));
	down(&e, &r, &log);
}
END_TEST

/* The ring's own memory, by the address which the front-end gives for it. */
/* proves: log.writes, ring.addr-while-running, SET_VRING_ADDR */
START_TEST(the_ring_is_logged_where_it_is_said)
{
	struct vu_vring_addr addr;
	struct echo_rings r;
	struct fe_log log;
	struct echo e;

	up(&e, &r, _i);
	ck_assert_int_eq(fe_log_init(&log, 2 * END, 0), 0);
	ck_assert_int_eq(fe_log_start(&e.fe, &log, r.list, 0), 0);
	/* Not asked for yet. */
	submit_raw(&r, BUF, 10);
	act(&e, 0, ACT_WRITE);
	get(&r.ring[0]);
	settle(&e, 0);
	ck_assert_uint_eq(fe_log_count(&log), 1);
	fe_ring_get_addr(&r.ring[0], &addr);
	addr.flags = VU_VRING_ADDR_F_LOG;
	addr.log = END + 10 * PAGE;	/* not even memory */
	ck_assert_int_eq(fe_set_vring_addr(&e.fe, &addr), 0);
	fe_log_clear(&log);
	submit_raw(&r, BUF, 10);
	act(&e, 0, ACT_WRITE);
	get(&r.ring[0]);
	settle(&e, 0);
	ck_assert(fe_log_is_dirty(&log, END + 10 * PAGE));
	/* And no longer. */
	addr.flags = 0;
	ck_assert_int_eq(fe_set_vring_addr(&e.fe, &addr), 0);
	fe_log_clear(&log);
	submit_raw(&r, BUF, 10);
	act(&e, 0, ACT_WRITE);
	get(&r.ring[0]);
	settle(&e, 0);
	ck_assert_uint_eq(fe_log_count(&log), 1);
	down(&e, &r, &log);
}
END_TEST

/* What the device writes to rings when it stops asking for kicks, asks, starts and stops. */
/* proves: log.writes, GET_VRING_BASE */
START_TEST(rings_at_rest_are_logged)
{
	struct echo_rings r;
	struct fe_log log;
	struct echo e;

	up(&e, &r, _i);
	log_up(&e, &r, &log);
	settle(&e, 0);
	snapshot(&r);
	fe_log_clear(&log);
	/* Popped and kept: only the wish for kicks was written. */
	submit_raw(&r, BUF, 10);
	settle(&e, 0);
	ck_assert(fe_log_is_dirty(&log, fe_mem_gpa(&r.mem, r.ring[0].device_area, 1)));
	fe_log_clear(&log);
	snapshot(&r);
	act(&e, 0, ACT_WRITE);
	/* Before a stop is answered all is in the log. */
	ck_assert_int_eq(fe_stop(&e.fe, r.list, r.n), 0);
	ck_assert_uint_ge(compare(&r, &log), 2);
	down(&e, &r, &log);
}
END_TEST

/*
 * Under load
 */

#define LOAD_PAGES 64u

struct load {
	struct echo_rings *r;
	pthread_t thread;
	atomic_bool stop;
	atomic_uint done;
	pthread_mutex_t lock;
	/* by lock */
	struct fe_log *log;		/* what is written must be in it; NULL: nothing may be */
	struct fe_log *off;		/* nothing may come into it any more; or NULL */
	bool changing;			/* anything may be logged or not */
	unsigned int generation;	/* of what is said above */
	unsigned int checked[2];	/* requests without and with a log */
};

/* What holds for a request from its start to its end can be judged. */
static void load_judge(struct load *l, uint64_t gpa, unsigned int generation)
{
	if (l->changing || l->generation != generation)
		return;
	if (l->log)
		ck_assert(fe_log_take(l->log, gpa));
	if (l->off)
		ck_assert(!fe_log_is_dirty(l->off, gpa));
	l->checked[!!l->log]++;
}

static void *load_run(void *arg)
{
	struct load *l = arg;
	unsigned int n = 0, generation;

	while (!atomic_load(&l->stop)) {
		uint64_t gpa = BUF1 + n++ % LOAD_PAGES * PAGE;
		struct iovec in = { at(l->r, gpa), 512 };

		pthread_mutex_lock(&l->lock);
		generation = l->generation;
		pthread_mutex_unlock(&l->lock);
		ck_assert_int_ge(fe_ring_add(&l->r->ring[0], NULL, 0, &in, 1, l), 0);
		fe_ring_submit(&l->r->ring[0]);
		get(&l->r->ring[0]);
		atomic_fetch_add(&l->done, 1);
		pthread_mutex_lock(&l->lock);
		load_judge(l, gpa, generation);
		pthread_mutex_unlock(&l->lock);
	}
	return NULL;
}

static void load_start(struct load *l, struct echo_rings *r)
{
	*l = (struct load){ .r = r, .lock = PTHREAD_MUTEX_INITIALIZER };
	ck_assert_int_eq(pthread_create(&l->thread, NULL, load_run, l), 0);
}

static void load_stop(struct load *l)
{
	atomic_store(&l->stop, true);
	pthread_join(l->thread, NULL);
}

/* The state changes: from now on nothing is certain, and then this is. */
static void load_unsure(struct load *l)
{
	pthread_mutex_lock(&l->lock);
	l->changing = true;
	l->generation++;
	pthread_mutex_unlock(&l->lock);
}

static void load_expect(struct load *l, struct fe_log *log, struct fe_log *off)
{
	pthread_mutex_lock(&l->lock);
	l->log = log;
	l->off = off;
	l->changing = false;
	l->generation++;
	pthread_mutex_unlock(&l->lock);
	/* Some requests under these conditions. */
	echo_wait(&l->done, atomic_load(&l->done) + 5);
}

/* proves: log.toggle, log.order, VHOST_F_LOG_ALL */
START_TEST(switched_on_and_off_under_load)
{
	struct echo_rings r;
	struct fe_log log;
	struct load l;
	struct echo e;
	int i;

	up_with(&e, &r, _i, ALL, write_at_once);
	ck_assert_int_eq(fe_log_init(&log, END, 24), 0);
	load_start(&l, &r);
	load_expect(&l, NULL, &log);
	for (i = 0; i < 20; i++) {
		load_unsure(&l);
		ck_assert_int_eq(fe_log_start(&e.fe, &log, r.list, r.n), 0);
		load_expect(&l, &log, NULL);
		load_unsure(&l);
		ck_assert_int_eq(fe_log_stop(&e.fe, r.list, r.n), 0);
		fe_log_clear(&log);
		load_expect(&l, NULL, &log);
	}
	load_stop(&l);
	ck_assert_uint_eq(fe_log_count(&log), 0);
	ck_assert_uint_gt(l.checked[0], 0);
	ck_assert_uint_gt(l.checked[1], 0);
	down(&e, &r, &log);
}
END_TEST

/* Larger and smaller logs, at odd offsets; after the answer nobody writes to the old one. */
/* proves: log.replaced, log.order, SET_LOG_BASE */
START_TEST(replaced_under_load)
{
	struct fe_log log[2];
	struct echo_rings r;
	struct load l;
	struct echo e;
	unsigned int i;

	up_with(&e, &r, _i, ALL, write_at_once);
	ck_assert_int_eq(fe_log_init(&log[0], END, 0), 0);
	ck_assert_int_eq(fe_log_start(&e.fe, &log[0], r.list, r.n), 0);
	load_start(&l, &r);
	for (i = 0; i < 20; i++) {
		struct fe_log *old = &log[i % 2], *new = &log[(i + 1) % 2];

		ck_assert_int_eq(fe_log_init(new, END * (1 + i % 3), 8 * 1000 * i), 0);
		load_unsure(&l);
		ck_assert_int_eq(fe_log_set(&e.fe, new), 0);
		fe_log_clear(old);
		load_expect(&l, new, old);
		/* It may not use it any more. */
		load_unsure(&l);
		fe_log_free(old);
	}
	load_stop(&l);
	ck_assert_uint_gt(l.checked[1], 0);
	down(&e, &r, &log[i % 2]);
}
END_TEST

/* A whole migration: copy what is dirty while the device writes, then stop and copy the rest. */
/* proves: log.order, log.writes */
START_TEST(migrated_under_load)
{
	struct fe_mem to = { 0 };
	struct echo_rings r;
	struct fe_log log;
	struct load l;
	struct echo e;
	int i;

	up_with(&e, &r, _i, ALL, write_at_once);
	mem_up(&to);
	ck_assert_int_eq(fe_log_init(&log, END, 0), 0);
	load_start(&l, &r);
	load_unsure(&l);
	echo_wait(&l.done, 5);
	ck_assert_int_eq(fe_log_start(&e.fe, &log, r.list, r.n), 0);
	memcpy(fe_mem_ptr(&to, REGION, REGION), at(&r, REGION), REGION);
	for (i = 0; i < 10; i++) {
		echo_wait(&l.done, atomic_load(&l.done) + 10);
		ck_assert_int_ge(fe_log_copy(&log, &r.mem, &to), 0);
	}
	load_stop(&l);
	ck_assert_int_eq(fe_stop(&e.fe, r.list, r.n), 0);
	ck_assert_int_ge(fe_log_copy(&log, &r.mem, &to), 0);
	ck_assert_mem_eq(fe_mem_ptr(&to, REGION, REGION), at(&r, REGION), REGION);
	fe_mem_free(&to);
	down(&e, &r, &log);
}
END_TEST

/*
 * A log which comes late
 */

static void set_log_all(struct echo *e, bool on)
{
	ck_assert_int_eq(fe_set_features(&e->fe, (e->fe.features & ~F_LOG) | (on ? F_LOG : 0)), 0);
}

/* proves: log.late */
START_TEST(the_feature_before_the_log)
{
	struct echo_rings r;
	struct fe_log log;
	struct echo e;

	up(&e, &r, _i);
	set_log_all(&e, true);
	submit_raw(&r, BUF, 10);
	act(&e, 0, ACT_WRITE);
	get(&r.ring[0]);
	/* Nobody knows any more which page it was: all of them. */
	ck_assert_int_eq(fe_log_init(&log, END, 0), 0);
	ck_assert_int_eq(fe_log_set(&e.fe, &log), 0);
	ck_assert_uint_eq(fe_log_count(&log), END / PAGE);
	/* From now on it is known. */
	fe_log_clear(&log);
	submit_raw(&r, BUF, 10);
	act(&e, 0, ACT_WRITE);
	get(&r.ring[0]);
	settle(&e, 0);
	ck_assert(fe_log_is_dirty(&log, BUF));
	ck_assert_uint_eq(fe_log_count(&log), 1);
	down(&e, &r, &log);
}
END_TEST

/* A log which does not reach to the end of the memory gets what it can. */
/* proves: log.late, log.bound */
START_TEST(the_feature_before_a_short_log)
{
	struct echo_rings r;
	struct fe_log log;
	struct echo e;

	up(&e, &r, _i);
	set_log_all(&e, true);
	submit_raw(&r, BUF, 10);
	act(&e, 0, ACT_WRITE);
	get(&r.ring[0]);
	ck_assert_int_eq(fe_log_init(&log, REGION, 0), 0);
	ck_assert_int_eq(ftruncate(log.fd, 4096), 0);
	ck_assert_int_eq(fe_log_set(&e.fe, &log), 0);
	ck_assert_uint_eq(fe_log_count(&log), REGION / PAGE);
	ck_assert_uint_eq(log.map[log.size], 0);
	down(&e, &r, &log);
}
END_TEST

START_TEST(nothing_written_before_the_log)
{
	struct echo_rings r;
	struct fe_log log;
	struct echo e;

	up(&e, &r, _i);
	set_log_all(&e, true);
	ck_assert_int_eq(fe_log_init(&log, END, 0), 0);
	ck_assert_int_eq(fe_log_set(&e.fe, &log), 0);
	ck_assert_uint_eq(fe_log_count(&log), 0);
	down(&e, &r, &log);
}
END_TEST

/* QEMU's order when a device is started again during a migration: rings, then another log. */
/* proves: log.late */
START_TEST(rings_start_again_with_another_log)
{
	struct fe_log first, second;
	struct echo_rings r;
	struct echo e;
	unsigned int i;

	up(&e, &r, _i);
	log_up(&e, &r, &first);
	ck_assert_int_eq(fe_stop(&e.fe, r.list, r.n), 0);
	fe_log_clear(&first);
	for (i = 0; i < r.n; i++) {
		fe_ring_reset(&r.ring[i], 0);
		ck_assert_int_eq(fe_start_ring(&e.fe, &r.ring[i]), 0);
		ck_assert_int_eq(fe_set_vring_enable(&e.fe, i, true), 0);
	}
	submit_raw(&r, BUF, 10);
	act(&e, 0, ACT_WRITE);
	get(&r.ring[0]);
	settle(&e, 0);
	/* A front-end which means to go on with it loses nothing either. */
	ck_assert(fe_log_is_dirty(&first, BUF));
	ck_assert_int_eq(fe_log_init(&second, END, 0), 0);
	ck_assert_int_eq(fe_log_set(&e.fe, &second), 0);
	ck_assert_uint_eq(fe_log_count(&second), END / PAGE);
	fe_log_free(&first);
	down(&e, &r, &second);
}
END_TEST

/* proves: log.toggle */
START_TEST(the_log_before_the_feature)
{
	struct echo_rings r;
	struct fe_log log;
	struct echo e;

	up(&e, &r, _i);
	ck_assert_int_eq(fe_log_init(&log, END, 0), 0);
	ck_assert_int_eq(fe_log_set(&e.fe, &log), 0);
	submit_raw(&r, BUF, 10);
	act(&e, 0, ACT_WRITE);
	get(&r.ring[0]);
	settle(&e, 0);
	ck_assert_uint_eq(fe_log_count(&log), 0);
	/* One which was taken before, and is done afterwards. */
	submit_raw(&r, BUF, 10);
	set_log_all(&e, true);
	ck_assert_uint_eq(fe_log_count(&log), 0);
	act(&e, 0, ACT_WRITE);
	get(&r.ring[0]);
	settle(&e, 0);
	ck_assert(fe_log_is_dirty(&log, BUF));
	down(&e, &r, &log);
}
END_TEST

/*
 * Beyond the log
 */

struct beyond {
	uint64_t gpa;
	uint32_t len;
};

/* A log for 128 pages: just behind, across its end, far away. */
#define SHORT_END (128 * PAGE)
static const struct beyond beyonds[] = {
	{ SHORT_END, 1 },
	{ SHORT_END - 10, 20 },
	{ SHORT_END - PAGE, 8 * PAGE },
	{ END - PAGE, PAGE },
};

/* Regressions: kernel CVE-2019-14835; libvhost-user asserts. */
/* proves: log.bound, queue.one-breaks, queue.restart */
START_TEST(a_page_beyond_the_log_breaks_the_queue)
{
	struct echo_rings r;
	struct fe_log log;
	unsigned int i, j;
	struct echo e;

	up(&e, &r, _i);
	for (i = 0; i < ARRAY_SIZE(beyonds); i++) {
		ck_assert_int_eq(fe_log_init(&log, SHORT_END, 64), 0);
		ck_assert_int_eq(ftruncate(log.fd, 4096), 0);
		ck_assert_int_eq(fe_log_start(&e.fe, &log, r.list, r.n), 0);
		submit_raw(&r, beyonds[i].gpa, beyonds[i].len);
		act(&e, 0, ACT_WRITE);
		wait_broken(&r.ring[0]);
		/* What is before and behind the bitmap in its page is as it was. */
		for (j = 0; j < 4096; j++)
			ck_assert(j - 64 < log.size || !log.map[j]);
		/* The other queue is served. */
		submit(&r, 1, &(struct iovec){ at(&r, BUF / 2), 10 }, 1);
		act(&e, 1, ACT_WRITE);
		get(&r.ring[1]);
		/* And this one is after a restart. */
		ck_assert_int_eq(fe_log_stop(&e.fe, r.list, r.n), 0);
		ck_assert_int_eq(fe_stop_ring(&e.fe, &r.ring[0], NULL), 0);
		fe_ring_reset(&r.ring[0], 0);
		ck_assert_int_eq(fe_start_ring(&e.fe, &r.ring[0]), 0);
		ck_assert_int_eq(fe_set_vring_enable(&e.fe, 0, true), 0);
		submit_raw(&r, BUF, 10);
		act(&e, 0, ACT_WRITE);
		get(&r.ring[0]);
		fe_log_free(&log);
	}
	down(&e, &r, NULL);
}
END_TEST

/* proves: log.bound */
START_TEST(a_ring_beyond_the_log_breaks_its_queue)
{
	static const uint64_t where[] = { END, END - 1, UINT64_MAX, UINT64_MAX - 3, 1ull << 63 };
	struct vu_vring_addr addr;
	struct echo_rings r;
	struct fe_log log;
	struct echo e;
	unsigned int i;

	up(&e, &r, _i);
	ck_assert_int_eq(fe_log_init(&log, END, 0), 0);
	ck_assert_int_eq(ftruncate(log.fd, 4096), 0);
	for (i = 0; i < ARRAY_SIZE(where); i++) {
		ck_assert_int_eq(fe_log_start(&e.fe, &log, r.list, 0), 0);
		fe_ring_get_addr(&r.ring[0], &addr);
		addr.flags = VU_VRING_ADDR_F_LOG;
		addr.log = where[i];
		ck_assert_int_eq(fe_set_vring_addr(&e.fe, &addr), 0);
		submit_raw(&r, BUF, 10);
		act(&e, 0, ACT_WRITE);
		wait_broken(&r.ring[0]);
		ck_assert_int_eq(fe_log_stop(&e.fe, r.list, 1), 0);
		ck_assert_int_eq(fe_stop_ring(&e.fe, &r.ring[0], NULL), 0);
		fe_ring_reset(&r.ring[0], 0);
		ck_assert_int_eq(fe_start_ring(&e.fe, &r.ring[0]), 0);
		ck_assert_int_eq(fe_set_vring_enable(&e.fe, 0, true), 0);
		/* Bits of the page END - 1 aside, nothing behind the bitmap. */
		ck_assert_uint_eq(log.map[log.size], 0);
	}
	down(&e, &r, &log);
}
END_TEST

struct place {
	uint64_t size, offset;
};

/* In a file of 3 pages.  Regression: DPDK CVE-2020-10722. */
static const struct place wrong_places[] = {
	{ 0, 0 },
	{ 0, 4096 },
	{ 3 * 4096 + 1, 0 },
	{ 4096, 3 * 4096 },
	{ 8, 3 * 4096 - 7 },
	{ UINT64_MAX, 0 },
	{ UINT64_MAX, 1 },
	{ UINT64_MAX - 4095, 4096 },
	{ 4096, UINT64_MAX - 4095 },
	{ 1, UINT64_MAX },
	{ UINT64_C(1) << 63, UINT64_C(1) << 63 },
	{ (UINT64_C(1) << 63) - 4096, 4096 },
};

/* Asks for an acknowledgement, as QEMU does not. */
static int ask_log_base(struct fe *fe, const struct place *place, int fd)
{
	const struct vu_log log = { .size = place->size, .offset = place->offset };

	return fe_request(fe, VU_SET_LOG_BASE, &log, sizeof(log), &fd, 1);
}

/* proves: log.mapping, reply.honest, SET_LOG_BASE */
START_TEST(wrong_place_of_a_log)
{
	struct echo_rings r;
	struct fe_log log;
	struct echo e;
	unsigned int i;

	up(&e, &r, _i);
	log_up(&e, &r, &log);
	ck_assert_int_eq(ftruncate(log.fd, 3 * 4096), 0);
	for (i = 0; i < ARRAY_SIZE(wrong_places); i++)
		ck_assert_int_eq(ask_log_base(&e.fe, &wrong_places[i], log.fd), -EIO);
	/* What cannot be mapped. */
	ck_assert_int_eq(ask_log_base(&e.fe, &(struct place){ 8, 0 }, r.ring[0].err_fd), -EIO);
	/* The log from before is as good as ever. */
	submit_raw(&r, BUF, 10);
	act(&e, 0, ACT_WRITE);
	get(&r.ring[0]);
	settle(&e, 0);
	ck_assert(fe_log_is_dirty(&log, BUF));
	/* A front-end which does not care for the answer would migrate without it. */
	ck_assert_int_eq(fe_set_log_base(&e.fe, 0, 0, log.fd), -ECONNRESET);
	down(&e, &r, &log);
}
END_TEST

/* The last byte of a file; a byte in the middle of a page. */
/* proves: SET_LOG_BASE */
START_TEST(odd_places_of_a_log)
{
	static const uint64_t offsets[] = { 1, 4095, 4096, 4097, 12345 };
	struct echo_rings r;
	struct fe_log log;
	struct echo e;
	unsigned int i;

	up(&e, &r, _i);
	for (i = 0; i < ARRAY_SIZE(offsets); i++) {
		ck_assert_int_eq(fe_log_init(&log, END, offsets[i]), 0);
		ck_assert_int_eq(fe_log_start(&e.fe, &log, r.list, r.n), 0);
		submit_raw(&r, BUF, 10);
		act(&e, 0, ACT_WRITE);
		get(&r.ring[0]);
		settle(&e, 0);
		ck_assert(fe_log_is_dirty(&log, BUF));
		fe_log_free(&log);
	}
	down(&e, &r, NULL);
}
END_TEST

/*
 * Messages
 */

/* proves: SET_LOG_BASE, PROTOCOL_F_LOG_SHMFD */
START_TEST(without_shmfd_the_message_is_ignored)
{
	const struct vu_log place = { 4096, 0 };
	const uint64_t one = 0;
	struct echo_rings r;
	struct fe_log log;
	struct echo e;

	up_with(&e, &r, _i, ALL & ~FE_BIT(VU_PROTOCOL_F_LOG_SHMFD), keep);
	ck_assert_int_eq(fe_request(&e.fe, VU_SET_LOG_BASE, &one, 8, NULL, 0), 0);
	ck_assert_int_eq(fe_request(&e.fe, VU_SET_LOG_BASE, &place, 16, NULL, 0), 0);
	ck_assert_int_eq(fe_log_init(&log, END, 0), 0);
	ck_assert_int_eq(fe_request(&e.fe, VU_SET_LOG_BASE, &place, 16, &log.fd, 1), -EIO);
	down(&e, &r, &log);
}
END_TEST

/* proves: log.eventfd, SET_LOG_FD */
START_TEST(the_log_s_fd_is_written)
{
	struct echo_rings r;
	struct fe_log log;
	struct echo e;
	uint64_t count;
	int fd, other;

	up(&e, &r, _i);
	log_up(&e, &r, &log);
	fd = eventfd(0, EFD_CLOEXEC);
	other = eventfd(0, EFD_CLOEXEC);
	settle(&e, 0);
	settle(&e, 1);
	ck_assert_int_eq(fe_set_log_fd(&e.fe, fd), 0);
	ck_assert(!echo_readable(fd, ECHO_QUIET_MS));
	submit_raw(&r, BUF, 10);
	act(&e, 0, ACT_WRITE);
	ck_assert(echo_readable(fd, FE_TIMEOUT_MS));
	get(&r.ring[0]);
	/* Another one instead, and the first is silent. */
	ck_assert_int_eq(fe_set_log_fd(&e.fe, other), 0);
	ck_assert_int_eq(read(fd, &count, sizeof(count)), sizeof(count));
	submit_raw(&r, BUF, 10);
	act(&e, 0, ACT_WRITE);
	ck_assert(echo_readable(other, FE_TIMEOUT_MS));
	settle(&e, 0);
	ck_assert(!echo_readable(fd, 0));
	/* A file could block. */
	ck_assert_int_eq(fe_set_log_fd(&e.fe, log.fd), -EIO);
	close(fd);
	close(other);
	down(&e, &r, &log);
}
END_TEST

/* proves: features.while-running, ring.addr-while-running, VHOST_F_LOG_ALL */
START_TEST(only_logging_changes_while_rings_run)
{
	struct vu_vring_addr addr;
	struct echo_rings r;
	uint64_t features;
	struct echo e;

	up(&e, &r, _i);
	features = e.fe.features;
	set_log_all(&e, true);
	ck_assert_int_eq(fe_set_features(&e.fe, features ^ FE_BIT(VIRTIO_RING_F_INDIRECT_DESC)),
			 -EIO);
	ck_assert_int_eq(fe_set_features(&e.fe, features | F_LOG | FE_BIT(0)), -EIO);
	ck_assert_int_eq(fe_set_features(&e.fe, features), 0);
	fe_ring_get_addr(&r.ring[0], &addr);
	addr.flags = 2;
	ck_assert_int_eq(fe_set_vring_addr(&e.fe, &addr), -EIO);
	addr.flags = VU_VRING_ADDR_F_LOG;
	addr.used += 64;
	ck_assert_int_eq(fe_set_vring_addr(&e.fe, &addr), -EIO);
	down(&e, &r, NULL);
}
END_TEST

/* proves: session.reset-device */
START_TEST(dropped_by_a_reset)
{
	struct echo_rings r;
	struct fe_log log;
	struct echo e;

	up(&e, &r, _i);
	log_up(&e, &r, &log);
	ck_assert_int_eq(fe_reset_device(&e.fe), 0);
	fe_log_clear(&log);
	fe_ring_reset(&r.ring[0], 0);
	ck_assert_int_eq(fe_start(&e.fe, &r.mem, r.list, 1), 0);
	set_log_all(&e, true);
	submit_raw(&r, BUF, 10);
	act(&e, 0, ACT_WRITE);
	get(&r.ring[0]);
	settle(&e, 0);
	ck_assert_uint_eq(fe_log_count(&log), 0);
	down(&e, &r, &log);
}
END_TEST

/* proves: log.writes, session.disconnect-drains */
START_TEST(disconnected_while_logging)
{
	struct echo_rings r;
	struct fe_log log;
	struct echo e;

	up(&e, &r, _i);
	log_up(&e, &r, &log);
	submit_raw(&r, BUF, 10);
	fe_close(&e.fe);
	/* It is still written, and logged, before the session has ended. */
	act(&e, 0, ACT_WRITE);
	echo_wait(&e.downs, 1);
	ck_assert(fe_log_is_dirty(&log, BUF));
	down(&e, &r, &log);
}
END_TEST

static void on_sigbus(int sig, siginfo_t *info, void *context)
{
	(void)context;
	if (!vhost_mem_fault(info->si_addr))
		signal(sig, SIG_DFL);
}

/* proves: mem.truncated */
START_TEST(a_truncated_log_costs_the_connection)
{
	struct sigaction sa = { .sa_sigaction = on_sigbus, .sa_flags = SA_SIGINFO };
	struct echo_rings r;
	struct fe_log log;
	struct echo e;

	sigaction(SIGBUS, &sa, NULL);
	up(&e, &r, _i);
	log_up(&e, &r, &log);
	submit_raw(&r, BUF, 10);
	ck_assert_int_eq(ftruncate(log.fd, 0), 0);
	act(&e, 0, ACT_WRITE);
	ck_assert_int_eq(fe_wait_closed(&e.fe), 0);
	echo_wait(&e.downs, 1);
	down(&e, &r, &log);
}
END_TEST

#define ADD(test) tcase_add_loop_test(tc, test, 0, ECHO_RUNS)

int main(void)
{
	Suite *suite = suite_create("migrate");
	TCase *tc = tcase_create("migrate");

	tcase_set_timeout(tc, 120);
	ADD(all_that_is_written);
	ADD(a_status_behind_what_was_not_written);
	ADD(slices_of_a_table);
	ADD(nothing_written_is_nothing_logged);
	ADD(given_back_after_it_was_written);
	ADD(the_ring_is_logged_where_it_is_said);
	ADD(rings_at_rest_are_logged);
	ADD(switched_on_and_off_under_load);
	ADD(replaced_under_load);
	ADD(migrated_under_load);
	ADD(the_feature_before_the_log);
	ADD(the_feature_before_a_short_log);
	ADD(nothing_written_before_the_log);
	ADD(rings_start_again_with_another_log);
	ADD(the_log_before_the_feature);
	ADD(a_page_beyond_the_log_breaks_the_queue);
	ADD(a_ring_beyond_the_log_breaks_its_queue);
	ADD(wrong_place_of_a_log);
	ADD(odd_places_of_a_log);
	ADD(without_shmfd_the_message_is_ignored);
	ADD(the_log_s_fd_is_written);
	ADD(only_logging_changes_while_rings_run);
	ADD(dropped_by_a_reset);
	ADD(disconnected_while_logging);
	ADD(a_truncated_log_costs_the_connection);
	suite_add_tcase(suite, tc);
	return tap_main(suite);
}
