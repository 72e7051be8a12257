/* SPDX-License-Identifier: BSD-3-Clause */
/* The message table: what each message of the front-end looks like, and who handles it. */
#ifndef VHOST_PROTO_H
#define VHOST_PROTO_H

#include "internal.h"

struct proto_row {
	const char *name;		/* as the specification has it */
	uint16_t size;			/* bytes of payload */
	uint16_t size_max;		/* 0: exactly size */
	uint8_t fds_min, fds_max;
	uint16_t flags;
	uint32_t gates;			/* protocol features which it needs, all of them */
	int (*fn)(struct vhost_dev *dev, struct msg *msg);
	const char *fn_name;
};

#define F_INDEX		(1u << 0)	/* payload begins with a u32 ring index */
#define F_FD_INDEX	(1u << 1)	/* payload is a u64 with a ring index and NOFD */
#define F_STOPPED	(1u << 2)	/* the ring must not run; a disabled one is stopped first */
#define F_REPLY		(1u << 3)	/* has a reply of its own */
#define F_SIZED_REPLY	(1u << 4)	/* whose size the handler leaves in the header; else a u64 */
#define F_IOMMU		(1u << 5)	/* needs VIRTIO_F_ACCESS_PLATFORM */

/* Rows without a handler stand for no message. */
extern const struct proto_row proto_table[VU_REQUEST_END];

#endif /* VHOST_PROTO_H */
