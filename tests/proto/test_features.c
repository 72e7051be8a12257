/* SPDX-License-Identifier: BSD-3-Clause */
/* What is offered, when it counts, and what is answered. */
#include <errno.h>
#include <linux/virtio_config.h>
#include <poll.h>
#include <stddef.h>
#include <string.h>

#include "tests/echo.h"
#include "tests/tap.h"
#include "util.h"

#define EVENT_IDX FE_BIT(VIRTIO_RING_F_EVENT_IDX)

/*
 * What is offered, by which devices
 */

/* Devices: one with nothing, one with everything, and one for each thing. */
enum {
	BARE, FULL, CONFIG, RARP, MTU, CRYPTO, INFLIGHT, CANCEL, IOMMU, ORDERED, INBAND, NOTIFIER,
	STATE, OBJECT, SHMEM, DEVICES
};

static void no_kick(struct vhost_queue *q)
{
	(void)q;
}

static int no_rarp(struct vhost_dev *dev, const uint8_t mac[6])
{
	(void)dev, (void)mac;
	return 0;
}

static int no_mtu(struct vhost_dev *dev, uint16_t mtu)
{
	(void)dev, (void)mtu;
	return 0;
}

static int no_create(struct vhost_dev *dev, const void *session, size_t len, int64_t *id)
{
	(void)dev, (void)session, (void)len, (void)id;
	return 0;
}

static int no_close(struct vhost_dev *dev, uint64_t id)
{
	(void)dev, (void)id;
	return 0;
}

static int no_save(struct vhost_dev *dev, void **buf, size_t *len)
{
	(void)dev, (void)buf, (void)len;
	return -EIO;
}

static int no_load(struct vhost_dev *dev, const void *buf, size_t len)
{
	(void)dev, (void)buf, (void)len;
	return -EIO;
}

static int no_object(struct vhost_dev *dev, const uint8_t uuid[16])
{
	(void)dev, (void)uuid;
	return -ENOENT;
}

static const unsigned int device_flags[DEVICES] = {
	[FULL] = VHOST_DEV_KICK_DISABLED | VHOST_DEV_INFLIGHT | VHOST_DEV_IOMMU |
		 VHOST_DEV_IN_ORDER | VHOST_DEV_INBAND | VHOST_DEV_HOST_NOTIFIER,
	[INFLIGHT] = VHOST_DEV_INFLIGHT,
	[CANCEL] = VHOST_DEV_INFLIGHT,
	[IOMMU] = VHOST_DEV_IOMMU,
	[ORDERED] = VHOST_DEV_IN_ORDER,
	[INBAND] = VHOST_DEV_INBAND,
	[NOTIFIER] = VHOST_DEV_HOST_NOTIFIER,
};

/* Flags and parameters. */
static void describe_params(int device, struct vhost_dev_params *params)
{
	static const uint64_t shmem = 1 << 20;
	static const uint8_t config[4];

	*params = (struct vhost_dev_params){ .flags = device_flags[device] };
	if (device == SHMEM || device == FULL) {
		params->shmem_sizes = &shmem;
		params->shmem_count = 1;
	}
	if (device == CONFIG || device == FULL) {
		params->config = config;
		params->config_len = sizeof(config);
	}
}

/* Callbacks. */
static void describe_ops(int device, struct vhost_dev_ops *ops)
{
	*ops = (struct vhost_dev_ops){ .kick = no_kick };
	if (device == CANCEL || device == FULL)
		ops->queue_cancel = no_kick;
	if (device == STATE || device == FULL) {
		ops->save = no_save;
		ops->load = no_load;
	}
	if (device == OBJECT || device == FULL)
		ops->shared_object = no_object;
	if (device == RARP || device == FULL)
		ops->send_rarp = no_rarp;
	if (device == MTU || device == FULL)
		ops->set_mtu = no_mtu;
	if (device == CRYPTO || device == FULL) {
		ops->crypto_create = no_create;
		ops->crypto_close = no_close;
	}
}

struct offer {
	uint64_t features, protocol;
};

static void device_stopped(struct vhost_dev *dev, void *arg)
{
	(void)dev;
	atomic_fetch_add((atomic_uint *)arg, 1);
}

struct stop_call {
	struct vhost_dev *dev;
	atomic_uint done;
};

static void stop_device(void *arg)
{
	struct stop_call *call = arg;

	vhost_dev_stop(call->dev, device_stopped, &call->done);
}

/* Make such a device and ask it. */
static struct offer ask(int device)
{
	struct vhost_dev_params params;
	struct vhost_dev_ops ops;
	struct stop_call call = { 0 };
	struct vhost_worker *worker;
	struct offer offer;
	struct fe fe;
	int fd;

	describe_params(device, &params);
	describe_ops(device, &ops);
	ck_assert_int_eq(vhost_worker_new(&worker, NULL), 0);
	ck_assert_int_eq(vhost_dev_new(&call.dev, &ops, &params, NULL), 0);
	ck_assert_int_eq(fe_pair(&fe, &fd), 0);
	ck_assert_int_eq(vhost_dev_attach(call.dev, worker, fd), 0);
	ck_assert_int_eq(vhost_worker_start(worker, "offer"), 0);
	ck_assert_int_eq(fe_get_features(&fe, &offer.features), 0);
	ck_assert_int_eq(fe_get_protocol_features(&fe, &offer.protocol), 0);
	fe_close(&fe);
	vhost_worker_call(worker, stop_device, &call);
	echo_wait(&call.done, 1);
	vhost_worker_stop(worker);
	vhost_dev_free(call.dev);
	vhost_worker_free(worker);
	return offer;
}

#define ALWAYS ((1u << DEVICES) - 1)
#define ONLY(device) (1u << FULL | 1u << (device))
#define EITHER(one, other) (ONLY(one) | ONLY(other))

struct expected {
	unsigned int bit;
	unsigned int devices;		/* a bit for each which offers it */
};

static const struct expected protocol_bits[] = {
	{ VU_PROTOCOL_F_MQ, ALWAYS },
	{ VU_PROTOCOL_F_LOG_SHMFD, ALWAYS },
	{ VU_PROTOCOL_F_RARP, ONLY(RARP) },
	{ VU_PROTOCOL_F_REPLY_ACK, ALWAYS },
	{ VU_PROTOCOL_F_NET_MTU, ONLY(MTU) },
	{ VU_PROTOCOL_F_BACKEND_REQ, ALWAYS },
	{ VU_PROTOCOL_F_CROSS_ENDIAN, 0 },
	{ VU_PROTOCOL_F_CRYPTO_SESSION, ONLY(CRYPTO) },
	{ VU_PROTOCOL_F_CONFIG, ONLY(CONFIG) },
	{ VU_PROTOCOL_F_BACKEND_SEND_FD, EITHER(SHMEM, NOTIFIER) },
	{ VU_PROTOCOL_F_HOST_NOTIFIER, ONLY(NOTIFIER) },
	{ VU_PROTOCOL_F_INFLIGHT_SHMFD, EITHER(INFLIGHT, CANCEL) },
	{ VU_PROTOCOL_F_RESET_DEVICE, ALWAYS },
	{ VU_PROTOCOL_F_INBAND_NOTIFICATIONS, ONLY(INBAND) },
	{ VU_PROTOCOL_F_CONFIGURE_MEM_SLOTS, ALWAYS },
	{ VU_PROTOCOL_F_STATUS, ALWAYS },
	{ VU_PROTOCOL_F_XEN_MMAP, 0 },
	{ VU_PROTOCOL_F_SHARED_OBJECT, ONLY(OBJECT) },
	{ VU_PROTOCOL_F_DEVICE_STATE, ONLY(STATE) },
	{ VU_PROTOCOL_F_GET_VRING_BASE_INFLIGHT, ONLY(CANCEL) },
	{ VU_PROTOCOL_F_GPA_ADDRESSES, ALWAYS },
	{ VU_PROTOCOL_F_SHMEM, ONLY(SHMEM) },
	{ VU_PROTOCOL_F_GET_VRING_BASE_SKIP_DRAIN, ONLY(CANCEL) },
};

static const struct expected ring_bits[] = {
	{ VIRTIO_F_NOTIFY_ON_EMPTY, ALWAYS },
	{ VU_F_LOG_ALL, ALWAYS },
	{ VIRTIO_F_ANY_LAYOUT, 0 },
	{ VIRTIO_RING_F_INDIRECT_DESC, ALWAYS },
	{ VIRTIO_RING_F_EVENT_IDX, ALWAYS },
	{ VU_F_PROTOCOL_FEATURES, ALWAYS },
	{ VIRTIO_F_VERSION_1, ALWAYS },
	{ VIRTIO_F_ACCESS_PLATFORM, ONLY(IOMMU) },
	{ VIRTIO_F_RING_PACKED, ALWAYS },
	{ VIRTIO_F_IN_ORDER, ONLY(ORDERED) },
	{ 36, 0 },			/* ORDER_PLATFORM */
	{ VIRTIO_F_SR_IOV, 0 },
	{ 38, 0 },			/* NOTIFICATION_DATA */
	{ 39, 0 },			/* NOTIF_CONFIG_DATA */
	{ VIRTIO_F_RING_RESET, ALWAYS },
	{ 41, 0 },			/* ADMIN_VQ, a device type's to offer */
	{ 63, 0 },
};

static void check_bits(const struct expected *expected, size_t n, uint64_t offered, int device)
{
	size_t i;

	for (i = 0; i < n; i++) {
		ck_assert_msg((offered >> expected[i].bit & 1) ==
			      (expected[i].devices >> device & 1), "bit %u", expected[i].bit);
	}
}

/*
 * proves: PROTOCOL_F_MQ, PROTOCOL_F_LOG_SHMFD, PROTOCOL_F_RARP, PROTOCOL_F_REPLY_ACK,
 * PROTOCOL_F_NET_MTU, PROTOCOL_F_BACKEND_REQ, PROTOCOL_F_CROSS_ENDIAN,
 * PROTOCOL_F_CRYPTO_SESSION, PROTOCOL_F_CONFIG, PROTOCOL_F_BACKEND_SEND_FD,
 * PROTOCOL_F_HOST_NOTIFIER, PROTOCOL_F_INFLIGHT_SHMFD, PROTOCOL_F_RESET_DEVICE,
 * PROTOCOL_F_INBAND_NOTIFICATIONS, PROTOCOL_F_CONFIGURE_MEM_SLOTS, PROTOCOL_F_STATUS,
 * PROTOCOL_F_XEN_MMAP, PROTOCOL_F_SHARED_OBJECT, PROTOCOL_F_DEVICE_STATE,
 * PROTOCOL_F_GET_VRING_BASE_INFLIGHT, PROTOCOL_F_GPA_ADDRESSES, PROTOCOL_F_SHMEM,
 * PROTOCOL_F_GET_VRING_BASE_SKIP_DRAIN, VIRTIO_F_NOTIFY_ON_EMPTY, VHOST_F_LOG_ALL,
 * VIRTIO_F_ANY_LAYOUT, VIRTIO_F_INDIRECT_DESC, VIRTIO_F_EVENT_IDX,
 * VHOST_USER_F_PROTOCOL_FEATURES, VIRTIO_F_VERSION_1, VIRTIO_F_ACCESS_PLATFORM,
 * VIRTIO_F_RING_PACKED, VIRTIO_F_IN_ORDER, VIRTIO_F_ORDER_PLATFORM, VIRTIO_F_SR_IOV,
 * VIRTIO_F_NOTIFICATION_DATA, VIRTIO_F_NOTIF_CONFIG_DATA, VIRTIO_F_RING_RESET, GET_FEATURES,
 * GET_PROTOCOL_FEATURES
 */
START_TEST(who_offers_what)
{
	struct offer offer = ask(_i);

	check_bits(protocol_bits, ARRAY_SIZE(protocol_bits), offer.protocol, _i);
	check_bits(ring_bits, ARRAY_SIZE(ring_bits), offer.features, _i);
}
END_TEST

/*
 * When it counts
 */

/* proves: features.constant, GET_FEATURES, GET_PROTOCOL_FEATURES */
START_TEST(what_is_offered_stays)
{
	uint64_t features, protocol, again;
	struct echo_rings r;
	struct echo e;

	echo_start(&e, 0, 0);
	ck_assert_int_eq(fe_get_features(&e.fe, &features), 0);
	ck_assert_int_eq(fe_get_protocol_features(&e.fe, &protocol), 0);
	/* Little of it is wanted, and rings run. */
	ck_assert_int_eq(fe_set_features(&e.fe, 0), 0);
	echo_up(&e, &r, 1, 16, 0);
	ck_assert_int_eq(fe_get_features(&e.fe, &again), 0);
	ck_assert_uint_eq(again, features);
	ck_assert_int_eq(fe_get_protocol_features(&e.fe, &again), 0);
	ck_assert_uint_eq(again, protocol);
	ck_assert_int_eq(fe_reset_device(&e.fe), 0);
	ck_assert_int_eq(fe_get_features(&e.fe, &again), 0);
	ck_assert_uint_eq(again, features);
	ck_assert_int_eq(fe_get_protocol_features(&e.fe, &again), 0);
	ck_assert_uint_eq(again, protocol);
	echo_down(&e, &r);
	echo_stop(&e);
}
END_TEST

/*
 * proves: features.protocol-first, SET_PROTOCOL_FEATURES, GET_PROTOCOL_FEATURES, GET_QUEUE_NUM,
 * PROTOCOL_F_MQ
 */
START_TEST(protocol_features_come_first)
{
	uint64_t protocol, num;
	struct echo e;

	/* Neither an owner nor features: the features of the protocol count at once. */
	echo_start(&e, 0, 0);
	ck_assert_int_eq(fe_get_protocol_features(&e.fe, &protocol), 0);
	ck_assert_int_eq(fe_set_protocol_features(&e.fe, FE_BIT(VU_PROTOCOL_F_MQ) |
						  FE_BIT(VU_PROTOCOL_F_REPLY_ACK)), 0);
	ck_assert_int_eq(fe_get_queue_num(&e.fe, &num), 0);
	ck_assert_uint_eq(num, ECHO_QUEUES);
	/* What was not chosen is closed; this one has an acknowledgement. */
	ck_assert_int_eq(fe_set_status(&e.fe, 1), -EIO);
	ck_assert_int_eq(fe_set_protocol_features(&e.fe, protocol), 0);
	ck_assert_int_eq(fe_set_status(&e.fe, 1), 0);
	echo_stop(&e);
}
END_TEST

/* proves: features.from-set-features, SET_FEATURES, SET_VRING_BASE, VIRTIO_F_EVENT_IDX */
START_TEST(features_count_from_set_features_on)
{
	const uint64_t features = EVENT_IDX | FE_BIT(VIRTIO_F_VERSION_1) |
				  FE_BIT(VU_F_PROTOCOL_FEATURES);
	struct fe_ring_params params = { .size = 16, .features = features };
	struct vu_vring_addr addr;
	struct echo_rings r = { .n = 1 };
	struct echo e;
	int i;

	/* The ring is set up first; with other features, which then do not count. */
	echo_start(&e, (unsigned int)_i, 0);
	ck_assert_int_eq(fe_negotiate(&e.fe, ~UINT64_C(0), ~UINT64_C(0)), 0);
	ck_assert_int_eq(fe_mem_init(&r.mem, 0, 1 << 20), 0);
	ck_assert_int_eq(fe_ring_init(&r.ring[0], &r.mem, &params), 0);
	ck_assert_int_eq(fe_set_features(&e.fe, features & ~EVENT_IDX), 0);
	ck_assert_int_eq(fe_start_mem(&e.fe, &r.mem), 0);
	ck_assert_int_eq(fe_set_vring_num(&e.fe, 0, 16), 0);
	ck_assert_int_eq(fe_set_vring_base(&e.fe, 0, 0), 0);
	fe_ring_get_addr(&r.ring[0], &addr);
	ck_assert_int_eq(fe_set_vring_addr(&e.fe, &addr), 0);
	ck_assert_int_eq(fe_set_vring_call(&e.fe, 0, r.ring[0].call_fd), 0);
	ck_assert_int_eq(fe_set_features(&e.fe, features), 0);
	ck_assert_int_eq(fe_set_vring_kick(&e.fe, 0, r.ring[0].kick_fd), 0);
	ck_assert_int_eq(fe_set_vring_enable(&e.fe, 0, true), 0);
	/* The driver kicks when the device's avail_event says so: which it must write. */
	for (i = 0; i < 40; i++)
		echo_check(&r.ring[0], 10);
	ck_assert_uint_eq(fe_split_used_flags(&r.ring[0]), 0);
	echo_down(&e, &r);
	echo_stop(&e);
}
END_TEST

/*
 * What is answered
 */

static void expect_silence(struct fe *fe)
{
	struct pollfd p = { fe->fd, POLLIN, 0 };

	/* Messages are answered in their order: the next answer is to this question. */
	ck_assert_int_eq(fe_sync(fe), 0);
	ck_assert_int_eq(poll(&p, 1, 0), 0);
}

/* proves: reply.none-unasked */
START_TEST(no_reply_where_none_is_due)
{
	const struct fe_ring_params params = { .size = 16 };
	struct echo_rings r = { .n = 1 };
	struct vu_vring_addr addr;
	struct echo e;
	int i, fd;

	echo_start(&e, (unsigned int)_i, 0);
	ck_assert_int_eq(fe_negotiate(&e.fe, ~UINT64_C(0), ~UINT64_C(0)), 0);
	ck_assert_int_eq(fe_mem_init(&r.mem, 0, 1 << 20), 0);
	ck_assert_int_eq(fe_ring_init(&r.ring[0], &r.mem, &params), 0);
	fe_ring_get_addr(&r.ring[0], &addr);
	fd = r.ring[0].kick_fd;
	e.fe.no_ack = true;
	for (i = 0; i < 16; i++) {
		struct fe *fe = &e.fe;
		int ret = -ENOENT;

		switch (i) {
		case 0: ret = fe_set_owner(fe); break;
		case 1: ret = fe_reset_owner(fe); break;
		case 2: ret = fe_set_protocol_features(fe, fe->protocol_features); break;
		case 3: ret = fe_set_features(fe, fe->features); break;
		case 4: ret = fe_add_mem_reg(fe, &r.mem.regions[0]); break;
		case 5: ret = fe_set_vring_num(fe, 0, 16); break;
		case 6: ret = fe_set_vring_base(fe, 0, 0); break;
		case 7: ret = fe_set_vring_addr(fe, &addr); break;
		case 8: ret = fe_set_vring_call(fe, 0, r.ring[0].call_fd); break;
		case 9: ret = fe_set_vring_err(fe, 0, r.ring[0].err_fd); break;
		case 10: ret = fe_set_vring_kick(fe, 0, fd); break;
		case 11: ret = fe_set_vring_enable(fe, 0, true); break;
		case 12: ret = fe_set_config(fe, 0, "abcd", 4, VU_CONFIG_WRITABLE); break;
		case 13: ret = fe_set_status(fe, 15); break;
		case 14: ret = fe_rem_mem_reg(fe, &r.mem.regions[0]); break;
		case 15: ret = fe_reset_device(fe); break;
		}
		ck_assert_msg(!ret, "message %d: %s", i, strerror(-ret));
		expect_silence(fe);
	}
	echo_down(&e, &r);
	echo_stop(&e);
}
END_TEST

/* proves: SET_VRING_ENDIAN, PROTOCOL_F_CROSS_ENDIAN */
START_TEST(no_other_byte_order)
{
	struct echo e;

	echo_start(&e, 0, 0);
	ck_assert_int_eq(fe_negotiate(&e.fe, ~UINT64_C(0), ~UINT64_C(0)), 0);
	ck_assert_int_eq(fe_set_vring_endian(&e.fe, 0, true), -EIO);
	ck_assert_int_eq(fe_set_vring_endian(&e.fe, 0, false), -EIO);
	ck_assert_int_eq(fe_sync(&e.fe), 0);
	echo_stop(&e);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("features");
	TCase *tc = tcase_create("features");

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, who_offers_what, 0, DEVICES);
	tcase_add_test(tc, what_is_offered_stays);
	tcase_add_test(tc, protocol_features_come_first);
	tcase_add_loop_test(tc, features_count_from_set_features_on, 0, 3);
	tcase_add_loop_test(tc, no_reply_where_none_is_due, 0, 3);
	tcase_add_test(tc, no_other_byte_order);
	suite_add_tcase(suite, tc);
	return tap_main(suite);
}
