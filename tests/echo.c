/* SPDX-License-Identifier: BSD-3-Clause */
/* The device of the protocol tests. */
#include "echo.h"

#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <linux/virtio_config.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "util.h"

#define WAIT_MS 20000

static struct echo *echo_of(struct vhost_dev *dev)
{
	return vhost_dev_opaque(dev);
}

/*
 * The device
 */

void echo_complete(struct echo *e, struct vhost_req *req)
{
	char buf[4096];
	size_t off = 0, n;

	do {
		n = vhost_req_read(req, off, buf, sizeof(buf));
		n = vhost_req_write(req, off, buf, n);
		off += n;
	} while (n);
	/* Count first: whoever sees the used ring may look. */
	atomic_fetch_add(&e->pushed, 1);
	vhost_req_push(req, off);
}

static void echo_kick(struct vhost_queue *q)
{
	struct echo *e = vhost_queue_opaque(q);
	unsigned int i = vhost_queue_index(q);
	struct vhost_req *req;

	atomic_fetch_add(&e->kicks, 1);
	while (vhost_queue_pop(q, &req, 1)) {
		if (atomic_load(&e->hold) && e->nheld[i] < ECHO_HELD_MAX)
			e->held[i][e->nheld[i]++] = req;
		else
			echo_complete(e, req);
		atomic_fetch_add(&e->popped, 1);
	}
}

static int echo_queue_start(struct vhost_queue *q)
{
	struct echo *e = vhost_queue_opaque(q);

	return -atomic_load(&e->refuse_start);
}

static void echo_queue_stop(struct vhost_queue *q)
{
	struct echo *e = vhost_queue_opaque(q);

	atomic_fetch_add(&e->stops, 1);
}

/* Abandon the oldest requests which are held, all but cancel_keep. */
static void echo_queue_cancel(struct vhost_queue *q)
{
	struct echo *e = vhost_queue_opaque(q);
	unsigned int i = vhost_queue_index(q), keep = atomic_load(&e->cancel_keep), n = 0;

	while (e->nheld[i] - n > keep)
		vhost_req_abandon(e->held[i][n++]);
	e->nheld[i] -= n;
	memmove(e->held[i], e->held[i] + n, e->nheld[i] * sizeof(e->held[i][0]));
	atomic_fetch_add(&e->cancels, 1);
}

static int echo_features(struct vhost_dev *dev, uint64_t acked)
{
	(void)acked;
	return -atomic_load(&echo_of(dev)->refuse_features);
}

static int echo_set_config(struct vhost_dev *dev, uint32_t off, const void *buf, uint32_t len)
{
	(void)dev, (void)buf;
	return off + len <= 4 ? 0 : -EPERM;
}

static void echo_connection(struct vhost_dev *dev, bool up)
{
	struct echo *e = echo_of(dev);

	atomic_fetch_add(up ? &e->ups : &e->downs, 1);
}

static void echo_reset(struct vhost_dev *dev)
{
	atomic_fetch_add(&echo_of(dev)->resets, 1);
}

static int echo_mem_map(struct vhost_dev *dev, void *va, size_t len)
{
	struct echo *e = echo_of(dev);
	int err = atomic_load(&e->refuse_map);

	ck_assert_ptr_nonnull(va);
	ck_assert_uint_gt(len, 0);
	if (!err)
		atomic_fetch_add(&e->maps, 1);
	return -err;
}

static void echo_mem_unmap(struct vhost_dev *dev, void *va, size_t len)
{
	(void)va, (void)len;
	atomic_fetch_add(&echo_of(dev)->unmaps, 1);
}

static const struct vhost_dev_ops echo_ops = {
	.kick = echo_kick,
	.queue_start = echo_queue_start,
	.queue_stop = echo_queue_stop,
	.queue_cancel = echo_queue_cancel,
	.features = echo_features,
	.set_config = echo_set_config,
	.connection = echo_connection,
	.reset = echo_reset,
	.mem_map = echo_mem_map,
	.mem_unmap = echo_mem_unmap,
};

/*
 * Its life
 */

int echo_count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int n = -3;	/* ".", "..", the directory itself */

	ck_assert_ptr_nonnull(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

static void echo_log(void *arg, enum vhost_log_level level, const char *line)
{
	(void)arg;
	if (level != VHOST_LOG_DEBUG || getenv("LIBVHOST_TEST_DEBUG"))
		fprintf(stderr, "# %s\n", line);
}

static void echo_create_tweaked(struct echo *e, unsigned int nworkers, unsigned int flags,
				void (*kick)(struct vhost_queue *q), echo_tweak *tweak)
{
	static bool logging;
	static const uint8_t config[ECHO_CONFIG] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10,
						     11, 12, 13, 14, 15, 16, 17, 18, 19, 20 };
	struct vhost_dev_params params = {
		.name = "echo",
		.features = ECHO_FEATURES,
		.queues = ECHO_QUEUES,
		.queue_size_max = 32768,
		.config = config,
		.config_len = sizeof(config),
		.req_priv = ECHO_PRIV,
		.flags = flags,
	};
	struct vhost_dev_ops ops = echo_ops;
	unsigned int i;

	memset(e, 0, sizeof(*e));
	e->fe.fd = e->fe.backend_fd = -1;
	e->fd_count = echo_count_fds();
	e->nworkers = nworkers;
	ops.kick = kick;
	if (tweak)
		tweak(&ops, &params);
	/* Before the first device, since a second one may come while the first one runs. */
	if (!logging)
		vhost_set_log(echo_log, NULL);
	logging = true;
	ck_assert_int_eq(vhost_worker_new(&e->control, NULL), 0);
	for (i = 0; i < nworkers; i++)
		ck_assert_int_eq(vhost_worker_new(&e->workers[i], NULL), 0);
	ck_assert_int_eq(vhost_dev_new(&e->dev, &ops, &params, e), 0);
	if (nworkers)
		ck_assert_int_eq(vhost_dev_bind(e->dev, e->workers, nworkers), 0);
}

static void echo_create(struct echo *e, unsigned int nworkers, unsigned int flags,
			void (*kick)(struct vhost_queue *q))
{
	echo_create_tweaked(e, nworkers, flags, kick, NULL);
}

static void echo_run(struct echo *e)
{
	unsigned int i;

	for (i = 0; i < e->nworkers; i++)
		ck_assert_int_eq(vhost_worker_start(e->workers[i], "echo-queue"), 0);
	ck_assert_int_eq(vhost_worker_start(e->control, "echo-control"), 0);
}

static void echo_start_pair(struct echo *e)
{
	int fd;

	ck_assert_int_eq(fe_pair(&e->fe, &fd), 0);
	ck_assert_int_eq(vhost_dev_attach(e->dev, e->control, fd), 0);
	echo_run(e);
}

void echo_start_as(struct echo *e, unsigned int nworkers, unsigned int flags,
		   void (*kick)(struct vhost_queue *q))
{
	echo_create(e, nworkers, flags, kick);
	echo_start_pair(e);
}

void echo_start(struct echo *e, unsigned int nworkers, unsigned int flags)
{
	echo_start_as(e, nworkers, flags, echo_kick);
}

void echo_start_with(struct echo *e, unsigned int nworkers, void (*kick)(struct vhost_queue *q))
{
	echo_start_as(e, nworkers, 0, kick);
}

void echo_start_tweaked(struct echo *e, unsigned int nworkers, echo_tweak *tweak)
{
	echo_create_tweaked(e, nworkers, 0, echo_kick, tweak);
	echo_start_pair(e);
}

void echo_start_listen(struct echo *e, unsigned int nworkers, const char *path, echo_tweak *tweak)
{
	int fd;

	echo_create_tweaked(e, nworkers, VHOST_DEV_INFLIGHT, echo_kick, tweak);
	fd = vhost_listen_unix(path, 0600);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(vhost_dev_listen(e->dev, e->control, fd), 0);
	echo_run(e);
	ck_assert_int_eq(fe_connect(&e->fe, path), 0);
}

void echo_start_connect(struct echo *e, unsigned int nworkers, const char *path)
{
	echo_create(e, nworkers, 0, echo_kick);
	ck_assert_int_eq(vhost_dev_connect(e->dev, e->control, path), 0);
	echo_run(e);
}

static void echo_stopped(struct vhost_dev *dev, void *arg)
{
	(void)dev;
	atomic_fetch_add((atomic_uint *)arg, 1);
}

struct echo_stop_call {
	struct echo *e;
	atomic_uint done;
};

static void echo_call_stop(void *arg)
{
	struct echo_stop_call *call = arg;

	vhost_dev_stop(call->e->dev, echo_stopped, &call->done);
}

void echo_stop(struct echo *e)
{
	struct echo_stop_call call = { e, 0 };
	unsigned int i;

	fe_close(&e->fe);
	vhost_worker_call(e->control, echo_call_stop, &call);
	echo_wait(&call.done, 1);
	vhost_worker_stop(e->control);
	for (i = 0; i < e->nworkers; i++)
		vhost_worker_stop(e->workers[i]);
	vhost_worker_free(e->control);
	for (i = 0; i < e->nworkers; i++)
		vhost_worker_free(e->workers[i]);
	vhost_dev_free(e->dev);
	ck_assert_uint_eq(atomic_load(&e->maps), atomic_load(&e->unmaps));
	ck_assert_int_eq(echo_count_fds(), e->fd_count);
}

/*
 * Its rings
 */

void echo_up(struct echo *e, struct echo_rings *r, unsigned int n, unsigned int size,
	     uint64_t features)
{
	unsigned int i;

	memset(r, 0, sizeof(*r));
	r->n = n;
	ck_assert_int_eq(fe_mem_init(&r->mem, 0, 16 << 20), 0);
	ck_assert_int_eq(fe_negotiate(&e->fe, features | FE_BIT(VU_F_PROTOCOL_FEATURES) |
				      FE_BIT(VIRTIO_F_VERSION_1), ~UINT64_C(0)), 0);
	for (i = 0; i < n; i++) {
		const struct fe_ring_params params = {
			.index = i,
			.size = size,
			.features = e->fe.features,
			.indirect = e->fe.features & FE_BIT(VIRTIO_RING_F_INDIRECT_DESC) ? 8 : 0,
		};

		ck_assert_int_eq(fe_ring_init(&r->ring[i], &r->mem, &params), 0);
		r->list[i] = &r->ring[i];
	}
	ck_assert_int_eq(fe_start(&e->fe, &r->mem, r->list, n), 0);
}

void echo_setup(struct echo *e, struct echo_rings *r, uint64_t features)
{
	const struct fe_ring_params params = { .size = 16, .features = features };
	struct vu_vring_addr addr;

	memset(r, 0, sizeof(*r));
	r->n = 1;
	ck_assert_int_eq(fe_mem_init(&r->mem, 0, 1 << 20), 0);
	ck_assert_int_eq(fe_ring_init(&r->ring[0], &r->mem, &params), 0);
	ck_assert_int_eq(fe_set_features(&e->fe, features), 0);
	ck_assert_int_eq(fe_start_mem(&e->fe, &r->mem), 0);
	ck_assert_int_eq(fe_set_vring_num(&e->fe, 0, 16), 0);
	ck_assert_int_eq(fe_set_vring_base(&e->fe, 0, 0), 0);
	fe_ring_get_addr(&r->ring[0], &addr);
	ck_assert_int_eq(fe_set_vring_addr(&e->fe, &addr), 0);
	ck_assert_int_eq(fe_set_vring_call(&e->fe, 0, r->ring[0].call_fd), 0);
}

void echo_down(struct echo *e, struct echo_rings *r)
{
	unsigned int i;

	(void)e;
	for (i = 0; i < r->n; i++)
		fe_ring_free(&r->ring[i]);
	fe_mem_free(&r->mem);
}

void echo_add(struct fe_ring *ring)
{
	struct iovec o = { fe_mem_alloc(ring->mem, 64, 1), 64 };
	struct iovec i = { fe_mem_alloc(ring->mem, 64, 1), 64 };

	ck_assert_int_ge(fe_ring_add(ring, &o, 1, &i, 1, o.iov_base), 0);
	fe_ring_publish(ring);
}

void echo_get(struct fe_ring *ring)
{
	uint32_t len;
	void *cookie;

	ck_assert_int_eq(fe_ring_wait(ring, FE_TIMEOUT_MS), 0);
	ck_assert_int_eq(fe_ring_get(ring, &cookie, &len), 1);
	ck_assert_uint_eq(len, 64);
}

void echo_check(struct fe_ring *ring, unsigned int len)
{
	/* Both halves once per test: guest memory is only ever handed out. */
	static unsigned char next = 1;
	uint8_t *out = fe_mem_alloc(ring->mem, len, 1), *in = fe_mem_alloc(ring->mem, len, 1);
	struct iovec o = { out, len }, i = { in, len };
	uint32_t used;
	void *cookie;

	ck_assert_ptr_nonnull(out);
	ck_assert_ptr_nonnull(in);
	memset(out, next++, len);
	ck_assert_int_ge(fe_ring_add(ring, &o, 1, &i, 1, out), 0);
	fe_ring_submit(ring);
	ck_assert_int_eq(fe_ring_wait(ring, WAIT_MS), 0);
	ck_assert_int_eq(fe_ring_get(ring, &cookie, &used), 1);
	ck_assert_ptr_eq(cookie, out);
	ck_assert_uint_eq(used, len);
	ck_assert_mem_eq(in, out, len);
}

struct echo_release_call {
	struct echo *e;
	unsigned int queue;
};

static void echo_release_held(void *arg)
{
	struct echo_release_call *call = arg;
	struct echo *e = call->e;
	unsigned int i = call->queue, n;

	for (n = 0; n < e->nheld[i]; n++)
		echo_complete(e, e->held[i][n]);
	e->nheld[i] = 0;
}

void echo_release(struct echo *e, unsigned int i)
{
	struct echo_release_call call = { e, i };

	atomic_store(&e->hold, false);
	vhost_worker_call(vhost_queue_worker(vhost_dev_queue(e->dev, i)), echo_release_held, &call);
}

struct echo_stats_call {
	struct vhost_queue *q;
	struct vhost_queue_stats *stats;
};

static void echo_get_stats(void *arg)
{
	struct echo_stats_call *call = arg;

	vhost_queue_stats(call->q, call->stats);
}

void echo_stats(struct echo *e, unsigned int i, struct vhost_queue_stats *stats)
{
	struct echo_stats_call call = { vhost_dev_queue(e->dev, i), stats };

	vhost_worker_call(vhost_queue_worker(call.q), echo_get_stats, &call);
}

static void echo_sigbus(int sig, siginfo_t *info, void *context)
{
	(void)context;
	if (!vhost_mem_fault(info->si_addr))
		signal(sig, SIG_DFL);
}

void echo_catch_sigbus(void)
{
	const struct sigaction sa = { .sa_sigaction = echo_sigbus, .sa_flags = SA_SIGINFO };

	ck_assert_int_eq(sigaction(SIGBUS, &sa, NULL), 0);
}

bool echo_readable(int fd, int timeout_ms)
{
	struct pollfd p = { fd, POLLIN, 0 };

	return poll(&p, 1, timeout_ms) == 1;
}

void echo_wait(atomic_uint *counter, unsigned int n)
{
	const struct timespec pause = { 0, 100000 };
	unsigned int i;

	for (i = 0; i < WAIT_MS * 10 && atomic_load(counter) < n; i++)
		nanosleep(&pause, NULL);
	ck_assert_uint_ge(atomic_load(counter), n);
}
