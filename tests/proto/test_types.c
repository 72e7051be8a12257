/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Messages of certain device types, with a device whose callbacks note what they are told; and
 * without one.
 */
#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "tests/echo.h"
#include "tests/tap.h"
#include "util.h"

#define ALL ~UINT64_C(0)

/* What the device was told; written on the control worker before the message is answered. */
static struct {
	uint8_t mac[6], uuid[16], session[64];
	unsigned int mtu, session_len;
	uint64_t closed;
	int gpu_fd, object_fd, result;
	int64_t id;
} told;

static const uint8_t known[16] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16 };
static const uint64_t shmem[] = { 0, 0x10000, 0, 0x4000 };

static int on_rarp(struct vhost_dev *dev, const uint8_t mac[6])
{
	(void)dev;
	memcpy(told.mac, mac, 6);
	return told.result;
}

static int on_mtu(struct vhost_dev *dev, uint16_t mtu)
{
	(void)dev;
	told.mtu = mtu;
	return told.result;
}

static int on_create(struct vhost_dev *dev, const void *session, size_t len, int64_t *id)
{
	(void)dev;
	told.session_len = (unsigned int)len;
	memcpy(told.session, session, MIN(len, sizeof(told.session)));
	*id = told.id;
	return told.result;
}

static int on_close(struct vhost_dev *dev, uint64_t id)
{
	(void)dev;
	told.closed = id;
	return told.result;
}

static int on_gpu(struct vhost_dev *dev, int fd)
{
	(void)dev;
	told.gpu_fd = fd;
	return told.result;
}

static int on_object(struct vhost_dev *dev, const uint8_t uuid[16])
{
	(void)dev;
	memcpy(told.uuid, uuid, 16);
	return memcmp(uuid, known, 16) ? -ENOENT : told.object_fd;
}

static void typed(struct vhost_dev_ops *ops, struct vhost_dev_params *params)
{
	ops->send_rarp = on_rarp;
	ops->set_mtu = on_mtu;
	ops->crypto_create = on_create;
	ops->crypto_close = on_close;
	ops->gpu_socket = on_gpu;
	ops->shared_object = on_object;
	params->shmem_sizes = shmem;
	params->shmem_count = ARRAY_SIZE(shmem);
}

static void up(struct echo *e)
{
	memset(&told, 0, sizeof(told));
	told.gpu_fd = told.object_fd = -1;
	echo_start_tweaked(e, 0, typed);
	ck_assert_int_eq(fe_negotiate(&e->fe, ALL, ALL), 0);
}

/* proves: SEND_RARP, PROTOCOL_F_RARP, reply.honest */
START_TEST(rarp)
{
	static const uint8_t mac[6] = { 2, 0, 0xfe, 4, 5, 6 };
	const uint8_t payload[9] = { 0 };
	struct echo e;

	up(&e);
	ck_assert_int_eq(fe_send_rarp(&e.fe, mac), 0);
	ck_assert_mem_eq(told.mac, mac, 6);
	told.result = -EBUSY;
	ck_assert_int_eq(fe_send_rarp(&e.fe, mac), -EIO);
	ck_assert_int_eq(fe_request(&e.fe, VU_SEND_RARP, payload, 7, NULL, 0), -EIO);
	ck_assert_int_eq(fe_request(&e.fe, VU_SEND_RARP, payload, 9, NULL, 0), -EIO);
	echo_stop(&e);
}
END_TEST

/* proves: NET_SET_MTU, PROTOCOL_F_NET_MTU */
START_TEST(mtu)
{
	static const struct { uint64_t mtu; int ret; } row[] = {
		{ 68, 0 }, { 1500, 0 }, { 65535, 0 }, { 0, -EIO }, { 67, -EIO }, { 65536, -EIO },
		{ UINT64_C(1) << 32 | 1500, -EIO }, { UINT64_MAX, -EIO },
	};
	struct echo e;
	size_t i;

	up(&e);
	for (i = 0; i < ARRAY_SIZE(row); i++) {
		told.mtu = 0;
		ck_assert_int_eq(fe_net_set_mtu(&e.fe, row[i].mtu), row[i].ret);
		ck_assert_uint_eq(told.mtu, row[i].ret ? 0 : row[i].mtu);
	}
	told.result = -EINVAL;
	ck_assert_int_eq(fe_net_set_mtu(&e.fe, 1500), -EIO);
	echo_stop(&e);
}
END_TEST

/*
 * proves: crypto.bounded, CREATE_CRYPTO_SESSION, CLOSE_CRYPTO_SESSION,
 * PROTOCOL_F_CRYPTO_SESSION
 */
START_TEST(crypto_sessions)
{
	static const uint32_t sizes[] = { VU_CRYPTO_SIZE_MIN, 100, VU_CRYPTO_SIZE_MAX };
	uint8_t params[VU_CRYPTO_SIZE_MAX];
	struct echo e;
	int64_t id;
	size_t i;

	up(&e);
	memset(params, 0x5a, sizeof(params));
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		told.id = 70 + (int64_t)i;
		ck_assert_int_eq(fe_create_crypto_session(&e.fe, params, sizes[i], &id), 0);
		ck_assert_int_eq(id, told.id);
		/* The id at the end is not the device's to read. */
		ck_assert_uint_eq(told.session_len, sizes[i] - 8);
		ck_assert_uint_eq(told.session[0], 0x5a);
	}
	/* The device refuses, and gives an id which is none. */
	told.result = -EPERM;
	ck_assert_int_eq(fe_create_crypto_session(&e.fe, params, 100, &id), -EIO);
	told.result = 0;
	told.id = -1;
	ck_assert_int_eq(fe_create_crypto_session(&e.fe, params, 100, &id), -EIO);
	ck_assert_int_eq(fe_close_crypto_session(&e.fe, 71), 0);
	ck_assert_uint_eq(told.closed, 71);
	told.result = -ENOENT;
	ck_assert_int_eq(fe_close_crypto_session(&e.fe, 71), -EIO);
	echo_stop(&e);
}
END_TEST

/* proves: crypto.bounded */
START_TEST(crypto_session_of_bad_size)
{
	const uint32_t size = _i ? VU_CRYPTO_SIZE_MIN - 1 : VU_CRYPTO_SIZE_MAX + 1;
	static const uint8_t params[VU_CRYPTO_SIZE_MAX + 1];
	struct fe_msg reply;
	struct echo e;

	up(&e);
	ck_assert_int_eq(fe_query(&e.fe, VU_CREATE_CRYPTO_SESSION, params, size, NULL, 0, &reply),
			 -ECONNRESET);
	ck_assert_uint_eq(told.session_len, 0);
	echo_stop(&e);
}
END_TEST

/* proves: GPU_SET_SOCKET */
START_TEST(gpu_socket)
{
	struct echo e;
	int fd;

	up(&e);
	fd = eventfd(0, EFD_CLOEXEC);
	ck_assert_int_eq(fe_gpu_set_socket(&e.fe, fd), 0);
	ck_assert_int_ge(told.gpu_fd, 0);
	close(told.gpu_fd);
	told.result = -EBUSY;
	ck_assert_int_eq(fe_gpu_set_socket(&e.fe, fd), -EIO);
	close(told.gpu_fd);
	ck_assert_int_eq(fe_request(&e.fe, VU_GPU_SET_SOCKET, NULL, 0, NULL, 0), -EIO);
	close(fd);
	echo_stop(&e);
}
END_TEST

/* proves: object.uuid, GET_SHARED_OBJECT, PROTOCOL_F_SHARED_OBJECT */
START_TEST(shared_object)
{
	static const uint8_t other[16] = { 99 };
	struct fe_msg reply;
	uint64_t value = 7;
	struct echo e;
	int fd;

	up(&e);
	told.object_fd = eventfd(5, EFD_CLOEXEC);
	ck_assert_int_eq(fe_get_shared_object(&e.fe, known, &fd), 0);
	ck_assert_mem_eq(told.uuid, known, 16);
	ck_assert_int_eq((int)write(fd, &value, 8), 8);
	close(fd);
	/* It is the device's object. */
	ck_assert_int_eq((int)read(told.object_fd, &value, 8), 8);
	ck_assert_uint_eq(value, 12);
	ck_assert_int_lt(fe_get_shared_object(&e.fe, other, &fd), 0);
	/* QEMU 11 forgets the UUID. */
	ck_assert_int_eq(fe_query(&e.fe, VU_GET_SHARED_OBJECT, NULL, 0, NULL, 0, &reply), 0);
	ck_assert_uint_eq(reply.nfds, 0);
	close(told.object_fd);
	echo_stop(&e);
}
END_TEST

/* proves: GET_SHMEM_CONFIG, PROTOCOL_F_SHMEM */
START_TEST(shmem_config)
{
	struct vu_shmem_config config;
	struct echo e;
	size_t i;

	up(&e);
	ck_assert_int_eq(fe_get_shmem_config(&e.fe, &config), 0);
	ck_assert_uint_eq(config.num_regions, 2);
	for (i = 0; i < VU_SHMEM_REGIONS_MAX; i++)
		ck_assert_uint_eq(config.sizes[i], i < ARRAY_SIZE(shmem) ? shmem[i] : 0);
	echo_stop(&e);
}
END_TEST

#define TYPED (FE_BIT(VU_PROTOCOL_F_RARP) | FE_BIT(VU_PROTOCOL_F_NET_MTU) | \
	       FE_BIT(VU_PROTOCOL_F_CRYPTO_SESSION) | FE_BIT(VU_PROTOCOL_F_SHARED_OBJECT) | \
	       FE_BIT(VU_PROTOCOL_F_SHMEM) | FE_BIT(VU_PROTOCOL_F_BACKEND_SEND_FD))
#define NEVER (FE_BIT(VU_PROTOCOL_F_HOST_NOTIFIER) | \
	       FE_BIT(VU_PROTOCOL_F_INBAND_NOTIFICATIONS) | FE_BIT(VU_PROTOCOL_F_XEN_MMAP) | \
	       FE_BIT(VU_PROTOCOL_F_CROSS_ENDIAN))

START_TEST(offered_with_callbacks_only)
{
	uint64_t offered;
	struct echo e;

	if (_i)
		echo_start_tweaked(&e, 0, typed);
	else
		echo_start(&e, 0, 0);
	ck_assert_int_eq(fe_get_protocol_features(&e.fe, &offered), 0);
	ck_assert_uint_eq(offered & TYPED, _i ? TYPED : 0);
	ck_assert_uint_eq(offered & NEVER, 0);
	echo_stop(&e);
}
END_TEST

/* A message whose callback is missing is refused, whatever it says. */
/* proves: msg.gate, gpu.fd */
START_TEST(refused_without_callbacks)
{
	static const struct { uint32_t request, size; } row[] = {
		{ VU_SEND_RARP, 8 }, { VU_NET_SET_MTU, 8 }, { VU_CLOSE_CRYPTO_SESSION, 8 },
	};
	const uint64_t zero = 0;
	struct echo e;
	size_t i;
	int fd;

	echo_start(&e, 0, 0);
	fd = eventfd(0, EFD_CLOEXEC);
	ck_assert_int_eq(fe_negotiate(&e.fe, ALL, ALL), 0);
	for (i = 0; i < ARRAY_SIZE(row); i++)
		ck_assert_int_eq(fe_request(&e.fe, row[i].request, &zero, row[i].size, NULL, 0),
				 -EIO);
	ck_assert_int_eq(fe_gpu_set_socket(&e.fe, fd), -EIO);
	close(fd);
	echo_stop(&e);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("types");
	TCase *tc = tcase_create("types");

	tcase_add_test(tc, rarp);
	tcase_add_test(tc, mtu);
	tcase_add_test(tc, crypto_sessions);
	tcase_add_loop_test(tc, crypto_session_of_bad_size, 0, 2);
	tcase_add_test(tc, gpu_socket);
	tcase_add_test(tc, shared_object);
	tcase_add_test(tc, shmem_config);
	tcase_add_loop_test(tc, offered_with_callbacks_only, 0, 2);
	tcase_add_test(tc, refused_without_callbacks);
	suite_add_tcase(s, tc);
	return tap_main(s);
}
