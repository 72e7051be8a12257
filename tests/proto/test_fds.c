/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * File descriptors of the front-end's which are not what they should be: of no use for an event
 * loop, or with an other end that is gone.
 *
 * All on one thread, which has the signals and the standard error of an ordinary program.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_config.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "frontend/fe_migrate.h"
#include "tests/stepped.h"
#include "tests/tap.h"
#include "util.h"

#define MEM_SIZE (1u << 20)

struct world {
	struct stepped s;
	struct fe_mem mem;
	struct fe_ring ring;
	unsigned int lookups;		/* which have ended */
};

static void world_kick(struct vhost_queue *q)
{
	struct vhost_req *req;

	while (vhost_queue_pop(q, &req, 1)) {
		/* A request without a byte to read makes no sense to this device. */
		if (!req->out_len)
			vhost_queue_fail(q, "%s", "a request which says nothing");
		vhost_req_push(req, vhost_req_write(req, 0, "yes", 3));
	}
}

static int world_save(struct vhost_dev *dev, void **buf, size_t *len)
{
	(void)dev;
	*len = 10;
	*buf = calloc(1, *len);
	return 0;
}

static int world_load(struct vhost_dev *dev, const void *buf, size_t len)
{
	(void)dev, (void)buf, (void)len;
	return 0;
}

static int world_object(struct vhost_dev *dev, const uint8_t uuid[16])
{
	(void)dev, (void)uuid;
	return -ENOENT;
}

static void world_start(struct world *w)
{
	static const struct vhost_dev_ops ops = {
		.kick = world_kick, .save = world_save, .load = world_load,
		.shared_object = world_object,
	};
	const struct fe_ring_params params = {
		.size = 16, .features = FE_BIT(VIRTIO_F_VERSION_1),
	};

	memset(w, 0, sizeof(*w));
	stepped_start(&w->s, &ops, &(struct vhost_dev_params){ 0 }, w);
	stepped_connect(&w->s);
	ck_assert_int_eq(fe_mem_init(&w->mem, 0, MEM_SIZE), 0);
	ck_assert_int_eq(fe_ring_init(&w->ring, &w->mem, &params), 0);
	fe_set_features(&w->s.fe, FE_BIT(VU_F_PROTOCOL_FEATURES) | FE_BIT(VIRTIO_F_VERSION_1));
	fe_set_protocol_features(&w->s.fe, FE_BIT(VU_PROTOCOL_F_REPLY_ACK) |
				 FE_BIT(VU_PROTOCOL_F_BACKEND_REQ) |
				 FE_BIT(VU_PROTOCOL_F_LOG_SHMFD) |
				 FE_BIT(VU_PROTOCOL_F_SHARED_OBJECT) |
				 FE_BIT(VU_PROTOCOL_F_DEVICE_STATE));
	fe_start_mem(&w->s.fe, &w->mem);
	stepped_run(&w->s);
}

static void world_stop(struct world *w)
{
	stepped_stop(&w->s);
	fe_ring_free(&w->ring);
	fe_mem_free(&w->mem);
}

static void world_start_ring(struct world *w)
{
	fe_start_ring(&w->s.fe, &w->ring);
	fe_set_vring_enable(&w->s.fe, 0, true);
	stepped_run(&w->s);
}

/*
 * Nothing for an event loop
 */

static const uint32_t watched[] = {
	VU_SET_VRING_KICK, VU_SET_VRING_CALL, VU_SET_VRING_ERR, VU_SET_LOG_FD,
	VU_SET_BACKEND_REQ_FD, VU_SET_DEVICE_STATE_FD,
};

static int unpollable(unsigned int kind)
{
	switch (kind) {
	case 0:
		return memfd_create("file", MFD_CLOEXEC);
	case 1:
		return open("/dev/null", O_RDWR | O_CLOEXEC);
	case 2:
		return open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	default:
		return open("/dev/null", O_PATH | O_CLOEXEC);
	}
}

/* Send it and say what came back: 0 is yes. */
static uint64_t ask(struct world *w, uint32_t request, int fd)
{
	const struct vu_transfer_state load = { VU_TRANSFER_LOAD, VU_TRANSFER_STOPPED };
	bool state = request == VU_SET_DEVICE_STATE_FD;
	bool empty = request == VU_SET_BACKEND_REQ_FD || request == VU_SET_LOG_FD;
	const uint32_t size = empty ? 0 : 8;
	const struct vu_header hdr = { request, VU_VERSION | VU_NEED_REPLY, size };
	const uint64_t ring = 0;
	struct fe_msg reply;

	ck_assert_int_eq(fe_send_raw(&w->s.fe, &hdr, state ? (const void *)&load : &ring, size,
				     &fd, 1), 0);
	stepped_run(&w->s);
	ck_assert_int_eq(fe_recv_raw(&w->s.fe, &reply), 0);
	ck_assert_uint_eq(reply.hdr.request, request);
	ck_assert_uint_eq(reply.hdr.size, 8);
	return reply.u.u64 & ~(uint64_t)VU_TRANSFER_NO_FD;
}

/* Standard error becomes a file; returns that and what it was. */
static int catch_stderr(int *saved)
{
	int fd = memfd_create("stderr", MFD_CLOEXEC);

	*saved = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0);
	ck_assert_int_ge(dup2(fd, STDERR_FILENO), 0);
	return fd;
}

static void release_stderr(int fd, int saved)
{
	char said[256] = "";

	ck_assert_int_ge(dup2(saved, STDERR_FILENO), 0);
	ck_assert_int_ge(pread(fd, said, sizeof(said) - 1, 0), 0);
	close(saved);
	close(fd);
	ck_assert_str_eq(said, "");
}

/* It is refused, and the library prints nothing, nor does what it is built upon. */
START_TEST(nothing_to_wait_for)
{
	struct world w;
	unsigned int i;
	int saved, said;

	world_start(&w);
	fe_start_ring(&w.s.fe, &w.ring);
	stepped_run(&w.s);
	said = catch_stderr(&saved);
	for (i = 0; i < ARRAY_SIZE(watched); i++) {
		int fd = unpollable((unsigned int)_i);

		ck_assert_int_ge(fd, 0);
		ck_assert_msg(ask(&w, watched[i], fd) == 1, "message %u was accepted", watched[i]);
		close(fd);
	}
	release_stderr(said, saved);
	world_stop(&w);
}
END_TEST

static void looked_up(void *arg, int result)
{
	struct world *w = arg;

	ck_assert_int_eq(result, -ENOENT);
	w->lookups++;
}

/* A refused back-end channel leaves alone the one there is. */
START_TEST(former_channel_stays)
{
	static const uint8_t uuid[16] = { 1 };
	int file = memfd_create("file", MFD_CLOEXEC);
	struct fe_msg msg;
	struct world w;

	world_start(&w);
	world_start_ring(&w);
	ck_assert_int_eq(fe_set_backend_req_fd(&w.s.fe), 0);
	stepped_run(&w.s);
	ck_assert_int_eq(vhost_dev_shared_object_lookup(w.s.dev, uuid, looked_up, &w), 0);
	ck_assert_uint_eq(ask(&w, VU_SET_BACKEND_REQ_FD, file), 1);
	close(file);
	ck_assert_int_eq(fe_backend_recv(&w.s.fe, &msg), 0);
	ck_assert_int_eq(fe_backend_reply(&w.s.fe, &msg, 1), 0);
	stepped_run(&w.s);
	ck_assert_uint_eq(w.lookups, 1);
	world_stop(&w);
}
END_TEST

/*
 * Nobody at the other end
 */

static int lonely(bool socket)
{
	int fds[2];

	if (socket)
		ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	else
		ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
	close(fds[0]);
	return fds[1];
}

static void check_no_signal(void)
{
	sigset_t set;

	ck_assert_int_eq(sigpending(&set), 0);
	ck_assert(!sigismember(&set, SIGPIPE));
	ck_assert_int_eq(pthread_sigmask(SIG_BLOCK, NULL, &set), 0);
	ck_assert(!sigismember(&set, SIGPIPE));
}

static void request(struct world *w, bool sane)
{
	uint8_t *p = fe_mem_alloc(&w->mem, 64, 1);
	struct iovec o = { p, 10 }, i = { p + 10, 10 };
	uint32_t len;
	void *cookie;

	ck_assert_int_ge(fe_ring_add(&w->ring, &o, sane, &i, 1, p), 0);
	fe_ring_publish(&w->ring);
	fe_ring_kick_always(&w->ring);
	stepped_run(&w->s);
	ck_assert_int_eq(fe_ring_get(&w->ring, &cookie, &len), 1);
	ck_assert_mem_eq(p + 10, "yes", 3);
	check_no_signal();
}

/* A signal for a driver which has gone is lost, and raises none here. */
START_TEST(nobody_listens)
{
	struct fe_log log;
	struct world w;
	int fd;

	signal(SIGPIPE, SIG_DFL);
	world_start(&w);
	world_start_ring(&w);
	fd = lonely(_i);
	fe_set_vring_call(&w.s.fe, 0, fd);
	stepped_run(&w.s);
	check_no_signal();
	request(&w, true);
	ck_assert_int_eq(fe_set_log_fd(&w.s.fe, fd), 0);
	ck_assert_int_eq(fe_log_init(&log, MEM_SIZE, 0), 0);
	fe_log_set(&w.s.fe, &log);
	fe_set_features(&w.s.fe, FE_BIT(VU_F_PROTOCOL_FEATURES) | FE_BIT(VIRTIO_F_VERSION_1) |
				 FE_BIT(VU_F_LOG_ALL));
	stepped_run(&w.s);
	request(&w, true);
	ck_assert_uint_gt(fe_log_count(&log), 0);
	/* The ring is started again with the call fd it had. */
	fe_get_vring_base(&w.s.fe, 0, NULL);
	stepped_run(&w.s);
	fe_set_vring_kick(&w.s.fe, 0, w.ring.kick_fd);
	stepped_run(&w.s);
	fe_set_vring_err(&w.s.fe, 0, fd);
	stepped_run(&w.s);
	request(&w, false);
	close(fd);
	fe_log_free(&log);
	world_stop(&w);
}
END_TEST

/* User-mode Linux has pipes: what arrives are the eight bytes of an eventfd. */
START_TEST(somebody_listens)
{
	struct world w;
	uint64_t one;
	int fds[2];

	world_start(&w);
	world_start_ring(&w);
	ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
	fe_set_vring_call(&w.s.fe, 0, fds[1]);
	stepped_run(&w.s);
	ck_assert_int_eq(read(fds[0], &one, sizeof(one)), sizeof(one));
	request(&w, true);
	ck_assert_int_eq(read(fds[0], &one, sizeof(one)), sizeof(one));
	ck_assert_uint_eq(one, 1);
	/* It is full, and the front-end makes it a blocking one: nobody waits for that. */
	while (write(fds[1], &one, sizeof(one)) > 0)
		;
	ck_assert_int_eq(fcntl(fds[1], F_SETFL, 0), 0);
	request(&w, true);
	close(fds[0]);
	close(fds[1]);
	world_stop(&w);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("fds");
	TCase *tc = tcase_create("fds");

	tcase_set_timeout(tc, 30);
	tcase_add_loop_test(tc, nothing_to_wait_for, 0, 4);
	tcase_add_test(tc, former_channel_stays);
	tcase_add_loop_test(tc, nobody_listens, 0, 2);
	tcase_add_test(tc, somebody_listens);
	suite_add_tcase(suite, tc);
	return tap_main(suite);
}
