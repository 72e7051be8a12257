/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Ends which meet something else: a stop from within the end of a connection, a front-end which
 * leaves while its message is on the way, mail for a queue which has stopped.
 */
#include <errno.h>
#include <linux/virtio_config.h>
#include <malloc.h>
#include <semaphore.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "frontend/fe_backend.h"
#include "frontend/fe_iommu.h"
#include "frontend/fe_migrate.h"
#include "tests/echo.h"
#include "tests/tap.h"
#include "util.h"

#define ALL ~UINT64_C(0)

static atomic_uint stopped;

static void on_stopped(struct vhost_dev *dev, void *arg)
{
	(void)dev, (void)arg;
	atomic_fetch_add(&stopped, 1);
}

static void stop(struct vhost_dev *dev)
{
	vhost_dev_stop(dev, on_stopped, NULL);
}

static void nothing(void *arg)
{
	(void)arg;
}

/* Whatever was ready before has been seen by the worker when this returns. */
static void settle(struct vhost_worker *w)
{
	unsigned int i;

	for (i = 0; i < 3; i++)
		vhost_worker_call(w, nothing, NULL);
}

/*
 * A device which stops itself
 */

static void on_connection(struct vhost_dev *dev, bool up)
{
	if (!up)
		stop(dev);
}

static void stop_when_down(struct vhost_dev_ops *ops, struct vhost_dev_params *params)
{
	(void)params;
	ops->connection = on_connection;
}

static void stop_at_reset(struct vhost_dev_ops *ops, struct vhost_dev_params *params)
{
	(void)params;
	ops->reset = stop;
}

/* The program ends when its front-end does. */
START_TEST(stop_from_the_end_of_a_session)
{
	struct echo_rings r;
	struct echo e;

	atomic_store(&stopped, 0);
	echo_start_tweaked(&e, echo_run_workers(_i), _i < ECHO_RUNS_SPLIT ? stop_when_down :
									   stop_at_reset);
	echo_up(&e, &r, 2, 16, 0);
	echo_check(r.list[0], 100);
	fe_close(&e.fe);
	echo_wait(&stopped, 1);
	settle(e.control);
	ck_assert_uint_eq(atomic_load(&stopped), 1);
	echo_down(&e, &r);
	echo_stop(&e);
}
END_TEST

static int no_object(struct vhost_dev *dev, const uint8_t uuid[16])
{
	(void)dev, (void)uuid;
	return -ENOENT;
}

static void with_objects(struct vhost_dev_ops *ops, struct vhost_dev_params *params)
{
	(void)params;
	ops->shared_object = no_object;
}

static void stop_with_answer(void *arg, int result)
{
	ck_assert_int_eq(result, -ECONNRESET);
	stop(arg);
}

static void look_up(void *arg)
{
	static const uint8_t uuid[16] = { 1 };

	ck_assert_int_eq(vhost_dev_shared_object_lookup(arg, uuid, stop_with_answer, arg), 0);
}

/* The end of the connection ends a question, whose device then wants to stop. */
START_TEST(stop_from_an_answer)
{
	struct echo_rings r;
	struct echo e;

	atomic_store(&stopped, 0);
	echo_start_tweaked(&e, echo_run_workers(_i), with_objects);
	echo_up(&e, &r, 1, 16, echo_run_format(_i));
	atomic_store(&e.hold, true);
	echo_add(r.list[0]);
	fe_ring_kick(r.list[0]);
	echo_wait(&e.popped, 1);
	vhost_worker_call(e.control, look_up, e.dev);
	fe_close(&e.fe);
	/* Not before the request has come back. */
	echo_wait(&e.stops, 1);
	settle(e.control);
	ck_assert_uint_eq(atomic_load(&stopped), 0);
	echo_release(&e, 0);
	echo_wait(&stopped, 1);
	settle(e.control);
	ck_assert_uint_eq(atomic_load(&stopped), 1);
	echo_down(&e, &r);
	echo_stop(&e);
}
END_TEST

static int save_nothing(struct vhost_dev *dev, void **buf, size_t *len)
{
	(void)dev, (void)buf, (void)len;
	return -EPERM;
}

static int stop_at_load(struct vhost_dev *dev, const void *buf, size_t len)
{
	char copy[16];

	stop(dev);
	ck_assert_uint_eq(len, sizeof(copy));
	memcpy(copy, buf, len);
	ck_assert_str_eq(copy, "what was before");
	return 0;
}

static void with_state(struct vhost_dev_ops *ops, struct vhost_dev_params *params)
{
	(void)params;
	ops->save = save_nothing;
	ops->load = stop_at_load;
}

START_TEST(stop_from_load)
{
	struct echo e;

	atomic_store(&stopped, 0);
	mallopt(M_PERTURB, 0x5a);
	echo_start_tweaked(&e, echo_run_workers(_i), with_state);
	ck_assert_int_eq(fe_negotiate(&e.fe, FE_BIT(VU_F_PROTOCOL_FEATURES) |
				      FE_BIT(VIRTIO_F_VERSION_1), ALL), 0);
	ck_assert_int_eq(fe_state_load(&e.fe, "what was before", 16), -ECONNRESET);
	echo_wait(&stopped, 1);
	echo_stop(&e);
}
END_TEST

/*
 * A queue's worker which is late
 */

struct plug {
	struct vhost_work work;
	sem_t in, out;
};

static void plug_run(struct vhost_work *work)
{
	struct plug *p = container_of(work, struct plug, work);

	sem_post(&p->in);
	while (sem_wait(&p->out) && errno == EINTR)
		;
}

static void plug_init(struct plug *p)
{
	sem_init(&p->in, 0, 0);
	sem_init(&p->out, 0, 0);
	p->work.fn = plug_run;
}

static void release_at_stop(struct vhost_queue *q)
{
	struct echo *e = vhost_queue_opaque(q);
	unsigned int i = vhost_queue_index(q);

	while (e->nheld[i])
		echo_complete(e, e->held[i][--e->nheld[i]]);
	atomic_fetch_add(&e->stops, 1);
}

static void releasing(struct vhost_dev_ops *ops, struct vhost_dev_params *params)
{
	(void)params;
	ops->queue_stop = release_at_stop;
}

/*
 * The front-end leaves while a removal of memory is on its way to a queue, whose requests come
 * back at its stop only.
 */
START_TEST(leave_while_memory_goes)
{
	const struct fe_region_params more = { .gpa = UINT64_C(1) << 30, .size = 4096 };
	struct vu_mem_reg msg = { 0 };
	const struct vu_header hdr = { VU_REM_MEM_REG, VU_VERSION | VU_NEED_REPLY, sizeof(msg) };
	struct echo_rings r;
	struct plug p;
	struct echo e;

	echo_start_tweaked(&e, 1, releasing);
	echo_up(&e, &r, 1, 16, echo_run_format(_i));
	ck_assert_int_eq(fe_mem_add(&r.mem, &more), 1);
	ck_assert_int_eq(fe_add_mem_reg(&e.fe, &r.mem.regions[1]), 0);
	atomic_store(&e.hold, true);
	echo_add(r.list[0]);
	fe_ring_kick(r.list[0]);
	echo_wait(&e.popped, 1);
	plug_init(&p);
	vhost_worker_post(e.workers[0], &p.work);
	sem_wait(&p.in);
	msg.region = (struct vu_region){ .guest_addr = more.gpa, .size = more.size,
					 .user_addr = r.mem.regions[1].uva };
	ck_assert_int_eq(fe_send_raw(&e.fe, &hdr, &msg, sizeof(msg), NULL, 0), 0);
	settle(e.control);
	fe_close(&e.fe);
	settle(e.control);
	sem_post(&p.out);
	echo_wait(&e.downs, 1);
	echo_down(&e, &r);
	echo_stop(&e);
}
END_TEST

static void hang_up_at_kick(struct vhost_queue *q)
{
	struct echo *e = vhost_queue_opaque(q);
	unsigned int i = vhost_queue_index(q);

	while (vhost_queue_pop(q, &e->held[i][e->nheld[i]], 1))
		e->nheld[i]++;
	/* Once only: not when the ring starts. */
	if (e->nheld[i])
		ck_assert_int_eq(shutdown(e->fe.fd, SHUT_RDWR), 0);
}

static void hanging_up(struct vhost_dev_ops *ops, struct vhost_dev_params *params)
{
	ops->kick = hang_up_at_kick;
	ops->queue_stop = release_at_stop;
	params->flags = VHOST_DEV_INBAND;
}

/*
 * The front-end leaves while its kick is served: what its requests come to at the stop, which
 * begins in the middle of a round's end, goes to the driver.
 */
START_TEST(leave_during_a_kick)
{
	const struct vu_vring_state state = { 0, 0 };
	const struct vu_header hdr = { VU_VRING_KICK, VU_VERSION | VU_NEED_REPLY, sizeof(state) };
	struct echo_rings r;
	struct echo e;

	echo_start_tweaked(&e, echo_run_workers(_i), hanging_up);
	echo_up(&e, &r, 1, 16, echo_run_format(_i));
	echo_add(r.list[0]);
	ck_assert_int_eq(fe_send_raw(&e.fe, &hdr, &state, sizeof(state), NULL, 0), 0);
	echo_wait(&e.downs, 1);
	echo_get(r.list[0]);
	echo_down(&e, &r);
	echo_stop(&e);
}
END_TEST

static struct plug late;

static void plug_at_stop(struct vhost_queue *q)
{
	vhost_worker_post(vhost_queue_worker(q), &late.work);
}

static void late_iommu(struct vhost_dev_ops *ops, struct vhost_dev_params *params)
{
	ops->queue_stop = plug_at_stop;
	params->flags = VHOST_DEV_IOMMU;
	params->queues = 1;
}

static void stop_call(void *arg)
{
	stop(arg);
}

/* A queue which waits for a translation, and with it its ring. */
static void park(struct echo *e, struct echo_rings *r, struct fe_iommu *iommu, uint64_t format)
{
	const struct fe_ring_params params = {
		.size = 16, .iommu = iommu,
		.features = FE_BIT(VIRTIO_F_VERSION_1) | FE_BIT(VIRTIO_F_ACCESS_PLATFORM) | format,
	};
	struct iovec nowhere = { (void *)0x1000, 64 };
	struct fe_msg msg;

	memset(r, 0, sizeof(*r));
	*iommu = (struct fe_iommu){ 0 };
	ck_assert_int_eq(fe_mem_init(&r->mem, 0, 1 << 20), 0);
	ck_assert_int_eq(fe_iommu_map_region(iommu, &r->mem, 0, UINT64_C(1) << 32), 0);
	ck_assert_int_eq(fe_negotiate(&e->fe, params.features | FE_BIT(VU_F_PROTOCOL_FEATURES),
				      ALL), 0);
	ck_assert_int_eq(fe_ring_init(&r->ring[0], &r->mem, &params), 0);
	r->list[0] = &r->ring[0];
	r->n = 1;
	ck_assert_int_eq(fe_start_mem(&e->fe, &r->mem), 0);
	ck_assert_int_eq(fe_set_features(&e->fe, e->fe.features), 0);
	ck_assert_int_eq(fe_start_mem(&e->fe, &r->mem), 0);
	ck_assert_int_eq(fe_iommu_push(&e->fe, iommu), 0);
	ck_assert_int_eq(fe_start_ring(&e->fe, r->list[0]), 0);
	ck_assert_int_eq(fe_set_vring_enable(&e->fe, 0, true), 0);
	r->ring[0].flags |= FE_RING_ADDR;
	ck_assert_int_ge(fe_ring_add(r->list[0], &nowhere, 1, NULL, 0, r), 0);
	fe_ring_submit(r->list[0]);
	ck_assert_int_eq(fe_backend_expect(&e->fe, VU_BACKEND_IOTLB_MSG, &msg, FE_TIMEOUT_MS), 0);
}

/* The device is stopped and freed, and the queue's worker comes to its mail only then. */
START_TEST(free_before_the_mail)
{
	struct fe_iommu iommu;
	struct echo_rings r;
	struct echo e;

	atomic_store(&stopped, 0);
	mallopt(M_PERTURB, 0x5a);
	plug_init(&late);
	echo_start_tweaked(&e, 1, late_iommu);
	park(&e, &r, &iommu, echo_run_format(_i));
	vhost_worker_call(e.control, stop_call, e.dev);
	echo_wait(&stopped, 1);
	vhost_dev_free(e.dev);
	sem_post(&late.out);
	settle(e.workers[0]);
	vhost_worker_stop(e.control);
	vhost_worker_stop(e.workers[0]);
	vhost_worker_free(e.control);
	vhost_worker_free(e.workers[0]);
	fe_close(&e.fe);
	echo_down(&e, &r);
	fe_iommu_free(&iommu);
	ck_assert_int_eq(echo_count_fds(), e.fd_count);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("ends");
	TCase *tc = tcase_create("ends");

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, stop_from_the_end_of_a_session, 0, ECHO_RUNS);
	tcase_add_loop_test(tc, stop_from_an_answer, 0, ECHO_RUNS);
	tcase_add_loop_test(tc, stop_from_load, 0, ECHO_RUNS_SPLIT);
	tcase_add_loop_test(tc, leave_while_memory_goes, 0, ECHO_RUNS);
	tcase_add_loop_test(tc, leave_during_a_kick, 0, ECHO_RUNS);
	tcase_add_loop_test(tc, free_before_the_mail, 0, ECHO_RUNS);
	suite_add_tcase(suite, tc);
	return tap_main(suite);
}
