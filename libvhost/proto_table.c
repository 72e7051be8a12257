/* SPDX-License-Identifier: BSD-3-Clause */
/* The message table itself, and which protocol features the device offers. */
#include "proto.h"

#include <stddef.h>

uint64_t proto_features_offered(const struct vhost_dev *dev)
{
	const struct vhost_dev_ops *ops = &dev->ops;
	uint64_t f = BIT(VU_PROTOCOL_F_MQ) | BIT(VU_PROTOCOL_F_REPLY_ACK) |
		     BIT(VU_PROTOCOL_F_LOG_SHMFD) | BIT(VU_PROTOCOL_F_BACKEND_REQ) |
		     BIT(VU_PROTOCOL_F_RESET_DEVICE) |
		     BIT(VU_PROTOCOL_F_CONFIGURE_MEM_SLOTS) | BIT(VU_PROTOCOL_F_STATUS) |
		     BIT(VU_PROTOCOL_F_GPA_ADDRESSES);

	if (dev->config_len)
		f |= BIT(VU_PROTOCOL_F_CONFIG);
	if (dev->flags & VHOST_DEV_INFLIGHT)
		f |= BIT(VU_PROTOCOL_F_INFLIGHT_SHMFD);
	if (dev->flags & VHOST_DEV_INFLIGHT && ops->queue_cancel)
		f |= BIT(VU_PROTOCOL_F_GET_VRING_BASE_INFLIGHT) |
		     BIT(VU_PROTOCOL_F_GET_VRING_BASE_SKIP_DRAIN);
	if (postcopy_available())
		f |= BIT(VU_PROTOCOL_F_PAGEFAULT);
	if (ops->save && ops->load)
		f |= BIT(VU_PROTOCOL_F_DEVICE_STATE);
	if (ops->send_rarp)
		f |= BIT(VU_PROTOCOL_F_RARP);
	if (ops->set_mtu)
		f |= BIT(VU_PROTOCOL_F_NET_MTU);
	if (ops->crypto_create && ops->crypto_close)
		f |= BIT(VU_PROTOCOL_F_CRYPTO_SESSION);
	if (ops->shared_object)
		f |= BIT(VU_PROTOCOL_F_SHARED_OBJECT);
	if (dev->shmem_count)
		f |= BIT(VU_PROTOCOL_F_SHMEM) | BIT(VU_PROTOCOL_F_BACKEND_SEND_FD);
	if (dev->flags & VHOST_DEV_HOST_NOTIFIER)
		f |= BIT(VU_PROTOCOL_F_HOST_NOTIFIER) | BIT(VU_PROTOCOL_F_BACKEND_SEND_FD);
	if (dev->flags & VHOST_DEV_INBAND)
		f |= BIT(VU_PROTOCOL_F_INBAND_NOTIFICATIONS);
	return f;
}

#define SIZE_STATE sizeof(struct vu_vring_state)
#define SIZE_ADDR sizeof(struct vu_vring_addr)
#define SIZE_MEMORY_MIN offsetof(struct vu_memory, regions)
#define SIZE_CONFIG_MAX (VU_CONFIG_HEADER + VU_CONFIG_MAX)

/*
 * One message: its name, sizes of the payload, numbers of fds, and its handler.  What is left
 * out is zero.
 */
#define ROW(id, handler, ...) [VU_##id] = { \
		.name = #id, .fn = handler, .fn_name = #handler, __VA_ARGS__ }
#define SIZE(n) .size = (n)
#define SIZES(min, max) .size = (min), .size_max = (max)
#define FDS(min, max) .fds_min = (min), .fds_max = (max)
#define FLAGS(f) .flags = (f)
#define GATES(f) .gates = (f)
#define G(feature) (1u << VU_PROTOCOL_F_##feature)

const struct proto_row proto_table[VU_REQUEST_END] = {
	/* See proto_postcopy_none(): QEMU 7.2 to 11.0 send it in postcopy with memory slots. */
	ROW(NONE, proto_postcopy_none, SIZE(8), GATES(G(PAGEFAULT) | G(CONFIGURE_MEM_SLOTS))),
	ROW(GET_FEATURES, proto_get_features, FLAGS(F_REPLY)),
	ROW(SET_FEATURES, proto_set_features, SIZE(8)),
	ROW(SET_OWNER, proto_set_owner),
	ROW(RESET_OWNER, proto_reset_owner),
	/* Has a reply of its own in postcopy only, and is then refused by closing. */
	ROW(SET_MEM_TABLE, proto_set_mem_table, SIZES(SIZE_MEMORY_MIN, sizeof(struct vu_memory)),
	    FDS(0, VU_FDS_MAX), FLAGS(F_SIZED_REPLY)),
	/* Has a reply of its own with LOG_SHMFD only, which nobody looks at: see proto_log.c. */
	ROW(SET_LOG_BASE, proto_set_log_base, SIZES(8, sizeof(struct vu_log)), FDS(0, 1)),
	ROW(SET_LOG_FD, proto_set_log_fd, SIZES(0, 8), FDS(1, 1)),
	ROW(SET_VRING_NUM, proto_set_vring_num, SIZE(SIZE_STATE), FLAGS(F_INDEX | F_STOPPED)),
	ROW(SET_VRING_ADDR, proto_set_vring_addr, SIZE(SIZE_ADDR), FLAGS(F_INDEX)),
	ROW(SET_VRING_BASE, proto_set_vring_base, SIZE(SIZE_STATE), FLAGS(F_INDEX | F_STOPPED)),
	ROW(GET_VRING_BASE, proto_get_vring_base, SIZE(SIZE_STATE), FLAGS(F_INDEX | F_REPLY)),
	ROW(SET_VRING_KICK, proto_set_vring_kick, SIZE(8), FDS(0, 1), FLAGS(F_FD_INDEX)),
	ROW(SET_VRING_CALL, proto_set_vring_call, SIZE(8), FDS(0, 1), FLAGS(F_FD_INDEX)),
	ROW(SET_VRING_ERR, proto_set_vring_err, SIZE(8), FDS(0, 1), FLAGS(F_FD_INDEX)),
	ROW(GET_PROTOCOL_FEATURES, proto_get_protocol_features, FLAGS(F_REPLY)),
	ROW(SET_PROTOCOL_FEATURES, proto_set_protocol_features, SIZE(8)),
	ROW(GET_QUEUE_NUM, proto_get_queue_num, FLAGS(F_REPLY), GATES(G(MQ))),
	/* QEMU sends it before SET_FEATURES: the gate is what we offered, so always open. */
	ROW(SET_VRING_ENABLE, proto_set_vring_enable, SIZE(SIZE_STATE), FLAGS(F_INDEX)),
	ROW(SEND_RARP, proto_send_rarp, SIZE(8), GATES(G(RARP))),
	ROW(NET_SET_MTU, proto_net_set_mtu, SIZE(8), GATES(G(NET_MTU))),
	ROW(SET_BACKEND_REQ_FD, proto_set_backend_req_fd, FDS(1, 1), GATES(G(BACKEND_REQ))),
	ROW(IOTLB_MSG, proto_iotlb_msg, SIZES(VU_IOTLB_SIZE_MIN, sizeof(struct vu_iotlb)),
	    FLAGS(F_REPLY | F_IOMMU)),
	/* Never offered: a legacy guest of the other byte order. */
	ROW(SET_VRING_ENDIAN, proto_unsupported, SIZE(SIZE_STATE), FLAGS(F_INDEX),
	    GATES(G(CROSS_ENDIAN))),
	ROW(GET_CONFIG, proto_get_config, SIZES(VU_CONFIG_HEADER, SIZE_CONFIG_MAX),
	    FLAGS(F_REPLY | F_SIZED_REPLY), GATES(G(CONFIG))),
	ROW(SET_CONFIG, proto_set_config, SIZES(VU_CONFIG_HEADER, SIZE_CONFIG_MAX),
	    GATES(G(CONFIG))),
	ROW(CREATE_CRYPTO_SESSION, proto_create_crypto_session,
	    SIZES(VU_CRYPTO_SIZE_MIN, VU_CRYPTO_SIZE_MAX), FLAGS(F_REPLY | F_SIZED_REPLY),
	    GATES(G(CRYPTO_SESSION))),
	ROW(CLOSE_CRYPTO_SESSION, proto_close_crypto_session, SIZE(8), GATES(G(CRYPTO_SESSION))),
	ROW(POSTCOPY_ADVISE, proto_postcopy_advise, FLAGS(F_REPLY | F_SIZED_REPLY),
	    GATES(G(PAGEFAULT))),
	ROW(POSTCOPY_LISTEN, proto_postcopy_listen, GATES(G(PAGEFAULT))),
	ROW(POSTCOPY_END, proto_postcopy_end, FLAGS(F_REPLY), GATES(G(PAGEFAULT))),
	ROW(GET_INFLIGHT_FD, proto_get_inflight_fd,
	    SIZES(VU_INFLIGHT_SIZE_MIN, sizeof(struct vu_inflight)),
	    FLAGS(F_REPLY | F_SIZED_REPLY), GATES(G(INFLIGHT_SHMFD))),
	ROW(SET_INFLIGHT_FD, proto_set_inflight_fd,
	    SIZES(VU_INFLIGHT_SIZE_MIN, sizeof(struct vu_inflight)), FDS(1, 1),
	    GATES(G(INFLIGHT_SHMFD))),
	ROW(GPU_SET_SOCKET, proto_gpu_set_socket, FDS(1, 1)),
	ROW(RESET_DEVICE, proto_reset_device, GATES(G(RESET_DEVICE))),
	ROW(VRING_KICK, proto_vring_kick, SIZE(SIZE_STATE), FLAGS(F_INDEX),
	    GATES(G(INBAND_NOTIFICATIONS))),
	ROW(GET_MAX_MEM_SLOTS, proto_get_max_mem_slots, FLAGS(F_REPLY),
	    GATES(G(CONFIGURE_MEM_SLOTS))),
	/* A size of 8 without an fd ends the table of a postcopy; see postcopy.c. */
	ROW(ADD_MEM_REG, proto_add_mem_reg, SIZES(8, sizeof(struct vu_mem_reg)), FDS(0, 1),
	    FLAGS(F_SIZED_REPLY), GATES(G(CONFIGURE_MEM_SLOTS))),
	ROW(REM_MEM_REG, proto_rem_mem_reg, SIZES(8, sizeof(struct vu_mem_reg)), FDS(0, 1),
	    GATES(G(CONFIGURE_MEM_SLOTS))),
	ROW(SET_STATUS, proto_set_status, SIZE(8), GATES(G(STATUS))),
	ROW(GET_STATUS, proto_get_status, FLAGS(F_REPLY), GATES(G(STATUS))),
	/* QEMU 11 sends it without the UUID, which then is nobody's. */
	ROW(GET_SHARED_OBJECT, proto_get_shared_object, SIZES(0, sizeof(struct vu_shared)),
	    FLAGS(F_REPLY | F_SIZED_REPLY), GATES(G(SHARED_OBJECT))),
	ROW(SET_DEVICE_STATE_FD, proto_set_device_state_fd,
	    SIZE(sizeof(struct vu_transfer_state)), FDS(1, 1), FLAGS(F_REPLY),
	    GATES(G(DEVICE_STATE))),
	ROW(CHECK_DEVICE_STATE, proto_check_device_state, FLAGS(F_REPLY), GATES(G(DEVICE_STATE))),
	ROW(GET_SHMEM_CONFIG, proto_get_shmem_config, FLAGS(F_REPLY | F_SIZED_REPLY),
	    GATES(G(SHMEM))),
	ROW(GET_VRING_BASE_SKIP_DRAIN, proto_get_vring_base_skip_drain, SIZE(SIZE_STATE),
	    FLAGS(F_INDEX | F_REPLY),
	    GATES(G(GET_VRING_BASE_SKIP_DRAIN) | G(GET_VRING_BASE_INFLIGHT) | G(INFLIGHT_SHMFD))),
};
