/* SPDX-License-Identifier: BSD-3-Clause */
/* The header of a packet (VIRTIO 5.1.6), as a driver fills it in. */
#ifndef NET_HDR_H
#define NET_HDR_H

#include <linux/virtio_net.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What older kernel headers lack. */
#ifndef VIRTIO_NET_HDR_GSO_UDP_L4
#define VIRTIO_NET_HDR_GSO_UDP_L4	5
#endif
#ifndef VIRTIO_NET_F_HOST_USO
#define VIRTIO_NET_F_GUEST_USO4	54
#define VIRTIO_NET_F_GUEST_USO6	55
#define VIRTIO_NET_F_HOST_USO	56
#endif

/* Bytes of the header which these features make. */
size_t hdr_len(uint64_t features);

/*
 * Whether a driver with these features may send such a header before a packet of len bytes.  If
 * so, what is left in *hdr is all meant and within the packet.
 */
bool hdr_judge(struct virtio_net_hdr_v1 *hdr, size_t len, uint64_t features);

#endif /* NET_HDR_H */
