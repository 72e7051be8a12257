/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Judging the offload header of a packet to be sent.
 *
 * It says where a checksum is to be filled in and how to cut the packet into segments, and
 * comes from the guest: the kernel must not see an offset which leaves the packet, nor an
 * offload which was not negotiated (VIRTIO 5.1.6.2.1).
 */
#include "hdr.h"

#include <endian.h>
#include <linux/if_ether.h>
#include <linux/virtio_config.h>
#include <string.h>

#include "util.h"

/* The shortest headers of these protocols, bytes. */
#define HDR_TCP 20u
#define HDR_UDP 8u

static const struct hdr_kind {
	uint8_t type;			/* VIRTIO_NET_HDR_GSO_* */
	uint64_t feature;		/* which allows it */
	uint16_t transport;		/* bytes which the transport header has at least */
} hdr_kinds[] = {
	{ VIRTIO_NET_HDR_GSO_TCPV4, BIT(VIRTIO_NET_F_HOST_TSO4), HDR_TCP },
	{ VIRTIO_NET_HDR_GSO_TCPV6, BIT(VIRTIO_NET_F_HOST_TSO6), HDR_TCP },
	{ VIRTIO_NET_HDR_GSO_UDP, BIT(VIRTIO_NET_F_HOST_UFO), HDR_UDP },
	{ VIRTIO_NET_HDR_GSO_UDP_L4, BIT(VIRTIO_NET_F_HOST_USO), HDR_UDP },
};

size_t hdr_len(uint64_t features)
{
	if (features & (BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_NET_F_MRG_RXBUF)))
		return sizeof(struct virtio_net_hdr_v1);
	return sizeof(struct virtio_net_hdr);
}

static const struct hdr_kind *hdr_find_kind(uint8_t type)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(hdr_kinds); i++) {
		if (hdr_kinds[i].type == type)
			return &hdr_kinds[i];
	}
	return NULL;
}

/* The checksum covers the packet from start on and is stored offset bytes behind that. */
static bool hdr_judge_csum(const struct virtio_net_hdr_v1 *hdr, size_t len, uint64_t features)
{
	size_t start = le16toh(hdr->csum_start), offset = le16toh(hdr->csum_offset);

	return features & BIT(VIRTIO_NET_F_CSUM) && start >= ETH_HLEN &&
	       start + offset + sizeof(uint16_t) <= len;
}

static bool hdr_judge_gso(const struct virtio_net_hdr_v1 *hdr, size_t len, uint64_t features)
{
	const struct hdr_kind *kind = hdr_find_kind(hdr->gso_type & ~VIRTIO_NET_HDR_GSO_ECN);
	bool tcp = kind && kind->transport == HDR_TCP;

	if (!kind || !(features & kind->feature) || !hdr->gso_size)
		return false;
	if (hdr->gso_type & VIRTIO_NET_HDR_GSO_ECN &&
	    (!tcp || !(features & BIT(VIRTIO_NET_F_HOST_ECN))))
		return false;
	return !(hdr->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) ||
	       (size_t)le16toh(hdr->csum_start) + kind->transport <= len;
}

bool hdr_judge(struct virtio_net_hdr_v1 *hdr, size_t len, uint64_t features)
{
	/* All other flags are for packets which are received. */
	const uint8_t flags = hdr->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM;

	/*
	 * Most packets have no offload, and then nothing else of the header counts.  Nothing is
	 * stored before this: the two fields are one load, which would have to wait for the store
	 * of one of them, and that for all stores to the driver's rings before.
	 */
	if (likely(!flags && hdr->gso_type == VIRTIO_NET_HDR_GSO_NONE)) {
		*hdr = (struct virtio_net_hdr_v1){ 0 };
		return true;
	}
	hdr->flags = flags;
	if (!flags)
		hdr->csum_start = hdr->csum_offset = 0;
	else if (!hdr_judge_csum(hdr, len, features))
		return false;
	if (hdr->gso_type == VIRTIO_NET_HDR_GSO_NONE)
		hdr->hdr_len = hdr->gso_size = 0;
	else if (!hdr_judge_gso(hdr, len, features))
		return false;
	/* A hint, but one which the kernel relies on. */
	hdr->hdr_len = htole16((uint16_t)MIN(le16toh(hdr->hdr_len), len));
	hdr->num_buffers = 0;
	return true;
}
