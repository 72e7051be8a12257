/* SPDX-License-Identifier: BSD-3-Clause */
/* See names.h. */
#include "config.h"

#include "tools/names.h"

#include <endian.h>
#include <string.h>

#include "frontend/frontend.h"
#include "util.h"

static const char *const common_names[64] = {
	[24] = "NOTIFY_ON_EMPTY", [26] = "LOG_ALL", [27] = "ANY_LAYOUT", [28] = "INDIRECT_DESC",
	[29] = "EVENT_IDX", [30] = "PROTOCOL_FEATURES", [32] = "VERSION_1",
	[33] = "ACCESS_PLATFORM", [34] = "RING_PACKED", [35] = "IN_ORDER",
	[36] = "ORDER_PLATFORM", [37] = "SR_IOV", [38] = "NOTIFICATION_DATA",
	[39] = "NOTIF_CONFIG_DATA", [40] = "RING_RESET", [41] = "ADMIN_VQ", [43] = "SUSPEND",
};

static const char *const protocol_names[] = {
	"MQ", "LOG_SHMFD", "RARP", "REPLY_ACK", "NET_MTU", "BACKEND_REQ", "CROSS_ENDIAN",
	"CRYPTO_SESSION", "PAGEFAULT", "CONFIG", "BACKEND_SEND_FD", "HOST_NOTIFIER",
	"INFLIGHT_SHMFD", "RESET_DEVICE", "INBAND_NOTIFICATIONS", "CONFIGURE_MEM_SLOTS", "STATUS",
	"XEN_MMAP", "SHARED_OBJECT", "DEVICE_STATE", "GET_VRING_BASE_INFLIGHT", "GPA_ADDRESSES",
	"SHMEM", "GET_VRING_BASE_SKIP_DRAIN",
};

static const char *const request_names[] = {
	"NONE", "GET_FEATURES", "SET_FEATURES", "SET_OWNER", "RESET_OWNER", "SET_MEM_TABLE",
	"SET_LOG_BASE", "SET_LOG_FD", "SET_VRING_NUM", "SET_VRING_ADDR", "SET_VRING_BASE",
	"GET_VRING_BASE", "SET_VRING_KICK", "SET_VRING_CALL", "SET_VRING_ERR",
	"GET_PROTOCOL_FEATURES", "SET_PROTOCOL_FEATURES", "GET_QUEUE_NUM", "SET_VRING_ENABLE",
	"SEND_RARP", "NET_SET_MTU", "SET_BACKEND_REQ_FD", "IOTLB_MSG", "SET_VRING_ENDIAN",
	"GET_CONFIG", "SET_CONFIG", "CREATE_CRYPTO_SESSION", "CLOSE_CRYPTO_SESSION",
	"POSTCOPY_ADVISE", "POSTCOPY_LISTEN", "POSTCOPY_END", "GET_INFLIGHT_FD",
	"SET_INFLIGHT_FD", "GPU_SET_SOCKET", "RESET_DEVICE", "VRING_KICK", "GET_MAX_MEM_SLOTS",
	"ADD_MEM_REG", "REM_MEM_REG", "SET_STATUS", "GET_STATUS", "GET_SHARED_OBJECT",
	"SET_DEVICE_STATE_FD", "CHECK_DEVICE_STATE", "GET_SHMEM_CONFIG",
	"GET_VRING_BASE_SKIP_DRAIN",
};

static const char *const net_names[64] = {
	[0] = "CSUM", [1] = "GUEST_CSUM", [2] = "CTRL_GUEST_OFFLOADS", [3] = "MTU", [5] = "MAC",
	[6] = "GSO", [7] = "GUEST_TSO4", [8] = "GUEST_TSO6", [9] = "GUEST_ECN",
	[10] = "GUEST_UFO", [11] = "HOST_TSO4", [12] = "HOST_TSO6", [13] = "HOST_ECN",
	[14] = "HOST_UFO", [15] = "MRG_RXBUF", [16] = "STATUS", [17] = "CTRL_VQ",
	[18] = "CTRL_RX", [19] = "CTRL_VLAN", [20] = "CTRL_RX_EXTRA", [21] = "GUEST_ANNOUNCE",
	[22] = "MQ", [23] = "CTRL_MAC_ADDR", [50] = "DEVICE_STATS", [51] = "HASH_TUNNEL",
	[52] = "VQ_NOTF_COAL", [53] = "NOTF_COAL", [54] = "GUEST_USO4", [55] = "GUEST_USO6",
	[56] = "HOST_USO", [57] = "HASH_REPORT", [59] = "GUEST_HDRLEN", [60] = "RSS",
	[61] = "RSC_EXT", [62] = "STANDBY", [63] = "SPEED_DUPLEX",
};

static const struct name_field net_fields[] = {
	{ "mac", 0, 6, 5 }, { "status", 6, 2, 16 }, { "max_virtqueue_pairs", 8, 2, 22 },
	{ "mtu", 10, 2, 3 }, { "speed", 12, 4, 63 }, { "duplex", 16, 1, 63 },
	{ "rss_max_key_size", 17, 1, 60 }, { "rss_max_indirection_table_length", 18, 2, 60 },
	{ "supported_hash_types", 20, 4, 60 }, { NULL }
};

static const char *const blk_names[64] = {
	[0] = "BARRIER", [1] = "SIZE_MAX", [2] = "SEG_MAX", [4] = "GEOMETRY", [5] = "RO",
	[6] = "BLK_SIZE", [7] = "SCSI", [9] = "FLUSH", [10] = "TOPOLOGY", [11] = "CONFIG_WCE",
	[12] = "MQ", [13] = "DISCARD", [14] = "WRITE_ZEROES", [15] = "LIFETIME",
	[16] = "SECURE_ERASE", [17] = "ZONED",
};

static const struct name_field blk_fields[] = {
	{ "capacity", 0, 8, -1 }, { "size_max", 8, 4, 1 }, { "seg_max", 12, 4, 2 },
	{ "cylinders", 16, 2, 4 }, { "heads", 18, 1, 4 }, { "sectors", 19, 1, 4 },
	{ "blk_size", 20, 4, 6 }, { "physical_block_exp", 24, 1, 10 },
	{ "alignment_offset", 25, 1, 10 }, { "min_io_size", 26, 2, 10 },
	{ "opt_io_size", 28, 4, 10 }, { "writeback", 32, 1, 11 }, { "num_queues", 34, 2, 12 },
	{ "max_discard_sectors", 36, 4, 13 }, { "max_discard_seg", 40, 4, 13 },
	{ "discard_sector_alignment", 44, 4, 13 }, { "max_write_zeroes_sectors", 48, 4, 14 },
	{ "max_write_zeroes_seg", 52, 4, 14 }, { "write_zeroes_may_unmap", 56, 1, 14 },
	{ "max_secure_erase_sectors", 60, 4, 16 }, { "max_secure_erase_seg", 64, 4, 16 },
	{ "secure_erase_sector_alignment", 68, 4, 16 }, { NULL }
};

static const char *const scsi_names[64] = {
	[0] = "INOUT", [1] = "HOTPLUG", [2] = "CHANGE", [3] = "T10_PI",
};

static const struct name_field scsi_fields[] = {
	{ "num_queues", 0, 4, -1 }, { "seg_max", 4, 4, -1 }, { "max_sectors", 8, 4, -1 },
	{ "cmd_per_lun", 12, 4, -1 }, { "event_info_size", 16, 4, -1 },
	{ "sense_size", 20, 4, -1 }, { "cdb_size", 24, 4, -1 }, { "max_channel", 28, 2, -1 },
	{ "max_target", 30, 2, -1 }, { "max_lun", 32, 4, -1 }, { NULL }
};

static const char *const console_names[64] = { "SIZE", "MULTIPORT", "EMERG_WRITE" };

static const struct name_field console_fields[] = {
	{ "cols", 0, 2, 0 }, { "rows", 2, 2, 0 }, { "max_nr_ports", 4, 4, 1 }, { NULL }
};

static const char *const gpu_names[64] = {
	"VIRGL", "EDID", "RESOURCE_UUID", "RESOURCE_BLOB", "CONTEXT_INIT",
};

static const struct name_field gpu_fields[] = {
	{ "events_read", 0, 4, -1 }, { "events_clear", 4, 4, -1 }, { "num_scanouts", 8, 4, -1 },
	{ "num_capsets", 12, 4, -1 }, { NULL }
};

static const char *const vsock_names[64] = { "STREAM", "SEQPACKET", "NO_IMPLIED_STREAM" };

static const struct name_field vsock_fields[] = { { "guest_cid", 0, 8, -1 }, { NULL } };

static const struct name_field fs_fields[] = {
	{ "tag", 0, 36, -1 }, { "num_request_queues", 36, 4, -1 }, { NULL }
};

static const char *const crypto_names[64] = { "REVISION_1" };

static const struct name_field crypto_fields[] = {
	{ "status", 0, 4, -1 }, { "max_dataqueues", 4, 4, -1 }, { "crypto_services", 8, 4, -1 },
	{ NULL }
};

enum { NET, BLK, SCSI, CRYPTO };

static const struct name_type types[] = {
	[NET] = { "net", "network", net_names, net_fields, 24 },
	[BLK] = { "blk", "block device", blk_names, blk_fields, 72 },
	[SCSI] = { "scsi", "SCSI host", scsi_names, scsi_fields, 36 },
	[CRYPTO] = { "crypto", "crypto device", crypto_names, crypto_fields, 12 },
	{ "rng", "source of random numbers" },
	{ "console", "console", console_names, console_fields, 8 },
	{ "gpu", "GPU", gpu_names, gpu_fields, 16 },
	{ "vsock", "vsock", vsock_names, vsock_fields, 8 },
	{ "fs", "file system", NULL, fs_fields, 40 },
};

const struct name_type *name_find_type(const char *name)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(types); i++)
		if (!strcmp(types[i].name, name))
			return &types[i];
	return NULL;
}

static uint32_t name_get32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return le32toh(v);
}

/* Sizes of an event, of sense data and of commands are the same everywhere at the start. */
static bool name_is_scsi(const uint8_t *config, uint32_t len)
{
	return len >= 36 && name_get32(config + 16) == 16 && name_get32(config + 20) == 96 &&
	       name_get32(config + 24) == 32;
}

/* Bits which belong to the device type. */
static uint64_t name_own_bits(uint64_t features)
{
	return features & (FE_BIT(24) - 1 + (~UINT64_C(0) << 50));
}

const struct name_type *name_guess_type(uint64_t features, uint64_t protocol, const uint8_t *config,
					uint32_t len)
{
	const uint64_t blk_bits = 0x3fff7, blk_usual = FE_BIT(2) | FE_BIT(6) | FE_BIT(9);
	const uint64_t net_usual = FE_BIT(5) | FE_BIT(15) | FE_BIT(16) | FE_BIT(17);
	uint64_t own = name_own_bits(features);

	if (name_is_scsi(config, len))
		return &types[SCSI];
	if (protocol & (FE_BIT(VU_PROTOCOL_F_RARP) | FE_BIT(VU_PROTOCOL_F_NET_MTU)))
		return &types[NET];
	/* DPDK has this for networks, too. */
	if (protocol & FE_BIT(VU_PROTOCOL_F_CRYPTO_SESSION))
		return &types[CRYPTO];
	if (len >= 8 && (own & blk_usual) && !(own & ~blk_bits))
		return &types[BLK];
	if (own & net_usual)
		return &types[NET];
	return NULL;
}

const char *name_feature(const struct name_type *type, unsigned int bit)
{
	if (common_names[bit])
		return common_names[bit];
	return type && type->features ? type->features[bit] : NULL;
}

const char *name_protocol(unsigned int bit)
{
	return bit < ARRAY_SIZE(protocol_names) ? protocol_names[bit] : NULL;
}

const char *name_request(unsigned int request)
{
	return request < ARRAY_SIZE(request_names) ? request_names[request] : "?";
}
