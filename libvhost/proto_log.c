/* SPDX-License-Identifier: BSD-3-Clause */
#include "internal.h"

#include <errno.h>

int proto_set_log_base(struct vhost_dev *dev, struct msg *msg)
{
	return proto_unsupported(dev, msg);
}

int proto_set_log_fd(struct vhost_dev *dev, struct msg *msg)
{
	return proto_unsupported(dev, msg);
}
