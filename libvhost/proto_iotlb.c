/* SPDX-License-Identifier: BSD-3-Clause */
#include "internal.h"

#include <errno.h>

int proto_iotlb_msg(struct vhost_dev *dev, struct msg *msg)
{
	return proto_unsupported(dev, msg);
}
