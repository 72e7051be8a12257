/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The vhost-user protocol on the wire: structures and numbers, no logic.
 *
 * Names and layouts follow the vhost-user specification.  All integers are in
 * the host's byte order.  The layouts of the rings are in <linux/virtio_ring.h>.
 */
#ifndef VHOST_SPEC_H
#define VHOST_SPEC_H

#include <stdint.h>

/* "Message Specification": the header which starts every message. */
struct vu_header {
	uint32_t request;
	uint32_t flags;
	uint32_t size;			/* bytes of payload behind the header */
};

#define VU_VERSION		0x1u
#define VU_VERSION_MASK		0x3u
#define VU_REPLY		0x4u
#define VU_NEED_REPLY		0x8u
#define VU_FLAGS_KNOWN		(VU_VERSION_MASK | VU_REPLY | VU_NEED_REPLY)

#define VU_FDS_MAX		8	/* the most that any message carries */
#define VU_PAYLOAD_MAX		4096	/* above the largest message, shmem_config's 2056 */

/* "Front-end message types" */
enum vu_request {
	VU_NONE = 0,
	VU_GET_FEATURES = 1,
	VU_SET_FEATURES = 2,
	VU_SET_OWNER = 3,
	VU_RESET_OWNER = 4,
	VU_SET_MEM_TABLE = 5,
	VU_SET_LOG_BASE = 6,
	VU_SET_LOG_FD = 7,
	VU_SET_VRING_NUM = 8,
	VU_SET_VRING_ADDR = 9,
	VU_SET_VRING_BASE = 10,
	VU_GET_VRING_BASE = 11,
	VU_SET_VRING_KICK = 12,
	VU_SET_VRING_CALL = 13,
	VU_SET_VRING_ERR = 14,
	VU_GET_PROTOCOL_FEATURES = 15,
	VU_SET_PROTOCOL_FEATURES = 16,
	VU_GET_QUEUE_NUM = 17,
	VU_SET_VRING_ENABLE = 18,
	VU_SEND_RARP = 19,
	VU_NET_SET_MTU = 20,
	VU_SET_BACKEND_REQ_FD = 21,
	VU_IOTLB_MSG = 22,
	VU_SET_VRING_ENDIAN = 23,
	VU_GET_CONFIG = 24,
	VU_SET_CONFIG = 25,
	VU_CREATE_CRYPTO_SESSION = 26,
	VU_CLOSE_CRYPTO_SESSION = 27,
	VU_POSTCOPY_ADVISE = 28,
	VU_POSTCOPY_LISTEN = 29,
	VU_POSTCOPY_END = 30,
	VU_GET_INFLIGHT_FD = 31,
	VU_SET_INFLIGHT_FD = 32,
	VU_GPU_SET_SOCKET = 33,
	VU_RESET_DEVICE = 34,
	VU_VRING_KICK = 35,
	VU_GET_MAX_MEM_SLOTS = 36,
	VU_ADD_MEM_REG = 37,
	VU_REM_MEM_REG = 38,
	VU_SET_STATUS = 39,
	VU_GET_STATUS = 40,
	VU_GET_SHARED_OBJECT = 41,
	VU_SET_DEVICE_STATE_FD = 42,
	VU_CHECK_DEVICE_STATE = 43,
	VU_GET_SHMEM_CONFIG = 44,
	VU_GET_VRING_BASE_SKIP_DRAIN = 45,
	VU_REQUEST_END
};

/* "Back-end message types" */
enum vu_backend_request {
	VU_BACKEND_IOTLB_MSG = 1,
	VU_BACKEND_CONFIG_CHANGE_MSG = 2,
	VU_BACKEND_VRING_HOST_NOTIFIER_MSG = 3,
	VU_BACKEND_VRING_CALL = 4,
	VU_BACKEND_VRING_ERR = 5,
	VU_BACKEND_SHARED_OBJECT_ADD = 6,
	VU_BACKEND_SHARED_OBJECT_REMOVE = 7,
	VU_BACKEND_SHARED_OBJECT_LOOKUP = 8,
	VU_BACKEND_SHMEM_MAP = 9,
	VU_BACKEND_SHMEM_UNMAP = 10,
};

/* "Protocol features": bit numbers. */
enum vu_protocol_feature {
	VU_PROTOCOL_F_MQ = 0,
	VU_PROTOCOL_F_LOG_SHMFD = 1,
	VU_PROTOCOL_F_RARP = 2,
	VU_PROTOCOL_F_REPLY_ACK = 3,
	VU_PROTOCOL_F_NET_MTU = 4,
	VU_PROTOCOL_F_BACKEND_REQ = 5,
	VU_PROTOCOL_F_CROSS_ENDIAN = 6,
	VU_PROTOCOL_F_CRYPTO_SESSION = 7,
	VU_PROTOCOL_F_PAGEFAULT = 8,
	VU_PROTOCOL_F_CONFIG = 9,
	VU_PROTOCOL_F_BACKEND_SEND_FD = 10,
	VU_PROTOCOL_F_HOST_NOTIFIER = 11,
	VU_PROTOCOL_F_INFLIGHT_SHMFD = 12,
	VU_PROTOCOL_F_RESET_DEVICE = 13,
	VU_PROTOCOL_F_INBAND_NOTIFICATIONS = 14,
	VU_PROTOCOL_F_CONFIGURE_MEM_SLOTS = 15,
	VU_PROTOCOL_F_STATUS = 16,
	VU_PROTOCOL_F_XEN_MMAP = 17,
	VU_PROTOCOL_F_SHARED_OBJECT = 18,
	VU_PROTOCOL_F_DEVICE_STATE = 19,
	VU_PROTOCOL_F_GET_VRING_BASE_INFLIGHT = 20,
	VU_PROTOCOL_F_GPA_ADDRESSES = 21,
	VU_PROTOCOL_F_SHMEM = 22,
	VU_PROTOCOL_F_GET_VRING_BASE_SKIP_DRAIN = 23,
};

/* Feature bit in GET_FEATURES: what is written can be logged; acknowledged, it is. */
#define VU_F_LOG_ALL		26
/* Feature bit in GET_FEATURES: protocol features can be negotiated. */
#define VU_F_PROTOCOL_FEATURES	30

/* Bits of the u64 which SET_VRING_KICK, _CALL and _ERR carry. */
#define VU_VRING_INDEX_MASK	0xffu
#define VU_VRING_NOFD		0x100u

struct vu_vring_state {
	uint32_t index;
	uint32_t num;
};

#define VU_VRING_ADDR_F_LOG	0x1u

struct vu_vring_addr {
	uint32_t index;
	uint32_t flags;
	uint64_t desc;
	uint64_t used;			/* yes, before avail */
	uint64_t avail;
	uint64_t log;
};

struct vu_region {
	uint64_t guest_addr;
	uint64_t size;
	uint64_t user_addr;
	uint64_t mmap_offset;
};

struct vu_memory {
	uint32_t num_regions;
	uint32_t padding;
	struct vu_region regions[VU_FDS_MAX];
};

struct vu_mem_reg {
	uint64_t padding;
	struct vu_region region;
};

#define VU_CONFIG_MAX		256

/* SET_CONFIG's flags */
#define VU_CONFIG_WRITABLE	0u	/* the driver writes a writable field */
#define VU_CONFIG_MIGRATION	1u	/* any field is restored */

struct vu_config {
	uint32_t offset;
	uint32_t size;
	uint32_t flags;
	uint8_t region[VU_CONFIG_MAX];
};

#define VU_CONFIG_HEADER	12u	/* bytes before region */

/* SET_LOG_BASE: a bitmap with one bit for each VU_LOG_PAGE of guest memory */
#define VU_LOG_PAGE		4096u

struct vu_log {
	uint64_t size;			/* bytes of the bitmap */
	uint64_t offset;		/* in the file */
};

/* struct vu_iotlb.perm */
#define VU_IOTLB_RO		1u
#define VU_IOTLB_WO		2u
#define VU_IOTLB_RW		3u

/* struct vu_iotlb.type */
enum vu_iotlb_type {
	VU_IOTLB_MISS = 1,
	VU_IOTLB_UPDATE = 2,
	VU_IOTLB_INVALIDATE = 3,
	VU_IOTLB_ACCESS_FAIL = 4,
};

struct vu_iotlb {
	uint64_t iova;
	uint64_t size;
	uint64_t user_addr;
	uint8_t perm;
	uint8_t type;			/* enum vu_iotlb_type */
	uint8_t padding[6];
};

#define VU_IOTLB_SIZE_MIN	26u	/* bytes without the padding, which some leave out */

/* VRING_HOST_NOTIFIER_MSG; the u64 is as in SET_VRING_KICK */
struct vu_vring_area {
	uint64_t u64;
	uint64_t size;
	uint64_t offset;
};

struct vu_inflight {
	uint64_t mmap_size;
	uint64_t mmap_offset;
	uint16_t num_queues;
	uint16_t queue_size;
	uint8_t padding[4];
};

#define VU_INFLIGHT_SIZE_MIN	20u	/* bytes without the padding, which some leave out */

#define VU_UUID_SIZE		16

struct vu_shared {
	uint8_t uuid[VU_UUID_SIZE];
};

/* SET_DEVICE_STATE_FD */
#define VU_TRANSFER_SAVE	0u
#define VU_TRANSFER_LOAD	1u
#define VU_TRANSFER_STOPPED	0u	/* the only phase */
#define VU_TRANSFER_NO_FD	0x100u	/* in the reply: use the fd which you have sent */

struct vu_transfer_state {
	uint32_t direction;
	uint32_t phase;
};

#define VU_MMAP_F_RW		1u

struct vu_mmap {
	uint8_t shmid;
	uint8_t padding[7];
	uint64_t fd_offset;
	uint64_t shm_offset;
	uint64_t len;
	uint64_t flags;
};

#define VU_SHMEM_REGIONS_MAX	256

struct vu_shmem_config {
	uint32_t num_regions;
	uint32_t padding;
	uint64_t sizes[VU_SHMEM_REGIONS_MAX];
};

/*
 * CREATE_CRYPTO_SESSION: operation, parameters, and at the very end the session's id.  The
 * parameters are the device type's; their size differs between versions of the protocol.
 */
#define VU_CRYPTO_SIZE_MIN	16u
#define VU_CRYPTO_SIZE_MAX	2048u

#endif /* VHOST_SPEC_H */
