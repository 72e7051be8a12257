/* SPDX-License-Identifier: BSD-3-Clause */
/* Messages which belong to certain device types, and the callbacks which answer them. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/echo.h"
#include "tests/tap.h"
#include "util.h"

/* A device which remembers what it was told.  Touched by its worker while that answers. */
struct typed {
	struct vhost_dev *dev;
	struct vhost_worker *worker;
	struct fe fe;
	int fd_count;
	atomic_uint stopped;
	int refuse;			/* errno for each callback */

	uint8_t mac[6];
	uint16_t mtu;
	uint8_t session[VU_CRYPTO_SIZE_MAX];
	size_t session_len;
	int64_t next_id;
	uint64_t closed;
	int gpu_fd;			/* owned, -1: none */
};

static void typed_kick(struct vhost_queue *q)
{
	(void)q;
}

static int typed_send_rarp(struct vhost_dev *dev, const uint8_t mac[6])
{
	struct typed *t = vhost_dev_opaque(dev);

	memcpy(t->mac, mac, sizeof(t->mac));
	return -t->refuse;
}

static int typed_set_mtu(struct vhost_dev *dev, uint16_t mtu)
{
	struct typed *t = vhost_dev_opaque(dev);

	t->mtu = mtu;
	return -t->refuse;
}

static int typed_crypto_create(struct vhost_dev *dev, const void *session, size_t len, int64_t *id)
{
	struct typed *t = vhost_dev_opaque(dev);

	ck_assert_uint_le(len, sizeof(t->session));
	memcpy(t->session, session, len);
	t->session_len = len;
	*id = t->next_id;
	return -t->refuse;
}

static int typed_crypto_close(struct vhost_dev *dev, uint64_t id)
{
	struct typed *t = vhost_dev_opaque(dev);

	t->closed = id;
	return -t->refuse;
}

static int typed_gpu_socket(struct vhost_dev *dev, int fd)
{
	struct typed *t = vhost_dev_opaque(dev);

	t->gpu_fd = fd;
	return -t->refuse;
}

static const struct vhost_dev_ops typed_ops = {
	.kick = typed_kick,
	.send_rarp = typed_send_rarp,
	.set_mtu = typed_set_mtu,
	.crypto_create = typed_crypto_create,
	.crypto_close = typed_crypto_close,
	.gpu_socket = typed_gpu_socket,
};

static void typed_start(struct typed *t, const struct vhost_dev_ops *ops)
{
	const struct vhost_dev_params params = { .name = "typed" };
	int fd;

	*t = (struct typed){ .fd_count = echo_count_fds(), .gpu_fd = -1 };
	ck_assert_int_eq(vhost_worker_new(&t->worker, NULL), 0);
	ck_assert_int_eq(vhost_dev_new(&t->dev, ops, &params, t), 0);
	ck_assert_int_eq(fe_pair(&t->fe, &fd), 0);
	ck_assert_int_eq(vhost_dev_attach(t->dev, t->worker, fd), 0);
	ck_assert_int_eq(vhost_worker_start(t->worker, "typed"), 0);
	ck_assert_int_eq(fe_negotiate(&t->fe, ~UINT64_C(0), ~UINT64_C(0)), 0);
}

static void typed_stopped(struct vhost_dev *dev, void *arg)
{
	struct typed *t = arg;

	(void)dev;
	atomic_fetch_add(&t->stopped, 1);
}

static void typed_call_stop(void *arg)
{
	struct typed *t = arg;

	vhost_dev_stop(t->dev, typed_stopped, t);
}

static void typed_stop(struct typed *t)
{
	fe_close(&t->fe);
	vhost_worker_call(t->worker, typed_call_stop, t);
	echo_wait(&t->stopped, 1);
	vhost_worker_stop(t->worker);
	vhost_dev_free(t->dev);
	vhost_worker_free(t->worker);
	if (t->gpu_fd >= 0)
		close(t->gpu_fd);
	ck_assert_int_eq(echo_count_fds(), t->fd_count);
}

/* proves: SEND_RARP, PROTOCOL_F_RARP, reply.honest */
START_TEST(rarp)
{
	struct typed t;

	typed_start(&t, &typed_ops);
	ck_assert_int_eq(fe_send_rarp(&t.fe, (const uint8_t *)"\2abcde"), 0);
	ck_assert_mem_eq(t.mac, "\2abcde", 6);
	t.refuse = EIO;
	ck_assert_int_eq(fe_send_rarp(&t.fe, (const uint8_t *)"\2fghij"), -EIO);
	typed_stop(&t);
}
END_TEST

/* proves: NET_SET_MTU, PROTOCOL_F_NET_MTU, reply.honest */
START_TEST(mtu)
{
	static const uint64_t good[] = { 68, 1500, 9000, 65535 };
	static const uint64_t bad[] = { 0, 67, 65536, 65536 + 1500, UINT64_C(1500) << 32, UINT64_MAX };
	struct typed t;
	size_t i;

	typed_start(&t, &typed_ops);
	for (i = 0; i < ARRAY_SIZE(good); i++) {
		ck_assert_int_eq(fe_net_set_mtu(&t.fe, good[i]), 0);
		ck_assert_uint_eq(t.mtu, good[i]);
	}
	for (i = 0; i < ARRAY_SIZE(bad); i++)
		ck_assert_int_eq(fe_net_set_mtu(&t.fe, bad[i]), -EIO);
	ck_assert_uint_eq(t.mtu, 65535);
	t.refuse = EINVAL;
	ck_assert_int_eq(fe_net_set_mtu(&t.fe, 1500), -EIO);
	typed_stop(&t);
}
END_TEST

/* Send parameters and the place for an id behind them, and return the id which comes back. */
static int64_t create(struct typed *t, const void *session, uint32_t len)
{
	uint8_t payload[VU_PAYLOAD_MAX] = { 0 };
	struct fe_msg reply;
	int64_t id;

	memcpy(payload, session, len);
	ck_assert_int_eq(fe_query(&t->fe, VU_CREATE_CRYPTO_SESSION, payload, len + 8, NULL, 0,
				  &reply), 0);
	ck_assert_uint_eq(reply.hdr.size, len + 8);
	ck_assert_mem_eq(reply.u.bytes, session, len);
	memcpy(&id, reply.u.bytes + len, sizeof(id));
	return id;
}

/*
 * proves: CREATE_CRYPTO_SESSION, CLOSE_CRYPTO_SESSION, PROTOCOL_F_CRYPTO_SESSION, crypto.bounded,
 * reply.own-error
 */
START_TEST(crypto)
{
	static const uint32_t lens[] = { 8, 100, 1024, VU_CRYPTO_SIZE_MAX - 8 };
	uint8_t session[VU_CRYPTO_SIZE_MAX];
	struct typed t;
	size_t i;

	typed_start(&t, &typed_ops);
	for (i = 0; i < ARRAY_SIZE(lens); i++) {
		memset(session, 'a' + (int)i, sizeof(session));
		t.next_id = (int64_t)i * 1000;
		ck_assert_int_eq(create(&t, session, lens[i]), t.next_id);
		ck_assert_uint_eq(t.session_len, lens[i]);
		ck_assert_mem_eq(t.session, session, lens[i]);
		ck_assert_int_eq(fe_close_crypto_session(&t.fe, t.next_id), 0);
		ck_assert_uint_eq(t.closed, i * 1000);
	}
	/* What the device does not want has a negative id; so has an id which is none. */
	t.next_id = -5;
	ck_assert_int_lt(create(&t, session, 8), 0);
	t.next_id = 5;
	t.refuse = ENOSPC;
	ck_assert_int_eq(create(&t, session, 8), -ENOSPC);
	ck_assert_int_eq(fe_close_crypto_session(&t.fe, 5), -EIO);
	typed_stop(&t);
}
END_TEST

/* proves: crypto.bounded, CREATE_CRYPTO_SESSION */
START_TEST(crypto_size)
{
	static const uint32_t sizes[] = { 0, VU_CRYPTO_SIZE_MIN - 1, VU_CRYPTO_SIZE_MAX + 1,
					  VU_PAYLOAD_MAX };
	const struct vu_header hdr = { VU_CREATE_CRYPTO_SESSION, VU_VERSION, sizes[_i] };
	static const uint8_t zeroes[VU_PAYLOAD_MAX];
	struct typed t;

	typed_start(&t, &typed_ops);
	t.session_len = SIZE_MAX;
	ck_assert_int_eq(fe_send_raw(&t.fe, &hdr, zeroes, hdr.size, NULL, 0), 0);
	ck_assert_int_eq(fe_wait_closed(&t.fe), 0);
	typed_stop(&t);
	ck_assert_uint_eq(t.session_len, SIZE_MAX);
}
END_TEST

/* proves: GPU_SET_SOCKET, gpu.fd */
START_TEST(gpu)
{
	struct typed t;
	int fds[2];
	char c;

	typed_start(&t, &typed_ops);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	t.refuse = _i ? EINVAL : 0;
	ck_assert_int_eq(fe_gpu_set_socket(&t.fe, fds[0]), _i ? -EIO : 0);
	/* The device has it, whether it wants it or not. */
	close(fds[0]);
	ck_assert_int_ge(t.gpu_fd, 0);
	ck_assert_int_eq(write(t.gpu_fd, "x", 1), 1);
	ck_assert_int_eq(read(fds[1], &c, 1), 1);
	close(fds[1]);
	typed_stop(&t);
}
END_TEST

/* proves: gpu.fd, SEND_RARP, NET_SET_MTU, CLOSE_CRYPTO_SESSION, msg.gate */
START_TEST(types_which_the_device_is_not)
{
	const struct vhost_dev_ops none = { .kick = typed_kick };
	struct typed t;
	int fds[2];
	char c;

	typed_start(&t, &none);
	ck_assert_int_eq(fe_send_rarp(&t.fe, (const uint8_t *)"\2abcde"), -EIO);
	ck_assert_int_eq(fe_net_set_mtu(&t.fe, 1500), -EIO);
	ck_assert_int_eq(fe_close_crypto_session(&t.fe, 0), -EIO);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	ck_assert_int_eq(fe_gpu_set_socket(&t.fe, fds[0]), -EIO);
	close(fds[0]);
	/* Nobody has kept the other end. */
	ck_assert_int_eq(read(fds[1], &c, 1), 0);
	close(fds[1]);
	typed_stop(&t);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("types");
	TCase *tc = tcase_create("types");

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, rarp);
	tcase_add_test(tc, mtu);
	tcase_add_test(tc, crypto);
	tcase_add_loop_test(tc, crypto_size, 0, 4);
	tcase_add_loop_test(tc, gpu, 0, 2);
	tcase_add_test(tc, types_which_the_device_is_not);
	suite_add_tcase(suite, tc);
	return tap_main(suite);
}
